"""Does it help that islands exchange elites? Cuts at the same sweeps, with and without.

    python benchmarks/islands.py [G14 G22 G35 G55] [--islands 8] [--num-sweeps 20000] [--exchange 0 2000] [--seeds 5] [--threads 1]

Prints a table: of each graph the best known cut, and for each of the numbers of sweeps between two exchanges (0: none) the mean cut and the cuts of the seeds. The same on any machine.
"""

from __future__ import annotations

import argparse
from statistics import mean

import fnanneal
from fnanneal.problems.model import Model


def cuts(problem: Model, exchange: int, options: argparse.Namespace) -> list[float]:
    """The best cut of each seed."""
    return [
        fnanneal.solve(
            problem,
            islands=options.islands,
            exchange=exchange,
            num_sweeps=options.num_sweeps,
            seed=seed,
            threads=options.threads,
            backend="cpu",
        ).objective
        for seed in range(options.seeds)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("graphs", nargs="*", default=["G14", "G22", "G35", "G55"])
    parser.add_argument("--islands", type=int, default=8)
    parser.add_argument("--num-sweeps", type=int, default=20_000)
    parser.add_argument("--exchange", type=int, nargs="+", default=[0, 2000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    heads = [f"every {e}" if e else "apart" for e in options.exchange]
    print(f"| graph | best known | {' | '.join(heads)} |")
    print("|---" * (2 + len(heads)) + "|")
    for graph in options.graphs:
        problem = fnanneal.load(graph)
        known = "" if problem.best_known is None else problem.best_known.value
        row = []
        for exchange in options.exchange:
            found = cuts(problem, exchange, options)
            row.append(f"{mean(found):.1f} ({', '.join(f'{cut:g}' for cut in found)})")
        print(f"| {graph} | {known} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
