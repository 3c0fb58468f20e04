"""The driver of quadratic programs: it owns the loop, the limits, progress and counts, and judges every point on the caller's data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numba.core.event import install_timer

from ...energy.events import Events
from ...energy.ledger import Technology, account
from ...energy.meter import machine_meter
from ...interrupt import Interrupt
from ...problems.quadratic.program import QP
from ...qpresult import QPEnergy, QPProgress, QPResult, QPStatus, QPTimes, Residuals
from .certificate import dual_certificate, primal_certificate
from .method import Method, Point, Start, Step, Tolerance

# Largest multiple of the tolerance that "solved_lower_accuracy" stands for.
LOWER = 1000.0
# A run without limits ends when this many iterations, and as many again as had been made, brought no progress.
PATIENCE = 20_000
PROGRESS = 0.99


@dataclass(slots=True)
class Best:
    """The best point so far: all of it, since the run goes on with its arrays."""

    point: Point
    residuals: Residuals
    excess: float
    polished: bool
    gap: float | None


def drive(
    problem: QP,
    method: Method,
    *,
    tolerance: Tolerance,
    seed: int,
    time_limit: float | None,
    max_iter: int | None,
    start: Start | None,
    callback: Callable[[QPProgress], Any] | None,
    threads: int,
    technology: Technology,
    load_s: float | None,
    versions: Mapping[str, str],
    convex: bool | None,
    checked_s: float = 0.0,
    compiled_s: float = 0.0,
    ran_s: float = 0.0,
    system: Any = None,
    weights: str | Mapping[str, Any] = "ideal",
    backend: str = "cpu",
) -> QPResult:
    """Run a method until its point is within the tolerance, a certificate is found, or a limit is met.

    Parameters
    ----------
    checked_s, compiled_s
        Seconds already spent on the problem, and on compiling before that.
    ran_s
        What of `checked_s` was solving.
    system
        What `Method.prepare` gave before, for this very problem; None: prepare.
    """
    clock = time.perf_counter
    began = clock() - checked_s
    compiling: Any
    by_numba: Any
    with install_timer("numba:compiler_lock", lambda _: None) as compiling:
        if system is None:
            system = method.prepare(problem, tolerance, threads)
        warming = clock()
        with install_timer("numba:compiler_lock", lambda _: None) as by_numba:
            method.warm_up(system)
        # A GPU's kernels are compiled, or loaded, as they are first used.
        loading_s = clock() - warming - (by_numba.duration if by_numba.done else 0.0) if backend == "cuda" else 0.0
        state = method.init(system, seed=seed, start=start)
    compile_s = loading_s + (compiling.duration if compiling.done else 0.0)
    origin = began + compile_s
    build_s = clock() - origin - ran_s
    meter = machine_meter()
    status: QPStatus | None = None
    ray: Mapping[str, Any] | None = None
    trace: list[tuple[float, float]] = []
    best: Best | None = None
    seen: tuple[Any, Any] = (None, None)
    progress = (math.inf, 0)
    with meter.window() as drawn, Interrupt().watching() as interrupt:
        step = method.report(system, state)
        while True:
            elapsed = clock() - origin
            best = _better(problem, tolerance, best, step)
            if len(trace) == 0 or best.residuals.worst < trace[-1][1]:
                trace.append((elapsed, best.residuals.worst))
            if best.excess <= 1.0 and (step.finished or not step.searching):
                status = QPStatus.SOLVED
            else:
                if (step.primal_ray, step.dual_ray) != (None, None) and (
                    step.primal_ray is not seen[0] or step.dual_ray is not seen[1]
                ):
                    seen = step.primal_ray, step.dual_ray
                    status, ray = _infeasible(problem, step)
                if status is None:
                    if best.excess < PROGRESS * progress[0]:
                        progress = best.excess, step.iterations
                    unlimited = method.open_ended and time_limit is None and max_iter is None
                    if step.finished or (unlimited and step.iterations > 2 * progress[1] + PATIENCE):
                        ended = QPStatus.FAILED if method.open_ended else QPStatus.ITERATION_LIMIT
                        status = QPStatus.SOLVED_LOWER_ACCURACY if best.excess <= LOWER else ended
                    elif time_limit is not None and elapsed >= time_limit:
                        status = QPStatus.TIME_LIMIT
                    elif max_iter is not None and step.iterations >= max_iter:
                        status = QPStatus.ITERATION_LIMIT
                    elif interrupt.seen:
                        status = QPStatus.INTERRUPTED
                    if status is not None and step.newer is not None:
                        step = step.newer()
                        best = _better(problem, tolerance, best, step)
                        status = QPStatus.SOLVED if best.excess <= 1.0 else status
            if callback is not None and callback(
                QPProgress(
                    elapsed=elapsed,
                    iterations=step.iterations,
                    phase=step.phase,
                    objective=problem.objective(best.point.x),
                    residuals=best.residuals,
                )
            ):
                status = status or QPStatus.INTERRUPTED
            if status is not None:
                break
            method.advance(system, state, math.inf if time_limit is None else max(time_limit - (clock() - origin), 0.0))
            step = method.report(system, state)
    solve_s = clock() - origin - build_s
    b = best.point
    residuals = problem.residuals(b.x, b.y, b.z, b.z_box)
    if status is QPStatus.SOLVED and residuals.excess(tolerance.eps_abs, tolerance.eps_rel) > 1.0:
        status = QPStatus.FAILED
    events: Events = step.events
    return QPResult(
        problem=problem,
        solver=method.name,
        settings=method.settings(),
        seed=seed,
        backend=backend,
        status=status,
        x=b.x,
        y=b.y,
        z=b.z,
        z_box=b.z_box,
        objective=problem.objective(b.x),
        residuals=residuals,
        ray=ray,
        iterations=step.iterations,
        factorisations=step.factorisations,
        polished=best.polished,
        convex=convex,
        gap=best.gap,
        weights=weights if step.details is None or weights == "ideal" else {**step.details},
        time=QPTimes(load_s=load_s, compile_s=compiled_s + compile_s, build_s=build_s, solve_s=solve_s),
        energy=QPEnergy(
            account=account(events, technology, real_numbers=True), measured=meter.result(drawn), events=events
        ),
        trace=tuple(trace),
        details={} if step.details is None else dict(step.details),
        versions=versions,
    )


def _better(problem: QP, tolerance: Tolerance, best: Best | None, step: Step) -> Best:
    """The better of two points, by the worst residual beside its tolerance; of a search among local optima, which knows its own best, the newest."""
    q = step.point
    if best is not None and q is best.point:
        best.gap = step.gap
        return best
    residuals = problem.residuals(q.x, q.y, q.z, q.z_box) if step.residuals is None else step.residuals
    excess = residuals.excess(tolerance.eps_abs, tolerance.eps_rel)
    if best is not None and not step.searching and not excess < best.excess:
        return best
    return Best(q, residuals, excess, step.polished, step.gap)


def _infeasible(problem: QP, step: Step) -> tuple[QPStatus | None, Mapping[str, Any] | None]:
    if step.primal_ray is not None:
        proof = primal_certificate(problem, step.primal_ray)
        if proof is not None:
            return QPStatus.PRIMAL_INFEASIBLE, {"y": proof.y, "z": proof.z, "z_box": proof.z_box}
    if step.dual_ray is not None:
        direction = dual_certificate(problem, step.dual_ray)
        if direction is not None:
            return QPStatus.DUAL_INFEASIBLE, {"x": direction}
    return None, None
