"""The README's picture: distance to the best known cut of G22 against time, for three solvers, five seeds each.

python benchmarks/picture.py docs/images/g22.svg        # needs the extra `report`
"""

from __future__ import annotations

import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

import fnanneal

SEEDS, SECONDS = range(1, 6), 10
COLOURS = {"ensemble": "#2f7d4f", "neurosa": "#0b6e99", "sa": "#d9730d"}
LABELS = {
    "ensemble": "ensemble: annealed lineages, crossed (the default)",
    "neurosa": "neurosa: the published schedule, 10$^8$ steps",
    "sa": "sa: anneals of growing length",
}


def curve(result: fnanneal.Result, grid: np.ndarray) -> np.ndarray:
    """Distance to the best known cut at each time of the grid; the best found so far counts."""
    assert result.best_known is not None
    times, cuts = np.array(result.trace).T
    place = np.searchsorted(times, grid, side="right") - 1
    out: np.ndarray = np.where(place >= 0, result.best_known.value - cuts[np.maximum(place, 0)], np.nan)
    return out


def main() -> None:
    plt.rcParams.update(
        {"font.size": 10, "svg.hashsalt": "fnanneal", "axes.spines.top": False, "axes.spines.right": False}
    )
    figure, axes = plt.subplots(figsize=(7, 4.2))
    grid = np.geomspace(5e-3, SECONDS, 400)
    for name, colour in COLOURS.items():
        fnanneal.solve("G22", name, time_limit=0.01)
        runs = np.array(
            [curve(fnanneal.solve("G22", name, time_limit=SECONDS, threads=1, seed=s), grid) for s in SEEDS]
        )
        for run in runs:
            axes.step(grid, run, where="post", color=colour, alpha=0.25, linewidth=0.8)
        axes.step(grid, np.median(runs, axis=0), where="post", color=colour, linewidth=2, label=LABELS[name])
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 5000)
    axes.set_yticks([0, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])
    axes.set_xticks([0.01, 0.1, 1, 10], ["10 ms", "100 ms", "1 s", "10 s"])
    axes.set_xlabel("time, one core (thick: median of five seeds)")
    axes.set_ylabel("best known cut (13359) - best cut")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 0.98))
    figure.tight_layout()
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
