"""`exact`: every assignment, in Gray-code order, up to 30 spins (the order is `kernels.exact`'s).

Without external fields an assignment and its negation are equal: the last spin stays up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..energy.events import Events
from ..errors import InputError
from ..problems.model import Model
from ..protocols import Report
from ..result import Spins
from .kernels.exact import LOW, enumerate_codes
from .registry import solver
from .system import as_spins, scaled_numbers

LARGEST = 30
KEPT = 1000
PARTS = 8


@dataclass(slots=True, kw_only=True)
class State:
    """``position`` of ``size`` outer numbers; best (1,): the greatest value; codes (k,) int64: the first assignments with it, of ``count``."""

    position: int
    size: int
    best: NDArray[Any]
    codes: NDArray[np.int64] = field(metadata={"length": "any"})
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dense:
    """The couplings as full rows, int64 or float64; of the ``free`` spins that are enumerated, ``low`` go in one piece."""

    rows: NDArray[Any]
    fields: NDArray[Any]
    free: int
    low: int


@solver("exact")
@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Enumeration of all assignments of at most 30 spins; the result is proved optimal.

    The result's states are the optima (the first 1000; with no external fields, one of each pair of negations). With real weights,
    assignments that differ by less than rounding (about 1e-12 relative) are not told apart.
    """

    name: ClassVar[str] = "exact"
    budget_rule: ClassVar[str] = "time: assignments in order until they are over"

    def for_tests(self, problem: Model, tests: int) -> Exact:
        raise InputError("exact tries all assignments: it takes no budget of spin tests")

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def prepare(self, problem: Model) -> Dense:
        if problem.n > LARGEST:
            raise InputError(f"exact enumerates at most {LARGEST} spins, and this problem has {problem.n}: try sa")
        graph, external = as_spins(problem)
        # Thirty spins have fewer than 500 numbers below 2**53: their sums fit in 64 bits.
        weights, fields, _ = scaled_numbers(graph.weights, external)
        if weights.dtype == np.int64 and max(int(np.abs(a).max(initial=0)) for a in (weights, fields)) >= 2**53:
            raise InputError("weights too large: keep them below 2**53")
        rows = np.zeros((graph.n, graph.n), weights.dtype)
        rows[graph.rows, graph.cols] = rows[graph.cols, graph.rows] = weights
        free = graph.n if fields.any() else graph.n - 1
        return Dense(rows=rows, fields=fields, free=free, low=min(LOW, free))

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        return 2**20

    def warm_up(self, system: Dense) -> None:
        self._part(system, np.zeros(1, system.rows.dtype), np.zeros(1, np.int64), 0, 1)

    def init(self, system: Dense, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State:
        s = self._spins(system, 0).astype(system.rows.dtype)
        twice = s @ system.rows @ s
        best = np.array(
            [-(s @ system.fields) - (twice // 2 if twice.dtype == np.int64 else twice / 2)], system.rows.dtype
        )
        return State(position=0, size=2 ** (system.free - system.low), best=best, codes=np.zeros(0, np.int64), count=0)

    def load_state(self, arrays: Mapping[str, Any]) -> State:
        return State(**arrays)

    def _spins(self, system: Dense, number: int) -> Spins:
        outer = number >> system.low
        code = (outer ^ (outer >> 1)) << system.low | number & ((1 << system.low) - 1)
        return np.array([1 if k >= system.free or code >> k & 1 else -1 for k in range(system.fields.size)], np.int8)

    def _part(self, system: Dense, best: NDArray[Any], codes: NDArray[np.int64], first: int, last: int) -> int:
        return int(
            enumerate_codes(system.rows, system.fields, system.free, system.low, int(first), int(last), best, codes)
        )

    def advance(self, system: Dense, state: State, budget: int, run: Callable[..., Any]) -> None:
        """About `budget` more assignments, in parts that run side by side."""
        last = min(state.size, state.position + max(1, budget >> system.low))
        bounds = np.unique(np.linspace(state.position, last, PARTS + 1).astype(np.int64)).tolist()
        parts = len(bounds) - 1
        best = [state.best.copy() for _ in range(parts)]
        codes = [np.empty(KEPT, np.int64) for _ in range(parts)]
        found = [0] * parts

        def one(k: int) -> None:
            found[k] = self._part(system, best[k], codes[k], bounds[k], bounds[k + 1])

        run(one, parts)
        for k in range(parts):
            mine = codes[k][: min(found[k], KEPT)]
            if best[k][0] > state.best[0]:
                state.best[:] = best[k]
                state.codes, state.count = mine.copy(), found[k]
            elif best[k][0] == state.best[0]:
                state.codes = np.concatenate([state.codes, mine])[:KEPT]
                state.count += found[k]
        state.position = last

    def report(self, system: Dense, state: State) -> Report:
        done = state.position == state.size
        codes = state.codes.tolist() or [0]
        tests = state.position << system.low
        bits = np.arange(system.free - system.low)
        flips = (max(state.position - 1, 0) + (1 << bits)) >> (bits + 1)
        degree = np.count_nonzero(system.rows, axis=1)[system.low : system.free]
        return Report(
            values=np.full(len(codes), state.best[0]),
            spins=lambda r: self._spins(system, codes[r]),
            round_over=done,
            finished=done,
            proved=done,
            reads=1,
            events=Events(
                spin_tests=tests,
                spikes=int(flips.sum()),
                synaptic_events=int((flips * degree).sum()),
                # A flip adds a whole row, 8 bytes each, to the fields, read and written.
                bytes_moved=int(flips.sum()) * 24 * system.fields.size,
            ),
            sweeps=tests / system.fields.size,
            real_numbers=system.rows.dtype != np.int64,
            temperature=None,
            fraction=state.position / state.size,
        )
