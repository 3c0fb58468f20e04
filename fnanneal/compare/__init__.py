"""Reproducible comparisons: a plan of cells, a store of what came of them, statistics and reports.

`make_plan` or `read_plan`, then `run` into a directory; `Store` reads it, `verify` recomputes its bests, `render` makes the report (docs/comparison.md).
"""

from __future__ import annotations

from .cells import Budget, Cell, SolverSpec
from .coordinator import Tally, run
from .plan import Plan, ProblemSpec, make_plan, read_plan
from .presets import preset
from .records import Record
from .report import render
from .store import Store
from .verification import Verdict, verify

__all__ = [
    "Budget",
    "Cell",
    "Plan",
    "ProblemSpec",
    "Record",
    "SolverSpec",
    "Store",
    "Tally",
    "Verdict",
    "make_plan",
    "preset",
    "read_plan",
    "render",
    "run",
    "verify",
]
