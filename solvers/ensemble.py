"""`ensemble`: lineages that are re-annealed and keep, component by component, the better of what they were and what they became.

    an island is a population of lineages; in each round, for all of them side by side,
      x' = anneal of x from a random lower temperature
      x  = crossover(x', x): where the two differ, each connected component of the difference takes the better side
      and nearly always crossover with another lineage of the same block as well
    when the lineages have become equally good, the best state becomes a champion and the island starts anew with anneals half as long again: from
    random states in one block, or, with every eighth champion, from the champions, a block each, which are merged pairwise as they settle

On a dense graph every difference is one component, and an island is one population annealed from random states instead, resampled 40 times on its
way down (`kernels.resample`); each next descent is 2 % longer.

On a large sparse graph an anneal changes hundreds of components, and each is judged by itself; crossing with the own parent costs a population
no diversity. Sources: `kernels.crossover` and `kernels.lanes`; the cooling is a Fowler-Nordheim timer's (`fndam.timer`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, positive
from ..errors import InputError
from ..fndam import FNTimer
from ..problems.model import Model
from ..result import Events, Spins
from ..run import Report
from .engines import Chains, Engine, Lanes, lanes_fit
from .kernels.crossover import step_lineages, values_of
from .kernels.philox import CROSS, one_block
from .kernels.resample import resample
from .kernels.start import random_spins
from .registry import solver
from .system import SpinSystem, spin_system
from .temperature import GREEDY, temperature_range

DEFAULT_SWEEPS = 20_000
ISLANDS = 2
FIRST_SWEEPS, ROUND_SWEEPS, GREEDY_SWEEPS = 500, 400, 2
HOTTEST = 0.6
SPAN = 7.5
COLDEST_INTEGER = 0.2
SHARE = 0.9
GROWTH, LONGEST = 1.5, 6400
MERGED = 0.9
CHAMPIONS = 8
ENOUGH, MERGING = 64, 1.5
# Dense graphs: temperatures as shares of the instance's own, sweeps of the first descent, its resamplings, growth of the next one.
DENSE_HOT, DENSE_COLD, DENSE_SWEEPS, RESAMPLINGS, DENSE_GROWTH = 0.65, 0.55, 600, 40, 1.02


@dataclass(slots=True, kw_only=True)
class State:
    """I islands of R lineages of n spins, in the kernels' order.

    work (I, R n) int8, local: what is being annealed, in the engine's layout; parents (I, R, n) int8, values (I, R): the lineages; best (I, n),
    best_values (I,); champions (I, CHAMPIONS, n) int8. Of each island, (I,): step, the rounds so far; sweep of length in this round;
    swept, sweeps before it; hot, where it began; block; found, the champions so far; fresh, whether the lineages are still unannealed.
    cold: where anneals end; counts (I, 4) int64: flips, synaptic events, crossings, components.
    """

    work: NDArray[np.int8]
    local: NDArray[Any]
    parents: NDArray[np.int8]
    values: NDArray[np.float64]
    best: NDArray[np.int8]
    best_values: NDArray[np.float64]
    champions: NDArray[np.int8]
    step: NDArray[np.int64]
    sweep: NDArray[np.int64]
    length: NDArray[np.int64]
    swept: NDArray[np.int64]
    hot: NDArray[np.float64]
    block: NDArray[np.int64]
    found: NDArray[np.int64]
    fresh: NDArray[np.bool_]
    counts: NDArray[np.int64]
    cold: float
    hottest: float
    key: int
    sweeps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The problem and how it is annealed."""

    system: SpinSystem
    engine: Engine

    @property
    def dense(self) -> Chains | None:
        """The engine, where crossover has nothing to do and populations are annealed instead."""
        return self.engine if isinstance(self.engine, Chains) and self.engine.dense else None


