"""The call of a solver through qpsolvers, in whose signs the multipliers are."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ....problems.quadratic.program import QP
from ..method import Point
from .peer import Answer, Ended, Peer, Task, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A problem as qpsolvers has it, with what brings multipliers back: which rows of G are finite, and which bounds became rows."""

    problem: QP
    stated: Any
    bounded: NDArray[np.bool_]
    upper: NDArray[np.intp]
    lower: NDArray[np.intp]


class ThroughQpsolvers(Peer):
    """A solver that qpsolvers knows by this name.

    `boxes`: whether bounds go to it as bounds, infinite sides among them; else the finite ones become rows of G.
    """

    __slots__ = ()
    packages = ("qpsolvers",)
    boxes: ClassVar[bool] = False

    def require(self) -> None:
        try:
            # It imports all that are installed, some of which warn.
            with warnings.catch_warnings(action="ignore"):
                import qpsolvers
        except ImportError as e:
            raise self.missing() from e
        if self.name not in qpsolvers.available_solvers:
            raise self.missing()

    def build(self, problem: QP) -> Model:
        """With finite rows only, in sorted columns: PIQP answers wrongly from unsorted ones."""
        import qpsolvers

        p = problem
        bounded = np.isfinite(p.h)
        G, h = p.G[bounded], p.h[bounded]
        upper = lower = np.zeros(0, np.intp)
        lb = p.lb if self.boxes and np.isfinite(p.lb).any() else None
        ub = p.ub if self.boxes and np.isfinite(p.ub).any() else None
        if not self.boxes:
            upper, lower = np.flatnonzero(np.isfinite(p.ub)), np.flatnonzero(np.isfinite(p.lb))
            unit = sp.eye_array(p.n, format="csr")
            G = sp.vstack([G, unit[upper], -unit[lower]], format="csr")
            h = np.concatenate([h, p.ub[upper], -p.lb[lower]])
        matrix = _dense if self.dense else _sorted_csc
        stated = qpsolvers.Problem(
            matrix(p.P),
            p.q.copy(),
            matrix(G) if h.size else None,
            h if h.size else None,
            matrix(p.A) if p.b.size else None,
            p.b.copy() if p.b.size else None,
            lb,
            ub,
        )
        return Model(problem=p, stated=stated, bounded=bounded, upper=upper, lower=lower)

    def call(self, model: Model, task: Task, x0: Vector | None) -> Answer:
        import qpsolvers

        began = time.perf_counter()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            s = qpsolvers.solve_problem(model.stated, solver=self.name, initvals=x0, **self.asked(task))
        took = time.perf_counter() - began
        extras = s.extras or {}
        claim = ("found" if s.found else "not found") + _words(extras, said)
        point = self._point(model, s.x, s.y, s.z, s.z_box)
        rays = (point, *self._certificates(model, extras))
        return Answer(
            claim=claim,
            ended="solved" if s.found else _ended(claim),
            x=None if s.x is None else point.x,
            y=point.y,
            z=point.z,
            z_box=point.z_box,
            rays=rays,
            direction=_vector(extras["dual_inf_cert"]) if "dual_inf_cert" in extras else point.x,
            iterations=_iterations(extras),
            setup_s=min(float(getattr(s, "build_time", None) or 0.0), took),
        )

    def _point(self, model: Model, x: Any, y: Any, z: Any, z_box: Any) -> Point:
        """In the caller's terms; zeros where it gave nothing of the right size."""
        p = model.problem
        rows = _full(z, int(model.bounded.sum()) + model.upper.size + model.lower.size)
        k = rows.size - model.upper.size - model.lower.size
        of_rows, box = np.zeros(p.h.size), np.zeros(p.n)
        of_rows[model.bounded] = rows[:k]
        if self.boxes:
            box = _full(z_box, p.n)
        else:
            box[model.upper] += rows[k : k + model.upper.size]
            box[model.lower] -= rows[k + model.upper.size :]
        return Point(x=_vector(x, p.n), y=_full(y, p.b.size), z=of_rows, z_box=box)

    def _certificates(self, model: Model, extras: Mapping[str, Any]) -> tuple[Point, ...]:
        """Those that OSQP gives apart from its multipliers: of G's rows, A's and the bounds, one after the other."""
        ray = extras.get("prim_inf_cert")
        p = model.problem
        k, m = int(model.bounded.sum()), p.b.size
        ray = None if ray is None else np.asarray(ray, np.float64).ravel()
        if ray is None or ray.size < k + m:
            return ()
        return (self._point(model, None, ray[k : k + m], ray[:k], ray[k + m :]),)


def _sorted_csc(matrix: Any) -> Any:
    m = sp.csc_matrix(matrix)
    m.sort_indices()
    return m


def _dense(matrix: Any) -> Any:
    return np.ascontiguousarray(matrix.toarray())


def _vector(values: Any, size: int = 0) -> Vector:
    """As it is, whatever its size; zeros for nothing."""
    return np.zeros(size) if values is None else np.array(values, np.float64).ravel()


def _full(values: Any, size: int) -> Vector:
    """Finite and of this size, or zeros."""
    v = _vector(values)
    return v if v.size == size and np.isfinite(v).all() else np.zeros(size)


def _words(extras: Mapping[str, Any], said: list[warnings.WarningMessage]) -> str:
    """What it calls its status, where qpsolvers passes that on."""
    status = extras.get("status", getattr(extras.get("info"), "status", None))
    text = str(status) if status is not None else str(said[-1].message) if said else ""
    return f": {text.splitlines()[0]}"[:120] if text.strip() else ""


def _ended(claim: str) -> Ended:
    text = claim.lower()
    words: tuple[tuple[str, Ended], ...] = (("time", "time"), ("iter", "iterations"), ("interrupt", "interrupted"))
    return next((ended for word, ended in words if word in text), "otherwise")


def _iterations(extras: Mapping[str, Any]) -> int | None:
    info = extras.get("info")
    for key in ("iter", "iterations", "num_iters", "iter_num"):
        for found in (extras.get(key), info.get(key) if isinstance(info, Mapping) else getattr(info, key, None)):
            if isinstance(found, int | np.integer) and not isinstance(found, bool):
                return int(found)
    return None
