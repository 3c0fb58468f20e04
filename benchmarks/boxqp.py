"""Non-convex box QPs: time to the optimum of the spar instances, and large instances against SciPy's L-BFGS-B from random starts in the same time.

    python benchmarks/boxqp.py --spar ../shared/data/boxqp [--seeds 20]
    python benchmarks/boxqp.py --large [--seconds 1 10] [--seeds 1]
    python benchmarks/boxqp.py --families [--seconds 0.1 0.5 3]

One thread; kernels are compiled before anything is timed. "time to optimum" is the search from an empty state until its value is within 1e-6 of the optimum; "whole solve" is
`solve_qp` with its own end, checks and certificate included. L-BFGS-B has its Jacobian, and P in whichever form is faster for it; the best point of any of its evaluations counts.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize as so
import scipy.sparse as sp
from numpy.typing import NDArray

from fnanneal.problems.quadratic.program import QP
from fnanneal.problems.quadratic.synthetic import box
from fnanneal.solvers.kernels import boxqp as kernels
from fnanneal.solvers.qp.boxqp import FIRST, BoxQP
from fnanneal.solvers.qp.method import Tolerance
from fnanneal.solvers.qp.solve import solve_qp_problem

Vector = NDArray[np.float64]
TOLERANCE = Tolerance(eps_abs=1e-6, eps_rel=0.0, polish=True)
ACCURACY = 1e-6
# Seconds that L-BFGS-B may take for a spar optimum; twice the slowest that was published.
PATIENCE = 3.0


def read_spar(folder: Path) -> Iterator[tuple[str, QP, float]]:
    """Name, problem and the least objective of the minimisation."""
    with (folder / "optima.csv").open() as f:
        for row in csv.DictReader(f):
            numbers = np.array((folder / f"{row['name']}.in").read_text().split(), float)
            n = int(numbers[0])
            P, q = -numbers[n + 1 :].reshape(n, n), -numbers[1 : n + 1]
            yield row["name"], QP.of(P, q, lb=0, ub=1), -float(row["optimal_value_of_the_maximisation"])


def time_to_optimum(problem: QP, least: float, seed: int) -> tuple[float, int]:
    """Seconds and rounds until the search's best is within `ACCURACY` of the optimum."""
    method = BoxQP()
    plan = method.prepare(problem, TOLERANCE, 1)
    s, n = plan.system, problem.n
    target = (least + ACCURACY * abs(least) - s.base) / s.unit
    rules = kernels.Rules(
        method.hot, method.cold, method.kappa, method._longest(n), 10**6, 10**6, target
    )  # fmt: skip
    began = time.perf_counter()
    state = kernels.new_search(n, method.population, min(FIRST, rules.longest))
    kernels.search(s.box, rules, state, np.uint64(seed), 10**10)
    return time.perf_counter() - began, int(state.numbers[kernels.ROUND])


