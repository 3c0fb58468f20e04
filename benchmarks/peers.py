"""Other people's solvers, each behind one function: (problem, seconds, seed) -> spins (n,). One thread each; building their model is not counted.

A peer with several sensible settings is given the whole time for each of them, and its better median counts. Reads are as many as fit in the time, by the
speed of a first one. MQLib is a C++ program (Dunning, Gupta, Silberholz, INFORMS J. Comput. 30 (2018) 608) that the user builds; the program
``MQLib`` on PATH, or the one that ``FNANNEAL_MQLIB`` names, is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fnanneal

Spins = NDArray[np.int8]
Run = Callable[[fnanneal.MaxCut, float, int], Spins]
TRIAL_SWEEPS = 100
DENSE_N = 10_000
HEURISTICS = ("BURER2002", "PALUBECKIS2006", "PALUBECKIS2004bMST2", "LU2010", "DUARTE2005")


class Missing(Exception):
    """A peer that is not installed; the message says what to install."""


class Unfit(Exception):
    """A problem that a peer is not run on; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A solver under one setting. `package` is whose version is stored."""

    name: str
    settings: str
    run: Run
    package: str

    def version(self) -> str:
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return self.package


def dimod_model(problem: fnanneal.MaxCut) -> Any:
    """The Ising form J = w, whose energy falls as the cut rises, as a dimod model with variables 0 to n - 1."""
    try:
        import dimod
    except ImportError as e:
        raise Missing('pip install "fnanneal[peers]"') from e
    c = problem.couplings
    model = dimod.BinaryQuadraticModel(dict.fromkeys(range(problem.n), 0.0), {}, 0.0, "SPIN")
    model.add_quadratic_from(zip(c.rows.tolist(), c.cols.tolist(), c.weights.astype(float).tolist(), strict=True))
    return model


def best_sample(samples: Any) -> Spins:
    """The best sample of a dimod-like sample set, in the order of the variables."""
    record = samples.record
    row = record.sample[int(np.argmin(record.energy))]
    out = np.empty(row.size, np.int8)
    out[np.asarray(list(samples.variables), np.int64)] = row
    return out


def reads_that_fit(spent: float, each: float, seconds: float) -> int:
    """How many reads of `each` seconds to make in the time, at least one."""
    return max(1, int((seconds - spent) / max(each, 1e-9)))


def repeated(seconds: float, sweeps: int | None, read: Callable[[int, int, int], tuple[Any, float]]) -> Spins:
    """Reads of so many sweeps until the time is used, or for None a single read that takes it all. read(reads, sweeps, k) -> (samples, seconds)."""
    _, took = read(1, TRIAL_SWEEPS, 0)
    if sweeps is None:
        return best_sample(read(1, max(TRIAL_SWEEPS, int(0.95 * seconds / took * TRIAL_SWEEPS)), 1)[0])
    reads = reads_that_fit(took, took * sweeps / TRIAL_SWEEPS, seconds)
    return best_sample(read(reads, sweeps, 1)[0])


def dwave_sa(sweeps: int | None) -> Run:
    """dwave-samplers' simulated annealing."""

    def run(problem: fnanneal.MaxCut, seconds: float, seed: int) -> Spins:
        try:
            from dwave.samplers import SimulatedAnnealingSampler
        except ImportError as e:
            raise Missing('pip install "fnanneal[peers]"') from e
        sampler, model = SimulatedAnnealingSampler(), dimod_model(problem)

        def read(reads: int, sweeps: int, k: int) -> tuple[Any, float]:
            out = sampler.sample(model, num_reads=reads, num_sweeps=sweeps, seed=2 * seed + k)
            return out, out.info["timing"]["sampling_ns"] * 1e-9

        return repeated(seconds, sweeps, read)

    return run


def dwave_tabu(reads: int) -> Run:
    """dwave-samplers' multistart tabu search: reads that share the time."""

    def run(problem: fnanneal.MaxCut, seconds: float, seed: int) -> Spins:
        try:
            from dwave.samplers import TabuSampler
        except ImportError as e:
            raise Missing('pip install "fnanneal[peers]"') from e
        model = dimod_model(problem)
        return best_sample(
            TabuSampler().sample(model, num_reads=reads, timeout=round(1000 * seconds / reads), seed=seed)
        )

    return run


