"""The tables of docs/neuromorphic-qp.md: the growth transform and FN-DAM cells beside exact solutions. Two minutes, one thread.

python benchmarks/neuromorphic.py [growth|cells]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from fnanneal import FNDAMArray, QPResult
from fnanneal.problems.quadratic.load import load_qp
from fnanneal.problems.quadratic.program import QP
from fnanneal.solvers.qp.solve import solve_qp_problem

SPAR = Path(__file__).parents[2] / "shared" / "data" / "boxqp"


def solve(problem: QP, **kw: Any) -> QPResult:
    return solve_qp_problem(problem, seed=kw.pop("seed", 1), threads=1, **kw)


def box(n: int = 50) -> QP:
    """Dense, condition some 40."""
    rng = np.random.default_rng(1)
    M = rng.normal(size=(n, n))
    return QP.of(M @ M.T / n + 0.1 * np.eye(n), 2 * rng.normal(size=n), lb=-np.ones(n), ub=2 * np.ones(n), name="box")


def constrained(n: int = 50) -> QP:
    """The box with six inequalities and two equalities."""
    rng, b = np.random.default_rng(2), box(n)
    G, A, x = rng.normal(size=(6, n)), rng.normal(size=(2, n)), rng.uniform(-0.5, 0.5, n)
    return QP.of(b.P, b.q, G, G @ x + rng.uniform(0, 0.2, 6), A, A @ x, b.lb, b.ub, name="rows")


def svm(n: int = 200, d: int = 20, *, dual: bool = False) -> QP:
    """A support vector machine for two overlapping clouds: primal (w, b, xi) with n rows, or dual with one."""
    rng = np.random.default_rng(3)
    y = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    X = rng.normal(size=(n, d)) + 0.4 * y[:, None]
    if dual:
        K = (X @ X.T) * y[:, None] * y
        return QP.of(K, -np.ones(n), A=y, b=[0.0], lb=0, ub=1, name="SVM, dual")
    P = sp.diags_array(np.r_[np.ones(d), np.zeros(n + 1)])
    G = -np.hstack([y[:, None] * X, y[:, None], np.eye(n)])
    lb = np.r_[np.full(d + 1, -np.inf), np.zeros(n)]
    return QP.of(P, np.r_[np.zeros(d + 1), np.ones(n)], G, -np.ones(n), lb=lb, name="SVM, primal")


def errors(result: QPResult, exact: QPResult) -> str:
    """Largest errors of x and of the multipliers, and the objective's, relative."""
    multipliers = np.abs(np.r_[result.y - exact.y, result.z - exact.z]).max(initial=0.0)
    objective = (result.objective - exact.objective) / abs(exact.objective)
    return f"{np.abs(result.x - exact.x).max():.1e} | {multipliers:.1e} | {objective:+.1e}"


def growth() -> None:
    print("| box | steps | seconds | largest residual |\n|---|---|---|---|")
    for n in (50, 100, 200):
        r = solve(box(n), solver="growth")
        print(f"| n = {n} | {r.iterations} | {r.time.solve_s:.2f} | {r.residuals.worst:.0e} |")
    if SPAR.is_dir():
        optima = dict(line.split(",")[:2] for line in (SPAR / "optima.csv").read_text().splitlines()[1:])
        print(
            "\n| spar box QP, not convex | optimum | best of 20 seeds | mean | at the optimum |\n|---|---|---|---|---|"
        )
        for name in ("spar020-100-1", "spar050-050-1", "spar100-050-1"):
            path = SPAR / f"{name}.in"
            if path.exists() and name in optima:
                problem, best = load_qp(str(path)), float(optima[name])
                found = np.array([solve(problem, solver="growth", seed=s).objective for s in range(20)])
                print(
                    f"| {name} | {best:g} | {found.max():.6g} | {found.mean():.6g} | {int((found >= best - 1e-4 * abs(best)).sum())} |"
                )
    print(
        "\n| rows | steps | seconds | primal residual | gap | error of x | of multipliers | of the objective |\n|---|---|---|---|---|---|---|---|"
    )
    for problem in (constrained(), svm(dual=True)):
        exact = solve(problem, eps_abs=1e-9)
        for steps in (10_000, 100_000, 1_000_000):
            r = solve(problem, solver="growth", max_iter=10**9, max_steps=steps)
            seconds, worst = r.time.solve_s, f"{r.residuals.primal:.0e} | {r.residuals.gap:.0e}"
            print(f"| {problem.name} | {steps:.0e} | {seconds:.1f} | {worst} | {errors(r, exact)} |")


def cells() -> None:
    print(
        "| problem | cells | bits | resolution of x | error of x | of multipliers | of the objective | the same of the means | pulses a cell | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for problem in (box(), constrained(), svm(), svm(dual=True)):
        exact = solve(problem, eps_abs=1e-9)
        for bits in (4, 6, 8, 10, 12, 14):
            row(problem, exact, str(bits), FNDAMArray(bits=bits))
    print(
        "\n| problem, 8 bits | | cells | resolution of x | error of x | of multipliers | of the objective | the same of the means | pulses a cell | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for problem in (constrained(), svm()):
        exact = solve(problem, eps_abs=1e-9)
        for tau in (0.0, 2.0, 8.0):
            row(problem, exact, f"{tau:g} time constants", FNDAMArray(), time_constants=tau)
            row(problem, exact, f"{tau:g}, not cancelled", FNDAMArray(), time_constants=tau, forgetting="kept")
        for mismatch in (0.005, 0.02, 0.05):
            row(problem, exact, f"mismatch {mismatch:.1%}", FNDAMArray(mismatch=mismatch))
        for noise in (5e-5, 5e-4):
            row(problem, exact, f"read noise {1e6 * noise:.0f} uV", FNDAMArray(read_noise=noise))


def row(problem: QP, exact: QPResult, what: str, array: FNDAMArray, **kw: Any) -> None:
    r = solve(problem, weights=array, **kw)
    d = r.details
    of_means = (d["objective"]["mean"] - exact.objective) / abs(exact.objective)
    pulses, resolution = d["pulses"] / d["cells"], max(d["resolution"])
    print(
        f"| {problem.name} | {d['cells']} | {what} | {resolution:.1e} | {errors(r, exact)} | {of_means:+.1e} | {pulses:.0f} | {r.time.solve_s:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("growth", "cells"))
    chosen = parser.parse_args().what
    for name, study in (("growth", growth), ("cells", cells)):
        if chosen in (None, name):
            study()
            print()


if __name__ == "__main__":
    main()
