"""Quadratic programs: the model, file formats, generators."""
