"""One cell's work, wherever it is done: load, warm up, solve, judge. What comes back is plain data."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError, NothingFound, NotInstalled
from ..parallel import guarded
from ..result import Spins
from .cells import Cell
from .records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A cell for a worker.

    Attributes
    ----------
    home
        The coordinator's `process_token`, whose process must not be ended by a cell that hangs.
    where
        What is to be said of the executor (`fnanneal.parallel.describe`).
    """

    cell: Cell
    home: str
    where: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A cell's record with its best: spins (n,), or a program's vectors."""

    record: Record
    spins: Spins | None = None
    point: Mapping[str, Any] | None = None


def perform(task: Task) -> Answer:
    """Run a cell in this process. Whatever a solver raises is its result."""
    cell = task.cell
    began = time.perf_counter()
    blank = empty(cell, task.where)
    work = _spins if cell.kind == "spins" else _program
    try:
        answer = guarded(cell.hard_s, task.home, work, cell, blank)
    except InputError as e:
        answer = Answer(record=replace(blank, outcome="unfit", status="unfit", error=str(e)))
    except MemoryError:
        answer = Answer(record=replace(blank, status="memory", error="out of memory"))
    except Exception as e:  # noqa: BLE001 (whatever a solver raises is its result)
        text = f"{type(e).__name__}: {e}".splitlines()[0][:300]
        answer = Answer(record=replace(blank, status="error", error=text))
    return replace(answer, record=replace(answer.record, wall_s=round(time.perf_counter() - began, 4)))


def empty(cell: Cell, where: Mapping[str, Any], error: str | None = None) -> Record:
    """The record of a cell that came to nothing, on this machine."""
    return Record(
        cell=cell.key,
        kind=cell.kind,
        problem=cell.problem,
        sha256=None,
        size={},
        sense="min",
        best_known=None,
        best_known_source=None,
        solver=cell.solver.label,
        settings=dict(cell.solver.settings),
        seed=cell.seed,
        budget=cell.budget,
        threads=cell.threads,
        outcome="failed",
        status="failed",
        command=cell.command,
        error=error,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        host={**machine(), "load": load(), **where},
        revision=revision(),
    )


@lru_cache(maxsize=2)
def _loaded(identity: str, spec: str, kind: str) -> tuple[Any, float]:
    """A problem, and the seconds that loading it took, the first time."""
    from ..problems.load import load
    from ..problems.quadratic.load import load_qp

    began = time.perf_counter()
    return (load(spec) if kind == "spins" else load_qp(spec)), time.perf_counter() - began


def _spins(cell: Cell, blank: Record) -> Answer:
    from ..solvers.solve import solve

    problem, load_s = _loaded(cell.identity, cell.problem, cell.kind)
    known = problem.best_known
    about = problem.summary()
    seen = replace(
        blank,
        problem=about.get("name") or cell.problem,
        sha256=problem.sha256(),
        size={k: v for k, v in about.items() if k in ("kind", "n", "m")},
        sense=problem.sense,
        best_known=None if known is None else known.value,
        best_known_source=None if known is None else known.source,
    )
    try:
        result = solve(
            problem,
            cell.solver.name,
            time_limit=cell.budget.seconds,
            spin_tests=cell.budget.spin_tests,
            target=known.value if cell.stop and known is not None else None,
            seed=cell.seed,
            threads=cell.threads,
            backend="cpu",
            **dict(cell.solver.settings),
        )
    except (NothingFound, NotInstalled) as e:
        return Answer(record=replace(seen, error=str(e)))
    except InputError as e:
        return Answer(record=replace(seen, outcome="unfit", status="unfit", error=str(e)))
    if not result.verify():
        return Answer(
            record=replace(seen, status="wrong", error="the spins do not have the objective that was reported")
        )
    energy = result.energy
    counted = energy.account.status != "not counted"
    record = replace(
        seen,
        outcome="done",
        status=result.status.value,
        settings=dict(result.settings),
        objective=result.objective,
        trace=tuple((round(t, 6), v) for t, v in result.trace),
        solve_s=result.time.solve_s,
        to_best_s=result.time.to_best_s,
        load_s=load_s,
        compile_s=result.time.compile_s,
        build_s=result.time.build_s,
        spin_tests=energy.events.spin_tests if counted or energy.events.spin_tests else None,
        events=asdict(energy.events) if counted else None,
        events_to_best=asdict(energy.events_to_best) if counted else None,
        real_numbers=energy.real_numbers,
        measured_j=None if energy.measured is None else energy.measured.joules,
        versions=dict(result.versions),
    )
    return Answer(record=record, spins=result.spins)


def _program(cell: Cell, blank: Record) -> Answer:
    from ..solvers.qp.solve import solve_qp_problem

    problem, load_s = _loaded(cell.identity, cell.problem, cell.kind)
    seen = replace(
        blank,
        problem=problem.name or cell.problem,
        sha256=problem.sha256(),
        size={"kind": "qp", "n": problem.n, "inequalities": problem.h.size, "equalities": problem.b.size, "nnz": int(problem.P.nnz + problem.G.nnz + problem.A.nnz)},
        sense=problem.sense,
    )  # fmt: skip
    try:
        result = solve_qp_problem(
            problem,
            solver=cell.solver.name,
            eps_abs=cell.eps,
            time_limit=cell.budget.seconds,
            seed=cell.seed,
            threads=cell.threads,
            backend="cpu",
            **dict(cell.solver.settings),
        )
    except NotInstalled as e:
        return Answer(record=replace(seen, error=str(e)))
    except InputError as e:
        return Answer(record=replace(seen, outcome="unfit", status="unfit", error=str(e)))
    residuals = {k: getattr(result.residuals, k) for k in ("primal", "dual", "gap", "sign")}
    # A solver may have no point, or one of NaN.
    objective = result.objective if math.isfinite(result.objective) else None
    # Where a first factorisation is made, in building or in solving, is each solver's own affair.
    seconds = result.time.build_s + result.time.solve_s
    counted = result.energy.account.status != "not counted"
    events = asdict(result.energy.events) if counted else None
    record = replace(
        seen,
        outcome="done",
        status=result.status.value,
        settings=dict(result.settings),
        objective=objective,
        trace=() if objective is None else ((seconds, objective),),
        solve_s=seconds,
        to_best_s=seconds,
        load_s=load_s,
        compile_s=result.time.compile_s,
        events=events,
        events_to_best=events,
        real_numbers=True,
        measured_j=None if result.energy.measured is None else result.energy.measured.joules,
        residuals=residuals if all(map(math.isfinite, residuals.values())) else None,
        solved=result.status.value == "solved",
        versions=dict(result.versions),
    )
    return Answer(record=record, point={"x": result.x, "y": result.y, "z": result.z, "z_box": result.z_box})


@cache
def machine() -> dict[str, Any]:
    """The computer that a cell runs on, and what of it this process may use."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    total = None
    if Path("/proc/meminfo").exists():
        total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    pinned = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "name": platform.node(),
        "cpu": model,
        "cores": os.cpu_count(),
        "affinity": pinned,
        "memory": total,
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
    }


def load() -> float | None:
    """How many processes wanted to run in the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@cache
def revision() -> str:
    """Git's name of this checkout's state, with "+" where files were changed; empty for an installed package."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=20).strip()
    except (OSError, subprocess.SubprocessError):
        return ""
