"""What the driver, problems and solvers see of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from numpy.typing import ArrayLike, NDArray

from .energy.events import Events
from .result import BestKnown, Number, Sense, Spins


class Problem(Protocol):
    """What the driver asks of a problem."""

    @property
    def n(self) -> int: ...
    @property
    def sense(self) -> Sense: ...
    @property
    def integral(self) -> bool: ...
    @property
    def best_known(self) -> BestKnown | None: ...
    def objective(self, spins: ArrayLike) -> Number: ...
    def summary(self) -> dict[str, Any]: ...
    def sha256(self) -> str: ...


class State(Protocol):
    """A solver's state: a dataclass of arrays and numbers, so that a checkpoint can hold it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a solver says of its state after `Solver.advance`.

    Attributes
    ----------
    values : (reads,)
        Each read's best value so far, greater being better, on the solver's own scale, which is the objective's up to a factor and an offset: compared,
        never reported.
    spins
        Gives read r's best spins (n,), in the problem's order.
    round_over
        Whether these reads are complete; the next `advance` starts new ones, if `finished` is False.
    finished
        Whether the budget is used up.
    proved
        Whether the best is proved optimal.
    reads
        How many reads the values stand for; None: one each.
    events
        Counts since the start.
    sweeps
        Sweeps of one lane since the start, over all rounds.
    temperature
        In the units of the solver's setting; None where it has none.
    fraction
        How much of the solver's budget is used, in [0, 1]; None in an open-ended run.
    time_constants
        How many time constants k0/k1 of its annealing timer a run lasts; 1 where it has no such timer.
    candidates
        Gives more states (k, n), in the problem's order, to be judged by the problem itself where the values are only those of analog weights.
    real_numbers
        Whether it computes in floats, not integers; None: as the problem's numbers are.
    """

    values: NDArray[Any]
    spins: Callable[[int], Spins]
    round_over: bool
    finished: bool
    events: Events
    sweeps: float
    temperature: float | None
    fraction: float | None
    proved: bool = False
    reads: int | None = None
    time_constants: float = 1.0
    candidates: Callable[[], Spins] | None = None
    real_numbers: bool | None = None


class Solver(Protocol):
    """A frozen dataclass of hyper-parameters. `system` is the problem in the solver's own form.

    One whose spin tests can be counted in advance has ``for_tests(problem, tests) -> Solver``: itself, with as many reads and sweeps as make at most so many.

    A solver that follows analog weights while they drift has one more method, ``reread(system, state, problem, until) -> system``: the same problem
    with other numbers; the state's sums are taken afresh, and `advance` then stops at `until` sweeps since the start.

    One that can run on GPUs has ``on_cuda(devices) -> Solver``: itself, with the same name, settings and random numbers, whose state lies there; and that
    one has ``on_host(state)``: the state as the CPU's solver has it, so that a checkpoint of one can be resumed on the other.

    One that can run on an executor's workers has ``on_executor(executor) -> Solver``, with the same state. Where a call of `advance` lasts long, ``limited(left)`` is told before the
    first one how to ask for the seconds that are left.
    """

    name: ClassVar[str]

    def settings(self) -> dict[str, Any]: ...
    def prepare(self, problem: Any) -> Any: ...
    def memory(self, problem: Any, *, open_ended: bool, threads: int) -> int: ...
    def warm_up(self, system: Any) -> None: ...
    def init(self, system: Any, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State: ...
    def load_state(self, arrays: Mapping[str, Any]) -> State: ...
    def advance(self, system: Any, state: Any, budget: int, run: Callable[..., Any]) -> None: ...
    def report(self, system: Any, state: Any) -> Report: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a callback sees, about 30 times a second.

    ``objective`` is verified, and ``spins`` are its spins; ``fraction`` of the budget or the time limit is used, None where there is neither.
    """

    elapsed: float
    objective: Number
    best_known: BestKnown | None
    spins: Spins
    temperature: float | None
    spin_tests: int
    fraction: float | None