def openjij_sa(sweeps: int | None) -> Run:
    """OpenJij's simulated annealing, with its sparse form where the graph is sparse."""

    def run(problem: fnanneal.MaxCut, seconds: float, seed: int) -> Spins:
        try:
            import openjij
        except ImportError as e:
            raise Missing('pip install "fnanneal[peers]"') from e
        sampler, model = openjij.SASampler(), dimod_model(problem)
        sparse = problem.m < 0.1 * problem.n**2

        def read(reads: int, sweeps: int, k: int) -> tuple[Any, float]:
            out = sampler.sample(model, num_reads=reads, num_sweeps=sweeps, seed=2 * seed + k, sparse=sparse)
            return out, float(np.sum(out.info["list_exec_times"])) * 1e-6

        return repeated(seconds, sweeps, read)

    return run


def bifurcation(mode: str, device: str = "cpu") -> Run:
    """The package simulated-bifurcation: 32 agents until the time is up, on a GPU 1024; its couplings are a dense matrix."""

    def run(problem: fnanneal.MaxCut, seconds: float, seed: int) -> Spins:
        try:
            import simulated_bifurcation
            import torch
        except ImportError as e:
            raise Missing('pip install "fnanneal[sb]"') from e
        if problem.n > DENSE_N:
            raise Unfit(f"its matrix is dense, and above {DENSE_N} vertices it takes minutes to prepare")
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        c = problem.couplings
        matrix = torch.zeros((problem.n, problem.n))
        matrix[torch.from_numpy(c.rows.astype(np.int64)), torch.from_numpy(c.cols.astype(np.int64))] = torch.from_numpy(
            c.weights.astype(np.float32)
        )
        spins, _ = simulated_bifurcation.minimize(
            matrix,
            domain="spin",
            agents=32 if device == "cpu" else 1024,
            mode=mode,
            device=device,
            verbose=False,
            early_stopping=False,
            max_steps=10**9,
            timeout=seconds,
        )
        out: Spins = np.where(spins.cpu().numpy() > 0, 1, -1).astype(np.int8)
        return out

    return run


def mqlib_program() -> str:
    """The user's build of MQLib."""
    found = os.environ.get("FNANNEAL_MQLIB") or shutil.which("MQLib")
    if found is None:
        raise Missing(
            "build MQLib (github.com/MQLib/MQLib) and put its program MQLib on PATH, or name it in FNANNEAL_MQLIB"
        )
    return found


def mqlib(heuristic: str) -> Run:
    """One of MQLib's heuristics."""

    def run(problem: fnanneal.MaxCut, seconds: float, seed: int) -> Spins:
        program = mqlib_program()
        c = problem.couplings
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder, "graph.txt")
            edges = zip(c.rows.tolist(), c.cols.tolist(), c.weights.tolist(), strict=True)
            graph.write_text(f"{problem.n} {problem.m}\n" + "".join(f"{u + 1} {v + 1} {w}\n" for u, v, w in edges))
            command = [program, "-fM", str(graph), "-h", heuristic, "-r", f"{seconds:g}", "-s", str(seed), "-nv", "-ps"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        words = done.stdout.partition("Solution:")[2].split()
        return np.array([1 if float(w) > 0 else -1 for w in words], np.int8)

    return run


def settings_name(sweeps: int | None) -> str:
    return "one read" if sweeps is None else f"{sweeps} sweeps a read"


PEERS = (
    *(
        Peer(name="dwave sa", settings=settings_name(k), run=dwave_sa(k), package="dwave-samplers")
        for k in (1000, 10000, None)
    ),
    *(Peer(name="dwave tabu", settings=f"{k} reads", run=dwave_tabu(k), package="dwave-samplers") for k in (1, 10)),
    *(
        Peer(name="openjij sa", settings=settings_name(k), run=openjij_sa(k), package="openjij")
        for k in (1000, 10000, None)
    ),
    *(
        Peer(name="sb", settings=k, run=bifurcation(k), package="simulated-bifurcation")
        for k in ("ballistic", "discrete")
    ),
    *(Peer(name=f"MQLib {k}", settings="", run=mqlib(k), package="MQLib") for k in HEURISTICS),
)
