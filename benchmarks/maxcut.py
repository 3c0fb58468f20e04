"""The ensemble's targets. Resumable: a row of the store a run, and a second call runs what is missing.

    python benchmarks/maxcut.py SUITE ... [--store runs/maxcut.jsonl] [--graphs G1 G2 ...] [--seconds S] [--seeds N] [--threads N] [--backend cuda]
    python benchmarks/maxcut.py --table [SUITE ...]          the tables of what is stored, without a run
    python benchmarks/maxcut.py --table --document docs/performance.md --store benchmarks/results/maxcut.jsonl

`SUITES` below holds the suites with their graphs, seconds, seeds and targets; `all` is all of them. A run stops at the best known cut. Loading and compiling
are not counted, and every cut is recomputed from its spins. A cut above the best known one is a record: its spins go to benchmarks/records/, for
`fnanneal verify`. Other people's solvers: `fnanneal compare`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mis
from speed import SHAPES, million, spin_test
from store import Row, Store, key_of
from tables import (
    cuts_table,
    million_table,
    mis_table,
    provenance,
    reached,
    spin_table,
    times_table,
    tts_table,
)

import fnanneal
from fnanneal.problems.known import instances

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "benchmarks" / "records"
OURS = "ensemble"
GSET = tuple(g for g in instances() if g != "K2000")
TORUS, TORUS_TARGET = "rudy:-spinglass3pm 15 15 15 50 1", 3014
GAUSSIAN = "gen:torus3d(15,15,15,'gauss',seed=1)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Runs of one kind: graphs, seconds a run, seeds 1 to `seeds`, threads, and the table of their rows."""

    table: Callable[[Sequence[Row]], str]
    graphs: Sequence[str] = ()
    seconds: float = 0
    seeds: int = 1
    threads: int = 2
    kind: str = "cut"
    backend: str = "cpu"


def numbered(*ranges: tuple[int, int]) -> tuple[str, ...]:
    """G numbers, from the first to the last of each range."""
    return tuple(f"G{k}" for first, last in ranges for k in range(first, last + 1))


def gset(**targets: float) -> Callable[[Sequence[Row]], str]:
    return lambda rows: cuts_table(rows, targets)


SUITES = {
    "spin-test": Suite(kind="spin", graphs=("G22", "G55", "G81", "K2000", GAUSSIAN), seeds=5, threads=1, table=spin_table),
    "gset-1s": Suite(graphs=numbered((1, 13), (15, 21), (43, 50)), seconds=1, seeds=5, table=times_table),
    "gset-5s": Suite(graphs=numbered((22, 29), (32, 34), (51, 53)), seconds=5, seeds=5, table=times_table),
    "gset-10s": Suite(graphs=("G30", "G54"), seconds=10, seeds=5, table=times_table),
    "gset10": Suite(graphs=GSET, seconds=10, seeds=3, table=gset(hits=54, mean=2e-4, worst=2e-3)),
    "gset60": Suite(graphs=GSET, seconds=60, table=gset(hits=62, worst=6e-4)),
    "gset600": Suite(kind="unsolved", graphs=GSET, seconds=600, table=gset()),
    "k2000": Suite(graphs=("K2000",), seconds=30, seeds=20, table=lambda rows: tts_table(rows, 0.8, 5)),
    "torus": Suite(graphs=(TORUS,), seconds=20, seeds=5, table=times_table),
    "mis": Suite(kind="mis", seconds=10, table=lambda rows: mis_table(rows, below=0, at_least=175, better=20)),
    "million": Suite(kind="million", graphs=("random cubic, 1e6 vertices",), table=million_table),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run, and how to make it: `run` gives what the row holds beside the cell's own fields."""

    kind: str
    graph: str
    solver: str
    seconds: float
    seed: int
    threads: int
    run: Callable[[Cell], Row] = field(compare=False)
    settings: str = ""

    def row(self) -> Row:
        names = ("kind", "graph", "solver", "settings", "seconds", "seed", "threads")
        return {k: getattr(self, k) for k in names}


@cache
def graph(name: str) -> fnanneal.MaxCut:
    problem = fnanneal.load(name)
    assert isinstance(problem, fnanneal.MaxCut)
    return problem


def best_known(name: str) -> int:
    """The best known cut, or the torus's target."""
    known = graph(name).best_known
    return TORUS_TARGET if known is None else int(known.value)


def keep_record(name: str, spins: Any, cut: int) -> None:
    """Spins above the best known cut of a graph of the table, in the form that `fnanneal verify` reads."""
    if name in instances() and cut > best_known(name):
        RECORDS.mkdir(exist_ok=True)
        path = RECORDS / f"{name}-{cut}.txt"
        path.write_text("".join("+1\n" if s > 0 else "-1\n" for s in spins.tolist()), encoding="utf-8")
        print(f"A RECORD: {name} {cut}, best known {best_known(name)}: {path}", flush=True)


def run_ours(cell: Cell) -> Row:
    """The ensemble, until the best known cut or the time is reached."""
    known = best_known(cell.graph)
    problem = graph(cell.graph)
    r = fnanneal.solve(
        problem, cell.solver, time_limit=cell.seconds, target=known, seed=cell.seed, threads=cell.threads,
        backend=cell.settings or "cpu",
    )  # fmt: skip
    assert r.verify()
    keep_record(cell.graph, r.spins, int(r.objective))
    return {
        "cut": int(r.objective), "best_known": known, "to_best_s": round(r.time.to_best_s, 4), "solve_s": round(r.time.solve_s, 4),
        "sweeps": r.num_sweeps, "versions": dict(r.versions),
    }  # fmt: skip


def cells(suite: Suite, store: Store) -> Iterator[Cell]:
    """The runs of a suite."""
    for name in suite.graphs if suite.kind != "mis" else ():
        for seed in range(1, suite.seeds + 1):
            about: dict[str, Any] = {"graph": name, "seconds": suite.seconds, "seed": seed, "threads": suite.threads}
            if suite.kind == "spin":
                for shape in SHAPES:
                    yield Cell(kind="spin", solver="kernel", settings=shape, run=spin_test, **about)
            elif suite.kind == "million":
                yield Cell(kind="million", solver=OURS, run=lambda cell: million(cell.threads), **about)
            elif suite.kind == "unsolved":
                cell = Cell(kind="cut", solver=OURS, run=run_ours, **about)
                others = [r for r in store.rows(kind="cut", graph=name, solver=OURS) if key_of(r) != key_of(cell.row())]
                if not any(reached(r) for r in others):
                    yield cell
            else:
                settings = "" if suite.backend == "cpu" else suite.backend
                yield Cell(kind="cut", solver=OURS, settings=settings, run=run_ours, **about)
    if suite.kind == "mis":
        for w in mis.named(suite.graphs):
            for seed in range(1, suite.seeds + 1):
                limit = min(mis.SHORT_S, suite.seconds) if w.n <= mis.SHORT_N else suite.seconds
                yield Cell(
                    kind="mis", graph=mis.name(w), solver=OURS, seconds=limit, seed=seed, threads=suite.threads,
                    run=partial(mis.run, w),
                )  # fmt: skip


@cache
def surroundings() -> Row:
    """Version, git revision and processor."""

    def git(*command: str) -> str:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *command], capture_output=True, text=True, check=False)
        except OSError:
            return ""
        return done.stdout.strip()

    revision = (git("rev-parse", "--short", "HEAD") or "unknown") + "-changed" * bool(
        git("status", "--porcelain", "-uno")
    )
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "version": version("fnanneal"),
        "revision": revision,
        "cpu": cpu,
    }


