"""Solvers by name. Each is one file; `registry` finds them, `solve` runs them."""

from .registry import get, names, solver

__all__ = ["get", "names", "solver"]
