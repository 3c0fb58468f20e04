"""Solvers by name. Each is one file; `registry` finds them, `solve` runs them."""

from .registry import get, names, peer, peer_names, solver

__all__ = ["get", "names", "peer", "peer_names", "solver"]
