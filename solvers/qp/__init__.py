"""Quadratic programs: the methods, their driver, and what stands around them."""
