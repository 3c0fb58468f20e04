"""Fowler-Nordheim dynamic analog memory."""

from .timer import FNTimer

__all__ = ["FNTimer"]
