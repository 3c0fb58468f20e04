"""The ensemble on every Gset graph and K2000: cut, gap and time to the best known cut. Resumable: one cell a line of its store.

    python benchmarks/maxcut.py --seconds 10 --seeds 1 --store runs/gset-10s.jsonl [--threads 2] [--solver ensemble] [GRAPH ...]
    python benchmarks/maxcut.py --quick

A run stops at the best known cut. Loading and compiling are not counted. `--quick` prints ensemble, sa and dwave-samplers' simulated annealing and tabu
search side by side on six graphs, one thread and five seconds each (needs the extra `ocean`).
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import fnanneal
from fnanneal.problems.known import instances

QUICK = ("G14", "G22", "G32", "G39", "G55", "G70")


def cell(graph: str, solver: str, seconds: float, seed: int, threads: int) -> dict[str, object]:
    """One run."""
    problem = fnanneal.load(graph)
    known = problem.best_known
    assert known is not None
    r = fnanneal.solve(problem, solver, time_limit=seconds, target=known.value, seed=seed, threads=threads)
    assert r.verify()
    return {
        "graph": graph, "solver": solver, "seconds": seconds, "seed": seed, "threads": threads, "cut": r.objective, "best_known": known.value,
        "to_best_s": round(r.time.to_best_s, 3), "solve_s": round(r.time.solve_s, 3), "version": r.versions["fnanneal"],
    }  # fmt: skip


def stored(path: Path) -> list[dict[str, object]]:
    """The finished cells; a line cut short by a kill is left out."""
    cells = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cells.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return cells


def fill(graphs: list[str], options: argparse.Namespace) -> list[dict[str, object]]:
    """Run what the store lacks."""
    path = Path(options.store)
    path.parent.mkdir(parents=True, exist_ok=True)
    key = ("graph", "solver", "seconds", "seed", "threads")
    done = {tuple(c[k] for k in key) for c in stored(path)}
    fnanneal.solve("G11", options.solver, num_sweeps=1, seed=0)
    for graph in graphs:
        for seed in range(1, options.seeds + 1):
            if (graph, options.solver, options.seconds, seed, options.threads) not in done:
                new = cell(graph, options.solver, options.seconds, seed, options.threads)
                with path.open("a") as f:
                    f.write(json.dumps(new) + "\n")
                print(graph, seed, new["cut"], new["best_known"], new["to_best_s"], flush=True)
    chosen = {
        (g, options.solver, options.seconds, s, options.threads) for g in graphs for s in range(1, options.seeds + 1)
    }
    return [c for c in stored(path) if tuple(c[k] for k in key) in chosen]


def table(cells: list[dict[str, object]]) -> None:
    """A row a graph, and the totals."""
    graphs = list(dict.fromkeys(str(c["graph"]) for c in cells))
    hits, gaps = 0, []
    print("| graph | best known | cuts | gap | seconds to it |\n|---|---|---|---|---|")
    for g in graphs:
        mine = [c for c in cells if c["graph"] == g]
        known = int(str(mine[0]["best_known"]))
        cuts = [int(str(c["cut"])) for c in mine]
        median = statistics.median(cuts)
        gaps.append((known - median) / known)
        hits += median >= known
        times = ", ".join(f"{float(str(c['to_best_s'])):.2f}" for c in mine)
        print(f"| {g} | {known} | {', '.join(map(str, cuts))} | {gaps[-1]:.3%} | {times} |")
    print(
        f"\n{hits} of {len(graphs)} at the best known cut (median over seeds), mean gap {statistics.mean(gaps):.4%}, worst {max(gaps):.3%}"
    )


def quick() -> None:
    """Peers side by side."""
    import time

    from dwave.samplers import TabuSampler
    from sa import cut_of, dwave_for, dwave_model

    print(f"{'graph':6} {'ensemble':>9} {'sa':>7} {'dwave sa':>9} {'dwave tabu':>11}  best known")
    for g in QUICK:
        problem = fnanneal.load(g)
        assert isinstance(problem, fnanneal.MaxCut)
        assert problem.best_known is not None
        ours = [fnanneal.solve(problem, s, time_limit=5, threads=1, seed=1).objective for s in ("ensemble", "sa")]
        peer = max(dwave_for(problem, 5, sweeps, 1) for sweeps in (1000, 10000))
        h, j = dwave_model(problem)
        t = time.perf_counter()
        found = TabuSampler().sample_ising(h, j, timeout=5000, num_reads=1, num_restarts=10**6, seed=1)
        tabu = cut_of(problem, float(found.record.energy.min()))
        assert time.perf_counter() - t < 60
        print(f"{g:6} {ours[0]:9} {ours[1]:7} {peer:9} {tabu:11}  {problem.best_known.value}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("graphs", nargs="*")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--solver", default="ensemble")
    parser.add_argument("--store", default="runs/maxcut.jsonl")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        quick()
    else:
        table(fill(options.graphs or list(instances()), options))


if __name__ == "__main__":
    main()
