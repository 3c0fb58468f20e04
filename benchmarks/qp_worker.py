"""One process that solves quadratic programs for the benchmark, and its parent's side.

The process runs on one core (or as many as asked for), loads and warms up before any clock starts, and may be used again for the next problem. One that
crashes, or that has to be killed because it hangs, is a row of its own kind; the next question gets a new process.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

Row = dict[str, Any]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
START_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A problem and how it is to be solved."""

    source: str
    solver: str
    eps_abs: float
    eps_rel: float
    time_limit: float


class Worker:
    """The parent's side: `ask`, again and again; `close` at the end."""

    def __init__(self, solver: str, threads: int = 1, memory_gib: float = 12.0) -> None:
        self.solver, self.threads, self.memory_gib = solver, threads, memory_gib
        self._process: Any = None
        self._pipe: Connection | None = None

    def ask(self, question: Question, hard_s: float) -> Row:
        """The row of an answer; ``status`` is "timeout" where none came in `hard_s`, and "crash" where the process died."""
        for _ in range(2):
            try:
                self._start()
                assert self._pipe is not None
                self._pipe.send(question)
                break
            except (BrokenPipeError, EOFError, ConnectionError):
                self.close()
        else:
            return {"status": "crash", "claims": False, "error": "the process does not start"}
        try:
            # The clock of the hard limit starts when the problem is loaded.
            for limit in (START_S, hard_s):
                if not self._pipe.poll(limit):
                    self.close()
                    return {"status": "timeout", "claims": False, "wall_s": hard_s}
                row: Row = self._pipe.recv()
                if not row.get("loaded"):
                    break
        except (EOFError, ConnectionError):
            code = self._end()
            return {"status": "crash", "claims": False, "error": f"the process died with code {code}"}
        return row

    def close(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def _start(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        # Before NumPy and the others are loaded there.
        before = {k: os.environ.get(k) for k in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(self.threads)))
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, self.solver, self.threads, self.memory_gib), daemon=True
        )
        try:
            self._process.start()
        finally:
            for k, v in before.items():
                if v is None:
                    os.environ.pop(k, None)
                else:
                    os.environ[k] = v
        theirs.close()
        if not self._pipe.poll(START_S):
            raise ConnectionError("no sign of the process")
        self._pipe.recv()

    def _end(self) -> int | None:
        self._process.join(10)
        code: int | None = self._process.exitcode
        self._process, self._pipe = None, None
        return code


