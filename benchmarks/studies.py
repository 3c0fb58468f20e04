"""The two studies of docs/: cut quality on analog weights, and energy to solution. Each is one command, resumable; what is stored is not run again.

python benchmarks/studies.py weights --document docs/fn-dam.md --picture docs/images/weights.svg      # some 15 minutes
python benchmarks/studies.py energy --document docs/energy.md --picture docs/images/energy.svg        # some 10 minutes; both pictures need the extra `report`
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from maxcut import surroundings
from store import Row, Store, key_of
from tables import markdown, provenance

import fnanneal
from fnanneal.cli.display import joules as joules_text
from fnanneal.energy import Events, account, technologies
from fnanneal.fndam import FNDAMArray
from fnanneal.problems.model import Model

RESULTS = Path(__file__).parent / "results"
GRAPHS = {
    "G22": "gset:G22",
    "G39": "gset:G39",
    "integers": "nx:random_regular_graph(d=10,n=1000,seed=1);weights=int(-10,10);wseed=1",
    "Gaussian": "nx:random_regular_graph(d=10,n=1000,seed=1);weights=gauss(0,1);wseed=1",
}
BITS = (1, 2, 3, 4, 6, 8, 11, 14)
MISMATCH = (0.0, 0.02, 0.05)
SOLVERS = ("ensemble", "neurosa")
# What is looked at of each solver, which takes 1 and 3 s a run.
GRID: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "ensemble": (BITS, MISMATCH),
    "neurosa": ((2, 4, 8, 14), MISMATCH[:2]),
}
BUDGET: dict[str, dict[str, Any]] = {
    "ensemble": {"num_sweeps": 5000},
    "neurosa": {"num_steps": 100_000_000, "num_reads": 2},
}
ENERGY_GRAPHS = ("G1", "G11", "G14", "G22", "G32", "G35", "G39", "G43", "G51", "G55")
SHARE = 0.995
LIMIT = 20.0
THREADS = {"weights": 2, "energy": 1}
BLUE, ORANGE, GREEN, GREY = "#1f5fa8", "#d97706", "#2f855a", "#8a8f98"


@cache
def problem(name: str) -> Model:
    return fnanneal.load(GRAPHS.get(name, f"gset:{name}"))


def cell(kind: str, graph: str, solver: str, settings: str, seed: int) -> Row:
    return {
        "kind": kind,
        "graph": graph,
        "solver": solver,
        "settings": settings,
        "seconds": None,
        "seed": seed,
        "threads": THREADS[kind],
    }


# --- cut quality against resolution and mismatch


def analog_cells(seeds: int) -> Iterator[tuple[Row, Callable[[], Row]]]:
    for graph in GRAPHS:
        for seed in range(1, seeds + 1):
            for solver in SOLVERS:
                yield (
                    cell("weights", graph, solver, "ideal", seed),
                    lambda g=graph, v=solver, s=seed: analog_run(g, v, s, "ideal"),
                )
                for mismatch in GRID[solver][1]:
                    for bits in GRID[solver][0]:
                        array = FNDAMArray(bits=bits, mismatch=mismatch)
                        row = cell("weights", graph, solver, f"{bits} bits, mismatch {mismatch:g}", seed)
                        yield row, lambda g=graph, v=solver, s=seed, a=array: analog_run(g, v, s, a)


def analog_run(graph: str, solver: str, seed: int, weights: Any) -> Row:
    """The cut after a fixed budget; each seed is a chip of its own."""
    r = fnanneal.solve(problem(graph), solver, seed=seed, threads=THREADS["weights"], weights=weights, **BUDGET[solver])
    assert r.verify()
    held = None if isinstance(r.weights, str) else r.weights["programming"]
    return {
        "cut": r.objective, "best_known": None if r.best_known is None else r.best_known.value, "solve_s": round(r.time.solve_s, 3),
        "failures": held and held["failures"], "pulses": held and held["pulses"], "rms_error_lsb": held and round(held["rms_error_lsb"], 4),
    }  # fmt: skip


def gaps(rows: Sequence[Row]) -> dict[tuple[str, str, str], float]:
    """Mean gap, in %, of each graph, solver and setting, to the best known cut or, where none is known, the best of all rows."""
    best = {g: max(r["best_known"] or r["cut"] for r in rows if r["graph"] == g) for g in {r["graph"] for r in rows}}
    found: dict[tuple[str, str, str], list[float]] = {}
    for r in rows:
        found.setdefault((r["graph"], r["solver"], r["settings"]), []).append(
            100 * (best[r["graph"]] - r["cut"]) / best[r["graph"]]
        )
    return {k: mean(v) for k, v in found.items()}


def analog_table(rows: Sequence[Row]) -> str:
    gap = gaps(rows)
    out = []
    for solver, (bits, mismatches) in GRID.items():
        body = []
        for graph in GRAPHS:
            for mismatch in mismatches:
                shown = [f"{gap[graph, solver, f'{b} bits, mismatch {mismatch:g}']:.3f}" for b in bits]
                body.append([graph, f"{mismatch:.0%}", f"{gap[graph, solver, 'ideal']:.3f}", *shown])
        heads = ["graph", "mismatch", "ideal", *(f"{b} bit{'s' * (b > 1)}" for b in bits)]
        what = "mean gap in % to the best known cut (to the best of all runs where none is known)"
        out.append(f"`{solver}`: {what}.\n\n{markdown(heads, body)}")
    failed = sum(r["failures"] or 0 for r in rows)
    cells = {m: [r for r in rows if r["settings"].endswith(f"mismatch {m:g}")] for m in MISMATCH}
    lines = ", ".join(f"{sum(r['failures'] for r in c)} at {m:.0%}" for m, c in cells.items())
    return "\n\n".join(out) + f"\n\nCells that could not be programmed within tolerance: {failed} in all ({lines})."


def analog_picture(rows: Sequence[Row], path: Path) -> None:
    gap, (figure, panels) = gaps(rows), axes(len(GRAPHS), 11.5, 3.6)
    for panel, graph in zip(panels, GRAPHS, strict=True):
        for mismatch, colour in zip(MISMATCH, (BLUE, ORANGE, GREEN), strict=True):
            y = [max(gap[graph, "ensemble", f"{b} bits, mismatch {mismatch:g}"], 2e-3) for b in BITS]
            panel.plot(BITS, y, "o-", color=colour, markersize=4, label=f"mismatch {mismatch:.0%}")
        panel.axhline(
            max(gap[graph, "ensemble", "ideal"], 2e-3), color=GREY, linestyle="--", linewidth=1.2, label="ideal weights"
        )
        panel.set_yscale("log")
        panel.set_ylim(1e-3, 40)
        panel.set_xticks(BITS)
        panel.set_xlabel("resolution [bits]")
        panel.set_title(
            {"integers": "integers -10 to 10", "Gaussian": "Gaussian weights"}.get(graph, graph),
            loc="left",
            fontsize=11,
        )
    panels[0].set_ylabel("mean gap to the best known cut [%]")
    panels[0].legend(frameon=False, fontsize=8.5)
    figure.savefig(path, metadata={"Date": None})


# --- energy to solution


def energy_cells(seeds: int) -> Iterator[tuple[Row, Callable[[], Row]]]:
    for graph in ENERGY_GRAPHS:
        for seed in range(1, seeds + 1):
            for solver in SOLVERS:
                yield (
                    cell("energy", graph, solver, f"{SHARE:.1%}", seed),
                    lambda g=graph, v=solver, s=seed: energy_run(g, v, s, SHARE),
                )
            yield (
                cell("energy", graph, "ensemble", "best known", seed),
                lambda g=graph, s=seed: energy_run(g, "ensemble", s, 1.0),
            )


def energy_run(graph: str, solver: str, seed: int, share: float) -> Row:
    """The events up to the moment when a cut of at least this share of the best known one was found."""
    known = problem(graph).best_known
    assert known is not None
    target = int(np.ceil(share * known.value))
    budget: dict[str, Any] = {"time_limit": LIMIT} if solver == "ensemble" else {"num_steps": 100_000_000}
    r = fnanneal.solve(problem(graph), solver, seed=seed, threads=THREADS["energy"], target=target, **budget)
    assert r.verify()
    return {
        "cut": r.objective, "best_known": known.value, "target": target, "solve_s": round(r.time.solve_s, 4), "n": r.problem.n,
        "events": r.energy.to_dict()["events"], "bounds": r.energy.to_dict()["bounds"],
    }  # fmt: skip


def joules(rows: Sequence[Row], name: str) -> tuple[float | None, bool, bool]:
    """Median over seeds, whether partial, and whether a run ended without the target; None where nothing is covered."""
    accounts = [account(Events(**r["events"]), technologies()[name]) for r in rows]
    values = [a.joules for a in accounts]
    missed = any(r["cut"] < r["target"] for r in rows)
    if any(v is None for v in values):
        return None, True, missed
    return median(v for v in values if v is not None), any(a.status == "partial" for a in accounts), missed


def amount(x: float | None) -> str:
    return "-" if x is None else joules_text(x)


def energy_table(rows: Sequence[Row]) -> str:
    out = []
    for solver, aim in (("neurosa", f"{SHARE:.1%}"), ("ensemble", f"{SHARE:.1%}"), ("ensemble", "best known")):
        body = []
        for graph in ENERGY_GRAPHS:
            mine = [r for r in rows if (r["graph"], r["solver"], r["settings"]) == (graph, solver, aim)]
            if not mine:
                continue
            figures = [joules(mine, name) for name in technologies()]
            over = "> " if figures[0][2] else ""
            bound = median(r["bounds"]["matched_barrier"] for r in mine)
            landauer = median(r["bounds"]["landauer"] for r in mine)
            body.append(
                [
                    graph,
                    mine[0]["target"],
                    *(f"{over}{amount(v)}" if v is not None else "-" for v, _, _ in figures),
                    amount(bound),
                    amount(landauer),
                ]
            )
        heads = [
            "graph",
            "cut",
            *(f"{n}{' (partial)' if any(joules([r], n)[1] for r in rows) else ''}" for n in technologies()),
            "bound: learning in memory",
            "bound: Landauer",
        ]
        what = "the best known cut" if aim == "best known" else f"a cut of {aim} of the best known one"
        out.append(
            f'`{solver}` to {what}: median of the seeds, modelled; "> " where a seed did not get there in its budget.\n\n{markdown(heads, body)}'
        )
    return "\n\n".join(out)


def energy_picture(rows: Sequence[Row], path: Path) -> None:
    figure, (panel,) = axes(1, 8.5, 4.4)
    names = [n for n in technologies() if n != "fn-dam"]
    runs = [
        ("neurosa", f"{SHARE:.1%}", ORANGE, "o", "neurosa, 99.5 %"),
        ("ensemble", f"{SHARE:.1%}", BLUE, "s", "ensemble, 99.5 %"),
        ("ensemble", "best known", GREEN, "^", "ensemble, best known"),
    ]
    for k, (solver, aim, colour, marker, label) in enumerate(runs):
        for place, name in enumerate([*names, "bound"]):
            y = []
            for graph in ENERGY_GRAPHS:
                mine = [r for r in rows if (r["graph"], r["solver"], r["settings"]) == (graph, solver, aim)]
                y.append(
                    median(r["bounds"]["matched_barrier"] for r in mine) if name == "bound" else joules(mine, name)[0]
                )
            panel.plot(
                [place + 0.22 * (k - 1)] * len(y),
                y,
                marker,
                color=colour,
                markersize=5,
                alpha=0.75,
                label=label if place == 0 else None,
            )
    partial = {n for n in names if any(joules([r], n)[1] for r in rows)}
    panel.set_xticks(
        range(len(names) + 1),
        [*(f"{n}\n(partial)" if n in partial else n for n in names), "bound: learning\nin memory *"],
        fontsize=8.5,
        rotation=20,
    )
    panel.set_yscale("log")
    panel.set_ylabel("energy to solution, modelled [J]")
    panel.legend(frameon=False, fontsize=9, loc="center left")
    panel.set_title(
        "Ten Gset graphs, a point each (median of the seeds)      * our reconstruction", loc="left", fontsize=10
    )
    figure.savefig(path, metadata={"Date": None})


# --- both


def axes(count: int, width: float, height: float) -> Any:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "fnanneal"
    figure = Figure(figsize=(width, height), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, count, sharey=True))
    for panel in panels:
        panel.grid(True, color="#e3e6ea", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


STUDIES: dict[str, tuple[Any, Any, Any]] = {
    "weights": (analog_cells, analog_table, analog_picture),
    "energy": (energy_cells, energy_table, energy_picture),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="default: benchmarks/results/STUDY.jsonl")
    parser.add_argument(
        "--document", type=Path, help="bring its table, between <!-- STUDY --> and <!-- end -->, up to date"
    )
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args(arguments)
    cells, table, picture = STUDIES[options.study]
    store = Store(options.store or RESULTS / f"{options.study}.jsonl")
    for row, run in cells(options.seeds):
        if key_of(row) not in store.cells:
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
            date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            store.add({**row, **run(), **surroundings(), "load": round(load, 2), "date": date})
            print(
                *(row[k] for k in ("graph", "solver", "settings", "seed")), store.cells[key_of(row)]["cut"], flush=True
            )
    rows = [store.cells[key_of(row)] for row, _ in cells(options.seeds)]
    text = f"{table(rows)}\n\n*{provenance(rows)}*"
    print(text)
    if options.document is not None:
        before = options.document.read_text(encoding="utf-8")
        block = re.compile(rf"<!-- {options.study} -->\n.*?<!-- end -->", re.DOTALL)
        options.document.write_text(
            block.sub(lambda _: f"<!-- {options.study} -->\n{text}\n<!-- end -->", before), encoding="utf-8"
        )
    if options.picture is not None:
        picture(rows, options.picture)


if __name__ == "__main__":
    main()
