"""Around a splitting method: presolve, scaling, the finish (`finish`), rays of infeasibility, and the way back to the caller's terms."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...energy.events import Events
from ...problems.quadratic.program import QP
from ...qpresult import Residuals
from .finish import POLISH_FROM, Finish
from .form import Form, PrimalDual
from .gap import close_gap
from .method import Point, Start, Step, Tolerance
from .postsolve import Presolved, untouched
from .presolve import presolve
from .scaling import Scaling

Vector = NDArray[np.float64]

# Beyond so many entries nothing is factorised: the system alone would take several times the memory of the program.
MOST_STORED = 4_000_000
# Rays of the splitting are looked at when it has made this many times more steps.
RAYS_AGAIN = 1.1
# A point on a device may be a solution where its gap is up to so many times the tolerance.
CLOSABLE = 100.0
# It is looked at, too, where it is by so much better than those that were.
BETTER = 0.5


class Splitting(Protocol):
    """A first-order method on a scaled form."""

    @property
    def iterations(self) -> int: ...
    def advance(self) -> PrimalDual | Residuals:
        """To the next check: its point; or, where that lies on a device, about what its residuals are."""

    def point(self) -> PrimalDual: ...
    def difference(self) -> PrimalDual: ...
    def events(self) -> Events: ...


@dataclass(slots=True, eq=False)
class System:
    """A program in the splitting's own form.

    ``scaling``, ``scaled`` and ``norms`` are None where presolve leaves nothing to solve.
    """

    problem: QP
    tolerance: Tolerance
    presolved: Presolved
    scaling: Scaling | None
    scaled: Form | None
    norms: Any

    @classmethod
    def build(cls, problem: QP, tolerance: Tolerance, *, presolving: bool, norms: Callable[[Form], Any]) -> System:
        """Presolve, scale, estimate norms."""
        form = Form.of(problem)
        reduced = presolve(form) if presolving else untouched(form)
        if reduced.form is None or reduced.ray is not None:
            return cls(problem, tolerance, reduced, None, None, None)
        scaling = Scaling.of(reduced.form)
        # A large program that presolve left alone needs its unscaled rows no more; where they are a copy made here, the scaled ones take their place.
        large = form.P.nnz + form.A.nnz > MOST_STORED
        own = reduced.form.A is form.A and not reduced.steps and problem.A.shape[0] > 0 and problem.G.shape[0] > 0
        scaled = scaling.apply(reduced.form, in_place=large and own)
        return cls(problem, tolerance, reduced, scaling, scaled, norms(scaled))

    def renew(self, problem: QP) -> System:
        """The same scaling and norms for a problem of the same pattern; only without presolve."""
        form = Form.of(problem)
        assert self.scaling is not None
        return replace(self, problem=problem, presolved=untouched(form), scaled=self.scaling.apply(form))

    def caller(self, point: PrimalDual) -> Point:
        """A point of the whole form, in the caller's signs."""
        k = self.problem.b.size
        return Point(x=point.x, y=-point.y[:k], z=-point.y[k:], z_box=-point.z)

    def back(self, point: PrimalDual) -> Point:
        """A point of what presolve left, in the caller's terms."""
        return self.caller(self.presolved.back(point))

    def inside(self, start: Start) -> PrimalDual:
        """A caller's point, for what presolve left."""
        p = self.problem
        x = np.clip(np.zeros(p.n) if start.x is None else start.x, p.lb, p.ub)
        y = np.concatenate([np.zeros(k) if v is None else v for v, k in ((start.y, p.b.size), (start.z, p.h.size))])
        box = np.zeros(p.n) if start.z_box is None else start.z_box
        return self.presolved.forth(PrimalDual(x, -y, -box))


