"""Reproducible comparisons: a plan of cells, a store of what came of them, statistics and reports."""

from __future__ import annotations
