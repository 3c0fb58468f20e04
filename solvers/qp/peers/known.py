"""The solvers that qpsolvers knows, each by the name that it has there, and what each one's options are called."""

from __future__ import annotations

import warnings
from typing import Any

from ....errors import InputError
from .peer import Task
from .through import ThroughQpsolvers


class Clarabel(ThroughQpsolvers):
    """Interior point for conic programs, in Rust."""

    name, package, bundled = "clarabel", "clarabel", True
    absolute, relative = ("tol_feas", "tol_gap_abs"), ("tol_gap_rel",)
    clock, most, cores = "time_limit", "max_iter", "max_threads"


class Copt(ThroughQpsolvers):
    """The Cardinal Optimizer (commercial)."""

    name, package = "copt", "coptpy"
    absolute = ("FeasTol", "DualTol")
    clock, most, cores = "TimeLimit", "BarIterLimit", "Threads"
    least = 1e-9


class Cvxopt(ThroughQpsolvers):
    """Interior point for cone programs, in Python."""

    name, package = "cvxopt", "cvxopt"
    absolute, relative = ("abstol", "feastol"), ("reltol",)
    most = "maxiters"


class Daqp(ThroughQpsolvers):
    """A dual active-set method, in C."""

    name, package, bundled = "daqp", "daqp", True
    dense, boxes = True, True
    absolute = ("primal_tol", "dual_tol")
    most = "iter_limit"


class Ecos(ThroughQpsolvers):
    """Interior point for second-order cones, in C."""

    name, package = "ecos", "ecos"
    # It factorises P densely.
    dense = True
    absolute, relative = ("abstol", "feastol"), ("reltol",)
    most = "max_iters"
    least_relative = 1e-14


class Gurobi(ThroughQpsolvers):
    """Gurobi (commercial)."""

    name, package = "gurobi", "gurobipy"
    absolute = ("FeasibilityTol", "OptimalityTol", "BarConvTol")
    clock, most, cores = "TimeLimit", "BarIterLimit", "Threads"
    least = 1e-9


class Highs(ThroughQpsolvers):
    """HiGHS: an active-set method for quadratic programs, simplex and others for linear ones."""

    name, package, bundled = "highs", "highspy", True
    boxes = True
    absolute = ("primal_feasibility_tolerance", "dual_feasibility_tolerance")
    clock, most, cores = "time_limit", "qp_iteration_limit", "threads"
    least = 1e-10

    def require(self) -> None:
        """Its threads are the process's, and stay as many as they were in its first run."""
        ThroughQpsolvers.require(self)
        import highspy

        highspy.Highs.resetGlobalScheduler(True)
        probe = highspy.Highs()
        probe.setOptionValue("output_flag", False)
        for key, value in self.own.items():
            # It would go on without the option.
            if probe.setOptionValue(key, value) != highspy.HighsStatus.kOk:
                raise InputError(f"{self.name} takes no option {key} = {value!r:.40}")


class Hpipm(ThroughQpsolvers):
    """Interior point for optimal control, in C; dense here."""

    name, package = "hpipm", "hpipm-python"
    by_pip = False
    dense, boxes = True, True
    absolute = ("tol_stat", "tol_eq", "tol_ineq", "tol_comp", "tol_dual_gap")
    most = "iter_max"


class OnJax(ThroughQpsolvers):
    """What runs on JAX: its numbers must be of 64 bits, which `require` asks JAX for; and it compiles for each size."""

    compiles = True

    def require(self) -> None:
        ThroughQpsolvers.require(self)
        import jax

        jax.config.update("jax_enable_x64", True)


class JaxoptOsqp(OnJax):
    """The operator splitting of OSQP, in JAX."""

    name, package = "jaxopt_osqp", "jaxopt"
    dense = True
    absolute = ("tol",)
    most = "maxiter"


class Kvxopt(Cvxopt):
    """A fork of CVXOPT."""

    name, package = "kvxopt", "kvxopt"


class Mosek(ThroughQpsolvers):
    """MOSEK (commercial), through CVXOPT."""

    name, package = "mosek", "mosek cvxopt"
    absolute = ("intpnt_qo_tol_pfeas", "intpnt_qo_tol_dfeas")
    relative = ("intpnt_qo_tol_rel_gap",)
    clock, most, cores = "optimizer_max_time", "intpnt_max_iterations", "num_threads"

    def asked(self, task: Task) -> dict[str, Any]:
        """By its own enumerations, in a dictionary of their own."""
        import mosek

        whole = (self.most, self.cores)
        named = ThroughQpsolvers.asked(self, task)
        return {"mosek": {getattr(mosek.iparam if k in whole else mosek.dparam, k, k): v for k, v in named.items()}}


class Nppro(ThroughQpsolvers):
    """NPPro (commercial): an active-set method."""

    name, package = "nppro", "nppro"
    by_pip = False
    dense, boxes = True, True
    most = "MaxIter"


