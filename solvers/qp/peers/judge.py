"""A peer's run, and our judgement of it: its point and multipliers on the caller's data, whatever it says of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ....energy.events import Events
from ....energy.ledger import Technology, not_counted
from ....energy.meter import machine_meter
from ....errors import InputError
from ....interrupt import Interrupt
from ....problems.quadratic.program import QP
from ....qpresult import QPEnergy, QPProgress, QPResult, QPStatus, QPTimes
from ..certificate import dual_certificate, primal_certificate
from ..drive import LOWER
from ..method import Point
from .peer import Answer, Ended, Peer, Task, Vector

ENDS: dict[Ended, QPStatus] = {
    "time": QPStatus.TIME_LIMIT,
    "iterations": QPStatus.ITERATION_LIMIT,
    "interrupted": QPStatus.INTERRUPTED,
}

_warm: set[tuple[type[Peer], str]] = set()


def run(
    problem: QP,
    peer: Peer,
    *,
    task: Task,
    x0: Vector | None,
    callback: Callable[[QPProgress], Any] | None,
    technology: Technology,
    load_s: float | None,
    versions: Mapping[str, str],
    convex: bool | None,
) -> QPResult:
    """Run a peer and judge its answer.

    The status is "solved" only if every residual, recomputed, is within the tolerance, and "solved_lower_accuracy" within 1000 times; "primal_infeasible" and "dual_infeasible" only
    with a ray that proves it. Else it is what ended the run, or "failed".

    Raises
    ------
    InputError
        If the peer is not installed, or takes no such options.
    """
    clock = time.perf_counter
    began = clock()
    peer.require()
    asked = peer.asked(task)
    _warm_up(problem if peer.compiles else None, peer, task)
    compile_s = clock() - began
    began = clock()
    model = _caught(lambda: peer.build(problem))
    meter = machine_meter()
    with meter.window() as drawn, Interrupt().watching() as interrupt:
        asking = clock()
        found = model
        if not isinstance(model, BaseException):
            found = _caught(lambda: peer.call(model, _left(task, asking - began), x0))
    answer = found if isinstance(found, Answer) else Answer(claim=_words(found), ended="otherwise")
    setup_s = asking - began + answer.setup_s
    took = clock() - began
    point = _point(problem, answer)
    residuals = problem.residuals(point.x, point.y, point.z, point.z_box)
    given = point.x is answer.x
    excess = residuals.excess(task.eps_abs, task.eps_rel) if given else math.inf
    status, ray = _status(problem, answer, excess)
    if status is QPStatus.FAILED:
        if interrupt.seen:
            status = QPStatus.INTERRUPTED
        elif answer.ended == "otherwise" and task.time_limit is not None and took >= task.time_limit:
            status = QPStatus.TIME_LIMIT
    with np.errstate(over="ignore", invalid="ignore"):
        objective = problem.objective(point.x)
    if callback is not None:
        callback(
            QPProgress(
                elapsed=took,
                iterations=answer.iterations or 0,
                phase=peer.name,
                objective=objective,
                residuals=residuals,
            )
        )
    return QPResult(
        problem=problem,
        solver=peer.name,
        settings=asked,
        seed=task.seed,
        backend=peer.backend,
        status=status,
        x=point.x,
        y=point.y,
        z=point.z,
        z_box=point.z_box,
        objective=objective,
        residuals=residuals,
        ray=ray,
        iterations=answer.iterations,
        factorisations=None,
        polished=None,
        convex=convex,
        gap=_gap(problem, objective, answer.bound) if given else None,
        weights="ideal",
        time=QPTimes(load_s=load_s, compile_s=compile_s, build_s=setup_s, solve_s=max(took - setup_s, 0.0)),
        energy=QPEnergy(account=not_counted(technology), measured=meter.result(drawn), events=Events()),
        trace=((took, residuals.worst),),
        details={"claim": answer.claim, "claims_solved": answer.ended == "solved", "gave_point": given},
        versions={**versions, **{k: v for k, v in peer.versions().items() if v is not None}},
    )


def _left(task: Task, spent: float) -> Task:
    """What is left of the time limit."""
    return task if task.time_limit is None else replace(task, time_limit=max(task.time_limit - spent, 1e-3))


def _caught(what: Callable[[], Any]) -> Any:
    """What it gives, or what it raises: that is a result too. Rust's panics are no Exceptions."""
    try:
        return what()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as e:  # noqa: BLE001
        return e


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]


def _point(problem: QP, answer: Answer) -> Point:
    """The peer's point, if it is one; else the one next to 0 within the bounds."""
    p = problem
    y, z, box = (
        v if v is not None and v.shape == (k,) and np.isfinite(v).all() else np.zeros(k)
        for v, k in ((answer.y, p.b.size), (answer.z, p.h.size), (answer.z_box, p.n))
    )
    x = answer.x
    if x is None or x.shape != (p.n,) or not np.isfinite(x).all():
        return Point(x=np.clip(np.zeros(p.n), p.lb, p.ub), y=0 * y, z=0 * z, z_box=0 * box)
    return Point(x=x, y=y, z=z, z_box=box)


def _status(problem: QP, answer: Answer, excess: float) -> tuple[QPStatus, Mapping[str, Any] | None]:
    if excess <= 1.0:
        return QPStatus.SOLVED, None
    for candidate in answer.rays:
        proof = primal_certificate(problem, candidate)
        if proof is not None:
            return QPStatus.PRIMAL_INFEASIBLE, {"y": proof.y, "z": proof.z, "z_box": proof.z_box}
    if answer.direction is not None and answer.direction.shape == (problem.n,):
        direction = dual_certificate(problem, answer.direction)
        if direction is not None:
            return QPStatus.DUAL_INFEASIBLE, {"x": direction}
    if excess <= LOWER:
        return QPStatus.SOLVED_LOWER_ACCURACY, None
    return ENDS.get(answer.ended, QPStatus.FAILED), None


def _gap(problem: QP, objective: float, bound: float | None) -> float | None:
    """Beside the peer's bound, which is of what is minimised."""
    return None if bound is None else max((-objective if problem.sense == "max" else objective) - bound, 0.0)


def _warm_up(problem: QP | None, peer: Peer, task: Task) -> None:
    """A first run, of a tiny program or of this one, so that nothing is imported or compiled on the clock; it shows too whether the caller's options are taken.

    Raises
    ------
    InputError
        If it fails, and does not without them.
    """
    tiny = problem or QP.of(np.eye(2), [1.0, -1.0], [[1.0, 1.0]], [1.0], [[1.0, -1.0]], [0.0], [-1.0, -1.0], [1.0, 1.0])

    def attempt(one: Peer) -> Any:
        return _caught(lambda: one.call(one.build(tiny), task, None))

    run = (type(peer), repr(peer.own))
    if problem is None and run in _warm:
        return
    found = attempt(peer)
    if isinstance(found, BaseException) and peer.own and isinstance(attempt(type(peer)()), Answer):
        raise InputError(f"{peer.name} does not take {', '.join(peer.own)}: {_words(found)}")
    _warm.add(run)
