"""Pairs, profiles, programs and headlines: tests against enumeration and SciPy, corrections against a published table."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fnanneal.compare.statistics import (
    compare_pairs,
    data_profiles,
    gap_profiles,
    headline,
    holm,
    median_times,
    performance_profiles,
    programs,
)
from fnanneal.compare.statistics.paired import hodges_lehmann, signed_rank
from fnanneal.errors import InputError

from .cases_statistics import failed, hit, miss, program, run, unfit

# Wilcoxon and the sign test


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=10))
def test_signed_rank_by_enumeration(d):
    """All signs of the ranks, zeros ranked and then dropped."""
    ranks = [r for r, x in zip(stats.rankdata(np.abs(d)), d, strict=True) if x]
    observed = sum(r for r, x in zip(ranks, [x for x in d if x], strict=True) if x > 0)
    sums = [sum(r for r, up in zip(ranks, ups, strict=True) if up) for ups in product((0, 1), repeat=len(ranks))]
    above = sum(s >= observed for s in sums) / len(sums)
    below = sum(s <= observed for s in sums) / len(sums)
    assert signed_rank(d) == pytest.approx(min(1.0, 2 * min(above, below)))


@pytest.mark.parametrize("n", [6, 11, 25])
def test_signed_rank_is_scipys_without_ties(n):
    d = np.random.default_rng(n).normal(0.4, 1, n)
    assert signed_rank(d.tolist()) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


def test_signed_rank_of_many_is_the_normal_approximation():
    """It joins the exact one where that ends, and is SciPy's beyond, zeros and ties included."""
    d = np.round(np.random.default_rng(3).normal(0.1, 1, 1500), 1)
    ours = signed_rank(d.tolist())
    assert ours == pytest.approx(
        stats.wilcoxon(d, zero_method="pratt", correction=False, method="asymptotic").pvalue, rel=0.01
    )
    small = np.random.default_rng(4).normal(0.1, 1, 500)
    normal = stats.wilcoxon(small, method="asymptotic").pvalue
    assert signed_rank(small.tolist()) == pytest.approx(normal, rel=0.02)


def test_signed_rank_at_the_ends():
    assert signed_rank([0.0, 0.0]) == 1.0
    assert signed_rank([1.0]) == 1.0
    assert signed_rank([1.0] * 6) == 2 / 64
    assert signed_rank([math.inf] * 3 + [0.1, 0.2, 0.3]) == 2 / 64


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12), st.randoms())
def test_hodges_lehmann_by_all_pairs(d, random):
    pairs = [(d[i] + d[j]) / 2 for i in range(len(d)) for j in range(i, len(d))]
    estimate, interval = hodges_lehmann(d)
    assert estimate == pytest.approx(float(np.median(pairs)))
    random.shuffle(d)
    assert hodges_lehmann(d) == (estimate, interval)
    assert (interval is None) == (len(d) == 1)
    assert interval is None or interval.low <= estimate <= interval.high


def test_hodges_lehmann_interval_holds_what_the_test_does_not_reject():
    d = np.random.default_rng(5).normal(1, 1, 12)
    _, interval = hodges_lehmann(d.tolist())
    assert interval is not None
    for shift, inside in ((interval.low - 1e-9, False), (interval.low + 1e-9, True), (interval.high + 1e-9, False)):
        assert (signed_rank((d - shift).tolist()) > 0.05) == inside


def test_hodges_lehmann_covers():
    rng = np.random.default_rng(6)
    intervals = [hodges_lehmann((rng.laplace(0, 1, 12) + 3).tolist())[1] for _ in range(600)]
    assert 0.93 < np.mean([i is not None and i.low <= 3 <= i.high for i in intervals]) < 0.985