def serve(pipe: Connection, solver: str, threads: int, memory_gib: float) -> None:
    """The process: warm up, say so, answer questions."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (int(memory_gib * 2**30),) * 2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    warm_up(solver, threads)
    pipe.send("ready")
    while True:
        try:
            question = pipe.recv()
        except (EOFError, ConnectionError):
            return
        if len(cores) > threads:
            os.sched_setaffinity(0, sorted(cores, key=busy_ticks())[:threads])
        pipe.send(answer(question, threads, pipe))


def busy_ticks(seconds: float = 0.05) -> Callable[[int], int]:
    """How busy a core was just now: others may be at work on the machine."""

    def busy() -> dict[int, int]:
        found = {}
        with suppress(OSError, ValueError):
            for line in Path("/proc/stat").read_text().splitlines():
                name, *ticks = line.split()
                if name.startswith("cpu") and name != "cpu":
                    found[int(name[3:])] = sum(map(int, ticks[:3]))
        return found

    before = busy()
    time.sleep(seconds)
    after = busy()
    return lambda core: after.get(core, 0) - before.get(core, 0)


def available(solver: str) -> None:
    """Raise `Missing` where a solver is not installed; without loading it."""
    from qp_methods import METHODS, Missing

    package = METHODS[solver].package if solver in METHODS else solver.partition(":")[0]
    needed = [package] if package == "fnanneal" or solver not in METHODS else ["qpsolvers", package]
    for name in needed:
        if find_spec(name) is None:
            raise Missing(f"pip install {name}")


def warm_up(solver: str, threads: int) -> None:
    """Solve a tiny problem of each shape, so that nothing is compiled or imported while a clock runs."""
    from qp_methods import Task, method

    run = method(solver).run
    task = Task(eps_abs=1e-6, eps_rel=0.0, time_limit=5.0, threads=threads)
    for problem in shapes():
        # A solver that fails on these shows it on the problems too.
        with suppress(Exception):
            run(problem, task)


def shapes() -> list[Any]:
    """Tiny problems: every combination of a zero, diagonal or full P, rows of either kind, bounds; and two without a solution."""
    from fnanneal.problems.quadratic.program import QP

    stream = np.random.RandomState(1)
    n = 8
    full = stream.standard_normal((n, n))
    point = stream.random_sample(n)
    G, A = stream.standard_normal((5, n)), stream.standard_normal((2, n))
    none: dict[str, Any] = {}
    quadratic = (None, np.diag(1 + point), full @ full.T)
    box: dict[str, Any] = {"lb": np.zeros(n), "ub": np.full(n, 2.0)}
    rows: tuple[dict[str, Any], ...] = ({}, {"G": G, "h": G @ point + 0.1}, {"A": A, "b": A @ point})
    found = []
    for P in quadratic:
        for one in (*rows, {**rows[1], **rows[2]}):
            for bounds in (none, box) if P is not None else (box,):
                found.append(QP.of(P, stream.standard_normal(n), **one, **bounds))
    found.append(QP.of(quadratic[2], point, A=np.ones((2, n)), b=[0.0, 1.0], **box))
    found.append(QP.of(quadratic[2], point, G=np.ones((1, n)), h=[-1.0], **box))
    found.append(QP.of(sp.diags_array([1.0, 0.0]), [0.0, -1.0], G=[[1.0, 0.0]], h=[1.0]))
    return found


def answer(question: Question, threads: int, pipe: Connection | None = None) -> Row:
    """Load, solve, judge: everything is recomputed here from the point and its multipliers."""
    from qp_methods import Task, Unfit, method, timed

    from fnanneal.errors import InputError
    from fnanneal.problems.quadratic.load import load_qp

    rest = resident()
    try:
        problem = load_qp(question.source)
    except (InputError, OSError) as e:
        return {"status": "unreadable", "claims": False, "error": str(e)}
    row: Row = {
        "sha256": problem.sha256()[:16], "n": problem.n, "inequalities": problem.h.size, "equalities": problem.b.size,
        "nnz": int(problem.P.nnz + problem.G.nnz + problem.A.nnz), "bytes": size(problem),
    }  # fmt: skip
    if pipe is not None:
        pipe.send({"loaded": True})
    try:
        task = Task(eps_abs=question.eps_abs, eps_rel=question.eps_rel, time_limit=question.time_limit, threads=threads)
        reset_peak()
        found, wall, cpu = timed(method(question.solver).run, problem, task)
        row |= {"wall_s": round(wall, 5), "cpu_s": round(cpu, 5), "peak": peak() - rest}
        row |= {"status": found.status, "claims": found.claims, "allowance": found.allowance, **found.about}
        if found.x is not None:
            nothing = (np.zeros(problem.b.size), np.zeros(problem.h.size), np.zeros(problem.n))
            rest_of = (v if v is not None else w for v, w in zip((found.y, found.z, found.z_box), nothing, strict=True))
            judged = problem.residuals(found.x, *rest_of)
            with np.errstate(over="ignore", invalid="ignore"):
                objective = float(problem.objective(found.x))
            row["objective"] = objective if np.isfinite(objective) else None
            # Of a point with NaN or infinity there are none.
            row |= residuals(judged) if np.isfinite(judged.worst) else {}
        if found.ray is not None:
            proof = certificate(problem, found.ray)
            row["ray"] = proof if np.isfinite(proof) else None
    except Unfit as e:
        row |= {"status": "unfit", "claims": False, "error": str(e)}
    except MemoryError:
        row |= {"status": "memory", "claims": False}
    except Exception as e:  # noqa: BLE001 (whatever a solver raises is its result)
        row |= {"status": "error", "claims": False, "error": f"{type(e).__name__}: {e}"[:300]}
    return row


def residuals(judged: Any) -> Row:
    """As a row has them. "relative" is the customary test: each against 1 + the largest of its terms, signs absolutely."""
    scaled = {k: getattr(judged, k) / (1 + getattr(judged, f"{k}_scale")) for k in ("primal", "dual", "gap")}
    return {
        **{k: getattr(judged, k) for k in ("primal", "dual", "gap", "sign")},
        "scales": {k: getattr(judged, f"{k}_scale") for k in scaled},
        "absolute": judged.worst,
        "relative": max(*scaled.values(), judged.sign),
    }


def certificate(problem: Any, ray: Any) -> float:
    """How far a ray is from proving that there is no optimum, scaled so that its value is -1; infinity where it proves nothing.

    Primal: |A'y + G'z + z_box| and the signs, with b'y + h'z + lb'[z_box]- + ub'[z_box]+ = -1. No x with a 1-norm below the reciprocal is feasible.
    Dual: |Px|, |Ax|, [Gx]+ and the steps towards finite bounds, with q'x = -1.
    """
    p = problem
    lower, upper, bounded = np.isfinite(p.lb), np.isfinite(p.ub), np.isfinite(p.h)
    if "y" in ray:
        y, z, s = (np.asarray(ray[k], np.float64) for k in ("y", "z", "z_box"))
        down, up = np.minimum(s, 0), np.maximum(s, 0)
        value = p.b @ y + p.h[bounded] @ z[bounded] + p.lb[lower] @ down[lower] + p.ub[upper] @ up[upper]
        left = (p.A.T @ y + p.G.T @ z + s, np.maximum(-z, 0), z[~bounded], down[~lower], up[~upper])
    else:
        x = np.asarray(ray["x"], np.float64)
        value = p.q @ x
        left = (p.P @ x, p.A @ x, np.maximum(p.G @ x, 0)[bounded], np.minimum(x, 0)[lower], np.maximum(x, 0)[upper])
    if not value < 0:
        return float("inf")
    return float(max((np.abs(v).max() for v in left if v.size), default=0.0) / -value)


def size(problem: Any) -> int:
    """Bytes of the arrays."""
    parts = [v for M in (problem.P, problem.G, problem.A) for v in (M.data, M.indices, M.indptr)]
    return int(sum(v.nbytes for v in (*parts, problem.q, problem.h, problem.b, problem.lb, problem.ub)))


def resident() -> int:
    """Bytes of memory of this process, now."""
    return _status("VmRSS")


def peak() -> int:
    """The most it was since `reset_peak`; without /proc, since the start."""
    # ru_maxrss would count the parent's memory too: it survives exec.
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def reset_peak() -> None:
    """Start `peak` anew."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0
