"""`neurosa`: the published neuromorphic annealer, one neuron a step.

    p uniform;  gain = s_p (sum_j w_pj s_j + h_p);  spike iff gain > mu = T(n) ln(2.5 u + 1e-6);  T(n) = 0.3125 / ln(1 + (1 + 0.002 n)/8e4)

Source: Chen et al., Nat. Commun. 16 (2025), doi 10.1038/s41467-025-58231-5; the constants are those of the authors' reference
configuration. A test passes with probability min(1, max(0, 0.4 (exp(gain/T) - 1e-6))): neither Metropolis nor detailed balance.

The authors' maximum-independent-set variant (the NeuroBench QUBO workloads) runs on x = (1 + s)/2 with membrane v = Q x, the diagonal
included, and toggles x_p iff (2 x_p - 1) v_p > mu. In spins that is the gain above plus Q_pp/2: `self_coupling`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, positive, real
from ..energy.events import Events
from ..errors import InputError
from ..fndam import FNTimer
from ..fndam.timer import NEUROSA
from ..problems.model import Model
from ..problems.models import QUBO
from ..protocols import Report
from ..result import Spins
from .kernels.neurosa import neurosa_steps
from .registry import solver
from .system import SpinSystem, field_traffic, spin_system

if TYPE_CHECKING:
    from .cuda.device import Device
    from .cuda.neurosa import CudaNeuroSA

DEFAULT_STEPS = 100_000_000


@dataclass(slots=True, kw_only=True)
class State:
    """R reads side by side.

    spins, best (R, n) int8; fields (R, n); journal (R, n) int32: spins flipped since the best; totals (R, 2): gain now and at best, since
    the start; values (R,): of the first states; counts (R, 3) int64: length of the journal, spikes, synaptic events; ``step`` of ``steps``.
    """

    spins: NDArray[np.int8]
    best: NDArray[np.int8]
    fields: NDArray[Any]
    journal: NDArray[np.int32]
    totals: NDArray[Any]
    values: NDArray[Any]
    counts: NDArray[np.int64]
    timers: NDArray[np.float64]
    key: int
    step: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neurons:
    """The problem, and what each neuron's own state adds to its gain: shift (n,), of the weights' kind."""

    graph: SpinSystem
    shift: NDArray[Any]


@solver("neurosa")
@dataclass(frozen=True, slots=True, kw_only=True)
class NeuroSA:
    """NeuroSA, faithful to the paper.

    Gains are in units of the cut (Max-Cut), or of half the Ising energy.

    Attributes
    ----------
    num_reads
        Independent runs; 1.
    num_steps
        Neurons tested in a run; 1e8. The schedule does not depend on it.
    num_sweeps
        The same in sweeps of n steps; give one of the two.
    scale, floor
        Threshold mu = T ln(scale u + floor). 2.5 and 1e-6; a scale of 1 is Metropolis but for the floor.
    self_coupling
        Keep a QUBO's diagonal in the membrane. With scale 0.99, the authors' variant for maximum independent sets.
    k2, k0_minus_1, k1
        The FN timer: T(n) = k2 / ln(1 + k0_minus_1 + k1 n), n in steps.
    timer_mismatch
        Relative sigma of the timer's cells: where above 0, each neuron has a cell of its own (`FNTimer.mismatched`, by the seed).
    """

    name: ClassVar[str] = "neurosa"
    budget_rule: ClassVar[str] = (
        "time: one published run of 1e8 steps, cut short or with time left over; spin tests: a run of so many steps"
    )

    num_reads: int = 1
    num_steps: int | None = None
    num_sweeps: int | None = None
    scale: float = 2.5
    floor: float = 1e-6
    self_coupling: bool = False
    k2: float = NEUROSA.k2
    k0_minus_1: float = 1 / 8e4
    k1: float = 0.002 / 8e4
    timer_mismatch: float = 0.0

    def __post_init__(self) -> None:
        if self.num_steps is not None and self.num_sweeps is not None:
            raise InputError("give num_steps or num_sweeps, not both")
        for what in ("num_reads", "num_steps", "num_sweeps"):
            if getattr(self, what) is not None:
                object.__setattr__(
                    self, what, integer(getattr(self, what), what, 1, 2**32 - 1 if what == "num_reads" else 2**62)
                )
        positive(self.scale, "scale")
        if positive(self.floor, "floor") >= 1:
            raise InputError(f"floor must be below 1 (got {self.floor})")
        real(self.timer_mismatch, "timer_mismatch", 0, 0.5)
        self.timer()

    def timer(self) -> FNTimer:
        """The FN cell that cools the threshold."""
        for what in ("k2", "k0_minus_1", "k1"):
            positive(getattr(self, what), f"FN timer: {what}")
        return FNTimer.from_constants(k2=self.k2, k0_minus_1=self.k0_minus_1, k1=self.k1)

    def for_tests(self, problem: Model, tests: int) -> NeuroSA:
        """With as many steps as make so many spin tests, over all reads."""
        if self.num_steps is not None or self.num_sweeps is not None:
            raise InputError("a budget is spin_tests, num_steps or num_sweeps: one of them")
        if tests < self.num_reads:
            raise InputError(f"{tests} spin tests are less than a step for each of {self.num_reads} reads")
        return replace(self, num_steps=tests // self.num_reads)

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def on_cuda(self, devices: Sequence[Device]) -> CudaNeuroSA:
        """Itself on GPUs."""
        from .cuda.neurosa import CudaNeuroSA

        return CudaNeuroSA(cpu=self, devices=tuple(devices))

    def prepare(self, problem: Model) -> Neurons:
        graph = spin_system(problem, coloured=False)
        shift = np.zeros(graph.n, graph.weights.dtype)
        if self.self_coupling:
            if not isinstance(problem, QUBO):
                raise InputError(f"self_coupling needs a QUBO's diagonal, and this is {problem.kind}: convert it first")
            shift += (problem.linear * (0.5 / graph.unit)).astype(shift.dtype)
        return Neurons(graph=graph, shift=shift)

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        return 120 * problem.m + 60 * problem.n + self.num_reads * problem.n * 14

    def warm_up(self, system: Neurons) -> None:
        self._steps(system, self._state(system.graph, np.ones((1, system.graph.n), np.int8), 0, 0), 0, 0)

    def init(self, system: Neurons, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State:
        graph = system.graph
        n = graph.n
        steps = self.num_sweeps * n if self.num_sweeps is not None else self.num_steps or DEFAULT_STEPS
        first = np.ones((1, n), np.int8) if initial is None else initial
        spins = np.ascontiguousarray(first[np.arange(self.num_reads) % first.shape[0]])
        state = self._state(graph, spins, key, steps)
        for r in range(min(self.num_reads, first.shape[0])):
            state.fields[r :: first.shape[0]] = graph.local_fields(spins[r])
            state.values[r :: first.shape[0]] = graph.value(spins[r])
        return state

    def _state(self, graph: SpinSystem, spins: Spins, key: int, steps: int) -> State:
        reads, n = spins.shape
        total = np.int64 if graph.integral else np.float64
        return State(
            spins=spins,
            best=spins.copy(),
            fields=np.zeros((reads, n), graph.weights.dtype),
            journal=np.zeros((reads, n), np.int32),
            totals=np.zeros((reads, 2), total),
            values=np.zeros(reads, total),
            counts=np.zeros((reads, 3), np.int64),
            timers=self._timers(n, key),
            key=key,
            step=0,
            steps=steps,
        )

    def _timers(self, n: int, key: int) -> NDArray[np.float64]:
        if not self.timer_mismatch:
            return np.array([[self.k2, self.k0_minus_1, self.k1]])
        cells = self.timer().mismatched(self.timer_mismatch, n, key)
        return np.stack([cells.k2, cells.k0_minus_1, cells.k1], axis=1)

    def reread(self, system: Neurons, state: State, problem: Model, until: int) -> Neurons:
        """The neurons of a problem whose numbers have drifted; the reads go on in it."""
        new = self.prepare(problem)
        for r in range(self.num_reads):
            state.fields[r] = new.graph.local_fields(state.spins[r])
            now, best = new.graph.value(state.spins[r]), new.graph.value(state.best[r])
            state.values[r] = now
            state.totals[r] = 0, (best - now) / 2
        return new

    def load_state(self, arrays: Mapping[str, Any]) -> State:
        return State(**arrays)

    def scaled_timers(self, system: Neurons, state: State) -> NDArray[np.float64]:
        """The timers in the kernel's units."""
        timers: NDArray[np.float64] = state.timers / np.array([system.graph.unit, 1, 1])
        timers[:, 0] = np.minimum(timers[:, 0], 1e300)
        return timers

    def _steps(self, system: Neurons, state: State, r: int, count: int) -> None:
        graph = system.graph
        largest = int(graph.largest) + int(np.abs(system.shift).max()) if graph.integral else -1
        neurosa_steps(
            graph.indptr, graph.indices, graph.weights, state.spins[r], state.fields[r], system.shift, state.best[r], state.journal[r],
            state.totals[r], state.counts[r], largest, self.scaled_timers(system, state), self.scale, self.floor,
            np.uint64(state.key), r, state.step, count,
        )  # fmt: skip

    def advance(self, system: Neurons, state: State, budget: int, run: Callable[..., Any]) -> None:
        """`budget` steps of every read."""
        count = min(budget, state.steps - state.step)
        run(lambda r: self._steps(system, state, r, count), self.num_reads)
        state.step += count

    def report(self, system: Neurons, state: State) -> Report:
        tests = state.step * self.num_reads
        spikes, synaptic = int(state.counts[:, 1].sum()), int(state.counts[:, 2].sum())
        return Report(
            values=state.values + 2 * state.totals[:, 1],
            spins=lambda r: state.best[r].copy(),
            round_over=state.step == state.steps,
            finished=state.step == state.steps,
            events=Events(
                spin_tests=tests,
                spikes=spikes,
                synaptic_events=synaptic,
                threshold_draws=tests,
                timer_reads=tests,
                bytes_moved=field_traffic(system.graph.weights.itemsize, tests, spikes, synaptic, drawn=16),
            ),
            sweeps=state.step / system.graph.n,
            temperature=float(self.timer().voltage(state.step)),
            fraction=state.step / state.steps,
            time_constants=min(self.k1 * state.steps / (1 + self.k0_minus_1), 1e300),
            real_numbers=not system.graph.integral,
        )