def test_hodges_lehmann_with_failures():
    assert hodges_lehmann([math.inf])[0] == math.inf
    estimate, interval = hodges_lehmann([-math.inf, math.inf, 0.0])
    assert estimate == 0.0
    assert interval is not None
    assert (interval.low, interval.high, interval.level) == (-math.inf, math.inf, 0.75)


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.03, 0.04, times 4, 3, 2, 1, never falling."""
    assert holm([0.04, 0.01, None, 0.03, 0.02]) == [0.06, 0.04, None, 0.06, 0.06]
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


# Pairs


def duel(gaps_a, gaps_b, **more):
    """One run a problem, of two solvers."""
    return [
        run(f"P{k}", s, 0, 1000 - g, best_known=1000, **more)
        for k, both in enumerate(zip(gaps_a, gaps_b, strict=True))
        for s, g in zip("ab", both, strict=True)
    ]


def test_a_pair_by_hand():
    (pair,) = compare_pairs(duel([0, 0, 5, 0, 0, 0, 0], [1, 2, 4, 3, 5, 6, 0]))
    assert (pair.first, pair.second, pair.problems, pair.left_out) == ("a", "b", 7, 0)
    assert (pair.wins, pair.ties, pair.losses) == (5, 1, 1)
    assert pair.sign_p == pytest.approx(stats.binomtest(5, 6).pvalue)
    assert pair.wilcoxon_p == pytest.approx(signed_rank([1, 2, -1, 3, 5, 6, 0]))
    assert pair.wilcoxon_holm == pair.wilcoxon_p
    assert pair.difference is not None
    assert pair.difference == pytest.approx(float(hodges_lehmann([0.001, 0.002, -0.001, 0.003, 0.005, 0.006, 0])[0]))
    assert pair.enough


def test_too_few_problems_are_said_to_be():
    (pair,) = compare_pairs(duel([0] * 5, [1] * 5))
    assert (pair.wins, pair.enough, pair.significant) == (5, False, False)
    (pair,) = compare_pairs(duel([0] * 6, [1] * 6))
    assert (pair.enough, pair.significant) == (True, True)
    third = [run(f"P{k}", "c", 0, 990, best_known=1000) for k in range(6)]
    assert [p.enough for p in compare_pairs([*duel([0] * 6, [1] * 6), *third])] == [False] * 3


def test_equal_solvers_tie():
    (pair,) = compare_pairs(duel([3] * 8, [3] * 8))
    assert (pair.ties, pair.sign_p, pair.wilcoxon_p, pair.difference, pair.significant) == (8, 1.0, 1.0, 0.0, False)


def test_failures_lose_and_unfit_problems_are_left_out():
    runs = [run("P"), failed("P", "b"), failed("Q"), failed("Q", "b"), run("R"), unfit("R", "b"), run("S")]
    (pair,) = compare_pairs(runs)
    assert (pair.problems, pair.left_out, pair.wins, pair.ties, pair.losses) == (2, 2, 1, 1, 0)
    (pair,) = compare_pairs([run("P"), unfit("P", "b")])
    assert (pair.problems, pair.sign_p, pair.wilcoxon_p, pair.sign_holm, pair.difference) == (0, None, None, None, None)


def test_problems_whose_reference_is_zero_count_in_the_sign_test_only():
    runs = [*duel([0, 0], [1, 2]), run("Z", "a", 0, -1, best_known=0), run("Z", "b", 0, 0, best_known=0)]
    (pair,) = compare_pairs(runs)
    assert (pair.problems, pair.wins, pair.losses) == (3, 2, 1)
    assert pair.wilcoxon_p == signed_rank([1, 2])


def test_swapping_a_pair_swaps_its_signs():
    runs = duel([0, 0, 5, 0, 1, 0, 0], [1, 2, 4, 3, 5, 6, 0])
    one, other = compare_pairs(runs, baseline="a")[0], compare_pairs(runs, baseline="b")[0]
    assert (one.wins, one.losses, one.wilcoxon_p, one.sign_p) == (
        other.losses,
        other.wins,
        other.wilcoxon_p,
        other.sign_p,
    )
    assert one.interval is not None and other.interval is not None
    assert one.difference == pytest.approx(-(other.difference or math.nan))
    assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))


def test_an_unknown_baseline_is_named():
    with pytest.raises(InputError, match="no solver 'c'"):
        compare_pairs(duel([0], [1]), baseline="c")
    assert compare_pairs([]) == []


def test_medians_over_seeds_are_what_is_paired():
    runs = [run("P", "a", k, v) for k, v in enumerate((99, 90, 99))] + [run("P", "b", k, 98) for k in range(5)]
    (pair,) = compare_pairs(runs)
    assert (pair.problems, pair.wins) == (1, 1)


# Profiles


def test_median_times_and_profiles_by_hand():
    runs = [
        *(hit(t, "a", k, "P") for k, t in enumerate((1.0, 2.0, 3.0))),
        *(hit(t, "b", k, "P") for k, t in enumerate((4.0, 5.0, 1.0))),
        *(hit(t, "a", k, "Q") for k, t in enumerate((6.0, 7.0))), miss(10.0, "a", 2, "Q"),
        miss(10.0, "b", 0, "Q"), hit(3.0, "b", 1, "Q"), failed("Q", "b", 2),
        miss(10.0, "a", 0, "R"), unfit("R", "b"),
        hit(0.5, "b", 0, "S"),
    ]  # fmt: skip
    inf = math.inf
    times = median_times(runs)
    assert times == {
        "a": {"P": 2.0, "Q": 7.0, "R": inf, "S": inf},
        "b": {"P": 4.0, "Q": inf, "R": inf, "S": 0.5},
    }
    ratios = performance_profiles(times)
    assert (ratios["a"].x, ratios["a"].share, ratios["a"].n) == ((1.0,), (0.5,), 4)
    assert (ratios["b"].x, ratios["b"].share) == ((1.0, 2.0), (0.25, 0.5))
    solved = data_profiles(times)
    assert (solved["a"].x, solved["a"].share) == ((2.0, 7.0), (0.25, 0.5))
    assert (solved["b"].x, solved["b"].share) == ((0.5, 4.0), (0.25, 0.5))
    quality = gap_profiles(runs)
    assert (quality["a"].x, quality["a"].share) == ((0.0, 0.1), (0.5, 0.75))
    assert quality["b"].n == 4


def test_hits_at_time_zero_have_finite_ratios():
    ratios = performance_profiles({"a": {"P": 0.0}, "b": {"P": 1e-3}})
    assert (ratios["a"].x, ratios["b"].x) == ((1.0,), (pytest.approx(1000),))
    assert performance_profiles({}) == {}
    assert data_profiles({"a": {}})["a"].share == ()


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.1, 1.0, 2.0, math.inf]), min_size=3, max_size=3), min_size=1, max_size=8))
def test_profiles_by_definition(rows):
    times = {s: {f"P{k}": row[i] for k, row in enumerate(rows)} for i, s in enumerate("abc")}
    for s, profile in performance_profiles(times).items():
        for x, share in zip(profile.x, profile.share, strict=True):
            near = [t < math.inf and t <= x * min(times[o][p] for o in times) for p, t in times[s].items()]
            assert share == sum(near) / len(rows)


def test_spin_tests_as_a_unit():
    runs = [hit(2.0, spin_tests=1000), hit(2.0, "b")]
    assert median_times(runs, unit="spin_tests") == {"a": {"P": 200.0}}


# Programs


def test_programs_by_hand():
    runs = [
        program("P", "a", 0.01), program("Q", "a", 0.09), program("R", "a", 0.99),
        program("P", "b", 0.03), program("Q", "b", None), failed("R", "b", kind="qp", sense="min"),
        program("P", "c", 0.01), unfit("Q", "c"),
        program("P", "d", 0.2), program("Q", "d", 12.0), program("R", "d", 0.1),
    ]  # fmt: skip
    a, b, c, d = programs(runs)
    assert (a.solver, a.problems, a.bound, a.relative) == ("a", 3, False, 1.0)
    assert a.solved is not None and b.solved is not None and d.solved is not None
    assert a.mean_s == pytest.approx((0.02 * 0.1 * 1.0) ** (1 / 3) - 0.01)
    assert a.worst == {"primal": 1e-8, "dual": 2e-8}
    assert (b.solved.k, b.solved.n, b.failed, b.bound) == (1, 3, 1, True)
    assert b.mean_s == pytest.approx((0.04 * 10.01 * 10.01) ** (1 / 3) - 0.01)
    assert b.relative == pytest.approx(b.mean_s / a.mean_s)
    assert (c.unfit, c.missing, c.bound) == (1, 1, True)
    # Solved, but long after its limit.
    assert (d.solved.k, d.bound) == (2, True)
    assert median_times(runs)["b"] == {"P": 0.03, "Q": math.inf, "R": math.inf}
    assert programs([]) == []


def test_half_of_the_seeds_solve_a_program():
    runs = [program("P", "a", 0.1), program("P", "a", None, seed=1)]
    assert median_times(runs) == {"a": {"P": 0.1}}
    assert median_times([*runs, program("P", "a", None, seed=2)]) == {"a": {"P": math.inf}}


def test_programs_of_a_solver_that_takes_none():
    (row,) = programs([unfit("P")])
    assert (row.solved, row.unfit, row.mean_s, row.relative) == (None, 1, pytest.approx(10.0), 1.0)


# Headlines


def test_headline_by_hand():
    runs = [
        *(hit(1.0 + k / 10, "a", k, p) for p in "PQ" for k in range(4)),
        *(hit(2.0 + k / 5, "b", k, "P") for k in range(4)),
        *(miss(10.0, "b", k, "Q") for k in range(4)),
        miss(10.0, "a", 0, "R"), run("R", "b", 0, 101),
        failed("S", "a"), failed("S", "b"),
    ]  # fmt: skip
    head = headline(runs)
    assert head.winners == {"P": ("a", "b"), "Q": ("a",), "R": ("b",), "S": ()}
    assert head.wins == {"a": 2, "b": 2}
    assert head.records == ("R",)
    (d,) = head.duels
    assert (d.pair.first, d.pair.wins, d.pair.ties, d.pair.losses) == ("a", 1, 2, 1)
    assert d.ratios["P"].value == pytest.approx(2.0)
    assert (d.ratios["Q"].value, d.ratios["S"].value) == (math.inf, None)
    assert (d.ratio, d.interval) == (pytest.approx(2.0), None)
    assert (d.only_first, d.only_second, d.neither) == (1, 1, 1)
    assert headline([]).duels == ()
    assert headline([hit(1.0)]).duels == ()
    assert headline(runs, first="b").duels[0].ratio == pytest.approx(0.5)


def test_winners_are_equal_to_the_last_unit():
    big = 10**9
    runs = [run("P", s, 0, big - k, best_known=big) for k, s in enumerate("ab")]
    assert headline(runs).winners == {"P": ("a",)}


@settings(max_examples=15, deadline=None)
@given(st.randoms())
def test_headlines_do_not_depend_on_the_order_of_runs(random):
    rng = np.random.default_rng(2)
    runs = [
        (hit if rng.random() < 0.7 else miss)(float(np.round(rng.uniform(0.1, 9), 3)), s, k, p)
        for p in "PQR" for s in "ab" for k in range(4)
    ]  # fmt: skip
    expected = headline(runs, first="a")
    random.shuffle(runs)
    found = headline(runs, first="a")
    assert {p: set(w) for p, w in found.winners.items()} == {p: set(w) for p, w in expected.winners.items()}
    (one,), (other,) = found.duels, expected.duels
    assert (one.pair, dict(one.ratios)) == (other.pair, dict(other.ratios))
    assert one.ratio == pytest.approx(other.ratio)
