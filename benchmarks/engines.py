"""Choices inside the ensemble, measured: float lanes or chains, what a pass of compound moves gives and costs, and the size of dense populations.

    python benchmarks/engines.py floats [--seconds 8] [--seeds 2]
    python benchmarks/engines.py compound [--sweeps 2000]
    python benchmarks/engines.py descents [--runs 50]

Each prints a table for docs/performance.md, from one thread.
"""

from __future__ import annotations

import argparse
import time

import networkx as nx
import numpy as np

import fnanneal
from fnanneal.problems.combinatorial import neurobench_mis
from fnanneal.problems.model import Model
from fnanneal.solvers.ensemble import SPAN
from fnanneal.solvers.kernels.start import random_spins
from fnanneal.solvers.populations import engines
from fnanneal.solvers.populations.engines import Lanes, aligned
from fnanneal.solvers.populations.lineages import timers
from fnanneal.solvers.populations.population import GREEDY_SWEEPS, Plan
from fnanneal.solvers.populations.reduction import Reduction
from fnanneal.solvers.system import spin_system
from fnanneal.solvers.temperature import GREEDY, temperature_range

REGULAR = ((2000, 6), (2000, 16), (2000, 30), (2000, 50), (3000, 90))
SETS = ((2500, 0.01), (5000, 0.01))
TORUS = "gen:torus3d(15,15,15,'gauss',seed=1)"
PLANAR_AND_OTHERS = ("G63", "G64", "G22", "G81")
KAPPA = 0.1
SIZES = (16, 32, 64)


def gaussian(n: int, degree: int) -> Model:
    """Max-Cut on a random regular graph with normal weights."""
    graph = nx.random_regular_graph(degree, n, seed=1)
    weights = np.random.default_rng(1).normal(size=graph.number_of_edges())
    for (_, _, data), weight in zip(graph.edges(data=True), weights.tolist(), strict=True):
        data["weight"] = weight
    return fnanneal.load(graph)


def floats(seconds: float, seeds: int) -> None:
    """Objectives of the same problems with either engine, in the same time."""
    problems: dict[str, Model] = {f"Gaussian 15x15x15 torus ({TORUS})": fnanneal.load(TORUS)}
    problems |= {f"Gaussian weights, {n} spins with {d} edges each": gaussian(n, d) for n, d in REGULAR}
    problems |= {f"independent set, {n} vertices, density {p:g}": neurobench_mis(n, p, 0).qubo for n, p in SETS}
    print("| problem | best is | lanes | chains |\n|---|---|---|---|")
    for name, problem in problems.items():
        found = [
            [
                fnanneal.solve(problem, "ensemble", engine=engine, time_limit=seconds, seed=seed, threads=1).objective
                for seed in range(1, seeds + 1)
            ]
            for engine in ("lanes", "chains")
        ]
        shown = [", ".join(f"{x:.8g}" for x in each) for each in found]
        print(f"| {name} | {problem.sense} | {shown[0]} | {shown[1]} |", flush=True)


def compound(sweeps: int) -> None:
    """The mean rise of the cut of 64 annealed states by one pass, and its time in sweeps at the cold end."""
    print("| graph | mean cut before | rise by one pass | its time, in sweeps |\n|---|---|---|---|")
    for name in PLANAR_AND_OTHERS:
        problem = fnanneal.load(name)
        system = spin_system(problem, coloured=True)
        engine = Lanes.of(system)
        plan = Plan(reduction=Reduction.none(system), engine=engine)
        rows = np.empty((engine.reads, system.n), np.int8)
        work, local = aligned((rows.size,), np.int8), np.zeros((engine.reads, 0), engine.kind)
        counts, values, polished = np.zeros(7, np.int64), np.empty(engine.reads), np.empty(engine.reads)
        for r in range(engine.reads):
            random_spins(np.uint64(1), r, rows[r])
        engine.load(rows, work, local)
        engine.sweeps(work, local, np.zeros((GREEDY, engine.reads)), counts, 1, 0, 0)
        engine.unload(work, rows)
        hot, cold = temperature_range(system, rows, SPAN)
        engine.polish(work.copy(), counts)
        t = timers(np.full(engine.reads, hot), cold, KAPPA, sweeps, 0, sweeps + GREEDY_SWEEPS)
        engine.sweeps(work, local, t, counts, 1, 0, GREEDY)
        engine.unload(work, rows)
        plan.values(rows, values)
        # The time of sweeps where spins are as settled as in the pass.
        last = np.repeat(t[sweeps - 1 : sweeps], 50, axis=0)
        begin = time.thread_time()
        engine.sweeps(work.copy(), local, last, counts, 1, 0, 10 * sweeps)
        middle = time.thread_time()
        engine.polish(work, counts)
        end = time.thread_time()
        engine.unload(work, rows)
        plan.values(rows, polished)
        # cut = (sum of weights + value)/2
        cut = (problem.couplings.weights.sum() + values.mean()) / 2
        rise = (polished - values).mean() / 2
        print(f"| {name} | {cut:.1f} | {rise:.1f} | {50 * (end - middle) / (middle - begin):.0f} |", flush=True)


def descents(runs: int) -> None:
    """CPU seconds to 33337 on K2000, for several sizes of the population."""
    problem = fnanneal.load("K2000")
    print("| lineages | CPU seconds to 33337, mean | standard error |\n|---|---|---|")
    for size in SIZES:
        engines.POPULATION = size
        fnanneal.solve(problem, "ensemble", num_sweeps=1, seed=1)
        took = []
        for seed in range(1, runs + 1):
            begin = time.process_time()
            r = fnanneal.solve(problem, "ensemble", target=33337, seed=seed, threads=1)
            took.append(time.process_time() - begin - r.time.prepare_s)
        print(f"| {size} | {np.mean(took):.2f} | {np.std(took) / np.sqrt(runs):.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_subparsers(dest="what", required=True)
    one = what.add_parser("floats")
    one.add_argument("--seconds", type=float, default=8)
    one.add_argument("--seeds", type=int, default=2)
    two = what.add_parser("compound")
    two.add_argument("--sweeps", type=int, default=2000)
    three = what.add_parser("descents")
    three.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    if options.what == "floats":
        floats(options.seconds, options.seeds)
    elif options.what == "compound":
        compound(options.sweeps)
    else:
        descents(options.runs)


if __name__ == "__main__":
    main()
