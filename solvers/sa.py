"""`sa`: simulated annealing by sweeps, the classic baseline.

    for each sweep t, for each spin i:  flip i with probability min(1, exp(-dE/T(t))),   dE = 2 s_i (sum_j J_ij s_j + h_i)

Source: Kirkpatrick, Gelatt, Vecchi, Science 220 (1983) 671. Spins are visited colour by colour (`kernels.sweep`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, positive, real
from ..energy.events import Events
from ..errors import InputError
from ..fndam import FNTimer
from ..fndam.timer import time_constants
from ..problems.model import Model
from ..protocols import Report
from ..result import Spins
from .kernels.start import random_spins
from .kernels.sweep import TABLE, anneal
from .registry import solver
from .system import SpinSystem, field_traffic, spin_system
from .temperature import COLDEST, GREEDY, optima_wanted, temperature_range

Schedule = Literal["geometric", "linear", "fn"]
Rule = Literal["metropolis", "heat-bath"]

DEFAULT_READS = 32
DEFAULT_SWEEPS = 1000
_EXP_RANGE = 22.2
_REFRESH = 1024
QUENCH = 5
SPAN = 10.0
_LENGTH = {"length": "reads"}


@dataclass(slots=True, kw_only=True)
class Course:
    """Where R chains stand, wherever they are.

    values (R, 2): now and at best; counts (R, 2): flips and synaptic events, over all rounds. hot, cold: temperatures at the ends of an anneal, in
    units of the gain. ``sweep`` of ``sweeps`` in round ``round``; ``past``: sweeps of earlier rounds.
    """

    # How many reads an open-ended run has depends on what it began on.
    values: NDArray[Any] = field(metadata=_LENGTH)
    counts: NDArray[np.int64] = field(metadata=_LENGTH)
    key: int
    open_ended: bool
    hot: float = 1.0
    cold: float = 1.0
    round: int = 0
    sweep: int = 0
    sweeps: int = 0
    past: int = 0

    @property
    def reads(self) -> int:
        """How many chains there are."""
        return int(self.counts.shape[0])


@dataclass(slots=True, kw_only=True)
class State(Course):
    """R chains in the kernels' order of spins: spins, best (R, n) int8; fields (R, n)."""

    spins: NDArray[np.int8] = field(metadata=_LENGTH)
    best: NDArray[np.int8] = field(metadata=_LENGTH)
    fields: NDArray[Any] = field(metadata=_LENGTH)


