"""`QPSolver`: one program after another, in the same places."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...energy import Technology
from ...energy import technology as find_technology
from ...errors import InputError
from ...problems.quadratic.program import QP
from ...qpresult import QPProgress, QPResult
from . import method as methods
from .convexity import convex
from .drive import drive
from .method import Tolerance
from .pipeline import System
from .place import place, versions_there
from .solve import Limits, build_method, check_accepts, starting_point


class QPSolver:
    """A convex program to be solved again and again with other numbers in the same places.

    Scaling factors and norms are found once; each solve starts from the last solution. Presolve is left out, since it depends on the numbers.

    Parameters
    ----------
    P, q, G, h, A, b, lb, ub
        As in `solve_qp`.
    solver
        "hpr" or "rapdhg".
    eps_abs, eps_rel, polish, backend, threads, technology
        As in `solve_qp`.

    Raises
    ------
    InputError
        As `solve_qp`.

    Examples
    --------
    >>> import numpy as np, fnanneal
    >>> s = fnanneal.QPSolver(np.eye(2), -np.ones(2), lb=np.zeros(2), ub=0.5 * np.ones(2))
    >>> s.solve().x
    array([0.5, 0.5])
    >>> s.update(q=[-0.25, 1.0])
    >>> s.solve().x
    array([0.25, 0.  ])
    """

    def __init__(
        self,
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
        backend: str = "auto",
        polish: bool = True,
        threads: int | None = None,
        technology: str | os.PathLike[str] | Technology | None = None,
    ) -> None:
        if solver not in ("hpr", "rapdhg"):
            raise InputError(f"QPSolver takes the solvers hpr and rapdhg, not {solver!r:.40}")
        self._limits = Limits(eps_abs=eps_abs, eps_rel=eps_rel, backend=backend, polish=polish, threads=threads)
        self._technology = find_technology(technology)
        self._method = build_method(methods.get(solver), {"presolve": False})
        self._tolerance = Tolerance(
            eps_abs=self._limits.eps_abs, eps_rel=self._limits.eps_rel, polish=self._limits.polish
        )
        self.problem = QP.of(P, q, G, h, A, b, lb, ub)
        self._curved = convex(self.problem.P)
        check_accepts(self._method, self.problem, self._curved)
        self._method, self._placed = place(self._method, self._limits.backend, self.problem)
        self._system: System = self._method.prepare(self.problem, self._tolerance, self._limits.threads)
        self._last: QPResult | None = None

    def update(
        self,
        *,
        P: Any = None,
        q: ArrayLike | None = None,
        G: Any = None,
        h: ArrayLike | None = None,
        A: Any = None,
        b: ArrayLike | None = None,
        lb: ArrayLike | None = None,
        ub: ArrayLike | None = None,
    ) -> None:
        """Other numbers; what is None stays.

        Raises
        ------
        InputError
            For other sizes, a matrix with entries where there were none, and all that `solve_qp` refuses. The program is then as it was.
        """
        old = self.problem
        kept: list[Any] = [
            getattr(old, k) if v is None else v
            for k, v in (("P", P), ("q", q), ("G", G), ("h", h), ("A", A), ("b", b), ("lb", lb), ("ub", ub))
        ]
        problem = QP.of(*kept)
        for what in ("q", "h", "b"):
            if getattr(problem, what).size != getattr(old, what).size:
                raise InputError(
                    f"{what} has {getattr(problem, what).size} entries, the program had {getattr(old, what).size}"
                )
        for what, given in (("P", P), ("G", G), ("A", A)):
            if given is not None and not _within(getattr(problem, what), getattr(old, what)):
                raise InputError(f"{what} has an entry where there was none: build a new QPSolver")
        if P is not None:
            self._curved = convex(problem.P)
            check_accepts(self._method, problem, self._curved)
        self._system = self._method.renew(self._system, problem, P is not None or G is not None or A is not None)
        self.problem = problem

    def solve(
        self,
        *,
        x0: ArrayLike | None = None,
        y0: ArrayLike | None = None,
        z0: ArrayLike | None = None,
        warm: bool = True,
        time_limit: float | None = None,
        max_iter: int | None = None,
        callback: Callable[[QPProgress], Any] | None = None,
    ) -> QPResult:
        """Solve the program as it is now.

        Parameters
        ----------
        x0, y0, z0
            Where to start; with none of them and `warm`, at the last solution.
        time_limit, max_iter, callback
            As in `solve_qp`.
        """
        began = time.perf_counter()
        start = starting_point(self.problem, x0, y0, z0)
        last = self._last
        if start is None and warm and last is not None:
            start = starting_point(self.problem, last.x, last.y, last.z)
        t = self._tolerance
        limits = Limits(
            eps_abs=t.eps_abs,
            eps_rel=t.eps_rel,
            backend=self._placed,
            polish=t.polish,
            threads=self._limits.threads,
            time_limit=time_limit,
            max_iter=max_iter,
            callback=callback,
        )
        found = drive(
            self.problem,
            self._method,
            tolerance=t,
            seed=0,
            time_limit=limits.time_limit,
            max_iter=limits.max_iter,
            start=start,
            callback=callback,
            threads=limits.threads,
            technology=self._technology,
            load_s=None,
            versions=versions_there(self._placed),
            convex=self._curved,
            checked_s=time.perf_counter() - began,
            system=self._system,
            backend=self._placed,
        )
        if np.isfinite(found.residuals.worst):
            self._last = found
        return found


def _within(new: Any, old: Any) -> bool:
    """Whether all entries of one matrix stand where another has one."""
    marks = old.copy()
    marks.data = np.ones_like(marks.data)
    stored = new.copy()
    stored.data = np.ones_like(stored.data)
    return int(stored.multiply(marks).nnz) == int(stored.nnz)
