"""`solve_qp`: check, choose the method, drive."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...checks import integer, positive, real
from ...energy import Technology
from ...energy import technology as find_technology
from ...errors import InputError
from ...fndam import FNDAMArray
from ...parallel.cores import available_threads
from ...problems.quadratic.program import QP
from ...qpresult import QPProgress, QPResult
from ..placing import check_backend
from . import method as methods
from .convexity import convex
from .drive import drive
from .method import Start, Tolerance
from .peers.judge import run as run_peer
from .peers.peer import Peer, Task
from .place import place, versions_there

Vector = NDArray[np.float64]
Weights = Literal["ideal", "fn-dam"] | FNDAMArray

EXACT = 1e-9


def solve_qp(
    P: Any,
    q: ArrayLike,
    G: Any = None,
    h: ArrayLike | None = None,
    A: Any = None,
    b: ArrayLike | None = None,
    lb: ArrayLike | None = None,
    ub: ArrayLike | None = None,
    *,
    solver: str = "auto",
    eps_abs: float = 1e-6,
    eps_rel: float = 0.0,
    time_limit: float | None = None,
    max_iter: int | None = None,
    x0: ArrayLike | None = None,
    y0: ArrayLike | None = None,
    z0: ArrayLike | None = None,
    callback: Callable[[QPProgress], Any] | None = None,
    seed: int | None = None,
    backend: str = "auto",
    polish: bool = True,
    binary: ArrayLike | None = None,
    threads: int | None = None,
    weights: Weights = "ideal",
    technology: str | os.PathLike[str] | Technology | None = None,
    **settings: Any,
) -> QPResult:
    """Solve a quadratic program

        minimise 1/2 x'Px + q'x   subject to   Gx <= h, Ax = b, lb <= x <= ub

    Parameters
    ----------
    P : (n, n)
        Dense or any SciPy sparse matrix, full symmetric or its upper triangle; None: a linear program.
    q : (n,)
    G, A : (k, n), (m, n)
    h, b : (k,), (m,)
    lb, ub : (n,), or one number for all
        Beyond 1e19 in size they are infinite.
    solver
        "hpr": splitting with local updates, and with ``polish`` a finish that factorises. "rapdhg": another splitting. "boxqp": a population of annealed ascents, for bounds
        alone, convex or not. "growth": the growth-transform dynamics. "cells": variables in analog FN-DAM cells. "auto": boxqp where P is not positive semidefinite or
        variables are binary, cells with analog weights, else hpr. Other people's, by their names in qpsolvers, such as "clarabel" and "osqp", and "scip"
        (`fnanneal.solvers.qp.peers`): judged as ours are.
    eps_abs, eps_rel
        A point is solved when its primal and dual residuals, its duality gap and its signs, recomputed on these data, are within eps_abs + eps_rel times what they are computed
        from (signs: eps_abs).
    time_limit
        Seconds of building and solving; compiling apart.
    max_iter
        Of the first-order method, looked at whenever residuals are. With no limit a run ends when it makes no more progress.
    x0, y0, z0 : (n,), (m,), (k,)
        Where to start; the bounds' multipliers follow from them. Judged before any step is made.
    callback
        Called with a `QPProgress` whenever residuals have been computed; a true return value ends the run.
    seed
        In [0, 2**64); drawn, and given in the result, if None.
    backend
        "cpu"; "cuda": an NVIDIA GPU, for hpr, rapdhg and boxqp; "auto": a GPU where one can be used and the program is large enough for it to pay, else the CPU.
    polish
        Whether to factorise matrices, which is no local operation; without it the methods multiply by P, A and G only.
    binary : (n,) bool
        Variables that must be at one of their two bounds (boxqp).
    threads
        Default: the processors that this process may use; for other people's solvers one.
    weights
        "ideal", or "fn-dam" or an `FNDAMArray`: the variables live in analog cells.
    technology
        Prices the events, as in `solve`.
    settings
        The method's own (see its class in `fnanneal.solvers.qp`); of other people's solvers, their options by the names that they give them.

    Returns
    -------
    QPResult

    Raises
    ------
    InputError
        For anything that cannot be used as given, such as NaN, wrong shapes, lb > ub, or an indefinite P in a convex method; a `ValueError` of one line.

    Notes
    -----
    Ctrl-C ends the run and returns the best point so far, with status "interrupted".
    """
    problem = QP.of(P, q, G, h, A, b, lb, ub, binary=binary)
    return solve_qp_problem(
        problem,
        solver=solver,
        eps_abs=eps_abs,
        eps_rel=eps_rel,
        time_limit=time_limit,
        max_iter=max_iter,
        x0=x0,
        y0=y0,
        z0=z0,
        callback=callback,
        seed=seed,
        backend=backend,
        polish=polish,
        threads=threads,
        weights=weights,
        technology=technology,
        **settings,
    )


def solve_qp_problem(
    problem: QP,
    *,
    solver: str = "auto",
    eps_abs: float = 1e-6,
    eps_rel: float = 0.0,
    time_limit: float | None = None,
    max_iter: int | None = None,
    x0: ArrayLike | None = None,
    y0: ArrayLike | None = None,
    z0: ArrayLike | None = None,
    callback: Callable[[QPProgress], Any] | None = None,
    seed: int | None = None,
    backend: str = "auto",
    polish: bool = True,
    threads: int | None = None,
    weights: Weights = "ideal",
    technology: str | os.PathLike[str] | Technology | None = None,
    load_s: float | None = None,
    **settings: Any,
) -> QPResult:
    """`solve_qp` for a `QP`, such as `fnanneal.problems.quadratic.load.load_qp` gives."""
    began = time.perf_counter()
    limits = Limits(
        eps_abs=eps_abs,
        eps_rel=eps_rel,
        time_limit=time_limit,
        max_iter=max_iter,
        callback=callback,
        seed=seed,
        backend=backend,
        polish=polish,
        threads=threads,
    )
    priced = find_technology(technology)
    if weights == "fn-dam":
        weights = FNDAMArray()
    if weights != "ideal" and not isinstance(weights, FNDAMArray):
        raise InputError(f"unknown weights {weights!r:.40}; there are: ideal, fn-dam, or an FNDAMArray")
    start = starting_point(problem, x0, y0, z0)
    analog = isinstance(weights, FNDAMArray)
    curved = convex(problem.P)
    if solver == "auto":
        solver = (
            "cells"
            if analog
            else "boxqp"
            if problem.binary is not None or (curved is False and problem.boxed)
            else "hpr"
        )
    chosen = methods.get(solver)
    if analog:
        if solver != "cells":
            raise InputError(f"analog weights are for the solver cells, not {solver}")
        settings["weights"] = weights
    built = build_method(chosen, settings)
    check_accepts(built, problem, curved)
    built, placed = place(built, limits.backend, problem)
    if isinstance(built, Peer):
        if not limits.polish:
            raise InputError(f"{solver} may factorise matrices as it likes; without polish there are hpr and rapdhg")
        return run_peer(
            problem,
            built,
            task=Task(
                eps_abs=limits.eps_abs,
                eps_rel=limits.eps_rel,
                time_limit=limits.time_limit,
                max_iter=limits.max_iter,
                threads=1 if threads is None else limits.threads,
                seed=limits.seed,
            ),
            x0=None if start is None else start.x,
            callback=callback,
            technology=priced,
            load_s=load_s,
            versions=versions_there(placed),
            convex=curved,
        )
    return drive(
        problem,
        built,
        tolerance=Tolerance(eps_abs=limits.eps_abs, eps_rel=limits.eps_rel, polish=limits.polish),
        seed=limits.seed,
        time_limit=limits.time_limit,
        max_iter=limits.max_iter,
        start=start,
        callback=callback,
        threads=limits.threads,
        technology=priced,
        load_s=load_s,
        versions=versions_there(placed),
        convex=curved,
        checked_s=time.perf_counter() - began,
        weights="fn-dam" if analog else "ideal",
        backend=placed,
    )


class Limits:
    """The arguments that all ways of solving share, checked."""

    def __init__(
        self,
        *,
        eps_abs: Any,
        eps_rel: Any,
        backend: Any,
        polish: Any,
        threads: Any,
        time_limit: Any = None,
        max_iter: Any = None,
        callback: Any = None,
        seed: Any = 0,
    ) -> None:
        self.eps_abs, self.eps_rel = real(eps_abs, "eps_abs", 0), real(eps_rel, "eps_rel", 0)
        if self.eps_abs == self.eps_rel == 0:
            raise InputError("eps_abs and eps_rel are both 0: no computed point is exact")
        self.time_limit = None if time_limit is None else positive(time_limit, "time_limit")
        self.max_iter = None if max_iter is None else integer(max_iter, "max_iter", 1, 2**62)
        if callback is not None and not callable(callback):
            raise InputError(f"callback must be a function, not {callback!r:.40}")
        self.seed = secrets.randbits(32) if seed is None else integer(seed, "seed", 0, 2**64 - 1)
        check_backend(backend)
        self.backend = backend
        if not isinstance(polish, bool | np.bool_):
            raise InputError(f"polish must be True or False, not {polish!r:.40}")
        self.polish = bool(polish)
        self.threads = available_threads() if threads is None else integer(threads, "threads", 1, 1024)


def starting_point(problem: QP, x0: ArrayLike | None, y0: ArrayLike | None, z0: ArrayLike | None) -> Start | None:
    """The caller's start, with multipliers of the bounds where x0 is at them."""
    if x0 is None and y0 is None and z0 is None:
        return None
    p = problem
    x, y, z = (_start(v, what, k) for v, what, k in ((x0, "x0", p.n), (y0, "y0", p.b.size), (z0, "z0", p.h.size)))
    if x is None:
        return Start(y=y, z=z)
    x = np.clip(x, p.lb, p.ub)
    left = -(p.P @ x + p.q)
    left -= 0 if y is None else p.A.T @ y
    left -= 0 if z is None else p.G.T @ z
    room = EXACT * (1 + np.abs(x))
    box = np.where(x <= p.lb + room, np.minimum(left, 0), 0.0) + np.where(x >= p.ub - room, np.maximum(left, 0), 0.0)
    return Start(x=x, y=y, z=z, z_box=box)


