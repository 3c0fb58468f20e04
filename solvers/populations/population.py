"""The state of an ensemble: islands of lineages, their best, and where each stands in its round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..kernels.crossover import values_of
from ..kernels.start import random_spins
from ..system import SpinSystem
from .engines import Chains, Engine, aligned
from .reduction import Reduction

GREEDY_SWEEPS = 2
CHAMPIONS = 16
BINS = 9
# An open-ended run has as many islands as suit the machine it began on.
_ISLANDS = {"length": "islands"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The problem without its spins of few neighbours, and how it is annealed; `ideal` is that of the problem that it stands for, if any."""

    reduction: Reduction
    engine: Engine
    ideal: Plan | None = None

    @property
    def system(self) -> SpinSystem:
        """What is annealed."""
        return self.reduction.core

    @property
    def dense(self) -> Chains | None:
        """The engine, where crossover has nothing to do and populations are resampled instead."""
        return self.engine if isinstance(self.engine, Chains) and self.engine.matrix is not None else None

    def outwards(self, rows: Spins) -> Spins:
        """States (r, n) as states of the whole problem."""
        return np.array([self.reduction.outwards(row) for row in rows])

    def values(self, rows: Spins, values: NDArray[np.float64]) -> None:
        """values (r,) of states rows (r, n)."""
        s = self.system
        values_of(s.indptr, s.indices, *s.exact, rows, values)


@dataclass(slots=True, kw_only=True)
class State:
    """I islands of R lineages of n spins, in the kernels' order.

    work (I, R n) int8, local: what is being annealed, in the engine's layout; parents (I, R, n) int8, values (I, R): the lineages; best (I, n),
    best_values (I,); champions (I, CHAMPIONS, n) int8. Of each island, (I,): step, the rounds so far; sweep of length in this round;
    swept, sweeps before it; effort, the sweeps of an anneal, as the champions have taught; found, the champions so far; fresh, whether the
    lineages are still unannealed. hot (I, R): where this round began; learnt (I, 2, BINS): what beginning there has gained, and how often.
    cells (I, 4, R): how the timers' cells differ, factors of area, capacitance, oxide and initial voltage; cold: where anneals end; counts (I, 7) int64: flips, synaptic events, crossings, components, crossover operations,
    and spin tests and timer reads outside the rounds' sweeps; concluded: whether the
    islands' best are merged; until: sweeps at which islands stop, 0 for none; meeting: sweeps at which they wait for one another to exchange elites, 0 for
    none.
    """

    work: NDArray[np.int8] = field(metadata=_ISLANDS)
    local: NDArray[Any] = field(metadata=_ISLANDS)
    parents: NDArray[np.int8] = field(metadata=_ISLANDS)
    values: NDArray[np.float64] = field(metadata=_ISLANDS)
    best: NDArray[np.int8] = field(metadata=_ISLANDS)
    best_values: NDArray[np.float64] = field(metadata=_ISLANDS)
    champions: NDArray[np.int8] = field(metadata=_ISLANDS)
    step: NDArray[np.int64] = field(metadata=_ISLANDS)
    sweep: NDArray[np.int64] = field(metadata=_ISLANDS)
    length: NDArray[np.int64] = field(metadata=_ISLANDS)
    swept: NDArray[np.int64] = field(metadata=_ISLANDS)
    effort: NDArray[np.float64] = field(metadata=_ISLANDS)
    hot: NDArray[np.float64] = field(metadata=_ISLANDS)
    learnt: NDArray[np.float64] = field(metadata=_ISLANDS)
    found: NDArray[np.int64] = field(metadata=_ISLANDS)
    fresh: NDArray[np.bool_] = field(metadata=_ISLANDS)
    counts: NDArray[np.int64] = field(metadata=_ISLANDS)
    cells: NDArray[np.float64] = field(metadata=_ISLANDS)
    cold: float
    hottest: float
    key: int
    sweeps: int
    concluded: bool
    until: int
    meeting: int

    @classmethod
    def empty(
        cls, plan: Plan, islands: int, *, hot: float, cold: float, key: int, sweeps: int, meeting: int = 0
    ) -> State:
        """Nothing begun."""
        reads, n = plan.engine.reads, plan.system.n
        return cls(
            work=aligned((islands, reads * n), np.int8),
            local=np.zeros((islands, reads, plan.engine.width), plan.engine.kind),
            parents=np.zeros((islands, reads, n), np.int8),
            values=np.zeros((islands, reads)),
            best=np.zeros((islands, n), np.int8),
            best_values=np.full(islands, -np.inf),
            champions=np.zeros((islands, CHAMPIONS, n), np.int8),
            step=np.zeros(islands, np.int64),
            sweep=np.zeros(islands, np.int64),
            length=np.zeros(islands, np.int64),
            swept=np.zeros(islands, np.int64),
            effort=np.zeros(islands),
            hot=np.zeros((islands, reads)),
            learnt=np.zeros((islands, 2, BINS)),
            found=np.zeros(islands, np.int64),
            fresh=np.zeros(islands, np.bool_),
            counts=np.zeros((islands, 7), np.int64),
            cells=np.ones((islands, 4, reads)),
            cold=cold,
            hottest=hot,
            key=key,
            sweeps=sweeps,
            concluded=False,
            until=0,
            meeting=meeting,
        )

    def keep(self, i: int, states: Spins, values: NDArray[np.float64]) -> None:
        """The best of states (r, n), values (r,), if it is the best of island i so far."""
        r = int(np.argmax(values))
        if values[r] > self.best_values[i]:
            self.best_values[i] = values[r]
            self.best[i] = states[r]

    def draw_starts(self, i: int) -> None:
        """Random states for the lineages of island i."""
        for r, number in enumerate(self.start_numbers(i).tolist()):
            random_spins(np.uint64(self.key), number, self.parents[i, r])

    def start_numbers(self, i: int) -> NDArray[np.int64]:
        """The reads whose first states island i begins with, (R,), for their random numbers."""
        reads = self.parents.shape[1]
        generation = int(self.found[i]) * self.parents.shape[0] + i
        numbers: NDArray[np.int64] = (generation * reads + np.arange(reads)) % 2**32
        return numbers

    def within_budget(self, i: int, length: int) -> int:
        """A round's length, cut to what island i has left, so that the last round ends cold, too."""
        return min(length, max(self.sweeps - int(self.swept[i]), 1)) if self.sweeps else length

    def stretch(self, i: int, want: int) -> tuple[int, int]:
        """The sweeps of this round that island i does next, at most `want` of them: from the first to before the last."""
        first, done = int(self.sweep[i]), int(self.swept[i] + self.sweep[i])
        for end in (self.until, self.meeting, self.sweeps):
            if end:
                want = min(want, end - done)
        return first, max(first, min(first + want, int(self.length[i])))

    def exhausted(self, i: int) -> bool:
        """Whether island i has used up its budget of sweeps."""
        return self.sweeps > 0 and int(self.swept[i] + self.sweep[i]) >= self.sweeps

    def waits(self, i: int) -> bool:
        """Whether island i has nothing to do before others have, or until it is told more."""
        first, last = self.stretch(i, 1)
        return first == last

    def met(self) -> bool:
        """Whether all islands wait for an exchange of elites."""
        before_end = self.meeting > 0 and not 0 < self.sweeps <= self.meeting
        return before_end and bool(np.all(self.swept + self.sweep >= self.meeting))