def fill(suite: Suite, store: Store) -> None:
    """Run what the store lacks."""
    for cell in cells(suite, store):
        row = cell.row()
        if key_of(row) in store.cells:
            continue
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        row |= cell.run(cell)
        store.add({**row, **surroundings(), "load": round(load, 2), "date": date})
        shown = {k: row[k] for k in ("cut", "best_known", "to_best_s", "ns", "total_s") if row.get(k) is not None}
        print(cell.graph, cell.solver, cell.settings, f"seed {cell.seed}:", shown, flush=True)


def table_of(suite: Suite, store: Store) -> str:
    """The table of a suite's stored rows, and where they come from."""
    chosen = [store.cells[k] for k in (key_of(c.row()) for c in cells(suite, store)) if k in store.cells]
    return f"{suite.table(chosen)}\n\n*{provenance(chosen)}*" if chosen else "Nothing is stored."


def document(path: Path, store: Store) -> None:
    """Bring a document's tables up to date: each stands between ``<!-- SUITE -->`` and ``<!-- end -->``."""
    text = path.read_text(encoding="utf-8")
    blocks = re.compile(r"<!-- (\S+) -->\n.*?<!-- end -->", re.DOTALL)
    path.write_text(
        blocks.sub(lambda m: f"<!-- {m[1]} -->\n{table_of(SUITES[m[1]], store)}\n<!-- end -->", text), encoding="utf-8"
    )


def overridden(suite: Suite, options: argparse.Namespace) -> Suite:
    """A suite with what the command line says."""
    known = ("table", "graphs", "seconds", "seeds", "threads", "kind", "backend")
    fields: dict[str, Any] = {k: getattr(suite, k) for k in known}
    for k in ("graphs", "seconds", "seeds", "threads", "backend"):
        if getattr(options, k) is not None:
            fields[k] = getattr(options, k)
    return Suite(**fields)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join([*SUITES, "all"]))
    parser.add_argument("--store", type=Path, default=Path("runs/maxcut.jsonl"))
    parser.add_argument("--graphs", nargs="+", help="of the suite's; for mis, names as in the store")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--backend", choices=("cpu", "cuda"), help="of the ensemble")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--document", type=Path, help="bring the tables of this file up to date")
    options = parser.parse_args(arguments)
    names = options.suites or (["all"] if options.table else [])
    if not names or set(names) - {*SUITES, "all"}:
        parser.error(f"name suites: {', '.join([*SUITES, 'all'])}")
    store = Store(options.store)
    for name in SUITES if "all" in names else names:
        suite = overridden(SUITES[name], options)
        if not options.table:
            fill(suite, store)
        print(f"\n### {name}\n\n{table_of(suite, store)}")
    if options.document is not None:
        document(options.document, store)


if __name__ == "__main__":
    main()
