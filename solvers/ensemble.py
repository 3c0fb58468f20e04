"""`ensemble`: populations of annealed lineages, islands that meet at the end: the best cut per second.

Before anything else the spins with at most two neighbours are eliminated, exactly (`populations.reduction`). Sparse graphs: `populations.lineages`.
Dense ones: `populations.descents`. Both draw their cooling from Fowler-Nordheim timers or its linear limit, and count everything they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, positive, real
from ..energy.events import Events
from ..errors import InputError
from ..fndam import Mismatch
from ..fndam.timer import time_constants
from ..problems.model import Model
from ..protocols import Report
from ..result import Spins
from .kernels.crossover import clusters
from .kernels.resample import resample
from .kernels.start import random_spins
from .populations import descents, lineages
from .populations.engines import Chains, Engine, aligned, engine_of, lanes_of
from .populations.exchange import exchange
from .populations.population import CHAMPIONS, Plan, State
from .populations.reduction import MAX_STATES, Reduction
from .registry import solver
from .system import SpinSystem, spin_system
from .temperature import GREEDY, optima_wanted, temperature_range

DEFAULT_SWEEPS = 20_000
ISLANDS = 2
SPAN = 7.5
COLDEST_INTEGER = 0.2
# Two spins compared, or a coupling followed with its weight and a mark.
CROSSING_BYTES = 8


@solver("ensemble")
@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Populations of annealed lineages, with partition crossover or resampling: the best cut per second.

    Attributes
    ----------
    num_reads
        Islands: independent populations, of 64 lineages each (32 on dense graphs, 16 chains on others). 2, or with a limit alone one a thread.
    num_sweeps
        Sweeps of each lineage, over all rounds. Default 20000; with a time limit or a target alone, no end.
    engine
        "lanes", "chains", or "auto". Lanes take at most 100 edges a spin on average: bytes where weights are integers, few of them beyond +1 and
        -1, and no row beyond 32767; else float32, and of themselves only up to 32 edges a spin and a twentieth of all pairs. The rest has chains,
        which keep a matrix where a twentieth of all pairs or more are coupled.
    kappa
        The timers' knob (`FNTimer.between`): small is linear in 1/T. On dense graphs T falls linearly.
    timer_mismatch
        Relative sigma of the timers' cells, one a lineage, drawn by the seed (`FNTimer.mismatched`). For sparse graphs: dense ones have no FN timers.
    exchange
        Sweeps between two exchanges of elites (`populations.exchange`); 0: the islands meet at the end alone.
    """

    name: ClassVar[str] = "ensemble"
    budget_rule: ClassVar[str] = (
        "time: rounds of one island a thread until they are over; spin tests: the sweeps of one island"
    )

    num_reads: int | None = None
    num_sweeps: int | None = None
    engine: Literal["auto", "lanes", "chains"] = "auto"
    kappa: float = 0.1
    timer_mismatch: float = 0.0
    exchange: int = 0

    def __post_init__(self) -> None:
        for what, high in (("num_reads", 2**16), ("num_sweeps", 2**32 - 1)):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, integer(getattr(self, what), what, 1, high))
        if self.engine not in ("auto", "lanes", "chains"):
            raise InputError(f"unknown engine {self.engine!r}; there are: auto, lanes, chains")
        positive(self.kappa, "kappa")
        real(self.timer_mismatch, "timer_mismatch", 0, 0.5)
        object.__setattr__(self, "exchange", integer(self.exchange, "exchange", 0, 2**32 - 1))

    def for_tests(self, problem: Model, tests: int) -> Ensemble:
        """With as many sweeps as make so many spin tests; one island, unless num_reads says more. Compound moves and the champions' merging test some spins beyond them."""
        if self.num_sweeps is not None:
            raise InputError("a budget is spin_tests or num_sweeps, not both")
        plan = self.prepare(problem)
        islands = self.num_reads or 1
        sweeps = tests // (islands * plan.engine.reads * plan.system.n)
        if sweeps < 1:
            raise InputError(
                f"{tests} spin tests are less than one sweep of {islands} x {plan.engine.reads} lineages of {plan.system.n} spins"
            )
        return replace(self, num_reads=islands, num_sweeps=min(sweeps, 2**32 - 1))

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def on_cuda(self, devices: Sequence[Any]) -> Any:
        """This solver with its populations on GPUs."""
        from .cuda.ensemble import CudaEnsemble

        return CudaEnsemble(self, devices)

    def on_executor(self, executor: Executor) -> Any:
        """This solver with its islands on an executor's workers."""
        from .populations.islands import Islands

        return Islands(self, executor)

    def prepare(self, problem: Model) -> Plan:
        whole = spin_system(problem, coloured=False)
        return self._plan(whole, None if whole.ideal is None else self._plan(whole.ideal, None))

    def _plan(self, system: SpinSystem, ideal: Plan | None) -> Plan:
        reduction = Reduction.of(system)
        core = reduction.core
        choose: dict[str, Callable[[SpinSystem], Engine | None]]
        choose = {"auto": engine_of, "lanes": lanes_of, "chains": Chains.of}
        engine = choose[self.engine](core)
        if engine is None:
            raise InputError("the lanes do not fit this problem (more than 100 edges a spin): use engine=chains")
        return Plan(reduction=reduction, engine=engine, ideal=ideal)

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        islands = self.num_reads or (threads if open_ended else ISLANDS)
        return 250 * problem.m + 150 * problem.n + islands * problem.n * (3 * 64 + CHAMPIONS + 8)

    def warm_up(self, system: Plan) -> None:
        plan, n = system, system.system.n
        if plan.ideal is not None:
            self.warm_up(plan.ideal)
        nothing = np.zeros((0, plan.engine.reads))
        rows = np.ones((plan.engine.reads, n), np.int8)
        work = rows.ravel().copy()
        local = np.zeros((plan.engine.reads, plan.engine.width), plan.engine.kind)
        plan.engine.load(rows, work, local)
        plan.engine.sweeps(work, local, nothing, np.zeros(2, np.int64), 0, 0, 0)
        plan.engine.polish(work, np.zeros(7, np.int64))
        plan.engine.unload(work, rows)
        random_spins(np.uint64(0), 0, rows[0])
        plan.reduction.outwards(rows[0])
        if plan.dense is not None:
            resample(np.zeros(1), 0.0, 0.0, np.zeros(1, np.int64))
            return
        lineages.cross(plan, rows[:0], rows[:0], np.zeros(0), 0.0, np.zeros(0), 0, 0, 0, np.zeros(3, np.int64))
        plan.values(rows[:0], np.zeros(0))
        s = plan.system
        clusters(s.indptr, s.indices, np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.uint32))

    def init(self, system: Plan, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State:
        plan = system
        state = self.blank(plan, key, open_ended=open_ended, threads=threads)
        for i in range(state.step.size):
            if initial is not None:
                given = plan.reduction.inwards(initial)
                state.parents[i] = given[np.arange(plan.engine.reads) % given.shape[0]]
            else:
                state.draw_starts(i)
                state.fresh[i] = True
            if plan.dense is not None:
                descents.begin(plan, plan.dense, state, i)
            else:
                plan.values(state.parents[i], state.values[i])
                state.keep(i, state.parents[i], state.values[i])
                lineages.begin(plan, state, i)
        return state

    def blank(
        self, plan: Plan, key: int, *, open_ended: bool, threads: int, optima: Callable[[Plan], Spins] | None = None
    ) -> State:
        """A state whose lineages are still to be drawn; in an open-ended run, one island a thread. optima: as `optima`, by other means."""
        islands = self.num_reads or (threads if open_ended else ISLANDS)
        hot, cold = self.range(plan, optima or self.optima)
        if plan.dense is not None:
            hot, cold = descents.HOT * hot, descents.COLD * cold
        sweeps = 0 if open_ended else self.num_sweeps or DEFAULT_SWEEPS
        state = State.empty(plan, islands, hot=hot, cold=cold, key=key, sweeps=sweeps, meeting=self.exchange)
        state.effort[:] = lineages.PROBE
        if self.timer_mismatch and plan.dense is None:
            rng = np.random.Generator(np.random.Philox(key))
            drawn = Mismatch.of(self.timer_mismatch).deviations((islands, plan.engine.reads), rng)
            state.cells[:] = np.stack([drawn[k] for k in ("area", "capacitance", "oxide", "initial")], axis=1)
        return state

    def range(self, plan: Plan, optima: Callable[[Plan], Spins]) -> tuple[float, float]:
        """Hot and cold temperature, in units of the gain."""
        if plan.ideal is not None:
            hot, cold = (t * plan.ideal.system.unit / plan.system.unit for t in self.range(plan.ideal, optima))
            return hot, cold
        found = optima(plan)
        # A matrix gives integers' fields in a fraction of the time that rows take.
        fields = plan.dense.fields_of(found) if plan.dense is not None and plan.system.integral else None
        hot, cold = temperature_range(plan.system, found, SPAN, fields)
        # Below this, no loss of 1 passes in a whole round.
        return hot, max(cold, COLDEST_INTEGER) if plan.system.integral else cold

    @staticmethod
    def optima(plan: Plan) -> Spins:
        """Greedy local optima, from fixed random states."""
        engine, n = plan.engine, plan.system.n
        rows: Spins = np.empty((engine.reads, n), np.int8)
        for r in range(engine.reads):
            random_spins(np.uint64(0), r, rows[r])
        work, local = np.empty(rows.size, np.int8), np.empty((engine.reads, engine.width), engine.kind)
        engine.load(rows, work, local)
        engine.sweeps(work, local, np.zeros((GREEDY, engine.reads)), np.zeros(2, np.int64), 0, 0, 0)
        engine.unload(work, rows)
        return rows[: optima_wanted(n)]

    def load_state(self, arrays: Mapping[str, Any]) -> State:
        state = State(**arrays)
        counts = {getattr(state, f.name).shape[0] for f in fields(state) if "length" in f.metadata}
        if len(counts) != 1 or self.num_reads not in (None, *counts):
            raise InputError("this checkpoint's islands are not those of its settings")
        work = aligned(state.work.shape, np.int8)
        work[:] = state.work
        state.work = work
        return state

    def reread(self, system: Plan, state: State, problem: Model, until: int) -> Plan:
        """The plan of a problem whose numbers have drifted; the lineages go on in it."""
        plan, new = system, self.prepare(problem)
        if new.system.n != plan.system.n or type(new.engine) is not type(plan.engine):
            raise InputError("these weights drift to 0: the problem falls apart")
        ratio = plan.system.unit / new.system.unit
        state.cold, state.hottest, state.until = state.cold * ratio, state.hottest * ratio, until
        state.hot *= ratio
        state.learnt[:, 0] *= ratio
        rows = np.empty_like(state.parents[0])
        for i in range(state.work.shape[0]):
            new.values(state.parents[i], state.values[i])
            new.values(state.best[i : i + 1], state.best_values[i : i + 1])
            plan.engine.unload(state.work[i], rows)
            new.engine.load(rows, state.work[i], state.local[i])
        return new

    def advance(self, system: Plan, state: State, budget: int, run: Callable[..., Any]) -> None:
        """About `budget` spin tests of every lineage: whole sweeps, at least one, each island within its round."""
        plan, want, found = system, max(1, budget // system.system.n), state.found.copy()

        def one(i: int) -> None:
            left = want
            while left > 0 and not state.exhausted(i):
                taken = self.sweep(plan, state, i, left)
                left = left - taken if plan.dense is not None and taken else 0

        run(one, state.work.shape[0])
        if state.met():
            exchange(plan, state, self.exchange)
        self.meet(plan, state, found)

    def meet(self, plan: Plan, state: State, found: NDArray[np.int64]) -> None:
        """Merge the islands' best once all have ended, or, in an open-ended run, when one of them has a champion more than `found` says."""
        if plan.dense is None and not state.concluded:
            ended = state.sweeps > 0 and all(state.exhausted(i) for i in range(state.work.shape[0]))
            if ended or (state.sweeps == 0 and state.work.shape[0] > 1 and np.any(state.found > found)):
                state.concluded = ended
                merged, value = lineages.merge(plan, state, self.gathered(state), 0, self.kappa)
                state.keep(0, merged[None], np.array([value]))

    def sweep(self, plan: Plan, state: State, i: int, want: int) -> int:
        """At most `want` sweeps of island i, within its round, and between two resamplings if it has some; returns how many."""
        first, last = state.stretch(i, want)
        done = int(state.swept[i]) + first
        if plan.dense is not None:
            every = descents.period(state, i)
            last = min(last, first - first % every + every)
        if last == first:
            return 0
        t = self._temperatures(plan, state, i, first, last)
        plan.engine.sweeps(state.work[i], state.local[i], t, state.counts[i], state.key, i, done % 2**32)
        state.sweep[i] = last
        if last == state.length[i] or state.exhausted(i):
            if plan.dense is not None:
                descents.finish(plan, plan.dense, state, i)
            else:
                lineages.finish(plan, state, i, self.kappa)
        elif plan.dense is not None:
            descents.pause(plan.dense, state, i)
        return last - first

    def _temperatures(self, plan: Plan, state: State, i: int, first: int, last: int) -> NDArray[np.float64]:
        if plan.dense is not None:
            return descents.temperatures(state, i, first, last)
        return lineages.temperatures(state, i, self.kappa, first, last)

    @staticmethod
    def gathered(state: State) -> Spins:
        """The best and the champions of all islands, as many as can be merged: (k, n)."""
        states = [state.best]
        states += [state.champions[i, : min(int(state.found[i]), CHAMPIONS)] for i in range(state.step.size)]
        return np.concatenate(states)[:MAX_STATES]

    def report(self, system: Plan, state: State) -> Report:
        plan, swept = system, state.swept + state.sweep
        finished = state.sweeps > 0 and bool((swept >= state.sweeps).all())
        spikes, synaptic, _, _, crossing, more_tests, more_reads = (int(x) for x in state.counts.sum(axis=0))
        reads = int(swept.sum()) * plan.engine.reads
        tests = reads * plan.system.n + more_tests
        a_test, an_event = plan.engine.traffic
        last = int(state.sweep[0])
        return Report(
            values=state.best_values.copy(),
            spins=lambda r: plan.reduction.outwards(state.best[r]),
            round_over=finished,
            finished=finished,
            events=Events(
                spin_tests=tests,
                spikes=spikes,
                synaptic_events=synaptic,
                threshold_draws=tests,
                timer_reads=reads + more_reads,
                crossover_operations=crossing,
                bytes_moved=int(a_test * tests + an_event * synaptic) + CROSSING_BYTES * crossing,
            ),
            sweeps=float(swept.mean()),
            temperature=float(2 * plan.system.unit * self._temperatures(plan, state, 0, last, last + 1).max()),
            fraction=float(swept.mean()) / state.sweeps if state.sweeps else None,
            time_constants=time_constants(self.kappa),
            candidates=lambda: plan.outwards(
                (state.parents if plan.dense is None else state.work).reshape(-1, plan.system.n)
            ),
            real_numbers=not plan.system.integral,
        )
