"""The driver: it owns the loop, limits, progress, checkpoints and event counts, and trusts no solver's sums.

It sees problems and solvers only through the Protocols below.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numba.core.event import install_timer
from numpy.typing import ArrayLike, NDArray

from .checkpoint import Checkpoint
from .errors import InputError
from .result import BestKnown, Events, Number, Result, Sense, Spins, Status, Times
from .samples import Samples

CHUNK_S = 0.03
CHECKPOINT_S = 1.0
VERIFY_SHARE = 0.03
NEARLY = 1e-6


class Problem(Protocol):
    """What the driver asks of a problem."""

    @property
    def n(self) -> int: ...
    @property
    def sense(self) -> Sense: ...
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


class Solver(Protocol):
    """A frozen dataclass of hyper-parameters. `system` is the problem in the solver's own form."""

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


@dataclass(slots=True)
class _Run:
    """The driver's own part of a checkpoint."""

    objective: Number
    spins: Spins
    claimed: float
    settled: float
    elapsed: float
    to_best: float
    trace: list[tuple[float, Number]]
    samples: Samples


class _Interrupt:
    """Turns the first Ctrl-C into a flag, so that a chunk ends whole; the second one interrupts at once."""

    def __init__(self) -> None:
        self.seen = False

    @contextmanager
    def watching(self) -> Iterator[Self]:
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = signal.getsignal(signal.SIGINT)

        def note(signum: int, frame: Any) -> None:
            if self.seen:
                raise KeyboardInterrupt
            self.seen = True

        signal.signal(signal.SIGINT, note)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)


def better(sense: Sense, a: Number, b: Number) -> bool:
    """Whether a is strictly better than b."""
    return a > b if sense == "max" else a < b


def drive(
    problem: Problem,
    solver: Solver,
    *,
    seed: int,
    time_limit: float | None = None,
    target: Number | None = None,
    open_ended: bool = False,
    threads: int = 1,
    callback: Callable[[Progress], Any] | None = None,
    checkpoint: Path | None = None,
    resume: Checkpoint | None = None,
    initial: Spins | None = None,
    load_s: float | None = None,
    versions: Mapping[str, str],
) -> Result:
    """Run a solver on a problem until a limit, the target, the end of its budget, or Ctrl-C.

    Parameters
    ----------
    open_ended
        Whether the solver goes on with new rounds until a limit stops it.
    time_limit
        Seconds, preparing included and compiling not; with `resume`, of all runs together. A sweep or so is done in any case.
    callback
        Called with a `Progress`; a true return value stops the solve.
    checkpoint
        File to which the run is saved every second or so, atomically.
    resume
        A checkpoint's content, already checked against problem, solver and seed.
    """
    clock = time.perf_counter
    started = clock()
    compiling: Any
    with install_timer("numba:compiler_lock", lambda _: None) as compiling:
        system = solver.prepare(problem)
        solver.warm_up(system)
        first_threads = threads if resume is None else resume.threads
        state = solver.init(system, seed, open_ended=open_ended, threads=first_threads, initial=initial)
    if resume is not None:
        resume.check(state)
        state = solver.load_state(resume.state)
    compile_s = compiling.duration if compiling.done else 0.0
    prepare_s = clock() - started - compile_s
    sense = problem.sense
    best_known = problem.best_known

    with ThreadPoolExecutor(threads) as pool, _Interrupt().watching() as interrupt:

        def parallel(function: Callable[[int], None], count: int) -> None:
            if threads == 1 or count == 1:
                for k in range(count):
                    function(k)
            else:
                list(pool.map(function, range(count)))

        report = solver.report(system, state)
        run = _start(problem, report, prepare_s) if resume is None else _resumed(problem, resume, prepare_s)
        origin = clock() - run.elapsed
        verify_s = 0.0
        verified: list[tuple[float, Number]] = [(run.claimed, run.objective)]

        def adopt(report: Report, at: float) -> None:
            # When a round is over, its best is chosen anew: of reads that tie, the one that a chunk happened to show first must not win.
            nonlocal verify_s
            r = int(np.argmax(report.values))
            value = float(report.values[r])
            settling = report.round_over and value > run.settled
            if not (value > run.claimed or settling):
                return
            spins = report.spins(r)
            t = clock()
            objective = problem.objective(spins)
            verify_s += clock() - t
            run.claimed = value
            if value != verified[0][0]:
                verified[1:] = [(value, objective)]
            if settling:
                run.settled = value
            if better(sense, objective, run.objective):
                run.to_best = at
                run.trace.append((at, objective))
            if settling or better(sense, objective, run.objective):
                run.objective, run.spins = objective, spins

        def may_hit(report: Report) -> bool:
            """Whether the best could meet the target, if values and objectives lie on the line through the first and the last that were verified."""
            if target is None or len(verified) < 2:
                return target is not None
            (v0, o0), (v1, o1) = verified
            expected = o1 + (float(np.max(report.values)) - v1) * (o1 - o0) / (v1 - v0)
            return not better(sense, target, expected + (NEARLY if sense == "max" else -NEARLY) * max(abs(expected), 1))

        def save(path: Path) -> None:
            Checkpoint(
                problem=problem.sha256(),
                solver=solver.name,
                settings=solver.settings(),
                seed=seed,
                open_ended=open_ended,
                threads=first_threads,
                state={f.name: getattr(state, f.name) for f in fields(state)},
                spins=run.spins,
                claimed=run.claimed,
                settled=run.settled,
                elapsed=run.elapsed,
                to_best=run.to_best,
                trace=run.trace,
                samples=run.samples.arrays(),
            ).write(path)

        def hit() -> bool:
            return target is not None and not better(sense, target, run.objective)

        budget, next_save, status = problem.n, clock() + CHECKPOINT_S, None
        if checkpoint is not None and resume is None:
            save(checkpoint)
        while status is None:
            # Checked first: a target met by the first states, or a resumed run that had ended, does no work.
            if hit():
                status = Status.TARGET
            elif report.finished:
                status = Status.OPTIMAL if report.proved else Status.COMPLETED
            elif time_limit is not None and run.elapsed >= time_limit and (resume is not None or report.sweeps > 0):
                status = Status.TIME_LIMIT
            elif interrupt.seen:
                status = Status.INTERRUPTED
            if status is not None:
                break
            t = clock()
            solver.advance(system, state, budget, parallel)
            took = clock() - t
            before, report = report.sweeps, solver.report(system, state)
            run.elapsed = clock() - origin
            left = math.inf if time_limit is None else max(time_limit - run.elapsed, 1e-3)
            # A round may have ended before the budget did: the next chunk is planned by what was done.
            done = (report.sweeps - before) * problem.n
            budget = max(1, int(done * min(min(CHUNK_S, left) / max(took, 1e-6), 8.0)))
            if report.round_over:
                run.samples.add(problem, report)
            if report.round_over or may_hit(report) or verify_s <= VERIFY_SHARE * run.elapsed:
                adopt(report, run.elapsed)
            if callback is not None and callback(
                Progress(
                    elapsed=run.elapsed,
                    objective=run.objective,
                    best_known=best_known,
                    spins=run.spins,
                    temperature=report.temperature,
                    spin_tests=report.events.spin_tests,
                    fraction=_fraction(report.fraction, run.elapsed, time_limit),
                )
            ):
                status = Status.STOPPED
            if checkpoint is not None and (t := clock()) > next_save:
                save(checkpoint)
                # A large state takes a while to write: a twentieth of the time at most.
                next_save = clock() + max(CHECKPOINT_S, 20 * (clock() - t))

    adopt(report, run.elapsed)
    if checkpoint is not None:
        save(checkpoint)
    if not report.round_over:
        run.samples.add(problem, report)
    states, objectives, multiplicity = run.samples.table(sense)
    return Result(
        problem=problem,
        solver=solver.name,
        settings=solver.settings(),
        seed=seed,
        backend="cpu",
        status=status,
        objective=run.objective,
        spins=run.spins,
        states=states,
        objectives=objectives,
        multiplicity=multiplicity,
        best_known=best_known,
        time=Times(load_s=load_s, compile_s=compile_s, prepare_s=prepare_s, solve_s=run.elapsed, to_best_s=run.to_best),
        num_sweeps=report.sweeps,
        num_reads=run.samples.reads,
        events=report.events,
        trace=tuple(run.trace),
        versions=versions,
    )


