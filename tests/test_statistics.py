"""Gaps, targets, shares and quantiles: by hand, by slow definitions, and in every degenerate case."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from fnanneal.compare.cells import Budget
from fnanneal.compare.statistics import (
    Reference,
    by_budget,
    by_problem,
    gaps,
    jeffreys,
    median_gaps,
    median_interval,
    median_objective,
    overall_gaps,
    quantile,
    quantiles,
    reference,
    references,
    summarise,
)

from .cases_statistics import failed, hit, miss, run, unfit


def known(value, sense="max", integral=True):
    """A best known value."""
    return Reference(value=value, source="a book", known=True, found=None, found_by=(), sense=sense, integral=integral)


# Shares


@pytest.mark.parametrize(("k", "n"), [(1, 5), (3, 5), (4, 5), (17, 100), (1, 1000)])
def test_jeffreys_is_the_posterior(k, n):
    """By integrating the posterior under Jeffreys' prior."""
    interval = jeffreys(k, n).interval

    def density(p):
        return p ** (k - 0.5) * (1 - p) ** (n - k - 0.5)

    middle = k / n
    total = sum(integrate.quad(density, a, b)[0] for a, b in ((0, middle), (middle, 1)))
    assert integrate.quad(density, 0, interval.low)[0] / total == pytest.approx(0.025, abs=1e-6)
    assert integrate.quad(density, interval.high, 1)[0] / total == pytest.approx(0.025, abs=1e-6)


def test_jeffreys_at_the_ends():
    assert jeffreys(0, 5).interval.low == 0.0
    assert jeffreys(0, 5).interval.high == pytest.approx(stats.beta.ppf(0.975, 0.5, 5.5))
    assert jeffreys(5, 5).interval.high == 1.0
    assert jeffreys(5, 5).interval.low == pytest.approx(1 - jeffreys(0, 5).interval.high)
    assert jeffreys(1, 1).interval.low < 0.15
    for k, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="no share"):
            jeffreys(k, n)


def test_jeffreys_covers():
    """Its coverage, averaged over all shares, is its level: that is what a posterior is."""
    n = 12
    intervals = [jeffreys(k, n).interval for k in range(n + 1)]
    p = (np.arange(2000) + 0.5) / 2000
    inside = sum(stats.binom.pmf(k, n, p) * ((i.low <= p) & (p <= i.high)) for k, i in enumerate(intervals))
    assert inside.mean() == pytest.approx(0.95, abs=0.02)
    assert inside.min() > 0.84


# Quantiles


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1))
def test_quantiles_are_numpys_where_all_is_finite(values, q):
    assert quantile(sorted(values), q) == pytest.approx(np.quantile(values, q), rel=1e-9, abs=1e-6)


def test_quantiles_with_failures():
    q = quantiles([0.1, math.inf, 0.2, math.inf])
    assert q is not None
    assert (q.n, q.infinite, q.best, q.median, q.worst) == (4, 2, 0.1, math.inf, math.inf)
    assert quantile([0.1, 0.2, 0.3, math.inf], 0.5) == pytest.approx(0.25)
    assert quantile([-math.inf, 1.0], 0.5) == -math.inf
    assert quantiles([]) is None
    one = quantiles([3])
    assert one is not None
    assert (one.best, one.q1, one.median, one.worst, one.interval) == (3, 3, 3, 3, None)


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 12, 13, 30, 101])
def test_median_interval_is_the_narrowest_that_covers(n):
    """By the chances of all numbers of values below the median."""
    interval = median_interval(range(1, n + 1))
    assert interval is not None
    r = int(interval.low)
    assert interval.high == n + 1 - r

    def covers(r):
        return 1 - 2 * sum(Fraction(math.comb(n, k), 2**n) for k in range(r))

    assert interval.level == pytest.approx(min(0.95, float(covers(r))))
    assert covers(r) >= Fraction(95, 100) or r == 1
    assert covers(r + 1) < Fraction(95, 100)


def test_median_interval_of_few():
    assert median_interval([1.0]) is None
    five = median_interval([5, 1, 4, 2, 3])
    assert five is not None
    assert (five.low, five.high, five.level) == (1, 5, 0.9375)


