"""Nanoseconds a spin test of the ensemble's engines, and a graph with a million vertices in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fnanneal
from fnanneal.problems.couplings import Couplings
from fnanneal.solvers.ensemble import SPAN
from fnanneal.solvers.kernels.start import random_spins
from fnanneal.solvers.populations.engines import aligned, engine_of
from fnanneal.solvers.system import spin_system
from fnanneal.solvers.temperature import GREEDY, temperature_range

if TYPE_CHECKING:
    from maxcut import Cell
    from store import Row

SWEEPS = 500
# The whole anneal, between the ensemble's own ends.
SHAPES: dict[str, Callable[[float, float], NDArray[np.float64]]] = {
    "1/T linear": lambda hot, cold: 1 / np.linspace(1 / hot, 1 / cold, SWEEPS),
    "T linear": lambda hot, cold: np.linspace(hot, cold, SWEEPS),
}
MILLION, DEGREE = 1_000_000, 3


def spin_test(cell: Cell) -> Row:
    """CPU and wall nanoseconds a spin test of one thread, over a full anneal of an island from random states; random numbers are included."""
    system = spin_system(fnanneal.load(cell.graph), coloured=True)
    engine = engine_of(system)
    rows = np.empty((engine.reads, system.n), np.int8)
    work, local, counts = (
        aligned((rows.size,), np.int8),
        np.zeros((engine.reads, engine.width), engine.kind),
        np.zeros(2, np.int64),
    )

    def anneal(key: int, temperatures: NDArray[np.float64]) -> tuple[float, float]:
        for r in range(engine.reads):
            random_spins(np.uint64(key), r, rows[r])
        engine.load(rows, work, local)
        each = np.repeat(temperatures[:, None], engine.reads, axis=1)
        cpu, wall = time.thread_time(), time.perf_counter()
        engine.sweeps(work, local, each, counts, key, 0, 0)
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
        engine.unload(work, rows)
        return cpu, wall

    anneal(0, np.zeros(GREEDY))
    hot, cold = temperature_range(system, rows[:1], SPAN)
    cpu, wall = anneal(cell.seed, SHAPES[cell.settings](hot, cold))
    tests = SWEEPS * rows.size
    return {"engine": type(engine).__name__, "ns": round(cpu / tests * 1e9, 4), "wall_ns": round(wall / tests * 1e9, 4)}


def million(threads: int) -> dict[str, Any]:
    """100 sweeps of 64 replicas on a random cubic graph: seconds and peak memory of a fresh process that finds the graph in a file."""
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder, "graph.npz")
        for part in ("generate", "solve"):
            command = [sys.executable, str(Path(__file__).resolve()), part, str(graph), str(threads)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
    out: dict[str, Any] = json.loads(done.stdout)
    return out


def _generate(path: Path) -> None:
    c = fnanneal.load(f"nx:random_regular_graph(d={DEGREE},n={MILLION},seed=1)").couplings
    np.savez(path, rows=c.rows, cols=c.cols, weights=c.weights)


def _solve(path: Path, threads: int) -> None:
    # Kernels are compiled, or loaded, on a small graph first; what preparing the large one takes counts.
    fnanneal.solve("nx:random_regular_graph(d=3,n=1000,seed=1)", "ensemble", num_sweeps=4, num_reads=1, seed=1)
    with np.load(path) as a:
        couplings, _ = Couplings.build(MILLION, a["rows"], a["cols"], a["weights"])
    problem = fnanneal.MaxCut(couplings=couplings)
    t = time.perf_counter()
    r = fnanneal.solve(problem, "ensemble", num_sweeps=100, num_reads=1, seed=1, threads=threads)
    took = time.perf_counter() - t
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert r.verify()
    out = {
        "cut": r.objective,
        "solve_s": r.time.solve_s,
        "prepare_s": r.time.prepare_s,
        "total_s": took,
        "peak_gib": peak,
    }
    print(json.dumps(out | {"spin_tests": r.events.spin_tests, "version": r.versions["fnanneal"]}))


if __name__ == "__main__":
    if sys.argv[1] == "generate":
        _generate(Path(sys.argv[2]))
    else:
        _solve(Path(sys.argv[2]), int(sys.argv[3]))