def _fraction(budget: float | None, elapsed: float, time_limit: float | None) -> float | None:
    used = [x for x in (budget, None if time_limit is None else elapsed / time_limit) if x is not None]
    return min(1.0, max(used)) if used else None


def _start(problem: Problem, report: Report, elapsed: float) -> _Run:
    r = int(np.argmax(report.values))
    spins = report.spins(r)
    objective = problem.objective(spins)
    return _Run(
        objective=objective,
        spins=spins,
        claimed=float(report.values[r]),
        settled=float(report.values[r]),
        elapsed=elapsed,
        to_best=elapsed,
        trace=[(elapsed, objective)],
        samples=Samples(n=problem.n),
    )


def _resumed(problem: Problem, resume: Checkpoint, more: float) -> _Run:
    spins = resume.spins
    return _Run(
        objective=problem.objective(spins),
        spins=spins,
        claimed=resume.claimed,
        settled=resume.settled,
        elapsed=resume.elapsed + more,
        to_best=resume.to_best,
        trace=[(t, v) for t, v in resume.trace],
        samples=Samples.from_arrays(problem.n, resume.samples),
    )


def check_memory(needed: int, limit: int | None) -> None:
    """Refuse a plan that would not fit.

    Raises
    ------
    InputError
        Where `needed` bytes exceed `limit`, or 90 % of the memory that is free.
    """
    allowed = limit if limit is not None else int(0.9 * available_memory())
    if needed > allowed:
        raise InputError(
            f"this solve needs about {needed / 2**30:.2f} GiB, and {allowed / 2**30:.2f} GiB are allowed: "
            "fewer reads, or a higher --max-memory (max_memory)"
        )


def available_memory() -> float:
    """Bytes of memory free for use, infinity where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return math.inf
