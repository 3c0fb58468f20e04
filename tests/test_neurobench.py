"""NeuroBench's workloads as problems, and its own figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import fnanneal
from fnanneal.compare.plan import make_plan
from fnanneal.compare.records import Record
from fnanneal.compare.statistics.neurobench import latencies, workload
from fnanneal.compare.work import empty
from fnanneal.energy import account, technology
from fnanneal.errors import InputError
from fnanneal.problems.combinatorial import neurobench_mis
from fnanneal.problems.workloads import workloads


def test_the_table() -> None:
    table = workloads()
    assert len(table) == 180 == len({w.expression for w in table})
    assert {w.n for w in table} == {10, 25, 50, 100, 250, 500, 1000, 2500, 5000}
    assert {w.density for w in table} == {0.01, 0.05, 0.1, 0.25} and {w.seed for w in table} == set(range(5))


@pytest.mark.parametrize("w", [w for w in workloads() if w.n <= 25][::5], ids=lambda w: w.expression)
def test_small_workloads_are_solved_to_the_benchmarks_own_target(w: Any) -> None:
    problem = fnanneal.load(w.expression)
    assert problem.best_known is not None and problem.best_known.value == -w.tabu and problem.n == w.n
    assert fnanneal.solve(problem, "exact").objective == -w.tabu


def test_the_energy_is_minus_a_size_that_can_be_had() -> None:
    problem, mis = fnanneal.load("gen:mis(60,0.1,3)"), neurobench_mis(60, 0.1, 3)
    r = fnanneal.solve(problem, "sa", num_sweeps=20, seed=1)
    assert len(mis.decode(r.spins, repair=True).vertices) >= -r.objective
    assert problem.best_known is None  # not one of the benchmark's
    with pytest.raises(InputError, match="takes no others"):
        fnanneal.load("gen:mis(60,0.1,3);weights=pm1")


def rec(seed: int, trace: tuple[tuple[float, int], ...], **changes: Any) -> Record:
    cell = make_plan([f"gen:mis(100,0.05,{seed})"], ["sa"], seeds=1, time_limits=[2]).cells()[0]
    about: dict[str, Any] = {
        "outcome": "done", "sense": "min", "best_known": -40, "trace": trace, "objective": trace[-1][1] if trace else None, "solve_s": 2.0,
        "events": {"spin_tests": 10**6}, "events_to_best": {"spin_tests": 10}, "error": None,
    }  # fmt: skip
    return replace(empty(cell, {}), **{**about, **changes})


def test_means_over_the_graphs_where_all_get_there() -> None:
    runs = [rec(0, ((0.1, -30), (0.5, -36), (1.0, -40))), rec(1, ((0.2, -38), (0.6, -39)))]
    ten, five, one = latencies(runs, (0.1, 0.05, 0.01))
    assert (ten.n, ten.density, ten.graphs, ten.reached) == (100, 0.05, 2, 2)
    assert ten.seconds == pytest.approx((0.5 + 0.2) / 2) and ten.seconds_error == pytest.approx(0.15)
    whole = account({"spin_tests": 10**6}, technology()).joules
    assert whole is not None and ten.joules == pytest.approx(whole * 0.35 / 2, abs=0)
    assert five.seconds == pytest.approx((1.0 + 0.2) / 2)
    # 39 of 40 is 2.5 % short: one of the two does not get there, and nothing is reported.
    assert (one.reached, one.seconds, one.joules) == (1, None, None)


def test_what_is_not_counted_has_no_joules() -> None:
    (row,) = latencies([rec(0, ((0.1, -40),), events=None)], (0.01,))
    assert row.seconds == 0.1 and row.seconds_error is None and row.joules is None
    failed = rec(1, (), outcome="failed", events=None)
    (row,) = latencies([rec(0, ((0.1, -40),)), failed], (0.01,))
    assert (row.graphs, row.reached, row.seconds) == (2, 1, None)
    assert latencies([rec(0, (), outcome="unfit")], (0.1,)) == []


def test_other_problems_are_no_workloads() -> None:
    plain = rec(0, ((0.1, -40),))
    assert workload(plain) == (100, 0.05)
    for name in ("G1", "gen:mis(", "gen:sk(10)", "gen:mis(1)"):
        assert workload(replace(plain, problem=name)) is None
