"""Solvers of quadratic programs, each behind one function: ours, and other people's through qpsolvers.

Every solver gets the same canonical data (symmetric P in full, sorted columns, infinite sides left out or infinite) and the tolerance as it documents it:
absolute eps on the primal and dual residuals and on the duality gap where it has such settings, relative ones at ``eps_rel`` (0 in the main table).
PIQP and ProxQP: eps_abs, eps_rel and the same for the gap. Clarabel: tol_gap_abs, tol_gap_rel and tol_feas, which is relative to the norms of the data
(it has no other). OSQP: eps_abs, eps_rel, gap checked, without a limit on its iterations; ``osqp-polish`` polishes. HiGHS: feasibility tolerances; it has no
test of the gap, and adds 1e-7 |x|^2/2 to the objective unless told otherwise, which its dual residuals show. DAQP: primal_tol and dual_tol; dense, hence
only up to 5000 variables and rows. PIQP, ProxQP and DAQP know no time limit and are stopped from outside.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fnanneal
from fnanneal.problems.quadratic.program import QP

Vector = NDArray[np.float64]
DENSE_N = 5000
UNLIMITED = 10**9


class Unfit(Exception):
    """A problem that a solver is not run on; the message says why."""


class Missing(Exception):
    """A solver that is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How accurately and how long: as the solver is told."""

    eps_abs: float
    eps_rel: float
    time_limit: float
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a solver says.

    `claims`: that the point is a solution, within `allowance` times the tolerance. `compile_s` is part of the call's time and not counted.
    """

    status: str
    claims: bool
    allowance: float = 1.0
    x: Vector | None = None
    y: Vector | None = None
    z: Vector | None = None
    z_box: Vector | None = None
    ray: Mapping[str, Vector] | None = None
    compile_s: float = 0.0
    about: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[QP, Task], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A solver under one setting. `package` is whose version is stored; `relative`: its eps_rel is never below eps_abs."""

    run: Run
    package: str
    relative: bool = False


def ours(solver: str = "auto", polish: bool = True) -> Run:
    """A method of this library."""

    def run(problem: QP, task: Task) -> Answer:
        from fnanneal.solvers.qp.solve import solve_qp_problem

        r = solve_qp_problem(
            problem,
            solver=solver,
            eps_abs=task.eps_abs,
            eps_rel=task.eps_rel,
            time_limit=task.time_limit,
            polish=polish,
            threads=task.threads,
        )
        about = {
            "solver_used": r.solver, "iterations": r.iterations, "factorisations": r.factorisations, "polished": r.polished,
            "build_s": round(r.time.build_s, 4), "solve_s": round(r.time.solve_s, 4), "compile_s": round(r.time.compile_s, 4),
        }  # fmt: skip
        return Answer(
            status=r.status.value,
            claims=r.status.value in ("solved", "solved_lower_accuracy"),
            allowance=1000.0 if r.status.value == "solved_lower_accuracy" else 1.0,
            x=r.x,
            y=r.y,
            z=r.z,
            z_box=r.z_box,
            ray=r.ray,
            compile_s=r.time.compile_s,
            about=about,
        )

    return run


def through_qpsolvers(name: str, settings: Callable[[Task], dict[str, Any]], dense: bool = False) -> Run:
    """A peer. Multipliers come back in qpsolvers' signs, which are ours; those of constraints that the problem lacks come back as nothing."""

    def run(problem: QP, task: Task) -> Answer:
        import qpsolvers

        if dense and problem.n + problem.rows > DENSE_N:
            raise Unfit(f"{name} is dense: {problem.n} variables and {problem.rows} rows are too many")
        p = problem
        # qpsolvers' Clarabel and HiGHS take infinite sides; rows that are infinite are none.
        bounded = np.isfinite(p.h)
        stated = qpsolvers.Problem(
            sorted_csc(p.P),
            p.q,
            sorted_csc(p.G[bounded]) if bounded.any() else None,
            p.h[bounded] if bounded.any() else None,
            sorted_csc(p.A) if p.b.size else None,
            p.b if p.b.size else None,
            p.lb if np.isfinite(p.lb).any() else None,
            p.ub if np.isfinite(p.ub).any() else None,
        )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            s = qpsolvers.solve_problem(stated, solver=name, **settings(task))
        status = ("found" if s.found else "not found") + said_status(s, said)
        if s.x is None:
            return Answer(status=status, claims=bool(s.found))
        z = np.zeros(p.h.size)
        z[bounded] = full(s.z, int(bounded.sum()))
        return Answer(
            status=status,
            claims=bool(s.found),
            x=np.asarray(s.x, np.float64),
            y=full(s.y, p.b.size),
            z=z,
            z_box=full(s.z_box, p.n),
        )

    return run