class Osqp(ThroughQpsolvers):
    """Operator splitting, in C."""

    name, package, bundled = "osqp", "osqp", True
    boxes, patient = True, True
    absolute, relative = ("eps_abs",), ("eps_rel",)
    clock, most = "time_limit", "max_iter"


class Pdhcg(ThroughQpsolvers):
    """PDHCG: a first-order method, on a GPU."""

    name, package, backend = "pdhcg", "pdhcg", "cuda"
    boxes = True
    relative = ("OptimalityTol", "FeasibilityTol")
    clock, most = "TimeLimit", "IterationLimit"


class Piqp(ThroughQpsolvers):
    """Proximal interior point, in C++."""

    name, package, bundled = "piqp", "piqp", True
    boxes = True
    absolute, relative = ("eps_abs", "eps_duality_gap_abs"), ("eps_rel", "eps_duality_gap_rel")
    fixed = {"check_duality_gap": True}  # noqa: RUF012
    most, cores = "max_iter", "num_threads"

    def require(self) -> None:
        """Refuse options that it would pass over in silence."""
        ThroughQpsolvers.require(self)
        import piqp

        known = dir(piqp.SparseSolver().settings)
        for key in self.own:
            if key not in known and key != "backend":
                raise InputError(f"{self.name} takes no option {key}")


class Proxqp(ThroughQpsolvers):
    """Proximal augmented Lagrangian, in C++."""

    name, package, bundled = "proxqp", "proxsuite", True
    boxes = True
    absolute, relative = ("eps_abs", "eps_duality_gap_abs"), ("eps_rel", "eps_duality_gap_rel")
    fixed = {"check_duality_gap": True}  # noqa: RUF012
    most = "max_iter"


class Pyqpmad(ThroughQpsolvers):
    """Goldfarb and Idnani's dual active-set method, in C++."""

    name, package = "pyqpmad", "pyqpmad"
    dense, boxes = True, True
    absolute = ("tolerance",)
    most = "max_iter"


class Qpalm(ThroughQpsolvers):
    """Proximal augmented Lagrangian, in C."""

    name, package = "qpalm", "qpalm"
    boxes = True
    absolute, relative = ("eps_abs",), ("eps_rel",)
    clock, most = "time_limit", "max_iter"


class Qpax(OnJax):
    """Primal-dual interior point, in JAX."""

    name, package = "qpax", "qpax"
    dense = True
    absolute = ("solver_tol",)
    most = "max_iter"


class Qpoases(ThroughQpsolvers):
    """A parametric active-set method, in C++."""

    name, package = "qpoases", "qpoases"
    by_pip = False
    dense, boxes = True, True
    relative = ("terminationTolerance",)
    clock, most = "time_limit", "max_wsr"


class Qpswift(ThroughQpsolvers):
    """Interior point for small programs, in C."""

    name, package = "qpswift", "qpswift"
    by_pip = False
    dense = True
    absolute, relative = ("ABSTOL",), ("RELTOL",)
    most = "MAXITER"


class Qtqp(ThroughQpsolvers):
    """Interior point, in Python."""

    name, package = "qtqp", "qtqp"
    absolute, relative = ("tol_feas", "tol_gap_abs"), ("tol_gap_rel",)
    most = "max_iter"


class Quadprog(ThroughQpsolvers):
    """Goldfarb and Idnani's dual active-set method; P must be positive definite."""

    name, package = "quadprog", "quadprog"
    dense = True


class Scs(ThroughQpsolvers):
    """Operator splitting for cone programs, in C."""

    name, package = "scs", "scs"
    boxes, patient = True, True
    absolute, relative = ("eps_abs",), ("eps_rel",)
    clock, most = "time_limit_secs", "max_iters"


class Sip(ThroughQpsolvers):
    """Interior point with a barrier and an augmented Lagrangian, in C++."""

    name, package = "sip", "sip-qp-python"
    boxes = True
    absolute, relative = ("eps_abs",), ("eps_rel",)
    clock, most = "time_limit", "max_iterations"


KNOWN: dict[str, type[ThroughQpsolvers]] = {
    cls.name: cls
    for cls in (
        Clarabel, Copt, Cvxopt, Daqp, Ecos, Gurobi, Highs, Hpipm, JaxoptOsqp, Kvxopt, Mosek, Nppro, Osqp, Pdhcg, Piqp, Proxqp, Pyqpmad, Qpalm, Qpax, Qpoases, Qpswift,
        Qtqp, Quadprog, Scs, Sip,
    )
}  # fmt: skip


def other(name: str) -> type[ThroughQpsolvers] | None:
    """One that the installed qpsolvers has and the list above has not: with its own tolerance. None where there is no such solver."""
    try:
        with warnings.catch_warnings(action="ignore"):
            import qpsolvers
    except ImportError:
        return None
    if name not in qpsolvers.available_solvers:
        return None
    about = {
        "__slots__": (),
        "__doc__": "A solver that qpsolvers has.",
        "name": name,
        "package": name,
        "dense": name not in qpsolvers.sparse_solvers,
    }
    return type(name.capitalize(), (ThroughQpsolvers,), about)
