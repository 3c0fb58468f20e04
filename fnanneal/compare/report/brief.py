"""The outcome in a few lines of plain text, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..cells import Cell
from ..records import Record
from ..statistics import median_gaps, overall_gaps, programs, winners
from .material import Experiment, Material, objective_name, under
from .numbers import NONE, percent, seconds


def brief(records: Sequence[Record], plan: Mapping[str, Any], planned: Sequence[Cell] = ()) -> str:
    """A table of solvers for each budget; empty without records. Without intervals and tests, which take time: they are in the report."""
    material = Material.of(records, plan, planned)
    tables = [(_spins if e.kind == "spins" else _programs)(material, e) for e in material.experiments]
    return "\n\n".join(tables)


def _spins(material: Material, e: Experiment) -> str:
    medians, overall = median_gaps(e.records, material.known), overall_gaps(e.records, material.known)
    best = [s for solvers in winners(medians, e.problems).values() for s in solvers]
    rows: list[tuple[str, ...]] = [
        (f"solver{under(e, material)}", f"best median {objective_name(e)} on", "median gap", "worst gap")
    ]
    for s in (s for s in material.solvers if s in e.solvers):
        gaps = overall.get(s)
        ends = (NONE, NONE) if gaps is None else (_gap(gaps.median), _gap(gaps.worst))
        rows.append((s, f"{best.count(s)} of {len(e.problems)}", *ends))
    return _aligned(rows)


def _gap(gap: float) -> str:
    return percent(gap) if gap < math.inf else "failed"


def _programs(material: Material, e: Experiment) -> str:
    rows = [(f"solver{under(e, material)}", "solved", "mean time")]
    for s in programs(e.records):
        solved = NONE if s.solved is None else f"{s.solved.k} of {s.solved.n}"
        rows.append((s.solver, solved, f"{'>= ' if s.bound else ''}{seconds(s.mean_s)}"))
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        # A name is data: whatever it holds stays on its line.
        name = "".join(c if c.isprintable() else "?" for c in first)
        lines.append("  ".join([f"{name:{widths[0]}}", *(f"{x:>{w}}" for x, w in zip(rest, widths[1:], strict=True))]))
    return "\n".join(lines)
