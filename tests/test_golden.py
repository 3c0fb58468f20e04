"""Golden runs: for fixed sweeps and seed, the cut and every spin on real graphs, so that no change to a kernel goes unnoticed.

The numbers say what this version does, not what is right; the oracles do that. After a wanted change, print the table anew with
``python tests/test_golden.py`` and say so in the changelog, since the same seed then gives other spins.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from fnanneal import Result, load, solve

SEED = 20250607
# The schedule is 10 times as fast as the published one, so that it ends at T = 0.385.
BUDGETS: dict[str, dict[str, Any]] = {
    "neurosa": {"num_steps": 5_000_000, "k1": 0.02 / 8e4},
    "sa": {"num_reads": 4, "num_sweeps": 1000},
}
# (graph, solver): the cut, and the first 16 digits of the SHA-256 of the spins as signed bytes.
GOLDEN: dict[tuple[str, str], tuple[int, str]] = {
    ("G1", "neurosa"): (11610, "1bedaaeb63980970"),
    ("G1", "sa"): (11624, "1a5111e771075ff0"),
    ("G11", "neurosa"): (558, "1789442f64cb541f"),
    ("G11", "sa"): (560, "07509ad0b9a1414a"),
    ("G14", "neurosa"): (3054, "eccbd72c550f6593"),
    ("G14", "sa"): (3058, "16e9e8961613648d"),
    ("G22", "neurosa"): (13355, "4b64c39204ba042e"),
    ("G22", "sa"): (13352, "eda9238decf5a32f"),
    ("G39", "neurosa"): (2389, "ca736999f4592a05"),
    ("G39", "sa"): (2388, "c5778a23a45ae4e9"),
}  # fmt: skip


def golden_run(graph: str, solver: str) -> Result:
    return solve(load(f"gset:{graph}"), solver, seed=SEED, **BUDGETS[solver])


def digest(result: Result) -> str:
    return hashlib.sha256(result.spins.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(("graph", "solver"), list(GOLDEN))
def test_the_same_seed_gives_the_same_cut_and_spins(graph: str, solver: str) -> None:
    result = golden_run(graph, solver)
    assert result.verify()
    assert (result.objective, digest(result)) == GOLDEN[graph, solver]
    assert result.gap is not None
    assert result.gap < 0.02


if __name__ == "__main__":
    for name in ("G1", "G11", "G14", "G22", "G39"):
        for kind in BUDGETS:
            r = golden_run(name, kind)
            print(f'    ("{name}", "{kind}"): ({r.objective}, "{digest(r)}"),')