class Run:
    """One solve.

    Time is shared by rule: the splitting runs, and the finish says when it is due (`Finish.due`).
    """

    def __init__(
        self, system: System, make: Callable[[Form, Any, PrimalDual | None], Splitting], start: Start | None
    ) -> None:
        self.system = system
        self.splitting: Splitting | None = None
        self.finish: Finish | None = None
        self.phase, self.polished, self.finished = "presolve", False, False
        # Whether a later point than `point` lies on a device; how far the best one that was looked at is from the tolerance.
        self.behind, self.least = False, np.inf
        self.primal_ray: Point | None = None
        self.dual_ray: Vector | None = None
        self.splitting_s = self.next_rays = 0.0
        s, p = system, system.problem
        if s.scaled is None or s.scaling is None:
            self.finished = True
            if s.presolved.ray is None:
                nothing = np.zeros(0)
                self._take(PrimalDual(nothing, nothing, nothing), "presolve", False)
            else:
                y, z = s.presolved.ray
                self.primal_ray = s.caller(PrimalDual(np.zeros(p.n), y, z))
                self.point = Point(
                    x=np.clip(np.zeros(p.n), p.lb, p.ub),
                    y=np.zeros(p.b.size),
                    z=np.zeros(p.h.size),
                    z_box=np.zeros(p.n),
                )
                self.residuals = self._judge()
            return
        assert s.presolved.form is not None
        first = None if start is None else s.inside(start)
        self.splitting = make(s.scaled, s.norms, None if first is None else s.scaling.scale(first))
        n, m = s.scaled.n, s.scaled.m
        self._take(
            PrimalDual(np.clip(np.zeros(n), s.presolved.form.l, s.presolved.form.u), np.zeros(m), np.zeros(n))
            if first is None
            else first,
            "start",
            False,
        )
        if s.tolerance.polish and s.scaled.P.nnz + s.scaled.A.nnz <= MOST_STORED:
            self.finish = Finish(s.presolved.form, warm=first is not None)
            if first is not None:
                self.finish.saw(first, relative(self.residuals))

    def _judge(self) -> Residuals:
        q = self.point
        return self.system.problem.residuals(q.x, q.y, q.z, q.z_box)

    def _take(self, point: PrimalDual, phase: str, polished: bool) -> None:
        self.at = point
        self.point = self.system.back(point)
        allowed = self.system.tolerance.eps_abs
        self.point, self.residuals = close_gap(self.system.problem, self.point, self._judge(), allowed)
        self.phase, self.polished = phase, polished

    def advance(self, seconds_left: float) -> None:
        """One check's worth of steps of the splitting, or one factorisation's worth of the finish."""
        if self.finished or self.splitting is None:
            return
        work = (
            None if self.finish is None else self.finish.due(self.splitting.iterations, self.splitting_s, seconds_left)
        )
        if work is not None and self.finish is not None:
            began = time.perf_counter()
            found = work()
            if found is not None:
                self._take(found, self.finish.phase, True)
                self.finish.judged(relative(self.residuals))
            self._rays(self.finish.ray())
            self.finish.seconds += time.perf_counter() - began
            return
        began = time.perf_counter()
        there = self.splitting.advance()
        if isinstance(there, PrimalDual):
            self._look(self.splitting, there)
        elif self._worth(self.splitting, there):
            self._look(self.splitting, self.splitting.point())
        else:
            self.behind = True
        self.splitting_s += time.perf_counter() - began
        if not np.isfinite(self.residuals.worst):
            self.finished = self.finish is None or self.finish.over

    def _worth(self, splitting: Splitting, r: Residuals) -> bool:
        """Whether to fetch a point from a device: where it may be a solution, is much better than those before, the finish would begin with it, or rays are due."""
        t, steps, f = self.system.tolerance, splitting.iterations, self.finish
        # A gap that is alone in being too large may be closed by one multiplier (`close_gap`).
        good = replace(r, gap=r.gap / CLOSABLE).excess(t.eps_abs, t.eps_rel) <= 1.0 or not np.isfinite(r.worst)
        better = r.excess(t.eps_abs, t.eps_rel) <= BETTER * self.least
        return (
            good
            or better
            or steps >= self.next_rays
            or (f is not None and steps >= f.next_polish and relative(r) <= POLISH_FROM)
        )

    def _look(self, splitting: Splitting, point: PrimalDual) -> None:
        """Judge the splitting's point, and take what rays there are."""
        scaling = self.system.scaling
        assert scaling is not None
        self.behind = False
        self._take(scaling.unscale(point), "splitting", False)
        t = self.system.tolerance
        self.least = min(self.least, self.residuals.excess(t.eps_abs, t.eps_rel))
        if splitting.iterations >= self.next_rays:
            self.next_rays = RAYS_AGAIN * splitting.iterations
            self._rays(scaling.unscale(splitting.difference()))
        if self.finish is not None:
            self.finish.saw(self.at, relative(self.residuals))

    def _newest(self) -> Step:
        """With the splitting's latest point, wherever it lies."""
        if self.splitting is not None and self.behind:
            self._look(self.splitting, self.splitting.point())
        return self.report()

    def _rays(self, d: PrimalDual | None) -> None:
        """Candidate certificates, which the driver checks."""
        if d is not None:
            y, z = self.system.presolved.ray_back(d.y, d.z)
            self.primal_ray = self.system.caller(PrimalDual(np.zeros(self.system.problem.n), y, z))
            self.dual_ray = self.system.presolved.direction_back(d.x)

    def report(self) -> Step:
        """The latest point and the counts."""
        events = Events() if self.splitting is None else self.splitting.events()
        if self.finish is not None:
            events = events + self.finish.events()
        return Step(
            point=self.point,
            residuals=self.residuals,
            iterations=0 if self.splitting is None else self.splitting.iterations,
            events=events,
            phase=self.phase,
            finished=self.finished,
            factorisations=0 if self.finish is None else self.finish.factorisations,
            polished=self.polished,
            primal_ray=self.primal_ray,
            dual_ray=self.dual_ray,
            newer=self._newest if self.behind else None,
        )


def relative(r: Residuals) -> float:
    """The largest residual beside 1 plus what it was computed from."""
    found = max(
        r.primal / (1 + r.primal_scale),
        r.dual / (1 + r.dual_scale),
        r.gap / (1 + r.gap_scale),
        r.sign / (1 + r.dual_scale),
    )
    return float(found) if np.isfinite(found) else np.inf