def said_status(solution: Any, said: list[warnings.WarningMessage]) -> str:
    """What the solver itself calls its status, where qpsolvers passes it on."""
    extras = solution.extras or {}
    info = extras.get("status", getattr(extras.get("info"), "status", None))
    text = str(info) if info is not None else str(said[-1].message) if said else ""
    return f": {text}"[:100] if text else ""


def sorted_csc(matrix: Any) -> Any:
    """A SciPy csc_matrix with sorted indices: PIQP answers wrongly without."""
    import scipy.sparse as sp

    m = sp.csc_matrix(matrix)
    m.sort_indices()
    return m


def full(values: Any, size: int) -> Vector:
    """Multipliers of the length that they should have; zeros where a solver gave none."""
    v = np.zeros(0) if values is None else np.asarray(values, np.float64).ravel()
    return v if v.size == size else np.zeros(size)


def _piqp(t: Task) -> dict[str, Any]:
    return {
        "eps_abs": t.eps_abs, "eps_rel": t.eps_rel, "check_duality_gap": True, "eps_duality_gap_abs": t.eps_abs,
        "eps_duality_gap_rel": t.eps_rel, "num_threads": t.threads,
    }  # fmt: skip


def _clarabel(t: Task) -> dict[str, Any]:
    return {
        "tol_feas": t.eps_abs, "tol_gap_abs": t.eps_abs, "tol_gap_rel": t.eps_rel, "time_limit": t.time_limit,
        "max_threads": t.threads,
    }  # fmt: skip


def _osqp(t: Task) -> dict[str, Any]:
    return {"eps_abs": t.eps_abs, "eps_rel": t.eps_rel, "max_iter": UNLIMITED, "time_limit": t.time_limit}


def _proxqp(t: Task) -> dict[str, Any]:
    return {
        "eps_abs": t.eps_abs, "eps_rel": t.eps_rel, "check_duality_gap": True, "eps_duality_gap_abs": t.eps_abs,
        "eps_duality_gap_rel": t.eps_rel,
    }  # fmt: skip


def _highs(t: Task) -> dict[str, Any]:
    return {
        "primal_feasibility_tolerance": t.eps_abs, "dual_feasibility_tolerance": t.eps_abs, "time_limit": t.time_limit,
        "threads": t.threads,
    }  # fmt: skip


METHODS: dict[str, Method] = {
    "fnanneal": Method(run=ours(), package="fnanneal"),
    "fnanneal-nopolish": Method(run=ours(polish=False), package="fnanneal", relative=True),
    "hpr": Method(run=ours("hpr"), package="fnanneal"),
    "rapdhg": Method(run=ours("rapdhg"), package="fnanneal"),
    "piqp": Method(run=through_qpsolvers("piqp", _piqp), package="piqp"),
    "clarabel": Method(run=through_qpsolvers("clarabel", _clarabel), package="clarabel"),
    "osqp": Method(run=through_qpsolvers("osqp", _osqp), package="osqp"),
    "osqp-polish": Method(run=through_qpsolvers("osqp", lambda t: {**_osqp(t), "polishing": True}), package="osqp"),
    "proxqp": Method(run=through_qpsolvers("proxqp", _proxqp), package="proxsuite"),
    "highs": Method(run=through_qpsolvers("highs", _highs), package="highspy"),
    "daqp": Method(
        run=through_qpsolvers("daqp", lambda t: {"primal_tol": t.eps_abs, "dual_tol": t.eps_abs}, dense=True),
        package="daqp",
    ),
}


def method(name: str) -> Method:
    """By its name above, or ``MODULE:FUNCTION`` for one that is elsewhere."""
    if name in METHODS:
        return METHODS[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise ValueError(f"no solver {name!r}; there are {', '.join(METHODS)}, and MODULE:FUNCTION")
    return Method(run=getattr(import_module(module), function), package=module)


def timed(run: Run, problem: QP, task: Task) -> tuple[Answer, float, float]:
    """The answer, with the wall and processor seconds of the call, without what it spent compiling."""
    cpu, wall = time.process_time(), time.perf_counter()
    answer = run(problem, task)
    took = time.perf_counter() - wall, time.process_time() - cpu
    return answer, max(took[0] - answer.compile_s, 0.0), max(took[1] - answer.compile_s, 0.0)


def solver_version(name: str) -> str:
    """``package 1.2``, or the package alone; of ours with a digest of the code, so that a change of it is another solver."""
    package = method(name).package
    try:
        found = f"{package} {version(package)}"
    except PackageNotFoundError:
        found = package
    return f"{found}+{code_digest()}" if package == "fnanneal" else found


@cache
def code_digest() -> str:
    """Of the solvers' source files."""
    folder = Path(fnanneal.__file__).parent
    solvers = [p for name in ("qp", "kernels") for p in sorted((folder / "solvers" / name).rglob("*.py"))]
    files = [*solvers, folder / "problems" / "quadratic" / "program.py"]
    h = hashlib.sha256()
    for path in files:
        h.update(path.name.encode() + path.read_bytes())
    return h.hexdigest()[:8]