@solver("sa")
@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAnnealing:
    """Simulated annealing: single-spin Metropolis sweeps under a falling temperature.

    Attributes
    ----------
    num_reads
        Independent anneals side by side; 32, or with a time limit one a thread.
    num_sweeps
        Sweeps of one anneal. Default 1000; with a time limit or a target alone, anneals follow one another with sweeps growing from 1000
        by half each time.
    beta_range
        (hot, cold) inverse temperatures, in units of 1/energy of the Ising form. Default: from the positive losses -gain of the spins at
        one greedy local optimum, T_hot = half their mean and T_cold = the smaller of T_hot/10 and a quarter of their 10 % quantile
        (T in units of the gain, which is half an energy); where there are penalties, from the losses below them (`temperature`).
    schedule
        "geometric", "linear" (in T), or "fn": the Fowler-Nordheim timer.
    kappa
        The timer's knob: small is linear in beta, large a plunge and a 1/log tail.
    timer_mismatch
        With schedule "fn": relative sigma of the timers' cells; where above 0, each read has a cell of its own (`FNTimer.mismatched`, by the seed).
    rule
        "metropolis", or "heat-bath" for sampling at a fixed temperature: with a fixed order of spins, Metropolis takes every
        zero-gain flip, and two uncoupled spins would then see two of their four states only.
    """

    name: ClassVar[str] = "sa"
    budget_rule: ClassVar[str] = (
        "time: anneals of growing length, one after the other, until they are over; spin tests: reads of at least 1000 sweeps"
    )

    num_reads: int | None = None
    num_sweeps: int | None = None
    beta_range: tuple[float, float] | None = None
    schedule: Schedule = "geometric"
    kappa: float = 0.1
    timer_mismatch: float = 0.0
    rule: Rule = "metropolis"

    def __post_init__(self) -> None:
        for what in ("num_reads", "num_sweeps"):
            if getattr(self, what) is not None:
                object.__setattr__(self, what, integer(getattr(self, what), what, 1, 2**32 - 1))
        if self.schedule not in ("geometric", "linear", "fn"):
            raise InputError(f"unknown schedule {self.schedule!r}; there are: geometric, linear, fn")
        if self.rule not in ("metropolis", "heat-bath"):
            raise InputError(f"unknown rule {self.rule!r}; there are: metropolis, heat-bath")
        positive(self.kappa, "kappa")
        if real(self.timer_mismatch, "timer_mismatch", 0, 0.5) and self.schedule != "fn":
            raise InputError("timer_mismatch is for schedule=fn")
        if self.beta_range is not None:
            if not isinstance(self.beta_range, Sequence) or len(self.beta_range) != 2:
                raise InputError(f"beta_range must be a pair (hot, cold), not {self.beta_range!r:.40}")
            hot, cold = (positive(beta, "beta_range: a beta") for beta in self.beta_range)
            if hot > cold:
                raise InputError(f"beta_range must be (hot, cold), the smaller beta first (got {self.beta_range})")
            object.__setattr__(self, "beta_range", (hot, cold))

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def for_tests(self, problem: Model, tests: int) -> SimulatedAnnealing:
        """With as many sweeps and reads as make so many spin tests: a read for every thousand sweeps, 32 at most, unless the settings say otherwise."""
        sweeps = tests // problem.n
        if sweeps < 1:
            raise InputError(f"{tests} spin tests are less than one sweep of {problem.n} spins")
        if self.num_sweeps is not None:
            return replace(self, num_reads=max(1, sweeps // self.num_sweeps), num_sweeps=min(self.num_sweeps, sweeps))
        reads = min(self.num_reads or min(max(sweeps // DEFAULT_SWEEPS, 1), DEFAULT_READS), sweeps)
        return replace(self, num_reads=reads, num_sweeps=min(sweeps // reads, 2**32 - 1))

    def on_cuda(self, devices: Sequence[Any]) -> Any:
        """The same anneals on these GPUs."""
        from .cuda.sa import CudaSA

        return CudaSA(self, devices)

    def prepare(self, problem: Model) -> SpinSystem:
        return spin_system(problem, coloured=True)

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        reads = self.num_reads or (threads if open_ended else DEFAULT_READS)
        return 120 * problem.m + 60 * problem.n + reads * problem.n * 10

    def warm_up(self, system: SpinSystem) -> None:
        state = self._state(system, 1, 0, False)
        random_spins(np.uint64(0), 0, state.spins[0])
        self._anneal(system, state, np.zeros(0), 0, 0, 0, 0)

    def ends(self, system: SpinSystem) -> tuple[float, float]:
        """Hot and cold temperature, in units of the gain: by default the instance's own."""
        if self.beta_range is not None:
            hot, cold = (float(np.clip(1 / beta / (2 * system.unit), COLDEST, 1 / COLDEST)) for beta in self.beta_range)
            return hot, cold
        if system.ideal is not None:
            hot, cold = (t * system.ideal.unit / system.unit for t in self.ends(system.ideal))
            return hot, cold
        state = self._state(system, optima_wanted(system.n), 0, False)
        for r in range(state.spins.shape[0]):
            random_spins(np.uint64(0), r, state.spins[r])
            state.fields[r] = system.local_fields(state.spins[r])
            self._anneal(system, state, np.full(GREEDY, 1 / COLDEST), 1 if system.integral else -1, r, r, 0)
        return temperature_range(system, state.spins, SPAN)

    def temperatures(
        self, hot: float, cold: float, sweeps: int, first: int, last: int, reads: int = 1, key: int = 0
    ) -> NDArray[np.float64]:
        """T of sweeps first to last - 1 of an anneal, in units of the gain, between hot and cold, for timers that differ or for all: (reads or 1, last - first).

        Rounded to 24 bits, so that the last digits of a platform's logarithm do not reach the chain. The last few are 0: a quench.
        """
        k = np.arange(first, last)
        quench = min(QUENCH, sweeps // 20) if hot > cold else 0
        x = np.minimum(k / max(sweeps - quench - 1, 1), 1.0)
        if hot == cold:
            t = np.full(k.size, hot)
        elif self.schedule == "linear":
            t = hot + (cold - hot) * x
        elif self.schedule == "geometric":
            t = hot * (cold / hot) ** x
        else:
            timer = FNTimer.between(hot, cold, self.kappa)
            if self.timer_mismatch:
                timer = timer.mismatched(self.timer_mismatch, (reads, 1), key)
            t = timer.voltage(x)
        digits, exponents = np.frexp(t)
        return np.atleast_2d(np.where(k < sweeps - quench, np.ldexp(np.rint(digits * 2**24), exponents - 24), 0.0))

    def init(self, system: SpinSystem, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State:
        reads = self.num_reads or (threads if open_ended else DEFAULT_READS)
        state = self._state(system, reads, key, open_ended)
        state.hot, state.cold = self.ends(system)
        self._begin(system, state, None if initial is None else system.inwards(initial))
        return state

    def _state(self, system: SpinSystem, reads: int, key: int, open_ended: bool) -> State:
        shape = (reads, system.n)
        total = np.int64 if system.integral else np.float64
        return State(
            spins=np.ones(shape, np.int8),
            best=np.ones(shape, np.int8),
            fields=np.zeros(shape, system.weights.dtype),
            values=np.zeros((reads, 2), total),
            counts=np.zeros((reads, 2), np.int64),
            key=key,
            open_ended=open_ended,
        )

    def load_state(self, arrays: Mapping[str, Any]) -> State:
        state = State(**arrays)
        reads, n = state.spins.shape
        expected = self.num_reads or (reads if state.open_ended else DEFAULT_READS)
        shapes = [a.shape for a in (state.best, state.fields, state.values, state.counts)]
        if reads != expected or shapes != [(reads, n), (reads, n), (reads, 2), (reads, 2)]:
            raise InputError("the checkpoint's reads do not fit its settings")
        return state

    def reread(self, system: SpinSystem, state: State, problem: Model, until: int) -> SpinSystem:
        """The system of a problem whose numbers have drifted; the chains go on in it."""
        new = self.prepare(problem)
        state.hot, state.cold = (t * system.unit / new.unit for t in (state.hot, state.cold))
        for r in range(state.spins.shape[0]):
            state.fields[r] = new.local_fields(state.spins[r])
            state.values[r] = new.value(state.spins[r]), new.value(state.best[r])
        return new

    def _begin(self, system: SpinSystem, state: State, initial: Spins | None) -> None:
        """New chains: from the given states (k, n) in turn, else random."""
        for r, number in enumerate(self.numbers(state).tolist()):
            if initial is not None:
                state.spins[r] = initial[r % initial.shape[0]]
            else:
                random_spins(np.uint64(state.key), number, state.spins[r])
            state.best[r] = state.spins[r]
            state.fields[r] = system.local_fields(state.spins[r])
            state.values[r] = system.value(state.spins[r])
        self.begin_round(state)

    def begin_round(self, state: Course) -> None:
        """The first sweep is next, of as many as this round has."""
        if self.num_sweeps is not None:
            state.sweeps = self.num_sweeps
        elif state.open_ended:
            state.sweeps = int(DEFAULT_SWEEPS * 1.5 ** min(state.round, 25))
        else:
            state.sweeps = DEFAULT_SWEEPS
        state.sweep = 0

    def numbers(self, state: Course) -> NDArray[np.uint32]:
        """The number of each read of this round, for its random numbers: (R,)."""
        first = state.round * state.reads % 2**32
        return (np.arange(first, first + state.reads) % 2**32).astype(np.uint32)

    def advance(self, system: SpinSystem, state: State, budget: int, run: Callable[..., Any]) -> None:
        """About `budget` spin tests of every read: whole sweeps, at least one, within the round."""
        if self.next_round(state):
            self._begin(system, state, None)
        first, last, slopes, reach = self.chunk(system, state, budget)
        numbers = self.numbers(state)

        def one(r: int) -> None:
            if self.refreshes(system, first):
                state.fields[r] = system.local_fields(state.spins[r])
                state.values[r, 0] = system.value(state.spins[r])
            self._anneal(system, state, slopes[r % slopes.shape[0]], reach, r, int(numbers[r]), first)

        run(one, state.reads)
        state.sweep = last

    def next_round(self, state: Course) -> bool:
        """Whether this round is over, so that another begins."""
        if state.sweep < state.sweeps:
            return False
        state.past += state.sweeps
        state.round += 1
        return True

    def refreshes(self, system: SpinSystem, first: int) -> bool:
        """Whether the sums are taken afresh before this sweep."""
        return not system.integral and first % _REFRESH == 0 and first > 0

    def chunk(self, system: SpinSystem, state: Course, budget: int) -> tuple[int, int, NDArray[np.float64], int]:
        """Sweeps first to last - 1, their slopes, (R or 1, last - first), and how far thresholds are tabulated: what `anneal` takes."""
        first = state.sweep
        last = min(state.sweeps, first + max(1, budget // system.n))
        if not system.integral:
            # Running sums of real numbers drift: they are taken afresh at fixed sweeps, whatever the chunks.
            last = min(last, (first // _REFRESH + 1) * _REFRESH)
        t = self.temperatures(state.hot, state.cold, state.sweeps, first, last, state.reads, state.key)
        slopes = 1 / np.clip(t, COLDEST, 1 / COLDEST)
        reach = -1
        if system.integral:
            wide = math.ceil(_EXP_RANGE / float(slopes.min()))
            reach = int(min(system.largest, wide))
        return first, last, slopes, reach if reach <= TABLE else -1

    def _anneal(
        self, system: SpinSystem, state: State, slopes: NDArray[np.float64], reach: int, r: int, number: int, first: int
    ) -> None:
        anneal(
            system.indptr, system.indices, system.weights, system.segments, slopes, self.rule == "heat-bath", reach,
            state.spins[r], state.fields[r], state.best[r], state.values[r], state.counts[r], np.uint64(state.key), number, first,
        )  # fmt: skip

    def report(self, system: SpinSystem, state: State) -> Report:
        return self.report_of(system, state, lambda r: system.outwards(state.best[r]))

    def report_of(self, system: SpinSystem, state: Course, spins: Callable[[int], Spins]) -> Report:
        """`report`, of chains wherever they are."""
        tests = (state.past + state.sweep) * state.reads * system.n
        flips, synaptic = (int(x) for x in state.counts.sum(axis=0))
        over = state.sweep == state.sweeps
        now = min(state.sweep, state.sweeps - 1)
        t = self.temperatures(state.hot, state.cold, state.sweeps, now, now + 1)[0, 0]
        return Report(
            values=state.values[:, 1],
            spins=spins,
            round_over=over,
            finished=over and not state.open_ended,
            events=Events(
                spin_tests=tests,
                spikes=flips,
                synaptic_events=synaptic,
                threshold_draws=tests,
                timer_reads=(state.past + state.sweep) * state.reads,
                bytes_moved=field_traffic(system.weights.itemsize, tests, flips, synaptic, drawn=4),
            ),
            sweeps=state.past + state.sweep,
            temperature=float(2 * system.unit * t),
            fraction=None if state.open_ended else state.sweep / state.sweeps,
            time_constants=time_constants(self.kappa) if self.schedule == "fn" else 1.0,
            real_numbers=not system.integral,
        )
