"""What the ensemble is made of: engines that anneal, smaller systems that stand for a whole one, and two ways to manage a population."""
