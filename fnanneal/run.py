"""The driver: it owns the loop, limits, progress, checkpoints and event counts, and trusts no solver's sums.

It sees problems and solvers only through `protocols`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.event import install_timer

from .checkpoint import Checkpoint
from .energy.bounds import bounds
from .energy.events import Events
from .energy.ledger import Technology, account
from .energy.ledger import technology as find_technology
from .energy.meter import machine_meter
from .errors import InputError
from .interrupt import Interrupt
from .protocols import Problem, Progress, Report, Solver
from .result import Energy, Number, Result, Sense, Spins, Status, Times
from .samples import Samples

CHUNK_S = 0.03
CHECKPOINT_S = 1.0
VERIFY_SHARE = 0.03
NEARLY = 1e-6


@dataclass(slots=True)
class _Run:
    """The driver's own part of a checkpoint."""

    objective: Number
    spins: Spins
    claimed: float
    settled: float
    elapsed: float
    to_best: float
    events_to_best: Events
    trace: list[tuple[float, Number]]
    samples: Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Analog:
    """Analog weights of a solve.

    Attributes
    ----------
    problem
        As the solver sees it at first.
    pulses
        That programmed it.
    about
        What the result says of it.
    drifted, interval
        The problem as it is after so many sweeps, and how many there are between two looks; None where it stays as it is.
    """

    problem: Any
    pulses: int
    about: Mapping[str, Any]
    drifted: Callable[[float], Any] | None = None
    interval: int = 1


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
    backend: str = "cpu",
    compiled: Callable[[], float] = lambda: 0.0,
    analog: Analog | None = None,
    technology: Technology | None = None,
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
    backend
        Where the solver runs, for the result.
    compiled
        Seconds that anything but Numba has spent on compiling so far, for which the clock stands still.
    analog
        The weights that the solver works on, where they are not the problem's own. What it finds is judged by the problem itself.
    technology
        Prices the events; the default one if None.
    """

    def clock() -> float:
        return time.perf_counter() - compiled()

    before_all = compiled()
    started = clock()
    compiling: Any
    with install_timer("numba:compiler_lock", lambda _: None) as compiling:
        system = solver.prepare(problem if analog is None else analog.problem)
        solver.warm_up(system)
        first_threads = threads if resume is None else resume.threads
        state = solver.init(system, seed, open_ended=open_ended, threads=first_threads, initial=initial)
    if resume is not None:
        resume.check(_on_host(solver, state))
        state = solver.load_state(resume.state)
    compile_s = compiling.duration if compiling.done else 0.0
    prepare_s = clock() - started - compile_s
    pulses = Events(weight_pulses=0 if analog is None else analog.pulses)
    sense = problem.sense
    best_known = problem.best_known

    meter = machine_meter()
    with ThreadPoolExecutor(threads) as pool, meter.window() as drawn, Interrupt().watching() as interrupt:

        def parallel(function: Callable[[int], None], count: int) -> None:
            if threads == 1 or count == 1:
                for k in range(count):
                    function(k)
            else:
                list(pool.map(function, range(count)))

        report = solver.report(system, state)
        run = _start(problem, report, prepare_s) if resume is None else _resumed(problem, resume, prepare_s)
        origin = clock() - run.elapsed
        if time_limit is not None and hasattr(solver, "limited"):
            solver.limited(lambda: time_limit - (clock() - origin))
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
            take(objective, spins, at, report.events)
            if settling and objective == run.objective:
                run.spins = spins

        def take(objective: Number, spins: Spins, at: float, events: Events) -> None:
            if better(sense, objective, run.objective):
                run.objective, run.spins, run.to_best, run.events_to_best = objective, spins, at, events
                run.trace.append((at, objective))

        def judge(report: Report, at: float) -> None:
            # By analog weights the best read need not be the best: all that a solver has to show is judged by the problem itself.
            nonlocal verify_s
            t = clock()
            best = _best_shown(problem, report)
            verify_s += clock() - t
            take(*best, at, report.events)

        def may_hit(report: Report) -> bool:
            """Whether the best could meet the target, if values and objectives lie on the line through the first and the last that were verified."""
            if target is None or len(verified) < 2:
                return target is not None
            (v0, o0), (v1, o1) = verified
            expected = o1 + (float(np.max(report.values)) - v1) * (o1 - o0) / (v1 - v0)
            return not better(sense, target, expected + (NEARLY if sense == "max" else -NEARLY) * max(abs(expected), 1))

        def save(path: Path) -> None:
            held = _on_host(solver, state)
            Checkpoint(
                problem=problem.sha256(),
                solver=solver.name,
                settings=solver.settings(),
                weights="ideal" if analog is None else analog.about["settings"],
                seed=seed,
                open_ended=open_ended,
                threads=first_threads,
                state={f.name: getattr(held, f.name) for f in fields(held)},
                spins=run.spins,
                claimed=run.claimed,
                settled=run.settled,
                elapsed=run.elapsed,
                to_best=run.to_best,
                events_to_best=asdict(run.events_to_best),
                trace=run.trace,
                samples=run.samples.arrays(),
            ).write(path)

        def hit() -> bool:
            return target is not None and not better(sense, target, run.objective)

        # Where weights drift: the sweeps after which they are read again.
        until = math.inf
        if analog is not None and analog.drifted is not None:
            looks = max(math.ceil(report.sweeps / analog.interval) - 1, 0)
            until = float((looks + 1) * analog.interval)
            now = analog.drifted(looks * analog.interval) if looks else analog.problem
            system = _reread(solver, solver.prepare(now) if looks else system, state, now, int(until))
        budget, next_save, status = problem.n, clock() + CHECKPOINT_S, None
        if checkpoint is not None and resume is None:
            save(checkpoint)
        while status is None:
            # Checked first: a target met by the first states, or a resumed run that had ended, does no work.
            if hit():
                status = Status.TARGET
            elif report.finished:
                status = Status.OPTIMAL if report.proved and analog is None else Status.COMPLETED
            elif time_limit is not None and run.elapsed >= time_limit and (resume is not None or report.sweeps > 0):
                status = Status.TIME_LIMIT
            elif interrupt.seen:
                status = Status.INTERRUPTED
            if status is not None:
                break
            if analog is not None and analog.drifted is not None and report.sweeps >= until:
                judge(report, run.elapsed)
                drifted = analog.drifted(until)
                until += analog.interval
                system = _reread(solver, system, state, drifted, int(until))
                report = solver.report(system, state)
            t = clock()
            if until < math.inf:
                budget = max(1, min(budget, round((until - report.sweeps) * problem.n)))
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
            at_leisure = verify_s <= VERIFY_SHARE * run.elapsed
            if analog is None:
                if report.round_over or may_hit(report) or at_leisure:
                    adopt(report, run.elapsed)
            # Within a round, what is best by the true problem depends on how rounds are cut into chunks: not for a run that a budget alone ends.
            elif report.round_over or (at_leisure and (open_ended or target is not None)):
                judge(report, run.elapsed)
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

    (adopt if analog is None else judge)(report, run.elapsed)
    if checkpoint is not None:
        save(checkpoint)
    if not report.round_over:
        run.samples.add(problem, report)
    events = report.events + pulses
    real_numbers = not problem.integral if report.real_numbers is None else report.real_numbers
    states, objectives, multiplicity = run.samples.table(sense)
    return Result(
        problem=problem,
        solver=solver.name,
        settings=solver.settings(),
        seed=seed,
        backend=backend,
        status=status,
        objective=run.objective,
        spins=run.spins,
        states=states,
        objectives=objectives,
        multiplicity=multiplicity,
        best_known=best_known,
        time=Times(
            load_s=load_s,
            compile_s=compile_s + compiled() - before_all,
            prepare_s=prepare_s,
            solve_s=run.elapsed,
            to_best_s=run.to_best,
        ),
        num_sweeps=report.sweeps,
        num_reads=run.samples.reads,
        weights="ideal" if analog is None else analog.about,
        energy=Energy(
            account=account(events, find_technology(technology), real_numbers=real_numbers),
            bounds=bounds(events.spikes, problem.n, max(run.elapsed, 1e-9), time_constants=report.time_constants),
            measured=meter.result(drawn),
            events=events,
            events_to_best=run.events_to_best + pulses,
            real_numbers=real_numbers,
        ),
        trace=tuple(run.trace),
        versions=versions,
    )


def _on_host(solver: Any, state: Any) -> Any:
    """The state as the solver's CPU form has it, which is what checkpoints hold."""
    return solver.on_host(state) if hasattr(solver, "on_host") else state


def _best_shown(problem: Problem, report: Report) -> tuple[Number, Spins]:
    """The best of all reads and candidates, by the problem itself."""
    states = [report.spins(r) for r in range(report.values.size)]
    if report.candidates is not None:
        states.extend(report.candidates())
    objectives = [problem.objective(spins) for spins in states]
    best = objectives.index(max(objectives) if problem.sense == "max" else min(objectives))
    return objectives[best], states[best]


def _reread(solver: Any, system: Any, state: Any, problem: Any, until: int) -> Any:
    if not hasattr(solver, "reread"):
        raise InputError(f"{solver.name} cannot follow weights that drift: sweep_seconds must be 0")
    return solver.reread(system, state, problem, until)


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
        events_to_best=report.events,
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
        events_to_best=Events(**resume.events_to_best),
        trace=[(t, v) for t, v in resume.trace],
        samples=Samples.from_arrays(problem.n, resume.samples),
    )
