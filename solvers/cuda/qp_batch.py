"""Many programs of one shape on a GPU: the steps of all side by side (`hpr.Programs`); those that are solved drop out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...energy.events import Events
from ...problems.quadratic.program import QP
from ..qp.certificate import dual_certificate, primal_certificate
from ..qp.drive import PATIENCE, PROGRESS
from ..qp.form import Form, PrimalDual
from ..qp.halpern import events_of, first_sigma
from ..qp.method import Point, Tolerance
from ..qp.norms import norm_bounds
from ..qp.scaling import Scaling
from .device import Device
from .hpr import Programs, Shape, Vector, bytes_needed
from .qp import estimates

# Programs side by side: what a grid can have, and a share of the free memory.
MOST, SHARE = 2**15, 0.8
# With a finish to come, the GPU makes so many steps: a finish costs the host as much as some thousand steps of all.
STEPS_BEFORE_FINISH = 10_000
# Rays are looked at after so many steps, and when so many times more have been made.
RAYS_FIRST, RAYS_AGAIN = 1000, 1.5
# An estimate's relative part may be twice too generous.
MARGIN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What the GPU leaves of a program: its point, and perhaps a ray; `finished`: no more steps would help."""

    point: Point
    iterations: int
    events: Events
    finished: bool
    primal_ray: Point | None = None
    dual_ray: Vector | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """When to stop beside success: seconds left, steps, and whether somebody asked."""

    seconds_left: Callable[[], float]
    max_iter: int | None
    stop: Callable[[], bool]