# References and gaps


def test_reference_is_the_best_known_else_the_best_found():
    runs = [run(seed=0, objective=90), run(seed=1, objective=95, solver="b"), failed(seed=2)]
    ref = reference(runs)
    assert ref is not None
    assert (ref.value, ref.source, ref.known, ref.found, ref.found_by) == (100, "a book", True, 95, ("b",))
    assert not ref.beaten
    runs = [run(seed=k, objective=v, best_known=None, best_known_source=None) for k, v in enumerate((90, 95))]
    ref = reference(runs)
    assert ref is not None
    assert (ref.value, ref.source, ref.known, ref.beaten) == (95, "best of these runs", False, False)
    assert reference([failed(best_known=None)]) is None
    assert reference([]) is None
    only = reference([failed()])
    assert only is not None
    assert (only.value, only.found, only.found_by) == (100, None, ())


def test_a_failed_run_finds_nothing():
    ref = reference(
        [failed(best_known=None), run(objective=90, best_known=None), replace(failed(best_known=None), objective=99)]
    )
    assert ref is not None
    assert ref.value == 90


def test_a_record_has_a_negative_gap():
    ref = reference([run(objective=101), run(objective=100, seed=1)])
    assert ref is not None
    assert (ref.value, ref.found, ref.beaten) == (100, 101, True)
    assert ref.gap(101) == -0.01


def test_the_better_of_several_best_known_values():
    """Whatever the order: a store may have been filled by two versions."""
    runs = [run(best_known=99), run(best_known=100, seed=1), run(best_known=None, best_known_source=None, seed=2)]
    for order in (runs, runs[::-1]):
        ref = reference(order)
        assert ref is not None
        assert ref.value == 100


@pytest.mark.parametrize(
    ("value", "sense", "objective", "gap"),
    [
        (100, "max", 99, 0.01),
        (-100, "min", -99, 0.01),
        (-100, "min", -101, -0.01),
        (-100, "max", -101, 0.01),
        (50, "min", 51, 0.02),
        (0, "min", 3, 3.0),
        (0, "max", 3, -3.0),
        (100, "max", None, math.inf),
    ],
)
def test_positive_gaps_are_worse(value, sense, objective, gap):
    ref = known(value, sense)
    assert ref.gap(objective) == pytest.approx(gap)
    assert ref.absolute == (value == 0)


def test_real_objectives_are_equal_up_to_rounding():
    ref = known(-1.5, "min", integral=False)
    assert ref.gap(-1.5 + 1e-12) == 0.0
    assert ref.gap(math.nan) == math.inf
    assert ref.gap(-1.5 + 1e-6) > 0
    assert ref.target(0.0) > -1.5
    assert ref.target(0.1) == pytest.approx(-1.35)


@settings(deadline=None)
@given(
    st.integers(-(10**6), 10**6),
    st.sampled_from([0, 0.001, 0.01, 0.05, 0.1, 0.3, 0.7]),
    st.sampled_from(["min", "max"]),
)
def test_targets_of_integers_are_exact(value, theta, sense):
    """The target is within the threshold, and the next worse integer is not."""
    ref = known(value, sense)
    target = ref.target(theta)
    worse = -1 if sense == "max" else 1
    scale = Fraction(1) if value == 0 else Fraction(abs(value))

    def exact(objective):
        return Fraction(worse * (objective - value)) / scale

    threshold = Fraction(str(theta))
    assert isinstance(target, int)
    assert exact(target) <= threshold < exact(target + worse)


def test_target_where_floats_would_err():
    """1000 - 0.3 x 1000 is 700.0000000000001 or so in binary."""
    assert known(1000).target(0.3) == 700
    assert known(13359).target(0.001) == 13346


def test_failed_runs_are_worse_than_all_and_unfit_ones_are_none():
    runs = [run(objective=99), failed(seed=1), unfit(seed=2), run(seed=3, objective=100)]
    ref = reference(runs)
    assert ref is not None
    assert gaps(runs, ref) == [0.01, math.inf, 0.0]
    assert median_objective(runs, "max") == 99
    assert median_objective([failed(), failed(seed=1), run(objective=99)], "max") is None
    assert median_objective([unfit()], "max") is None
    assert median_objective([run(objective=-5), run(objective=-3)], "min") == -4


