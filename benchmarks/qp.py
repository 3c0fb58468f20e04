"""Quadratic programs: our solvers beside other people's, judged by residuals that are computed here. Resumable: a second call runs what is missing.

    python benchmarks/qp.py --maros-meszaros DIR [--eps 1e-6 ...] [--time-limit 10] [--solvers fnanneal,piqp,...] [--problems A,B]
    python benchmarks/qp.py --infeasible             generated programs without an optimum: recognised, and with a certificate that holds?
    python benchmarks/qp.py --large                  lasso and portfolio with 1e7 entries, to 1e-4 relative
    python benchmarks/qp.py --table                  the tables of what is stored, without a run
    python benchmarks/qp.py --table --store benchmarks/results/qp.jsonl --document docs/qp.md

Every run is in a process of its own on one core (`--threads`), which loads the problem and warms up before the clock starts; one that crashes, or is still
running after three times the limit and is killed, is a row too. A problem counts as solved where all of

    |Ax - b|, [Gx - h]+, [lb - x]+, [x - ub]+;   |Px + q + A'y + G'z + z_box|;   the duality gap;   multipliers of the wrong sign

are at most eps (infinity norms, the caller's data), within the time limit (of one thread, processor time), whatever the solver says of itself; and where it says "solved" and they exceed
the tolerance that it was asked for, that is a claim that is not true. "Relative": each against 1 + the largest of its terms, signs absolutely.
`fnanneal-nopolish`, which multiplies matrices by vectors and never factorises, is asked for eps relative. `qp_methods` says how each peer is asked.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import boxqp
from maxcut import surroundings
from qp_methods import METHODS, Missing, method, solver_version
from qp_tables import counts_table, hopeless_table, large_table, targets, unsolved
from qp_worker import Question, Worker, available
from store import Row, Store, key_of
from tables import provenance

from fnanneal.errors import InputError
from fnanneal.problems.quadratic.hopeless import INFEASIBLE, UNBOUNDED
from fnanneal.problems.quadratic.load import load_qp

SOLVERS = "fnanneal,fnanneal-nopolish,piqp,clarabel"
LARGE = ("gen:lasso(816)", "gen:portfolio(44700)", "gen:lasso(100000, 100000, density=0.001)")
LARGE_EPS, LARGE_S, LARGE_THREADS = 1e-4, 120.0, 2


def maros_meszaros_tables(rows: Sequence[Row]) -> str:
    return "\n\n".join(t for t in (counts_table(rows), targets(rows), unsolved(rows)) if t)


TABLES: dict[str, Callable[[Sequence[Row]], str]] = {
    "maros-meszaros": maros_meszaros_tables,
    "infeasible": hopeless_table,
    "large": large_table,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run."""

    kind: str
    graph: str
    digest: str
    question: Question
    threads: int

    def row(self) -> Row:
        """What identifies it; the keys are the store's."""
        q = self.question
        version = solver_version(q.solver)
        return {
            "kind": self.kind, "graph": self.graph, "solver": q.solver, "seconds": q.time_limit, "seed": 0, "threads": self.threads,
            "settings": f"abs {q.eps_abs:g}, rel {q.eps_rel:g}; {version}; {self.digest}",
            "eps_abs": q.eps_abs, "eps_rel": q.eps_rel, "solver_version": version,
        }  # fmt: skip


def hopeless() -> list[str]:
    """Programs without an optimum: every kind, at three sizes and three spreads of their scales."""
    return [
        f"gen:{family}({n}, '{kind}', {spread}, seed={seed})"
        for family, kinds in (("infeasible", INFEASIBLE), ("unbounded", UNBOUNDED))
        for kind in kinds
        for seed, n in enumerate((10, 100, 1000), 1)
        for spread in (0, 1, 3)
    ]


def cells(kind: str, sources: Sequence[tuple[str, str]], options: argparse.Namespace) -> Iterator[Cell]:
    """All runs of a kind, a solver at a time; ``sources`` are names and what `load_qp` takes."""
    digests = {}
    for name, source in sources:
        try:
            # The large ones take seconds to make: their expression stands for them.
            digests[source] = source if kind == "large" else load_qp(source).sha256()[:16]
        except InputError as e:
            print(f"{name} is left out: {e}", flush=True)
    sources = [s for s in sources if s[1] in digests]
    for solver in options.solvers.split(","):
        for eps in (LARGE_EPS,) if kind == "large" else options.eps:
            relative = kind == "large" or options.relative or method(solver).relative
            for name, source in sources:
                question = Question(
                    source=source,
                    solver=solver,
                    eps_abs=eps,
                    eps_rel=eps if relative else 0.0,
                    time_limit=LARGE_S if kind == "large" else options.time_limit,
                )
                threads = LARGE_THREADS if kind == "large" else options.threads
                yield Cell(kind=kind, graph=name, digest=digests[source], question=question, threads=threads)