def solve_together(
    devices: Sequence[Device], problems: Sequence[QP], tolerance: Tolerance, check: int, ends: Ends
) -> list[Ended]:
    """Run all, a share on each GPU."""
    if len(devices) == 1:
        return _on_one(devices[0], problems, tolerance, check, ends)
    share = -(-len(problems) // len(devices))
    parts = [problems[k : k + share] for k in range(0, len(problems), share)]
    with ThreadPoolExecutor(len(parts)) as pool:
        found = pool.map(lambda device, part: _on_one(device, part, tolerance, check, ends), devices, parts)
        return [ended for part in found for ended in part]


def _on_one(device: Device, problems: Sequence[QP], tolerance: Tolerance, check: int, ends: Ends) -> list[Ended]:
    """As many at once as fit."""
    p = problems[0]
    own = not _shared(problems)
    one = bytes_needed(p.n, p.rows, p.P.nnz, p.A.nnz + p.G.nnz, own=own)
    size = int(min(max(SHARE * device.free_bytes() / one, 1), MOST))
    found: list[Ended] = []
    for k in range(0, len(problems), size):
        found += _run(device, problems[k : k + size], tolerance, check, ends)
    return found


def _run(device: Device, problems: Sequence[QP], tolerance: Tolerance, check: int, ends: Ends) -> list[Ended]:
    shape = stack(problems)
    programs = Programs(device, shape, check)
    count = len(problems)
    steps, finished, rays = np.zeros(count, np.int64), np.zeros(count, bool), dict[int, Any]()
    best, since = np.full(count, np.inf), np.zeros(count, np.int64)
    alive, done, look = np.arange(count), 0, float(RAYS_FIRST)
    allowed = 1.0 if tolerance.eps_rel == 0 else MARGIN
    while alive.size:
        programs.advance()
        done += check
        steps[alive] = done
        excess = excesses(programs, tolerance)
        better = excess < PROGRESS * best
        best[better], since[better] = excess[better], done
        over = ~np.isfinite(excess) | (done > 2 * since + PATIENCE)
        finished[alive] = (over & ~(excess <= allowed))[alive]
        going = ~over & (excess > allowed)
        if done >= look:
            look = RAYS_AGAIN * done
            for k in alive[going[alive]]:
                ray = _rays(problems[k], shape, programs, int(k))
                if ray is not None:
                    rays[int(k)], going[k] = ray, False
        ended = (tolerance.polish and done >= STEPS_BEFORE_FINISH) or (
            ends.max_iter is not None and done >= ends.max_iter
        )
        if ended or ends.stop() or ends.seconds_left() <= 0:
            break
        if not going[alive].all():
            alive = alive[going[alive]]
            if alive.size:
                programs.choose(alive)
    P, A = shape.P.nnz, shape.A.nnz
    x, y, z = programs.points()
    return [
        Ended(
            point=_caller(p, _unscaled(shape, k, PrimalDual(x[k], y[k], z[k]))),
            iterations=int(steps[k]),
            events=events_of(programs.n, programs.m, P, A, programs.kind, int(steps[k]), reads=2),
            finished=bool(finished[k]) and not tolerance.polish,
            primal_ray=rays.get(k, (None, None))[0],
            dual_ray=rays.get(k, (None, None))[1],
        )
        for k, p in enumerate(problems)
    ]


def excesses(programs: Programs, tolerance: Tolerance) -> Vector:
    """`Residuals.excess` of each program, by the estimates."""
    *values, a, b, c = estimates(programs)
    over = []
    for value, scale in zip(values, (a, b, c), strict=True):
        allowed = tolerance.eps_abs + tolerance.eps_rel * scale
        with np.errstate(divide="ignore", invalid="ignore"):
            over.append(np.where(value == 0, 0.0, value / allowed))
    found = np.max(over, axis=0)
    return np.where(np.isnan(found), np.inf, found)


def stack(problems: Sequence[QP]) -> Shape:
    """Scaled and stacked. Where all share their matrices, so do they scaling and norms, which are found well; else norms are bounded without iterations."""
    first = Form.of(problems[0])
    c, l, u = (np.array([getattr(p, name) for p in problems]) for name in ("q", "lb", "ub"))
    sides = [np.concatenate([p.b, p.h]) for p in problems]
    AU = np.array(sides)
    AL = AU.copy()
    AL[:, problems[0].b.size :] = -np.inf
    if _shared(problems):
        scaling = Scaling.of(first)
        form = scaling.apply(first)
        norms = [norm_bounds(form)]
        P, A, P_values, A_values = form.P, form.A, form.P.data[None], form.A.data[None]
        D, E = scaling.D[None], scaling.E[None]
    else:
        forms = [Form.of(p) for p in problems]
        scalings = [Scaling.of(f) for f in forms]
        forms = [s.apply(f) for s, f in zip(scalings, forms, strict=True)]
        norms = [norm_bounds(f, quickly=True) for f in forms]
        (P, P_values), (A, A_values) = union([f.P for f in forms]), union([f.A for f in forms])
        D, E = np.array([s.D for s in scalings]), np.array([s.E for s in scalings])
    lam_A, lam_P = np.array([v.lam_A for v in norms]), np.array([v.lam_P for v in norms])
    count, n, m = len(problems), first.n, first.m
    c, l, u, AL, AU = D * c, l / D, u / D, E * AL, E * AU
    sigma = [first_sigma(c[k], AL[k], AU[k], 1.0, None) for k in range(count)]
    return Shape(
        P=P, A=A, P_values=P_values, A_values=A_values, c=c, AL=AL, AU=AU, l=l, u=u, D=D, E=E,
        lam_A=lam_A, lam_P=lam_P, sigma=np.array(sigma), x=np.zeros((count, n)), y=np.zeros((count, m)),
    )  # fmt: skip


def union(matrices: Sequence[Any]) -> tuple[Any, Vector]:
    """A pattern that holds those of all, and the values of each in it: (B, nnz)."""
    first = matrices[0]
    if all(_same(M.indptr, first.indptr) and _same(M.indices, first.indices) for M in matrices):
        return first, np.array([M.data for M in matrices])
    places = [_places(M) for M in matrices]
    every = np.unique(np.concatenate(places))
    values = np.zeros((len(matrices), every.size))
    for row, where, M in zip(values, places, matrices, strict=True):
        row[np.searchsorted(every, where)] = M.data
    rows, columns = np.divmod(every, first.shape[1])
    start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=first.shape[0]))])
    pattern = sp.csr_array((np.ones(every.size), columns.astype(np.int32), start.astype(np.int32)), shape=first.shape)
    return pattern, values


def _places(M: Any) -> NDArray[np.int64]:
    rows = np.repeat(np.arange(M.shape[0], dtype=np.int64), np.diff(M.indptr))
    return np.asarray(rows * M.shape[1] + M.indices)


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a is b or np.array_equal(a, b)


def _shared(problems: Sequence[QP]) -> bool:
    first = problems[0]
    return all(p.P is first.P and p.A is first.A and p.G is first.G for p in problems)


def _unscaled(shape: Shape, k: int, point: PrimalDual) -> PrimalDual:
    row = k if shape.D.shape[0] > 1 else 0
    return Scaling(shape.D[row], shape.E[row]).unscale(point)


def _caller(problem: QP, point: PrimalDual) -> Point:
    """In the caller's signs; as `System.caller`."""
    k = problem.b.size
    return Point(x=point.x, y=-point.y[:k], z=-point.y[k:], z_box=-point.z)


def _rays(problem: QP, shape: Shape, programs: Programs, k: int) -> tuple[Point, Vector] | None:
    """The candidates for certificates, if one of them is one."""
    d = _caller(problem, _unscaled(shape, k, programs.difference(k)))
    if primal_certificate(problem, d) is None and dual_certificate(problem, d.x) is None:
        return None
    return d, d.x
