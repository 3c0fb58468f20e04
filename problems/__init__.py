"""Problems: models, files, generators, named instances."""