def multistart(problem: QP, seconds: float, seed: int, target: float = -math.inf) -> list[tuple[float, float]]:
    """Seconds and values of L-BFGS-B's improvements, from random starts, until the time is over or the target met."""
    n, rng = problem.n, np.random.default_rng(seed)
    P: Any = problem.P.toarray() if problem.P.nnz > 0.2 * n * n else problem.P
    q, low, high = problem.q, problem.lb, problem.ub
    found: list[tuple[float, float]] = []
    began = time.perf_counter()

    def f(x: Vector) -> tuple[float, Vector]:
        g = P @ x + q
        value = 0.5 * float(x @ (g + q))
        now = time.perf_counter() - began
        if now > seconds:
            raise TimeoutError
        if not found or value < found[-1][1]:
            found.append((now, value))
        return value, g

    options = {"maxiter": 10**6, "maxfun": 10**7}
    bounds = so.Bounds(low, high)
    try:
        while not found or found[-1][1] > target:
            so.minimize(f, rng.uniform(low, high), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    except TimeoutError:
        pass
    return found


def spar(folder: Path, seeds: int) -> None:
    instances = list(read_spar(folder))
    solve_qp_problem(instances[0][1], solver="boxqp", seed=0)
    rows: list[tuple[str, float, float, float, float]] = []
    wrong = 0
    for name, problem, least in instances:
        ours = [time_to_optimum(problem, least, seed)[0] for seed in range(seeds)]
        whole = [solve_qp_problem(problem, solver="boxqp", seed=seed) for seed in range(seeds)]
        wrong += sum(not r.objective <= least + ACCURACY * abs(least) for r in whole)
        others = []
        for seed in range(min(seeds, 3)):
            found = multistart(problem, PATIENCE, seed, least + ACCURACY * abs(least))
            met = found[-1][1] <= least + ACCURACY * abs(least)
            others.append(found[-1][0] if met else math.inf)
        rows.append((
            name, float(np.median(ours)), max(ours), float(np.median([r.time.solve_s for r in whole])), float(np.median(others)),
        ))  # fmt: skip
        print(f"{name:16} " + " ".join(f"{1e3 * t:9.3f}" for t in rows[-1][1:]), flush=True)
    table = np.array([row[1:] for row in rows]) * 1e3
    print(
        f"\n{len(rows)} instances, {seeds} seeds; {wrong} of {seeds * len(rows)} whole solves not at the optimum; [ms]"
    )
    print("                 time to optimum, its worst, whole solve, L-BFGS-B's time to optimum")
    for what, pick in (("median", np.median), ("worst", np.max)):
        print(f"{what:16} " + " ".join(f"{pick(column):9.3f}" for column in table.T))


def sparse_box(n: int, degree: int, seed: int, convexity: float = 0.0) -> QP:
    """Integers from -50 to 50 at random places, `degree` a row; the diagonal as well, or uniform up to `convexity` times the norm of a row."""
    rng = np.random.default_rng(seed)
    i, j = rng.integers(0, n, (2, n * degree // 2))
    A = sp.coo_array((rng.integers(-50, 51, i.size).astype(float), (i, j)), shape=(n, n)).tocsr()
    A = A + A.T
    A.setdiag(rng.uniform(0, convexity * 29 * math.sqrt(degree), n) if convexity else rng.integers(-50, 51, n))
    return QP.of(A, rng.integers(-50, 51, n).astype(float), lb=0, ub=1)


def large() -> dict[str, Callable[[int], QP]]:
    """By name, as functions of a seed."""
    dense = {
        f"dense n={n} density={d}": (lambda seed, n=n, d=d: box(n, d, seed))
        for n in (1000, 2000, 5000)
        for d in (0.2, 0.5, 1.0)
    }
    sparse = {
        f"sparse n={n} degree={d}": (lambda seed, n=n, d=d: sparse_box(n, d, seed))
        for n in (1000, 5000)
        for d in (6, 20, 50)
    }
    bent = {f"bent n={n} degree=20": (lambda seed, n=n: sparse_box(n, 20, seed, 1.2)) for n in (1000, 5000)}
    return {**dense, **sparse, **bent}


def centred(P: Any, q: Vector) -> QP:
    """On [-1, 1]^n."""
    return QP.of(P, q, lb=-1, ub=1)


def families() -> dict[str, Callable[[int], QP]]:
    """Non-convex boxes of other kinds: differential operators less a multiple of 1, spectra, bilinear, concave, badly scaled."""

    def laplace(shift: float, noise: float) -> Callable[[int], QP]:
        def make(seed: int, m: int = 50) -> QP:
            T = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
            L = sp.kron(T, sp.eye_array(m)) + sp.kron(sp.eye_array(m), T)
            return centred(
                (L - shift * sp.eye_array(m * m)).tocsr(), noise * np.random.default_rng(seed).normal(size=m * m)
            )

        return make

    def spectrum(low: int, smallest: float) -> Callable[[int], QP]:
        def make(seed: int, n: int = 1000) -> QP:
            rng = np.random.default_rng(seed)
            values = np.logspace(math.log10(smallest), 2, n)
            values[:low] = -0.5
            Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
            P = (Q * values) @ Q.T
            return centred((P + P.T) / 2, 0.3 * rng.normal(size=n))

        return make

    def gram(sign: float, shift: float) -> Callable[[int], QP]:
        def make(seed: int, n: int = 1000) -> QP:
            rng = np.random.default_rng(seed)
            A = rng.normal(size=(n, n))
            return centred(sign * (A @ A.T) / n - shift * np.eye(n), rng.normal(size=n))

        return make

    def bilinear(seed: int, n: int = 1000) -> QP:
        rng = np.random.default_rng(seed)
        B, Z = rng.normal(size=(n // 2, n // 2)), np.zeros((n // 2, n // 2))
        return centred(np.block([[Z, B], [B.T, Z]]), 5 * rng.normal(size=n))

    def scaled(seed: int, n: int = 1000) -> QP:
        p = box(n, 0.3, seed)
        d = np.exp(np.random.default_rng(seed).normal(size=n))
        return QP.of(sp.diags_array(d) @ p.P @ sp.diags_array(d), p.q * d, lb=0, ub=1)

    def chain(seed: int, n: int = 2000) -> QP:
        D = sp.diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(n - 2, n))
        return centred((D.T @ D - 1e-3 * sp.eye_array(n)).tocsr(), 0.01 * np.random.default_rng(seed).normal(size=n))

    return {
        "Laplace - 0.01": laplace(0.01, 0.02),
        "Laplace - 0.5": laplace(0.5, 0.1),
        "Laplace - 3": laplace(3.0, 1.0),
        "Gram - 0.1": gram(1.0, 0.1),
        "Gram - 1": gram(1.0, 1.0),
        "-Gram": gram(-1.0, 0.0),
        "bilinear": bilinear,
        "spectrum 1e-4 ... 1e2, 5 negative": spectrum(5, 1e-4),
        "dense, scaled by exp(N(0, 1))": scaled,
        "chain of second differences - 1e-3": chain,
    }


def against(instances: dict[str, Callable[[int], QP]], seconds: list[float], seeds: int) -> None:
    """In the same seconds, from a problem in memory: building counts."""
    warm = box(30, 1.0, 0)
    for P in (warm.P, sp.csr_array(warm.P.toarray() * math.pi), sparse_box(200, 4, 0).P, sparse_box(500, 20, 0, 1.2).P):
        solve_qp_problem(QP.of(P, np.ones(P.shape[0]), lb=0, ub=1), solver="boxqp", seed=0, num_rounds=20)
    tally = {"better": 0, "equal": 0, "worse": 0}
    print(f"{'instance':36} {'seconds':>8} {'boxqp':>16} {'L-BFGS-B':>16} {'ahead by':>9} {'gap':>6}")
    for name, make in instances.items():
        for seed in range(1, seeds + 1):
            problem = make(seed)
            sign = -1.0 if problem.sense == "max" else 1.0
            found = multistart(problem, max(seconds), seed)
            for limit in seconds:
                r = solve_qp_problem(problem, solver="boxqp", seed=seed, time_limit=limit, threads=1)
                mine = sign * r.objective
                theirs = min((v for t, v in found if t <= limit), default=math.inf)
                near = 1e-7 * max(abs(mine), 1e-300)
                word = "better" if mine < theirs - near else "equal" if mine <= theirs + near else "worse"
                tally[word] += 1
                ahead = (theirs - mine) / max(abs(mine), abs(theirs), 1e-300)
                gap = math.nan if r.gap is None else r.gap / max(abs(mine), 1e-300)
                print(
                    f"{name:36} {limit:8.2f} {mine:16.4f} {theirs:16.4f} {100 * ahead:8.3f}% {gap:6.2f} {word}",
                    flush=True,
                )
    print(", ".join(f"{word} {count}" for word, count in tally.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spar", type=Path, metavar="DIR", help="time to the optimum of the instances there")
    parser.add_argument("--large", action="store_true", help="1000 to 5000 variables, against L-BFGS-B")
    parser.add_argument("--families", action="store_true", help="other kinds of boxes, against L-BFGS-B")
    parser.add_argument("--seconds", type=float, nargs="+", help="time limits")
    parser.add_argument("--seeds", type=int, help="spar: 20; else 1")
    a = parser.parse_args()
    if not (a.spar or a.large or a.families):
        parser.error("one of --spar DIR, --large, --families")
    if a.spar:
        spar(a.spar, a.seeds or 20)
    if a.large:
        against(large(), a.seconds or [1.0, 10.0], a.seeds or 1)
    if a.families:
        against(families(), a.seconds or [0.1, 0.5, 3.0], a.seeds or 1)


if __name__ == "__main__":
    main()
