"""Budgets of spin tests, for every solver that counts them."""

from __future__ import annotations

import numpy as np
import pytest

from fnanneal import solve
from fnanneal.errors import InputError
from fnanneal.solvers import names

from .cases import ising, random_problem

PROBLEM = ising(*random_problem(np.random.default_rng(4), 60, 5, "pm1", False))
COUNTING = [n for n in names() if n != "exact"]


@pytest.mark.parametrize("tests", [60_000, 1_000_000])
@pytest.mark.parametrize("name", COUNTING)
def test_a_budget_is_used_up_and_not_exceeded(name: str, tests: int) -> None:
    r = solve(PROBLEM, name, spin_tests=tests, seed=1, threads=1)
    # The ensemble's compound moves and merging test some spins more.
    assert 0.8 * tests <= r.events.spin_tests <= (1.2 if name == "ensemble" else 1.0) * tests
    again = solve(PROBLEM, name, spin_tests=tests, seed=1, threads=2)
    assert again.objective == r.objective and again.events == r.events and r.status.value == "completed"


@pytest.mark.parametrize("name", COUNTING)
def test_a_limit_or_a_target_ends_it_sooner(name: str) -> None:
    limited = solve(PROBLEM, name, spin_tests=10**13, time_limit=0.05, seed=1, threads=1)
    assert limited.status.value == "time_limit"
    hit = solve(PROBLEM, name, spin_tests=10**13, target=0, seed=1, threads=1)
    assert hit.status.value == "target"


def test_settings_share_the_budget() -> None:
    r = solve(PROBLEM, "sa", spin_tests=60 * 1000, num_reads=5, seed=1)
    assert (r.settings["num_reads"], r.settings["num_sweeps"]) == (5, 200)
    r = solve(PROBLEM, "sa", spin_tests=60 * 1000, num_sweeps=100, seed=1)
    assert (r.settings["num_reads"], r.settings["num_sweeps"]) == (10, 100)
    r = solve(PROBLEM, "neurosa", spin_tests=9001, num_reads=3, seed=1)
    assert r.settings["num_steps"] == 3000 and r.events.spin_tests == 9000


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("exact", {"spin_tests": 10}, "takes no budget of spin tests"),
        ("sa", {"spin_tests": 59}, "less than one sweep"),
        ("ensemble", {"spin_tests": 59}, "less than one sweep"),
        ("neurosa", {"spin_tests": 2, "num_reads": 3}, "less than a step"),
        ("sa", {"spin_tests": 0}, "spin_tests must be an integer"),
        ("sa", {"spin_tests": 1e6}, "spin_tests must be an integer"),
        ("ensemble", {"spin_tests": 10**6, "num_sweeps": 5}, "not both"),
        ("neurosa", {"spin_tests": 10**6, "num_steps": 5}, "one of them"),
    ],
)
def test_what_cannot_be_done_is_one_line(name: str, arguments: dict[str, float], told: str) -> None:
    with pytest.raises(InputError) as e:
        solve(PROBLEM, name, **arguments)  # type: ignore[arg-type]
    assert told in str(e.value) and "\n" not in str(e.value)