def test_median_gaps_by_solver_and_problem():
    runs = [run("P", "a", 0, 90), run("P", "a", 1, 100), run("P", "b", 0, 80), failed("Q", "a"), unfit("Q", "b")]
    assert median_gaps(runs) == {"a": {"P": 0.05, "Q": math.inf}, "b": {"P": 0.2}}
    overall = overall_gaps([*runs, run("Z", "b", 0, 3, best_known=0)])
    assert overall["a"] is not None and overall["b"] is not None
    assert (overall["a"].n, overall["a"].infinite) == (2, 1)
    assert (overall["b"].n, overall["b"].median) == (1, 0.2)


def test_only_zero_references():
    runs = [run("Z", "a", 0, -3, best_known=0), run("Z", "a", 1, -1, best_known=0)]
    assert overall_gaps(runs) == {"a": None}
    (row,) = summarise(runs, 1.0)
    assert row.reference is not None and row.gap is not None and row.hits is not None
    assert row.reference.absolute
    assert (row.target, row.gap.median, row.hits.k) == (-1, 2.0, 1)


# Groups


def test_contents_with_one_name_are_two_problems():
    one, two = "1" * 64, "2" * 64
    runs = [run(sha256=one), run(sha256=two, seed=1, best_known=7), failed(sha256=None, seed=2), run("Q")]
    assert {k: len(v) for k, v in by_problem(runs).items()} == {"P (11111111)": 2, "P (22222222)": 1, "Q": 1}
    refs = references(runs)
    assert refs["P (22222222)"].value == 7
    # Among some of the records the name is unique again: the reference of all is found nevertheless.
    (row,) = summarise([runs[1]], known={**refs, "P (22222222)": known(8)})
    assert row.reference is not None
    assert (row.problem, row.reference.value) == ("P", 8)


def test_budgets_are_kept_apart():
    runs = [run(), run(budget=Budget(spin_tests=1000), seed=1), run(seed=2)]
    assert {k: len(v) for k, v in by_budget(runs).items()} == {"10 s": 2, "1e+03 spin tests": 1}


# Rows


def test_a_row_says_it_all():
    runs = [hit(2.0), miss(seed=1), failed(seed=2), unfit(seed=3), run(seed=4, objective=95, solve_s=20.0)]
    (row,) = summarise(runs)
    assert row.gap is not None and row.hits is not None and row.curve is not None and row.tts is not None
    assert (row.runs, row.failed, row.unfit, row.overran) == (4, 1, 1, 1)
    assert (row.best, row.median, row.worst, row.target) == (100, 92.5, None, 100)
    assert (row.gap.median, row.gap.infinite) == (pytest.approx(0.075), 1)
    assert (row.hits.k, row.hits.n, row.curve.median) == (1, 4, None)
    assert row.cells == tuple(r.cell for r in runs)
    assert row.energy == ()


def test_rows_of_failures():
    (row,) = summarise([failed(), failed(seed=1)])
    assert row.hits is not None and row.tts is not None
    assert (row.runs, row.failed, row.best, row.median, row.hits.k) == (2, 2, None, None, 0)
    assert row.tts.value is None
    (row,) = summarise([failed(best_known=None)])
    assert (row.reference, row.target, row.gap, row.hits, row.tts) == (None, None, None, None, None)
    (row,) = summarise([unfit()])
    assert (row.runs, row.unfit, row.gap, row.hits, row.curve) == (0, 1, None, None, None)
    assert summarise([]) == []


def test_rows_do_not_depend_on_the_order_of_runs():
    rng = np.random.default_rng(1)
    runs = [hit(float(t), seed=k) for k, t in enumerate(rng.exponential(5, 6))]
    runs += [miss(seed=7), miss(seed=8), failed(seed=9)]
    (row,) = summarise(runs, 0.0)
    for _ in range(5):
        rng.shuffle(runs)
        (other,) = summarise(runs, 0.0)
        assert (other.tts, other.curve, other.gap, other.hits) == (row.tts, row.curve, row.gap, row.hits)
