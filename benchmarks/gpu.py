"""The GPU against the CPU, in one command and ten minutes at most: are the spins the same, how fast are they tested, how soon is the best known cut found.

    python benchmarks/gpu.py [--minutes 10] [--store runs/gpu.jsonl]

First bit-equality: solves with a budget of sweeps on both backends. Then ceilings of this GPU, and beside them the engines' rates with 4096 replicas and the times to
the best known cut of ensemble on the GPU, ensemble on the CPU with all its threads, and simulated-bifurcation (PyTorch) on the same GPU, where it is installed. Then
K2000 over 20 seeds, a random cubic graph of a million vertices, and what a tensor-core product would cost in place of the dense engine's incremental fields.
Compiling is not counted; preparing is. What the minutes do not suffice for is named, and left out.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from store import Store

import fnanneal
from fnanneal.errors import InputError
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.dense import Chains
from fnanneal.solvers.cuda.device import Device
from fnanneal.solvers.cuda.engines import Round, engine_on
from fnanneal.solvers.cuda.source import Kernels
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.peers.sb import MOST_SPINS
from fnanneal.solvers.populations.population import Plan

TORUS, TORUS_TARGET = "rudy:-spinglass3pm 15 15 15 50 1", 3014
MILLION = "nx:random_regular_graph(d=3,n=1000000,seed=1)"
EQUAL: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("G1", "ensemble", {"num_sweeps": 600}),
    ("G22", "ensemble", {"num_sweeps": 600, "num_reads": 8}),
    ("G35", "ensemble", {"num_sweeps": 400}),
    ("G48", "ensemble", {"num_sweeps": 600}),
    ("G81", "ensemble", {"num_sweeps": 200, "num_reads": 4}),
    (TORUS, "ensemble", {"num_sweeps": 1000}),
    ("K2000", "ensemble", {"num_sweeps": 700, "num_reads": 4}),
    ("gen:sk(300,'gauss',seed=1)", "ensemble", {"num_sweeps": 700}),
    ("gen:torus3d(10,10,10,'gauss',seed=1)", "ensemble", {"num_sweeps": 600}),
    ("G22", "sa", {"num_sweeps": 200, "num_reads": 64}),
    ("gen:torus3d(10,10,10,'gauss',seed=1)", "sa", {"num_sweeps": 200, "num_reads": 16}),
    ("G22", "neurosa", {"num_sweeps": 300, "num_reads": 16}),
)
RATED = ("G22", "G55", "G81", "K2000", TORUS)
REPLICAS, SWEEPS = 4096, 400
SECONDS, SEEDS = 10.0, (1, 2)


@dataclass
class Bench:
    """What is measured on, and what is found."""

    device: Device
    deadline: float
    store: Store | None
    left_out: list[str] = field(default_factory=list)

    def time_for(self, what: str, seconds: float) -> bool:
        """Whether there is; else it is noted."""
        enough = time.perf_counter() + seconds < self.deadline
        if not enough:
            self.left_out.append(what)
        return enough

    def keep(self, **row: Any) -> None:
        if self.store is not None:
            row = {"seed": 0, "solver": "", "settings": "", "seconds": 0, "threads": 0, **row}
            self.store.add(
                {**row, "device": self.device.name, "host": platform.machine(), "version": version("fnanneal")}
            )

    def wait(self) -> None:
        """Until the device has done all that is queued."""
        self.device.download(self.device.zeros(1, np.uint8))

    def seconds(self, work: Callable[[], Any], least: float = 0.2) -> float:
        """A call's time, the mean of as many as take that long, after one that compiles."""
        work()
        self.wait()
        count, spent = 0, 0.0
        while spent < least:
            t = time.perf_counter()
            for _ in range(2**count):
                work()
            self.wait()
            spent, count = time.perf_counter() - t, count + 1
        return spent / 2 ** (count - 1)