def _start(value: ArrayLike | None, what: str, size: int) -> Vector | None:
    if value is None:
        return None
    try:
        v = np.array(value, np.float64)
    except (TypeError, ValueError) as e:
        raise InputError(f"{what} must be a vector of numbers") from e
    if v.shape != (size,):
        raise InputError(f"{what} has shape {v.shape}, it must be ({size},)")
    if not np.isfinite(v).all():
        raise InputError(f"{what}[{int(np.argmin(np.isfinite(v)))}] is not finite")
    return v


def build_method(cls: Any, settings: dict[str, Any]) -> Any:
    """The method with these settings."""
    if issubclass(cls, Peer):
        return cls(own=settings)
    known = [f.name for f in fields(cls)]
    for key in settings:
        if key not in known:
            raise InputError(f"{cls.name} takes no {key}; its settings are {', '.join(known)}")
    return cls(**settings)


def check_accepts(method: Any, problem: QP, curved: bool | None) -> None:
    """Refuse what the method cannot take."""
    refusal = method.accepts(problem)
    if refusal is not None:
        raise InputError(refusal)
    if curved is False and method.convex_only:
        where = (
            "solver='boxqp' takes it, since it has only bounds"
            if problem.boxed
            else "boxqp would take it if it had two finite bounds a variable and nothing else"
        )
        raise InputError(f"P is not positive semidefinite, and {method.name} solves convex programs; {where}")
