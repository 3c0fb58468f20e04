"""What a solve returns: `Result`, its `Status`, and the small records inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Spins = NDArray[np.int8]
Number = int | float
Sense = Literal["min", "max"]


class Status(StrEnum):
    """Why a solve ended."""

    OPTIMAL = "optimal"
    TARGET = "target"
    COMPLETED = "completed"
    TIME_LIMIT = "time_limit"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"

    @property
    def message(self) -> str:
        """One line for people."""
        return {
            Status.OPTIMAL: "optimal: the whole space was searched",
            Status.TARGET: "target reached",
            Status.COMPLETED: "budget used up",
            Status.TIME_LIMIT: "time limit reached",
            Status.STOPPED: "stopped by the callback",
            Status.INTERRUPTED: "interrupted; best so far",
        }[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestKnown:
    """The best objective known for an instance, and who says so."""

    value: Number
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What a solve did, counted: the raw material of its energy account.

    Attributes
    ----------
    spin_tests
        Proposals: one spin's gain compared with one threshold.
    spikes
        Flips: tests that passed.
    synaptic_events
        Couplings read to bring a neighbour's field up to date, summed over all spikes.
    threshold_draws
        Random thresholds drawn.
    """

    spin_tests: int = 0
    spikes: int = 0
    synaptic_events: int = 0
    threshold_draws: int = 0

    def __add__(self, other: Events) -> Events:
        return Events(**{k: v + getattr(other, k) for k, v in asdict(self).items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of wall time.

    ``load_s`` is None where the caller brought a loaded problem. ``compile_s`` is the kernels' compilation or their loading from the cache.
    ``solve_s`` is all the rest, and what a time limit is about: ``prepare_s`` is its part before the first spin test, when the problem is brought into
    the kernels' form, and ``to_best_s`` is when, in ``solve_s``, the best was found.
    """

    load_s: float | None
    compile_s: float
    prepare_s: float
    solve_s: float
    to_best_s: float


class Verifiable(Protocol):
    """The part of a problem that a result needs to check itself."""

    @property
    def n(self) -> int: ...
    @property
    def sense(self) -> Sense: ...
    def objective(self, spins: ArrayLike) -> Number: ...
    def summary(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """The outcome of one solve.

    Attributes
    ----------
    problem
        The problem that was solved.
    solver, settings, seed, backend
        What ran: the same version, problem, settings and seed give the same spins (unless a time limit cut the run).
    status
        Why it ended.
    objective
        The best objective, recomputed from ``spins`` in exact arithmetic: the cut for Max-Cut (maximised), else the energy (minimised).
        An int for integer weights.
    spins : (n,) int8
        The best assignment, +1 or -1 a variable.
    states : (k, n) int8
        Distinct final states of the reads, best first (at most 1000 are kept).
    objectives : (k,)
        Their objectives.
    multiplicity : (k,) int64
        How many reads ended in each.
    best_known
        From the table of known instances, found by the content of the problem; else None.
    gap
        |best known - objective| / |best known|; None where unknown or zero.
    time
        Wall times.
    num_sweeps, num_reads
        Sweeps of one lane, over all rounds; reads completed or begun.
    events
        Counts of what the solve did.
    trace
        (seconds, objective) at every improvement.
    versions
        fnanneal, Python, NumPy and Numba.
    """

    problem: Verifiable
    solver: str
    settings: Mapping[str, Any]
    seed: int
    backend: str
    status: Status
    objective: Number
    spins: Spins
    states: Spins
    objectives: NDArray[Any]
    multiplicity: NDArray[np.int64]
    best_known: BestKnown | None
    time: Times
    num_sweeps: float
    num_reads: int
    events: Events
    trace: tuple[tuple[float, Number], ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def sense(self) -> Sense:
        """``"max"`` for Max-Cut, else ``"min"``."""
        return self.problem.sense

    @property
    def gap(self) -> float | None:
        if self.best_known is None or self.best_known.value == 0:
            return None
        return abs(self.best_known.value - self.objective) / abs(self.best_known.value)

    def verify(self) -> bool:
        """Recompute the objective from the spins, and of every state: True if all agree."""
        again = [self.problem.objective(s) for s in self.states]
        return self.problem.objective(self.spins) == self.objective and all(
            a == b for a, b in zip(again, self.objectives.tolist(), strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that ``fnanneal solve --json`` prints (schema 1); the spins go to a solution file instead."""
        return {
            "schema": 1,
            "version": self.versions.get("fnanneal"),
            "problem": self.problem.summary(),
            "solver": self.solver,
            "settings": dict(self.settings),
            "backend": self.backend,
            "seed": self.seed,
            "status": self.status.value,
            "sense": self.sense,
            "objective": self.objective,
            "best_known": None if self.best_known is None else self.best_known.value,
            "gap": self.gap,
            "time": asdict(self.time),
            "num_sweeps": self.num_sweeps,
            "num_reads": self.num_reads,
            "proposals": self.events.spin_tests,
            "flips": self.events.spikes,
            "energy": {
                "technology": None,
                "status": None,
                "joules": None,
                "not_covered": None,
                "bounds": None,
                "measured": None,
                "events": asdict(self.events),
            },
        }
