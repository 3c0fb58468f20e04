"""`solve_qp_batch`: many programs of one shape. On a GPU they run side by side, on the CPU one after another."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from ...energy import Technology
from ...energy import technology as find_technology
from ...errors import InputError
from ...interrupt import Interrupt
from ...problems.quadratic.program import INFINITE, QP
from ...qpresult import QPResult
from . import method as methods
from .convexity import convex
from .drive import drive
from .gap import close_gap
from .method import Point, Start, Step, Tolerance
from .place import place, versions_there
from .solve import Limits, build_method, check_accepts, solve_qp_problem

MATRICES, VECTORS = ("P", "G", "A"), ("q", "h", "b", "lb", "ub")


def solve_qp_batch(
    P: Any,
    q: ArrayLike,
    G: Any = None,
    h: ArrayLike | None = None,
    A: Any = None,
    b: ArrayLike | None = None,
    lb: ArrayLike | None = None,
    ub: ArrayLike | None = None,
    *,
    solver: str = "hpr",
    eps_abs: float = 1e-6,
    eps_rel: float = 0.0,
    time_limit: float | None = None,
    max_iter: int | None = None,
    seed: int | None = None,
    backend: str = "auto",
    polish: bool = True,
    threads: int | None = None,
    technology: str | os.PathLike[str] | Technology | None = None,
    **settings: Any,
) -> list[QPResult]:
    """Solve programs of one shape, as `solve_qp` each.

    Parameters
    ----------
    P, q, G, h, A, b, lb, ub
        As in `solve_qp`, for all programs the same; or one for each: a matrix of shape (B, ., n) or a list of B dense or sparse ones, a vector of shape (B, .).
    backend
        "cuda": the steps of all side by side on a GPU, where those that are solved drop out; with `polish`, what is left then is finished on the host. "auto": that, where a GPU can
        be used and all programs together are large enough for it to pay. "cpu": one after another.
    time_limit
        Seconds for all of them.
    solver, eps_abs, eps_rel, max_iter, seed, polish, threads, technology, settings
        As in `solve_qp`. Side by side, programs are not presolved.

    Returns
    -------
    list of QPResult
        In the order of the programs. The time of each begins with that of the batch.

    Raises
    ------
    InputError
        As `solve_qp`, and for sizes of a batch that disagree; for a program of the batch the line begins with its number.

    Notes
    -----
    Programs that share their matrices share also scaling and norms. Ctrl-C ends the batch: what is not solved by then has the status "interrupted".
    """
    began = time.perf_counter()
    given = {"P": P, "q": q, "G": G, "h": h, "A": A, "b": b, "lb": lb, "ub": ub}
    problems = programs(given)
    limits = Limits(
        eps_abs=eps_abs, eps_rel=eps_rel, time_limit=time_limit, max_iter=max_iter, seed=seed, backend=backend, polish=polish, threads=threads
    )  # fmt: skip
    priced = find_technology(technology)
    if solver == "auto":
        raise InputError("a batch needs a solver by name, such as hpr: what auto takes depends on the program")
    built = build_method(methods.get(solver), settings)
    curved = []
    for k, problem in enumerate(problems):
        with _numbered(k, len(problems)):
            curved.append(convex(problem.P))
            check_accepts(built, problem, curved[-1])
    there, placed = place(built, limits.backend, problems[0], copies=len(problems))
    tolerance = Tolerance(eps_abs=limits.eps_abs, eps_rel=limits.eps_rel, polish=limits.polish)
    compiled_s = ran_s = 0.0
    ended: Sequence[Any] = [None] * len(problems)
    stopped = False
    if hasattr(there, "together"):
        compiling = time.perf_counter()
        there.load(problems[0], tolerance)
        compiled_s = time.perf_counter() - compiling
        began += compiled_s
        running = time.perf_counter()
        with Interrupt().watching() as interrupt:
            ended = there.together(problems, tolerance, _ends(limits, began, interrupt))
        stopped, ran_s = interrupt.seen, time.perf_counter() - running
    results: list[QPResult] = []
    for k, problem in enumerate(problems):
        spent = time.perf_counter() - began
        left = None if limits.time_limit is None else max(limits.time_limit - spent, 1e-9)
        callback = (lambda _: True) if stopped else None
        if ended[k] is None:
            found = solve_qp_problem(
                problem, solver=solver, eps_abs=limits.eps_abs, eps_rel=limits.eps_rel, time_limit=left, max_iter=limits.max_iter, callback=callback,
                seed=limits.seed, backend=placed, polish=limits.polish, threads=threads, technology=technology, **settings,
            )  # fmt: skip
        else:
            found = drive(
                problem,
                Continued(built.name, built, ended[k], tolerance, limits.threads),
                tolerance=tolerance,
                seed=limits.seed,
                time_limit=limits.time_limit,
                max_iter=limits.max_iter,
                start=None,
                callback=callback,
                threads=limits.threads,
                technology=priced,
                load_s=None,
                versions=versions_there(placed),
                convex=curved[k],
                checked_s=spent,
                compiled_s=compiled_s,
                ran_s=ran_s,
                backend=placed,
            )
        stopped = stopped or found.status == "interrupted"
        results.append(found)
    return results


def _ends(limits: Limits, began: float, interrupt: Interrupt) -> Any:
    from ..cuda.qp_batch import Ends

    def seconds_left() -> float:
        return np.inf if limits.time_limit is None else limits.time_limit - (time.perf_counter() - began)

    return Ends(seconds_left=seconds_left, max_iter=limits.max_iter, stop=lambda: interrupt.seen)


@dataclass(slots=True, eq=False)
class Continued:
    """A method that begins where the GPU ended: its point is the first one, and the host goes on from there if that is not good enough."""

    name: str
    method: Any
    ended: Any
    tolerance: Tolerance
    threads: int
    run: Any = None
    system: Any = None
    convex_only: ClassVar[bool] = True
    open_ended: ClassVar[bool] = True

    def settings(self) -> dict[str, Any]:
        return dict(self.method.settings())

    def accepts(self, problem: QP) -> str | None:
        return None

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> QP:
        return problem

    def warm_up(self, system: QP) -> None:
        """Nothing: what the host needs is compiled when it is called for."""

    def init(self, system: QP, *, seed: int, start: Start | None) -> Continued:
        return self

    def advance(self, system: QP, state: Any, seconds_left: float) -> None:
        if self.run is None:
            q: Point = self.ended.point
            finite = all(np.isfinite(v).all() for v in (q.x, q.y, q.z, q.z_box))
            start = Start(x=q.x, y=q.y, z=q.z, z_box=q.z_box) if finite else None
            self.system = self.method.prepare(system, self.tolerance, self.threads)
            self.run = self.method.init(self.system, seed=0, start=start)
        self.method.advance(self.system, self.run, seconds_left)

    def report(self, system: QP, state: Any) -> Step:
        e = self.ended
        if self.run is None:
            q = e.point
            point, residuals = close_gap(system, q, system.residuals(q.x, q.y, q.z, q.z_box), self.tolerance.eps_abs)
            return Step(
                point=point, residuals=residuals, iterations=e.iterations, events=e.events, phase="splitting", finished=e.finished,
                primal_ray=e.primal_ray, dual_ray=e.dual_ray,
            )  # fmt: skip
        step: Step = self.method.report(self.system, self.run)
        return replace(step, iterations=e.iterations + step.iterations, events=e.events + step.events)


def programs(given: dict[str, Any]) -> list[QP]:
    """One `QP` each; matrices that are given once are shared."""
    many = {k: _pieces(v, k) for k, v in given.items()}
    sizes = {k: len(v) for k, v in many.items() if v is not None}
    count = max(sizes.values(), default=1)
    if any(size != count for size in sizes.values()):
        raise InputError("sizes of the batch disagree: " + ", ".join(f"{k} has {v}" for k, v in sizes.items()))
    if count == 0:
        raise InputError("a batch of no programs")
    found: list[QP] = []
    for k in range(count):
        own = {name: given[name] if v is None else v[k] for name, v in many.items()}
        with _numbered(k, count):
            plain = (
                None if not found or any(many[m] is not None for m in MATRICES) else _with_vectors(found[0], own, many)
            )
            found.append(QP.of(**own) if plain is None else plain)
            if found[-1].n != found[0].n or (found[-1].b.size, found[-1].h.size) != (found[0].b.size, found[0].h.size):
                raise InputError(
                    f"{found[-1].n} variables, {found[-1].h.size} inequalities and {found[-1].b.size} equalities; "
                    f"the first program has {found[0].n}, {found[0].h.size} and {found[0].b.size}"
                )
    return found


def _pieces(value: Any, what: str) -> Sequence[Any] | None:
    """One for each program; None where it is for all."""
    if value is None or sp.issparse(value):
        return None
    matrix = what in MATRICES
    if matrix and isinstance(value, list | tuple) and any(sp.issparse(v) or np.ndim(v) == 2 for v in value):
        return value
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as e:
        raise InputError(f"{what} must be numbers, for all programs the same or with one row or matrix for each") from e
    axes = 3 if matrix else 2
    if array.ndim > axes:
        raise InputError(f"{what} has {array.ndim} axes; of a batch it has {axes}")
    return list(array) if array.ndim == axes else None


def _with_vectors(first: QP, own: dict[str, Any], many: dict[str, Any]) -> QP | None:
    """The first program with other vectors; None where `QP.of` has something to say about them, or they need its hand."""
    values: dict[str, Any] = {}
    for name in VECTORS:
        if many[name] is None:
            continue
        v = np.array(own[name], np.float64)
        if v.shape != getattr(first, name).shape or np.isnan(v).any():
            return None
        if name in ("q", "b") and not np.isfinite(v).all():
            return None
        values[name] = v if name in ("q", "b") else np.where(np.abs(v) >= INFINITE, np.copysign(np.inf, v), v)
    found = replace(first, **values)
    wrong = (found.h == -np.inf).any() or (found.lb > found.ub).any()
    return None if wrong or (found.lb == np.inf).any() or (found.ub == -np.inf).any() else found


@contextmanager
def _numbered(k: int, count: int) -> Iterator[None]:
    """Puts the program's number before what is said about it."""
    try:
        yield
    except InputError as error:
        if count == 1:
            raise
        raise InputError(f"program {k}: {error}") from error
