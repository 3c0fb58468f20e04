"""SCIP, for programs that need not be convex: spatial branch and bound, through PySCIPOpt.

    min t   s.t.   1/2 x'Px + q'x <= t,   Gx <= h, Ax = b, lb <= x <= ub,   binary x_i = lb_i + (ub_i - lb_i) u_i, u_i in {0, 1}

Without a quadratic part the objective is q'x itself. SCIP gives a point, and a lower bound, but no multipliers. Those that its point is judged with are the best ones of the
constraints that the point touches: they minimise |Px + q + A'y + G'z + z_box|, with the signs that they must have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from ....problems.quadratic.program import QP
from ..method import Point
from .peer import Answer, Ended, Peer, Task, Vector

# SCIP's infinity is 1e20.
INFINITE = 1e20
ENDED: dict[str, Ended] = {
    "optimal": "solved",
    "gaplimit": "solved",
    "timelimit": "time",
    "userinterrupt": "interrupted",
}
# More columns than this are no dense least-squares problem; and SCIP would spend minutes on the eigenvalues of P, past any time limit.
MANY = 2000


class Scip(Peer):
    """Spatial branch and bound: a global optimum, convex or not, with binary variables too."""

    name, package = "scip", "pyscipopt"
    extra, bundled = "scip", True
    convex_only = False
    absolute = ("numerics/feastol", "numerics/dualfeastol", "limits/absgap")
    relative = ("limits/gap",)
    clock = "limits/time"
    # Wall time.
    fixed = {"timing/clocktype": 2}  # noqa: RUF012
    least = 1e-9

    def accepts(self, problem: QP) -> str | None:
        quadratic = int(np.count_nonzero(np.diff(problem.P.indptr)))
        if quadratic > MANY:
            return f"{self.name} decomposes P densely: {quadratic} variables in it are more than {MANY}"
        return None

    def asked(self, task: Task) -> dict[str, Any]:
        return {"randomization/randomseedshift": task.seed % (2**31 - 1), **Peer.asked(self, task)}

    def require(self) -> None:
        try:
            import pyscipopt  # noqa: F401
        except ImportError as e:
            raise self.missing() from e

    def build(self, problem: QP) -> tuple[QP, Any, list[Any]]:
        from pyscipopt import Model, quicksum

        p = problem
        model = Model(p.name or "qp")
        model.hideOutput()
        variables = []
        for i, (low, high) in enumerate(zip(p.lb.tolist(), p.ub.tolist(), strict=True)):
            v = model.addVar(f"x{i}", lb=_side(low), ub=_side(high))
            if p.binary is not None and p.binary[i]:
                if (low, high) == (0.0, 1.0):
                    model.chgVarType(v, "B")
                else:
                    u = model.addVar(f"u{i}", vtype="B")
                    model.addCons(v - (high - low) * u == low)
            variables.append(v)
        linear = quicksum(c * variables[i] for i, c in enumerate(p.q.tolist()) if c)
        if p.P.nnz:
            upper = sp.triu(p.P).tocoo()
            terms = zip(upper.row.tolist(), upper.col.tolist(), upper.data.tolist(), strict=True)
            quadratic = quicksum((c / 2 if i == j else c) * variables[i] * variables[j] for i, j, c in terms)
            t = model.addVar("t", lb=None)
            model.addCons(quadratic + linear <= t)
            model.setObjective(t)
        else:
            model.setObjective(linear)
        for M, right, equal in ((p.G, p.h, False), (p.A, p.b, True)):
            for i, side in enumerate(right.tolist()):
                if abs(side) == np.inf:
                    continue
                of = slice(M.indptr[i], M.indptr[i + 1])
                row = quicksum(
                    c * variables[j] for j, c in zip(M.indices[of].tolist(), M.data[of].tolist(), strict=True)
                )
                if M.indptr[i] == M.indptr[i + 1]:
                    # A row without entries: it holds, or nothing does.
                    row = row + 0 * variables[0]
                model.addCons(row == side if equal else row <= side)
        return p, model, variables

    def call(self, model: tuple[QP, Any, list[Any]], task: Task, x0: Vector | None) -> Answer:
        p, scip, variables = model
        scip.setParams(self.asked(task))
        if x0 is not None:
            given = scip.createPartialSol()
            for v, value in zip(variables, x0.tolist(), strict=True):
                scip.setSolVal(given, v, value)
            scip.addSol(given)
        scip.optimize()
        status = str(scip.getStatus())
        ended = ENDED.get(status, "otherwise")
        if scip.getNSols() == 0:
            return Answer(claim=status, ended=ended)
        best = scip.getBestSol()
        x = np.array([scip.getSolVal(best, v) for v in variables])
        point = multipliers(p, x, max(task.eps_abs, task.eps_rel))
        bound = float(scip.getDualbound())
        return Answer(
            claim=status,
            ended=ended,
            x=x,
            y=point.y,
            z=point.z,
            z_box=point.z_box,
            iterations=int(scip.getNTotalNodes()),
            bound=bound + p.constant if abs(bound) < INFINITE else None,
        )


def _side(value: float) -> float | None:
    return value if abs(value) < np.inf else None


def multipliers(problem: QP, x: Vector, near: float) -> Point:
    """The best multipliers of the constraints that x touches within `near`, or exceeds.

    Without touched rows those of the bounds take all that their signs allow; with them, all are found together by least squares, and the bounds' once more from what is left.
    """
    from scipy.optimize import lsq_linear

    p = problem
    slope = p.P @ x + p.q
    rows = np.flatnonzero(np.isfinite(p.h) & (p.h - p.G @ x <= near))
    low, high = x - p.lb <= near, p.ub - x <= near
    if p.binary is not None:
        low, high = low | p.binary, high | p.binary
    y, z, m = np.zeros(p.b.size), np.zeros(p.h.size), p.b.size
    if m or rows.size:
        touched = np.flatnonzero(low | high)
        unit = sp.eye_array(p.n, format="csc")[:, touched]
        matrix = sp.hstack([p.A.T, p.G[rows].T, unit], format="csr")
        least = np.concatenate([np.full(m, -np.inf), np.zeros(rows.size), np.where(low[touched], -np.inf, 0.0)])
        most = np.concatenate([np.full(m + rows.size, np.inf), np.where(high[touched], np.inf, 0.0)])
        few = max(matrix.shape) <= MANY
        found = lsq_linear(
            matrix.toarray() if few else matrix, -slope, (least, most), method="bvls" if few else "trf"
        ).x
        y, z[rows] = found[:m], np.maximum(found[m : m + rows.size], 0)
    left = -(slope + p.A.T @ y + p.G.T @ z)
    box = np.where(low, np.minimum(left, 0), 0.0) + np.where(high, np.maximum(left, 0), 0.0)
    return Point(x=x, y=y, z=z, z_box=box)
