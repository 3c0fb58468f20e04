"""How an island's lineages stay apart: value and distance round by round, with and without the crossing of different lineages. Draws docs/images/diversity.svg.

    python benchmarks/diversity.py [--graphs G81 G55 G64] [--seconds 6] [--output docs/images/diversity.svg]

Distance is the mean over pairs of lineages of min(d, n - d)/n, d the number of spins in which they differ: 0.5 for random states of large graphs. CPU
seconds of one thread. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

import fnanneal
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.populations import lineages

mpl.use("Agg")
from matplotlib import pyplot as plt

SHARES = (0.0, 0.1, 0.9)


def distance(rows: Any) -> float:
    """Mean distance of 64 states (r, n), up to negation."""
    r, n = rows.shape
    overlap = np.abs(rows.astype(np.float32) @ rows.T.astype(np.float32)) / n
    return float((1 - overlap[np.triu_indices(r, 1)]).mean() / 2)


def history(graph: str, share: float, seconds: float) -> list[tuple[float, float, float, float, int]]:
    """(CPU seconds, best cut, mean cut, distance, champions) after each round of one island."""
    problem = fnanneal.load(graph)
    assert isinstance(problem, fnanneal.MaxCut)
    solver = Ensemble(num_sweeps=2**31, num_reads=1)
    plan = solver.prepare(problem)
    solver.warm_up(plan)
    state = solver.init(plan, 1, open_ended=False, threads=1, initial=None)
    lineages.SHARE = share
    cut = problem.objective(plan.reduction.outwards(state.best[0])) - state.best_values[0] / 2
    out = []
    started = time.thread_time()
    while (now := time.thread_time() - started) < seconds:
        solver.advance(plan, state, int(state.length[0]) * plan.system.n, lambda f, k: [f(i) for i in range(k)])
        out.append(
            (
                now,
                cut + state.best_values[0] / 2,
                cut + state.values[0].mean() / 2,
                distance(state.parents[0]),
                int(state.found[0]),
            )
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--graphs", nargs="+", default=["G81", "G55", "G64"])
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--output", type=Path, default=Path("docs/images/diversity.svg"))
    options = parser.parse_args()
    mpl.rcParams["svg.hashsalt"] = "fnanneal"
    figure, axes = plt.subplots(
        2, len(options.graphs), figsize=(4 * len(options.graphs), 6), sharex=True, squeeze=False
    )
    usual = lineages.SHARE
    for column, graph in enumerate(options.graphs):
        known = fnanneal.load(graph).best_known
        assert known is not None
        for share in SHARES:
            h = np.array(history(graph, share, options.seconds))
            label = f"share {share:g}" + (" (default)" if share == usual else "")
            (line,) = axes[0, column].plot(h[:, 0], (known.value - h[:, 1]) / known.value * 100, label=label)
            mean = np.where(h[:, 2] > 0.98 * known.value, (known.value - h[:, 2]) / known.value * 100, np.nan)
            axes[0, column].plot(h[:, 0], mean, color=line.get_color(), linestyle=":")
            axes[1, column].plot(h[:, 0], h[:, 3], color=line.get_color())
            print(
                f"{graph} share {share:g}: best {h[-1, 1]:.0f} of {known.value}, distance {h[-1, 3]:.3f}, champions {h[-1, 4]:.0f}"
            )
        axes[0, column].set_title(graph)
        axes[0, column].set_yscale("log")
        axes[1, column].set_xlabel("CPU seconds of one thread")
    axes[0, 0].set_ylabel("gap, % (best; dotted: mean)")
    axes[1, 0].set_ylabel("distance between lineages")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(options.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
