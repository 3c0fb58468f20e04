"""`Record`: what is known of one cell, as the store gives it to statistics and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..result import Number, Sense
from .cells import Budget, Kind

Outcome = Literal["done", "failed", "unfit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of a store.

    Attributes
    ----------
    cell
        Its key (`Cell.key`).
    kind
        "spins": Ising, QUBO, Max-Cut; "qp".
    problem, sha256, size
        Its name; digest of its content; and what else is said of it, such as ``kind``, ``n`` and ``m``. The digest is None where the run failed before loading.
    best_known, best_known_source
        None where none is known.
    solver
        Its name with its settings (`SolverSpec.label`); `settings` are those that were used, defaults included.
    outcome
        "done"; "failed", the solver or its process; or "unfit", a problem that the solver cannot take. `error` says why.
    status
        How the solver ended, in its own word.
    objective
        Recomputed by us from the spins or the point; None without one.
    trace
        (seconds, objective) at every improvement, in the solver's own time; of a program only its end.
    solve_s, to_best_s
        Seconds of solving, and of it until the best was found.
    load_s, compile_s, build_s, wall_s
        Loading the problem; compiling kernels or warming up; building another solver's model and all else that it did outside its clock: none of it is in
        `solve_s`. wall_s: of the whole cell. Of a program, building is part of `solve_s`, since first factorisations are made there or here.
    spin_tests
        None where the solver does not count them.
    events, events_to_best
        Counts by name (`fnanneal.Events`); None where the solver does not count them. `real_numbers`: whether its arithmetic was on real numbers.
    measured_j
        Joules by the machine's own counters, None where it has none.
    residuals
        Of a program's point: primal, dual, gap, sign, on our own data.
    solved
        Whether every residual is within the tolerance; None for spins.
    started
        UTC, ISO 8601.
    host
        The machine: cpu, cores, memory, system, and the load before the run.
    revision
        Git revision of fnanneal's checkout, with "+" where it was changed; "" for an installed one.
    command
        That runs this cell again.
    """

    cell: str
    kind: Kind
    problem: str
    sha256: str | None
    size: Mapping[str, Any]
    sense: Sense
    best_known: Number | None
    best_known_source: str | None
    solver: str
    settings: Mapping[str, Any]
    seed: int
    budget: Budget
    threads: int
    outcome: Outcome
    status: str
    command: str
    objective: Number | None = None
    trace: tuple[tuple[float, Number], ...] = ()
    solve_s: float = 0.0
    to_best_s: float | None = None
    load_s: float = 0.0
    compile_s: float = 0.0
    build_s: float = 0.0
    wall_s: float = 0.0
    spin_tests: int | None = None
    events: Mapping[str, int] | None = None
    events_to_best: Mapping[str, int] | None = None
    real_numbers: bool = False
    measured_j: float | None = None
    residuals: Mapping[str, float] | None = None
    solved: bool | None = None
    error: str | None = None
    attempts: int = 1
    started: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    revision: str = ""

    def seconds_to(self, target: Number) -> float | None:
        """Seconds until the objective was at least as good as `target`; None where it never was, in `solve_s` seconds (a censored run)."""
        for t, value in self.trace:
            if value >= target if self.sense == "max" else value <= target:
                return t
        return None