@solver("ensemble")
@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Populations of annealed lineages with partition crossover: the best cut per second.

    Attributes
    ----------
    num_reads
        Islands: independent populations, of 64 lineages each (16 on dense graphs and with real weights). 2, or with a limit alone one a thread.
    num_sweeps
        Sweeps of each lineage, over all rounds. Default 20000; with a time limit or a target alone, no end.
    engine
        "lanes", "chains", or "auto", which takes the lanes wherever they fit: integer weights, few of them beyond +1 and -1, at most 100 edges a
        spin on average, no row beyond 32767.
    kappa
        The timers' knob (`FNTimer.between`): small is linear in 1/T.
    """

    name: ClassVar[str] = "ensemble"

    num_reads: int | None = None
    num_sweeps: int | None = None
    engine: Literal["auto", "lanes", "chains"] = "auto"
    kappa: float = 0.1

    def __post_init__(self) -> None:
        for what, high in (("num_reads", 2**16), ("num_sweeps", 2**32 - 1)):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, integer(getattr(self, what), what, 1, high))
        if self.engine not in ("auto", "lanes", "chains"):
            raise InputError(f"unknown engine {self.engine!r}; there are: auto, lanes, chains")
        positive(self.kappa, "kappa")

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def prepare(self, problem: Model) -> Plan:
        system = spin_system(problem, coloured=True)
        fits = lanes_fit(system)
        if self.engine == "lanes" and not fits:
            raise InputError(
                "the lanes do not fit this problem (small integer weights on a sparse graph): use engine=chains"
            )
        return Plan(system=system, engine=Lanes.of(system) if fits and self.engine != "chains" else Chains.of(system))

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        islands = self.num_reads or (threads if open_ended else ISLANDS)
        return 160 * problem.m + 100 * problem.n + islands * problem.n * (3 * 64 + CHAMPIONS + 8)

    def warm_up(self, system: Plan) -> None:
        nothing = np.zeros(0, np.float64)
        rows = np.ones((system.engine.reads, system.system.n), np.int8)
        work = rows.ravel().copy()
        local = np.zeros((system.engine.reads, system.engine.width), system.engine.kind)
        system.engine.load(rows, work, local)
        system.engine.sweeps(work, local, nothing, np.zeros(2, np.int64), 0, 0, 0)
        system.engine.unload(work, rows)
        self._step_kernel(system, rows[:0], rows[:0], np.zeros(0), 1, 0, 0, 0, np.zeros(2, np.int64))
        self._values(system, rows[:0], np.zeros(0))
        resample(np.zeros(1), 0.0, 0.0, np.zeros(1, np.int64))
        random_spins(np.uint64(0), 0, rows[0])

    def init(self, system: Plan, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State:
        islands = self.num_reads or (threads if open_ended else ISLANDS)
        reads, n = system.engine.reads, system.system.n
        hot, cold = temperature_range(system.system, self._optimum(system), SPAN)
        if system.system.integral:
            # Below this, no loss of 1 passes in a whole round.
            cold = max(cold, COLDEST_INTEGER)
        if system.dense is not None:
            hot, cold = DENSE_HOT * hot, DENSE_COLD * cold
        state = State(
            work=np.zeros((islands, reads * n), np.int8),
            local=np.zeros((islands, reads, system.engine.width), system.engine.kind),
            parents=np.zeros((islands, reads, n), np.int8),
            values=np.zeros((islands, reads)),
            best=np.zeros((islands, n), np.int8),
            best_values=np.full(islands, -np.inf),
            champions=np.zeros((islands, CHAMPIONS, n), np.int8),
            step=np.zeros(islands, np.int64),
            sweep=np.zeros(islands, np.int64),
            length=np.zeros(islands, np.int64),
            swept=np.zeros(islands, np.int64),
            hot=np.zeros(islands),
            block=np.zeros(islands, np.int64),
            found=np.zeros(islands, np.int64),
            fresh=np.zeros(islands, np.bool_),
            counts=np.zeros((islands, 4), np.int64),
            cold=cold,
            hottest=hot,
            key=key,
            sweeps=0 if open_ended else self.num_sweeps or DEFAULT_SWEEPS,
        )
        for i in range(islands):
            self._restart(system, state, i, None if initial is None else system.system.inwards(initial))
        return state

    def _optimum(self, system: Plan) -> Spins:
        """A greedy local optimum, from a fixed random state."""
        engine, n = system.engine, system.system.n
        rows: Spins = np.empty((engine.reads, n), np.int8)
        for r in range(engine.reads):
            random_spins(np.uint64(0), r, rows[r])
        work, local = np.empty(rows.size, np.int8), np.empty((engine.reads, engine.width), engine.kind)
        engine.load(rows, work, local)
        engine.sweeps(work, local, np.zeros(GREEDY), np.zeros(2, np.int64), 0, 0, 0)
        engine.unload(work, rows)
        optimum: Spins = rows[0]
        return optimum

    def load_state(self, arrays: Mapping[str, Any]) -> State:
        return State(**arrays)

    def _values(self, system: Plan, rows: Spins, values: NDArray[np.float64]) -> None:
        s = system.system
        values_of(s.indptr, s.indices, s.weights, s.fields, rows, values)

    def _step_kernel(
        self, system: Plan, rows: Spins, parents: Spins, values: NDArray[np.float64], block: int, key: int, island: int, step: int,
        counts: NDArray[np.int64],
    ) -> None:  # fmt: skip
        s = system.system
        step_lineages(
            s.indptr, s.indices, s.weights, s.fields, not s.fields.any(), rows, parents, values, block, np.uint32(SHARE * 2**32),
            np.uint64(key), island, step, np.empty(s.n, np.uint32), counts,
        )  # fmt: skip

    def _restart(self, system: Plan, state: State, i: int, initial: Spins | None) -> None:
        """New lineages for island i: from given states, from the champions, or random."""
        reads = system.engine.reads
        found = int(state.found[i])
        from_champions = initial is None and system.dense is None and found > 0 and found % CHAMPIONS == 0
        for r in range(reads):
            if initial is not None:
                state.parents[i, r] = initial[r % initial.shape[0]]
            elif from_champions:
                state.parents[i, r] = state.champions[i, r * CHAMPIONS // reads]
            else:
                generation = found * state.work.shape[0] + i
                random_spins(np.uint64(state.key), (generation * reads + r) % 2**32, state.parents[i, r])
        state.fresh[i] = not from_champions and initial is None
        state.block[i] = reads // CHAMPIONS if from_champions else reads
        self._begin(system, state, i)
        if system.dense is None:
            self._values(system, state.parents[i], state.values[i])
        else:
            state.values[i] = system.dense.values_of(state.work[i], state.local[i])
        self._keep(state, i)

    def _keep(self, state: State, i: int) -> None:
        r = int(np.argmax(state.values[i]))
        if state.values[i, r] > state.best_values[i]:
            state.best_values[i] = state.values[i, r]
            state.best[i] = state.parents[i, r]

    def _begin(self, system: Plan, state: State, i: int) -> None:
        """The next round of island i: its lineages into the engine, and a temperature to begin with."""
        if system.dense is not None:
            annealed = DENSE_SWEEPS * DENSE_GROWTH ** min(int(state.found[i]), 200)
            state.hot[i], state.length[i], state.sweep[i] = state.hottest, int(annealed) + GREEDY_SWEEPS, 0
            system.engine.load(state.parents[i], state.work[i], state.local[i])
            return
        draw = one_block(state.key, (2 * system.engine.reads, int(state.step[i]), i, CROSS))[0] / 2**32
        fresh = bool(state.fresh[i])
        state.hot[i] = state.hottest if fresh else state.cold + draw * HOTTEST * (state.hottest - state.cold)
        annealed = (FIRST_SWEEPS if fresh else ROUND_SWEEPS) * GROWTH ** min(int(state.found[i]), 20)
        state.length[i] = min(int(annealed), LONGEST) + GREEDY_SWEEPS
        state.sweep[i] = 0
        system.engine.load(state.parents[i], state.work[i], state.local[i])

    def _temperatures(self, system: Plan, state: State, i: int, first: int, last: int) -> NDArray[np.float64]:
        """T of sweeps first to last - 1 of this round, in units of the gain, rounded to 24 bits; 0 at the end."""
        k = np.arange(first, last)
        annealed = int(state.length[i]) - GREEDY_SWEEPS
        hot = max(float(state.hot[i]), 1.0001 * state.cold)
        if system.dense is not None:
            return np.where(k < annealed, hot + (state.cold - hot) * k / (annealed - 1), 0.0)
        t = FNTimer.between(hot, state.cold, self.kappa).voltage(np.minimum(k / (annealed - 1), 1.0))
        digits, exponents = np.frexp(t)
        return np.where(k < annealed, np.ldexp(np.rint(digits * 2**24), exponents - 24), 0.0)

    def advance(self, system: Plan, state: State, budget: int, run: Callable[..., Any]) -> None:
        """About `budget` spin tests of every lineage: whole sweeps, at least one, each island within its round."""
        want = max(1, budget // system.system.n)

        def one(i: int) -> None:
            if system.dense is None:
                self._piece(system, state, i, want)
                return
            left = want
            while left > 0 and (taken := self._piece(system, state, i, left)):
                left -= taken

        run(one, state.work.shape[0])

    def _piece(self, system: Plan, state: State, i: int, want: int) -> int:
        """At most `want` sweeps of island i, within its round, on dense graphs within two resamplings; returns how many."""
        done = int(state.swept[i] + state.sweep[i])
        first = int(state.sweep[i])
        last = min(first + want, int(state.length[i]))
        period = -(-int(state.length[i]) // RESAMPLINGS)
        if system.dense is not None:
            last = min(last, first - first % period + period)
        if state.sweeps:
            last = min(last, first + state.sweeps - done)
        if last > first:
            t = self._temperatures(system, state, i, first, last)
            system.engine.sweeps(state.work[i], state.local[i], t, state.counts[i], state.key, i, done % 2**32)
            state.sweep[i] = last
            if system.dense is not None and last % period == 0 and last < state.length[i] - GREEDY_SWEEPS:
                self._resample(system, system.dense, state, i, last, last + period)
        if last == state.length[i] or (state.sweeps and done + last - first == state.sweeps and last > first):
            self._finish_round(system, state, i)
        return last - first

    def _resample(self, system: Plan, engine: Chains, state: State, i: int, now: int, then: int) -> None:
        """Between two pieces of a descent: copies of the better lineages take the places of the worse."""
        end = int(state.length[i]) - GREEDY_SWEEPS - 1
        before, after = (
            float(self._temperatures(system, state, i, k, k + 1)[0]) for k in (now - 1, min(then - 1, end))
        )
        uniform = one_block(state.key, (2 * engine.reads + 1 + now, int(state.step[i]), i, CROSS))[0] / 2**32
        state.values[i] = engine.values_of(state.work[i], state.local[i])
        best = int(np.argmax(state.values[i]))
        if state.values[i, best] > state.best_values[i]:
            state.best_values[i] = state.values[i, best]
            state.best[i] = state.work[i].reshape(engine.reads, -1)[best]
        source = np.empty(engine.reads, np.int64)
        resample(state.values[i], 1 / (2 * after) - 1 / (2 * before), uniform, source)
        engine.copy(state.work[i], state.local[i], source)

    def _finish_round(self, system: Plan, state: State, i: int) -> None:
        if system.dense is not None:
            system.engine.unload(state.work[i], state.parents[i])
            state.values[i] = system.dense.values_of(state.work[i], state.local[i])
            self._keep(state, i)
            state.step[i] += 1
            state.swept[i] += state.sweep[i]
            state.found[i] += 1
            self._restart(system, state, i, None)
            return
        rows = np.empty_like(state.parents[i])
        system.engine.unload(state.work[i], rows)
        crossings, components = state.counts[i, 2:].tolist()
        if isinstance(system.engine, Chains) and crossings >= ENOUGH and components < MERGING * crossings:
            self._select(system.engine, state, i, rows)
        else:
            block = 1 if state.fresh[i] else int(state.block[i])
            step, counts = int(state.step[i]), state.counts[i, 2:]
            self._step_kernel(system, rows, state.parents[i], state.values[i], block, state.key, i, step, counts)
        state.step[i] += 1
        state.swept[i] += state.sweep[i]
        state.fresh[i] = False
        self._keep(state, i)
        values = state.values[i].reshape(-1, int(state.block[i]))
        if np.mean(values >= values.max(axis=1, keepdims=True)) >= MERGED:
            if state.block[i] < values.size:
                state.block[i] = min(2 * state.block[i], values.size)
            else:
                state.champions[i, state.found[i] % CHAMPIONS] = state.parents[i, int(np.argmax(state.values[i]))]
                state.found[i] += 1
                self._restart(system, state, i, None)
                return
        self._begin(system, state, i)

    def _select(self, engine: Chains, state: State, i: int, rows: Spins) -> None:
        """A round where components merge into one, so that crossing would only choose between two states: each lineage keeps the better.

        The worst of each block gives way to the best.
        """
        values = engine.values_of(state.work[i], state.local[i])
        better = values >= state.values[i]
        state.parents[i, better] = rows[better]
        state.values[i, better] = values[better]
        block = int(state.block[i])
        for first in range(0, values.size, block):
            mine = state.values[i, first : first + block]
            worst, best = first + int(np.argmin(mine)), first + int(np.argmax(mine))
            state.parents[i, worst] = state.parents[i, best]
            state.values[i, worst] = state.values[i, best]

    def report(self, system: Plan, state: State) -> Report:
        swept = state.swept + state.sweep
        finished = state.sweeps > 0 and bool((swept >= state.sweeps).all())
        tests = int(swept.sum()) * system.engine.reads * system.system.n
        last = int(state.sweep[0])
        return Report(
            values=state.best_values.copy(),
            spins=lambda r: system.system.outwards(state.best[r]),
            round_over=finished,
            finished=finished,
            events=Events(
                spin_tests=tests,
                spikes=int(state.counts[:, 0].sum()),
                synaptic_events=int(state.counts[:, 1].sum()),
                threshold_draws=tests,
            ),
            sweeps=float(swept.mean()),
            temperature=float(2 * system.system.unit * self._temperatures(system, state, 0, last, last + 1)[0]),
            fraction=float(swept.mean()) / state.sweeps if state.sweeps else None,
        )