def equality(bench: Bench, runs: Sequence[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    """A line a run, and the sum."""
    same = done = 0
    for name, solver, settings in runs:
        if not bench.time_for(f"equality of {solver} on {name}", 30):
            continue
        problem = fnanneal.load(name)
        cpu, gpu = (fnanneal.solve(problem, solver, seed=1, backend=b, **settings) for b in ("cpu", "cuda"))
        equal = bool(np.array_equal(cpu.spins, gpu.spins) and np.array_equal(cpu.states, gpu.states))
        equal = equal and cpu.energy.events == gpu.energy.events
        done, same = done + 1, same + equal
        bench.keep(kind="equal", graph=name, solver=solver, equal=equal)
        yield f"| {name} | {solver} | {settings['num_sweeps']} | {gpu.objective} | {'yes' if equal else 'NO'} | {cpu.time.solve_s:.2f} | {gpu.time.solve_s:.2f} |"
    yield f"\n{same} of {done} runs are bit-identical, counts of events included."


def ceilings(bench: Bench, megabytes: int = 1024) -> dict[str, float]:
    """Bytes copied and random draws made in a nanosecond."""
    device = bench.device
    a, b = (device.zeros(megabytes * 2**20, np.uint8) for _ in range(2))
    copied = 2 * megabytes * 2**20 / bench.seconds(lambda: device.copy(a, b)) * 1e-9
    blocks, rounds = 32 * device.multiprocessors, 16 * megabytes
    out = device.empty(256 * blocks, np.uint32)
    source = Kernels(str(Path(__file__).with_name("ceiling")))
    spent = bench.seconds(lambda: device.launch(source, "draws", blocks, 256, out, np.int32(rounds)))
    return {"copy": copied, "draws": 2 * 8 * 256 * blocks * rounds / spent * 1e-9}


def _lineages(device: Device, plan: Plan, rows: Any, ladder: NDArray[np.float64]) -> Callable[[], None]:
    islands, reads, _ = rows.shape
    engine = engine_on(device, plan.engine, islands)
    work = Round(
        numbers=np.arange(islands, dtype=np.uint32),
        firsts=np.zeros(islands, np.uint32),
        sweeps=np.full(islands, ladder.size, np.int32),
        temperatures=device.upload(np.broadcast_to(ladder[None, :, None], (islands, ladder.size, reads))),
        hottest=float(ladder[0]),
        key=1,
    )

    def anneal() -> None:
        engine.load(list(range(islands)), rows)
        engine.sweeps(work)

    return anneal


def _chains(device: Device, plan: Plan, rows: Any, ladder: NDArray[np.float64]) -> Callable[[], None]:
    assert plan.dense is not None and plan.dense.matrix is not None
    states = rows.reshape(-1, plan.system.n)
    chains = Chains.of(device, plan.dense.matrix, plan.system.n, np.arange(states.shape[0], dtype=np.uint32))
    temperatures = device.upload(ladder.astype(np.float32))

    def anneal() -> None:
        chains.begin(states)
        chains.sweeps(temperatures, 1, 0)

    return anneal


def rate(bench: Bench, name: str, replicas: int = REPLICAS, sweeps: int = SWEEPS) -> dict[str, float]:
    """Spin tests a nanosecond of an engine from hot to cold, on the device and on one core; and bytes of couplings and neighbours it reads a nanosecond."""
    solver = Ensemble()
    plan = solver.prepare(fnanneal.load(name))
    reads, n = plan.engine.reads, plan.system.n
    islands = max(1, replicas // reads)
    hot, cold = solver.range(plan, solver.optima)
    ladder = 1 / np.linspace(1 / hot, 1 / cold, sweeps)
    device = bench.device
    rows = device.upload(np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (islands, reads, n)))
    anneal = _lineages(device, plan, rows, ladder) if plan.dense is None else _chains(device, plan, rows, ladder)

    tests = islands * reads * n * sweeps
    on_device = tests / bench.seconds(anneal) * 1e-9
    host = np.empty(reads * n, np.int8)
    local = np.zeros((reads, plan.engine.width), plan.engine.kind)
    plan.engine.load(device.download(rows[0]), host, local)
    each = np.repeat(ladder[:, None], reads, axis=1)
    plan.engine.sweeps(host, local, each[:1], np.zeros(2, np.int64), 1, 0, 0)
    t = time.perf_counter()
    plan.engine.sweeps(host, local, each, np.zeros(2, np.int64), 1, 0, 0)
    on_core = reads * n * sweeps / (time.perf_counter() - t) * 1e-9
    # A neighbour's number serves the 32 lanes of a group; a dense chain reads a row at a flip, which is not counted here.
    read = on_device * 4 * plan.system.indices.size / n / 32 if plan.dense is None else np.nan
    return {"gpu": on_device, "core": on_core, "read": read}


def best_known(problem: fnanneal.MaxCut) -> float | None:
    return None if problem.best_known is None else problem.best_known.value


class Unfit(Exception):
    """Why simulated-bifurcation is not run."""


def bifurcation(problem: fnanneal.MaxCut, seconds: float, seed: int) -> NDArray[np.int8]:
    """Spins of the package simulated-bifurcation on the GPU: 1024 agents on a dense matrix until the time is up. The peer `sb` is for one thread of the CPU."""
    try:
        import simulated_bifurcation
        import torch
    except ImportError as e:
        raise Unfit('pip install "fnanneal[sb]"') from e
    if not torch.cuda.is_available():
        raise Unfit("PyTorch sees no GPU")
    if problem.n > MOST_SPINS:
        raise Unfit(f"its matrix is dense, and above {MOST_SPINS} vertices it takes minutes to prepare")
    torch.manual_seed(seed)
    c = problem.couplings
    matrix = torch.zeros((problem.n, problem.n))
    matrix[torch.from_numpy(c.rows.astype(np.int64)), torch.from_numpy(c.cols.astype(np.int64))] = torch.from_numpy(
        c.weights.astype(np.float32)
    )
    spins, _ = simulated_bifurcation.minimize(
        matrix, domain="spin", agents=1024, mode="discrete", device="cuda", verbose=False, early_stopping=False,
        max_steps=10**9, timeout=seconds,
    )  # fmt: skip
    return np.where(spins.cpu().numpy() > 0, 1, -1).astype(np.int8)


def reach(bench: Bench, name: str, target: float, seconds: float) -> Iterator[str]:
    """Time to the target of each solver."""
    problem = fnanneal.load(name)

    def ours(backend: str) -> Callable[[int], tuple[float, float]]:
        def run(seed: int) -> tuple[float, float]:
            r = fnanneal.solve(problem, seed=seed, backend=backend, time_limit=seconds, target=target)
            assert r.verify()
            return float(r.objective), r.time.to_best_s

        return run

    def sb(seed: int) -> tuple[float, float]:
        # It cannot be told to stop at a target: it is given twice the time again and again, and the first run that gets there counts alone.
        limit = seconds / 64
        while True:
            value = float(problem.objective(bifurcation(problem, limit, seed)))
            if value >= target or limit >= seconds:
                return value, limit
            limit *= 2

    for solver, run in (
        ("ensemble, GPU", ours("cuda")),
        ("ensemble, CPU", ours("cpu")),
        ("simulated-bifurcation, GPU", sb),
    ):
        found = []
        for seed in SEEDS:
            if not bench.time_for(f"{solver} on {name}, seed {seed}", 2 * seconds + 2):
                continue
            try:
                found.append(run(seed))
            except Unfit as e:
                bench.left_out.append(f"{solver} on {name}: {e}")
                break
            bench.keep(
                kind="reach", graph=name, solver=solver, seed=seed, objective=found[-1][0], to_best_s=found[-1][1]
            )
        if found:
            times = ", ".join(f"{t:.2f} s" if v >= target else f"{v:g} in {seconds:g} s" for v, t in found)
            yield f"| {name} | {target:g} | {solver} | {times} |"


def many_seeds(bench: Bench, name: str, target: float, seeds: int, seconds: float) -> str:
    """The median time to the target."""
    problem = fnanneal.load(name)
    times = []
    for seed in range(1, seeds + 1):
        if bench.time_for(f"{name}, seed {seed}", seconds):
            r = fnanneal.solve(problem, seed=seed, backend="cuda", time_limit=seconds, target=target)
            times.append(r.time.solve_s if r.objective >= target else np.inf)
            bench.keep(
                kind="seeds", graph=name, solver="ensemble", seed=seed, objective=r.objective, solve_s=r.time.solve_s
            )
    if not times:
        return f"{name}: left out."
    hits = sum(t < np.inf for t in times)
    return f"{name}, {target:g}: median {statistics.median(times):.3f} s, {hits} of {len(times)} seeds within {seconds:g} s."


def million(bench: Bench, name: str = MILLION) -> str:
    """100 sweeps of 64 replicas."""
    if not bench.time_for("the million-spin graph", 60):
        return "Left out."
    problem = fnanneal.load(name)
    words = []
    for backend in ("cuda", "cpu"):
        r = fnanneal.solve(problem, num_sweeps=100, num_reads=1, seed=1, backend=backend)
        bench.keep(kind="million", graph=name, solver=backend, solve_s=r.time.solve_s, prepare_s=r.time.prepare_s)
        words.append(f"{backend} {r.time.solve_s:.2f} s, {r.time.prepare_s:.2f} s of it preparing, cut {r.objective}")
    return f"{problem.n} vertices of degree 3, 100 sweeps x 64 replicas: " + "; ".join(words) + "."


def tensor_cores(n: int, chains: int, tile: int = 64) -> str:
    """What the products alone would cost a sweep, if after each tile of spins all fields of all chains were updated by an int8 matrix product."""
    try:
        import torch
    except ImportError:
        return 'Not measured: PyTorch is not installed (pip install "fnanneal[sb]").'
    if not torch.cuda.is_available():
        return "Not measured: PyTorch sees no GPU."
    a = torch.ones((n, tile), dtype=torch.int8, device="cuda")
    b = torch.ones((chains, tile), dtype=torch.int8, device="cuda").t()
    torch._int_mm(a, b)
    torch.cuda.synchronize()
    t = time.perf_counter()
    for _ in range(100):
        torch._int_mm(a, b)
    torch.cuda.synchronize()
    sweep = (time.perf_counter() - t) / 100 * -(-n // tile)
    return f"{n} spins, {chains} chains: {sweep * 1e6:.0f} us a sweep for the products alone, {n * chains / sweep * 1e-9:.1f} spin tests/ns at most."


def main(arguments: Sequence[str] | None = None, *, small: bool = False) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args(arguments)
    try:
        device = finding.devices()[0]
    except InputError as e:
        print(e, file=sys.stderr)
        return 2
    bench = Bench(device, time.perf_counter() + 60 * options.minutes, Store(options.store) if options.store else None)
    print(f"{device.name}, {device.multiprocessors} multiprocessors; {version('fnanneal')}\n")
    print("| graph | solver | sweeps | cut | the same spins | CPU s | GPU s |\n|---|---|---|---|---|---|---|")
    for line in equality(bench, SMALL if small else EQUAL):
        print(line, flush=True)
    top = ceilings(bench, 1 if small else 1024)
    print(
        f"\nCeilings of this run: {top['copy']:.0f} GB/s copied; random draws for {top['draws']:.0f} spin tests/ns.\n"
    )
    print(
        "| graph | replicas | GPU, spin tests/ns | of the draws' ceiling | neighbours read, GB/s | one core, spin tests/ns |\n|---|---|---|---|---|---|"
    )
    replicas, sweeps = (64, 4) if small else (REPLICAS, SWEEPS)
    for name in ("nx:petersen_graph()", "nx:random_regular_graph(3,90,seed=1)") if small else RATED:
        r = rate(bench, name, replicas, sweeps)
        bench.keep(kind="rate", graph=name, **r)
        print(
            f"| {name} | {replicas} | {r['gpu']:.1f} | {r['gpu'] / top['draws']:.0%} | {r['read']:.0f} | {r['core']:.2f} |",
            flush=True,
        )
    print("\n| graph | target | solver | time to it, by seed |\n|---|---|---|---|")
    for name in ("nx:cycle_graph(12)",) if small else RATED:
        known = best_known(fnanneal.load(name))
        target = 12 if small else TORUS_TARGET if known is None else known
        for line in reach(bench, name, target, 0.2 if small else SECONDS):
            print(line, flush=True)
    if not small:
        print("\n" + many_seeds(bench, "K2000", 33337, 20, 5))
        print("\n" + million(bench))
        print("\nTensor cores in place of incremental fields: " + tensor_cores(2000, 1024))
    if bench.left_out:
        print("\nLeft out: " + "; ".join(bench.left_out) + ".")
    return 0


SMALL: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("nx:cycle_graph(12)", "ensemble", {"num_sweeps": 20}),
    ("nx:petersen_graph()", "sa", {"num_sweeps": 20}),
)

if __name__ == "__main__":
    sys.exit(main())
