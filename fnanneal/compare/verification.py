"""Recompute every stored best from its spins, or its point."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import InputError
from .records import Record
from .store import Store

# A program's objective and residuals are sums of floats, whose order may differ between machines.
NEARLY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One cell's: None for a best that is what the store says, else what is wrong."""

    cell: str
    label: str
    fault: str | None


def verify(folder: str | os.PathLike[str]) -> Iterator[Verdict]:
    """The verdict on every finished cell that has a best, problem by problem.

    Raises
    ------
    InputError
        Where the directory holds no store.
    """
    with Store.open(folder) as store:
        cells = store.specs()
        records = sorted((r for r in store.records() if r.outcome == "done"), key=lambda r: (r.kind, r.problem, r.cell))
        load = lru_cache(maxsize=1)(_load)
        for record in records:
            label = f"{record.problem}, {record.solver}, seed {record.seed}, {record.budget.label}"
            cell = cells.get(record.cell)
            try:
                fault = (
                    "its cell is in no plan" if cell is None else _fault(store, record, load(cell.kind, cell.problem))
                )
            except InputError as e:
                fault = f"cannot load the problem: {e}"
            yield Verdict(cell=record.cell, label=label, fault=fault)


def _load(kind: str, spec: str) -> Any:
    from ..problems.load import load
    from ..problems.quadratic.load import load_qp

    return load(spec) if kind == "spins" else load_qp(spec)


def _fault(store: Store, record: Record, problem: Any) -> str | None:
    if problem.sha256() != record.sha256:
        return "the problem is no longer what it was"
    if record.kind == "spins":
        spins = store.spins(record.cell)
        if spins is None or spins.size != problem.n:
            return f"{'no' if spins is None else spins.size} spins are stored for a problem of {problem.n}"
        found = problem.objective(spins)
        return None if found == record.objective else f"{found} by its spins, {record.objective} in the store"
    point = store.point(record.cell)
    if point is None:
        return "no point is stored"
    again = float(problem.objective(point["x"]))
    pairs = [("objective", again, record.objective)]
    if record.residuals is not None and {"x", "y", "z", "z_box"} <= point.keys():
        judged = problem.residuals(point["x"], point["y"], point["z"], point["z_box"])
        pairs += [(k, getattr(judged, k), v) for k, v in record.residuals.items()]
        scale = max(judged.primal_scale, judged.dual_scale, judged.gap_scale, 1.0)
    else:
        scale = max(abs(again), 1.0)
    for what, now, then in pairs:
        if then is None or not math.isclose(now, then, rel_tol=NEARLY, abs_tol=NEARLY * scale):
            return f"{what} {now:.12g} by its point, {then} in the store"
    return None
