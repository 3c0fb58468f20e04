"""What a quadratic program's solve returns: `QPResult`, its `QPStatus`, and the small records inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .energy.events import Events
from .energy.ledger import Account
from .energy.meter import Measured

Vector = NDArray[np.float64]


class QPStatus(StrEnum):
    """Why a solve ended, and what its answer is worth."""

    SOLVED = "solved"
    SOLVED_LOWER_ACCURACY = "solved_lower_accuracy"
    TIME_LIMIT = "time_limit"
    ITERATION_LIMIT = "iteration_limit"
    PRIMAL_INFEASIBLE = "primal_infeasible"
    DUAL_INFEASIBLE = "dual_infeasible"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def message(self) -> str:
        """One line for people."""
        return {
            QPStatus.SOLVED: "solved: every residual is within the tolerance",
            QPStatus.SOLVED_LOWER_ACCURACY: "solved to a lower accuracy: the residuals are within 1000 times the tolerance",
            QPStatus.TIME_LIMIT: "time limit reached; best point so far",
            QPStatus.ITERATION_LIMIT: "iteration limit reached; best point so far",
            QPStatus.PRIMAL_INFEASIBLE: "no point satisfies the constraints; the ray proves it",
            QPStatus.DUAL_INFEASIBLE: "the objective falls without bound along the ray",
            QPStatus.INTERRUPTED: "interrupted; best point so far",
            QPStatus.FAILED: "no further progress; best point so far",
        }[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """How far a primal-dual point is from optimal, on the caller's own data (infinity norms).

    Attributes
    ----------
    primal
        max(|Ax - b|, [Gx - h]+, [lb - x]+, [x - ub]+).
    dual
        |Px + q + A'y + G'z + z_box|.
    gap
        |x'Px + q'x + b'y + h'z + lb'[z_box]- + ub'[z_box]+|, infinite bounds left out.
    sign
        max([-z]+, [-z_box]+ where lb is infinite, [z_box]+ where ub is infinite, |z| where h is infinite): without it the other three accept wrong answers.
    primal_scale, dual_scale, gap_scale
        The largest terms that each was computed from, for relative tolerances.
    """

    primal: float
    dual: float
    gap: float
    sign: float
    primal_scale: float
    dual_scale: float
    gap_scale: float

    @property
    def worst(self) -> float:
        """The largest of the four."""
        return max(self.primal, self.dual, self.gap, self.sign)

    def excess(self, eps_abs: float, eps_rel: float) -> float:
        """The largest residual as a multiple of its tolerance; at most 1 where all are within. Signs are measured beside the dual's terms."""

        def over(residual: float, scale: float) -> float:
            allowed = eps_abs + eps_rel * scale
            return residual / allowed if allowed > 0 else (0.0 if residual == 0 else np.inf)

        found = max(
            over(self.primal, self.primal_scale),
            over(self.dual, self.dual_scale),
            over(self.gap, self.gap_scale),
            over(self.sign, self.dual_scale),
        )
        return float(found) if np.isfinite(found) else np.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class QPTimes:
    """Seconds of wall time.

    ``load_s`` is None where the caller brought arrays. ``compile_s`` is the kernels' compilation or their loading from the cache. ``build_s`` is the problem's
    presolve, scaling and power iterations, and ``solve_s`` all after that, presolve's inversion and checks included: a time limit is about both together.
    Of other people's solvers (`fnanneal.solvers.qp.peers`), ``compile_s`` is import and warm-up, and ``build_s`` the building of their model with the scaling that they do there.
    """

    load_s: float | None
    compile_s: float
    build_s: float
    solve_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QPEnergy:
    """The energy account of a solve: modelled from counted events, and measured where the machine has counters."""

    account: Account
    measured: Measured | None
    events: Events

    def to_dict(self) -> dict[str, Any]:
        """With ``events`` None where the solver does not count them."""
        a = self.account
        return {
            "technology": a.technology,
            "status": a.status,
            "joules": a.joules,
            "items": dict(a.items),
            "not_covered": dict(a.not_covered),
            "measured": None if self.measured is None else asdict(self.measured),
            "events": None if a.status == "not counted" else asdict(self.events),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QPProgress:
    """What a callback sees at every check of the residuals.

    The residuals are those of the best point so far, on the caller's data; ``phase`` is what is running.
    """

    elapsed: float
    iterations: int
    phase: str
    objective: float
    residuals: Residuals


class JudgedQP(Protocol):
    """The part of a quadratic program that a result needs."""

    @property
    def n(self) -> int: ...
    @property
    def sense(self) -> Literal["min", "max"]: ...
    def objective(self, x: Vector) -> float: ...
    def residuals(self, x: Vector, y: Vector, z: Vector, z_box: Vector) -> Residuals: ...
    def summary(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QPResult:
    """The outcome of one solve of

        minimise 1/2 x'Px + q'x   subject to   Gx <= h, Ax = b, lb <= x <= ub

    with multipliers of the stationarity condition Px + q + A'y + G'z + z_box = 0 (the signs of qpsolvers).

    Attributes
    ----------
    problem
        The program that was solved.
    solver, settings, seed, backend
        What ran.
    status
        Why it ended.
    x : (n,)
        The point; there is always one.
    y : (number of rows of A,)
        Multipliers of the equalities.
    z : (number of rows of G,)
        Multipliers of the inequalities, at least 0.
    z_box : (n,)
        Multipliers of the bounds: negative at lb, positive at ub.
    objective
        Of x, in the caller's sense, with the constant.
    residuals
        Recomputed on the caller's data from x, y, z and z_box, whatever the solver thought of them.
    ray
        Where infeasible, the certificate: of primal infeasibility (y, z, z_box) with A'y + G'z + z_box = 0 and b'y + h'z + lb'[z_box]- + ub'[z_box]+ < 0;
        of dual infeasibility (x) with Px = 0, q'x < 0, Ax = 0, Gx <= 0 and no step towards a finite bound. None otherwise.
    iterations
        Of the first-order method; of the factorising one in ``factorisations``. Of other people's solvers, their own count, or None.
    polished
        Whether the point comes from a factorised system, which is no local operation; always False with ``polish=False``. None where another's solver does not say.
    factorisations
        Of sparse matrices; None where another's solver does not say.
    convex
        Whether P was found positive semidefinite; None where nothing said.
    gap
        For non-convex boxes: objective minus a lower bound, where a cheap one exists; else None. The bound is of the best possible objective. Of scip, by the bound that it claims.
    weights
        "ideal", or what the analog cells that held the variables did to the answer.
    time, energy, trace, versions
        Wall times; events and their account; (seconds, largest residual) at each check; what a result depends on.
    details
        What else is worth reporting. Of other people's solvers ``claim``, its status in its own words; ``claims_solved``; and ``gave_point``: without one x is that next to 0.
    """

    problem: JudgedQP
    solver: str
    settings: Mapping[str, Any]
    seed: int
    backend: str
    status: QPStatus
    x: Vector
    y: Vector
    z: Vector
    z_box: Vector
    objective: float
    residuals: Residuals
    ray: Mapping[str, Vector] | None
    iterations: int | None
    factorisations: int | None
    polished: bool | None
    convex: bool | None
    gap: float | None
    weights: str | Mapping[str, Any]
    time: QPTimes
    energy: QPEnergy
    trace: tuple[tuple[float, float], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def primal_residual(self) -> float:
        return self.residuals.primal

    @property
    def dual_residual(self) -> float:
        return self.residuals.dual

    @property
    def duality_gap(self) -> float:
        return self.residuals.gap

    @property
    def sign_residual(self) -> float:
        return self.residuals.sign

    @property
    def events(self) -> Events:
        """Counts of what the solve did."""
        return self.energy.events

    def verify(self) -> bool:
        """Recompute objective and residuals from the point and its multipliers: True if they agree."""
        p = self.problem
        return (
            p.objective(self.x) == self.objective and p.residuals(self.x, self.y, self.z, self.z_box) == self.residuals
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that ``fnanneal qp --json`` prints (schema 1); the point goes to a solution file instead."""
        return {
            "schema": 1,
            "version": self.versions.get("fnanneal"),
            "problem": self.problem.summary(),
            "solver": self.solver,
            "settings": dict(self.settings),
            "backend": self.backend,
            "seed": self.seed,
            "status": self.status.value,
            "sense": self.problem.sense,
            "objective": self.objective,
            "primal_residual": self.primal_residual,
            "dual_residual": self.dual_residual,
            "duality_gap": self.duality_gap,
            "sign_residual": self.sign_residual,
            "iterations": self.iterations,
            "factorisations": self.factorisations,
            "polished": self.polished,
            "convex": self.convex,
            "gap": self.gap,
            "weights": self.weights if isinstance(self.weights, str) else dict(self.weights),
            "details": dict(self.details),
            "time": asdict(self.time),
            "energy": self.energy.to_dict(),
        }
