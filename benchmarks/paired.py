"""Two checkouts in turn, the same solves: what a change costs. Medians and the least of several rounds, in seconds of solving.

python benchmarks/paired.py OLD_CHECKOUT NEW_CHECKOUT --rounds 8
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ensemble, G22": ("G22", "ensemble", {"num_sweeps": 12_000, "num_reads": 1}),
    "ensemble, G81": ("G81", "ensemble", {"num_sweeps": 1000, "num_reads": 1}),
    "ensemble, K2000": ("K2000", "ensemble", {"num_sweeps": 400, "num_reads": 1}),
    "sa, G39": ("G39", "sa", {"num_sweeps": 6000, "num_reads": 8}),
    "neurosa, G22": ("G22", "neurosa", {"num_steps": 60_000_000}),
}
WORK = """
import json, sys, fnanneal
for name, (graph, solver, settings) in json.loads(sys.argv[1]).items():
    r = fnanneal.solve(graph, solver, seed=1, threads=1, **settings)
    print(json.dumps([name, r.time.solve_s, float(r.objective)]))
"""


def measured(checkout: Path) -> dict[str, tuple[float, float]]:
    """Seconds and objective of each case."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    run = subprocess.run(
        [sys.executable, "-c", WORK, json.dumps(CASES)], env=environment, capture_output=True, text=True, check=True, cwd="/"
    )  # fmt: skip
    return {name: (seconds, cut) for name, seconds, cut in map(json.loads, run.stdout.splitlines())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkouts", type=Path, nargs=2)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    both = [path.resolve() for path in options.checkouts]
    for path in both:
        measured(path)  # compiles
    runs = [[measured(path) for path in both] for _ in range(options.rounds)]
    print(f"{'':18} {'old median':>11} {'new median':>11} {'old least':>10} {'new least':>10}")
    for name in CASES:
        old, new = ([r[k][name][0] for r in runs] for k in range(2))
        same = "" if runs[0][0][name][1] == runs[0][1][name][1] else "   (the cuts differ)"
        print(f"{name:18} {median(old):11.3f} {median(new):11.3f} {min(old):10.3f} {min(new):10.3f}{same}")


if __name__ == "__main__":
    main()