def fill(kind: str, sources: Sequence[tuple[str, str]], options: argparse.Namespace, store: Store) -> list[Row]:
    """Run what the store lacks; the rows of all."""
    missing: set[str] = set()
    worker: Worker | None = None
    found = []
    try:
        for cell in cells(kind, sources, options):
            row, solver = cell.row(), cell.question.solver
            if key_of(row) in store.cells:
                found.append(store.cells[key_of(row)])
                continue
            if options.table or solver in missing:
                continue
            # Memory is measured in a process that has done nothing else.
            if worker is None or (worker.solver, worker.threads) != (solver, cell.threads) or kind == "large":
                if worker is not None:
                    worker.close()
                try:
                    available(solver)
                except Missing as e:
                    missing.add(solver)
                    print(f"{solver} is left out: {e}", flush=True)
                    continue
                worker = Worker(solver, cell.threads)
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
            date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            row |= worker.ask(cell.question, options.hard * cell.question.time_limit)
            if row["status"] == "unreadable":
                print(f"{cell.graph} is left out: {row['error']}", flush=True)
                continue
            row |= {**surroundings(), "load": round(load, 2), "date": date}
            store.add(row)
            found.append(row)
            print(shown(row), flush=True)
    finally:
        if worker is not None:
            worker.close()
    return found


def shown(row: Row) -> str:
    """A run in one line."""
    parts = [f"{row['graph']} {row['solver']} {row['eps_abs']:g}: {row['status']}"]
    if row.get("primal") is not None:
        parts.append("p {primal:.1e} d {dual:.1e} gap {gap:.1e} sign {sign:.1e}".format(**row))
    if row.get("ray") is not None:
        parts.append(f"certificate {row['ray']:.1e}")
    if row.get("wall_s") is not None:
        parts.append(f"{row['wall_s']:.3f} s")
    return ", ".join([*parts, *([row["error"]] if row.get("error") else [])])


def table_of(kind: str, rows: Sequence[Row]) -> str:
    """The tables of a kind's rows, and where they come from."""
    return f"{TABLES[kind](rows)}\n\n*{provenance(rows)}*" if rows else "Nothing is stored."


def document(path: Path, store: Store) -> None:
    """Bring a document's tables up to date: each stands between ``<!-- KIND -->`` and ``<!-- end -->``."""
    text = path.read_text(encoding="utf-8")
    blocks = re.compile(rf"<!-- ({'|'.join(TABLES)}) -->\n.*?<!-- end -->", re.DOTALL)
    path.write_text(
        blocks.sub(lambda m: f"<!-- {m[1]} -->\n{table_of(m[1], store.rows(kind=m[1]))}\n<!-- end -->", text),
        encoding="utf-8",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--maros-meszaros", type=Path, metavar="DIR", help="a folder of .mat files (or any that `fnanneal qp` reads)"
    )
    parser.add_argument("--infeasible", action="store_true", help="generated programs without an optimum")
    parser.add_argument("--large", action="store_true", help="1e7 entries, two cores, 120 s, 1e-4 relative")
    parser.add_argument(
        "--spar", type=Path, metavar="DIR", help="box QPs with known optima (benchmarks/boxqp.py --spar)"
    )
    parser.add_argument(
        "--boxes", action="store_true", help="non-convex boxes against L-BFGS-B (benchmarks/boxqp.py --large)"
    )
    parser.add_argument("--eps", type=float, nargs="+", default=[1e-6])
    parser.add_argument("--relative", action="store_true", help="ask for eps_rel = eps too")
    parser.add_argument("--time-limit", type=float, default=10.0)
    parser.add_argument("--hard", type=float, default=3.0, help="kill a run after so many time limits")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--solvers", default=SOLVERS, help=f"of {', '.join(METHODS)}, or MODULE:FUNCTION; default {SOLVERS}"
    )
    parser.add_argument("--problems", help="names, with commas between: these alone")
    parser.add_argument("--store", type=Path, default=Path("runs/qp.jsonl"))
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--document", type=Path, help="bring the tables of this file up to date")
    options = parser.parse_args(arguments)
    store = Store(options.store)
    wanted: dict[str, list[tuple[str, str]]] = {}
    if options.maros_meszaros is not None:
        files = sorted(p for p in options.maros_meszaros.iterdir() if p.is_file() and p.suffix != ".csv")
        wanted["maros-meszaros"] = [(p.stem, str(p)) for p in files]
    if options.infeasible:
        wanted["infeasible"] = [(s, s) for s in hopeless()]
    if options.large:
        wanted["large"] = [(s, s) for s in LARGE]
    if not (wanted or options.table or options.spar or options.boxes):
        parser.error("say what to run: --maros-meszaros DIR, --infeasible, --large, --spar DIR, --boxes; or --table")
    # Commas within the parentheses of an expression part nothing.
    chosen = re.split(r",(?![^()]*\))", options.problems) if options.problems else None
    for kind, sources in wanted.items():
        some = [s for s in sources if chosen is None or s[0] in chosen]
        print(f"\n### {kind}\n\n{table_of(kind, fill(kind, some, options, store))}")
    if options.spar is not None:
        print("\n### spar\n", flush=True)
        boxqp.spar(options.spar, 20)
    if options.boxes:
        print("\n### non-convex boxes\n", flush=True)
        boxqp.against(boxqp.large(), [1.0, 10.0], 1)
    if options.table:
        for kind in TABLES:
            rows = store.rows(kind=kind)
            if rows:
                print(f"\n### {kind}\n\n{table_of(kind, rows)}")
    if options.document is not None:
        document(options.document, store)


if __name__ == "__main__":
    main()
