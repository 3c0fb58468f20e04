"""What a solve returns: `Result`, its `Status`, and the small records inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .energy.bounds import Bounds
from .energy.events import Events
from .energy.ledger import Account
from .energy.meter import Measured

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
class Energy:
    """The energy account of a solve.

    Attributes
    ----------
    account
        Modelled: the events under one technology.
    bounds
        Lower bounds on the solve's updates (`fnanneal.energy.bounds`); None where the solver does not count them.
    measured
        What the machine's counters said; None where it has none that this process may read, or the solve was shorter than a second.
    events, events_to_best
        What was counted: in all, and when the best was found. Of another solver (`fnanneal.solvers.peers`) its spin tests at most.
    real_numbers
        Whether the arithmetic was on real numbers, which cost more than integers.
    """

    account: Account
    bounds: Bounds | None
    measured: Measured | None
    events: Events
    events_to_best: Events
    real_numbers: bool

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, part of `Result.to_dict`."""
        a = self.account
        return {
            "technology": a.technology,
            "status": a.status,
            "joules": a.joules,
            "items": dict(a.items),
            "not_covered": dict(a.not_covered),
            "bounds": None if self.bounds is None else asdict(self.bounds),
            "measured": None if self.measured is None else asdict(self.measured),
            "real_numbers": self.real_numbers,
            "events": _counts(self.events, a),
            "events_to_best": _counts(self.events_to_best, a),
        }


def _counts(events: Events, a: Account) -> dict[str, int] | None:
    """Of another solver its spin tests alone, if it counts them."""
    if a.status != "not counted":
        return asdict(events)
    return {"spin_tests": events.spin_tests} if events.spin_tests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of wall time.

    ``load_s`` is None where the caller brought a loaded problem. ``compile_s`` is the kernels' compilation or their loading from the cache.
    ``solve_s`` is all the rest, and what a time limit is about: ``prepare_s`` is its part before the first spin test, when the problem is brought into
    the kernels' form, and ``to_best_s`` is when, in ``solve_s``, the best was found. ``build_s``, no part of ``solve_s``, is what another solver
    (`fnanneal.solvers.peers`) took to build its model, and all that it did outside its own clock.
    """

    load_s: float | None
    compile_s: float
    prepare_s: float
    solve_s: float
    to_best_s: float
    build_s: float = 0.0


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
    weights
        "ideal", or the settings of the analog array that held them, with the report of its programming.
    energy
        The events counted, and their account.
    trace
        (seconds, objective) at every improvement.
    versions
        fnanneal, Python, NumPy and Numba; and another solver's package.
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
    weights: str | Mapping[str, Any]
    energy: Energy
    trace: tuple[tuple[float, Number], ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def sense(self) -> Sense:
        """``"max"`` for Max-Cut, else ``"min"``."""
        return self.problem.sense

    @property
    def events(self) -> Events:
        """Counts of what the solve did."""
        return self.energy.events

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
        """The JSON form that ``fnanneal solve --json`` prints (schema 1); the spins go to a solution file instead.

        What another solver has not counted is None.
        """
        counted = self.energy.account.status != "not counted"
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
            "proposals": self.events.spin_tests if counted or self.events.spin_tests else None,
            "flips": self.events.spikes if counted else None,
            "weights": self.weights if isinstance(self.weights, str) else dict(self.weights),
            "energy": self.energy.to_dict(),
        }
