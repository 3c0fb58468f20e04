"""Times to targets: Kaplan-Meier against SciPy, time to solution against theory and its slow definition, the coverage of intervals, and what counts as a hit."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fnanneal.compare.cells import Budget
from fnanneal.compare.statistics import (
    Observations,
    energies,
    jeffreys,
    kaplan_meier,
    mean_curve,
    observe,
    reference,
    summarise,
    time_to_solution,
    tts_ratio,
)
from fnanneal.compare.statistics.bootstrap import bca, leave_one_out, mean_interval, resamples
from fnanneal.energy import account, technologies

from .cases_statistics import failed, hit, miss, run, unfit


def seen(times, hits):
    """Observations in order."""
    rows = sorted(zip(map(float, times), map(bool, hits), strict=True))
    return Observations(
        times=tuple(t for t, _ in rows),
        hits=tuple(h for _, h in rows),
        spent=tuple(t if t < math.inf else 10.0 for t, _ in rows),
    )


def observed(records, theta=0.0, **more):
    """Of runs on one problem."""
    ref = reference(records)
    assert ref is not None
    return observe(records, ref, theta, **more)


RUNS = st.lists(st.tuples(st.sampled_from([0.5, 1.0, 2.0, 3.0, 4.5, 6.0]), st.booleans()), min_size=1, max_size=15)

# Kaplan-Meier


def test_kaplan_meier_by_hand():
    """Hits at 1, 3 and 4; runs cut off at 2 and 5."""
    curve = kaplan_meier(seen([1, 2, 3, 4, 5], [1, 0, 1, 1, 0]))
    assert curve.times == (1, 3, 4)
    assert curve.share == pytest.approx((1 / 5, 1 - 4 / 5 * 2 / 3, 1 - 4 / 5 * 2 / 3 * 1 / 2))
    assert (curve.at_risk, curve.end, curve.n, curve.hits, curve.median) == ((5, 3, 2), 5, 5, 3, 4)
    assert [curve.at(t) for t in (0.5, 1, 2.9)] == pytest.approx([0, 0.2, 0.2])


@settings(deadline=None)
@given(RUNS)
def test_kaplan_meier_is_scipys(runs):
    times, hits = np.array([t for t, _ in runs]), np.array([h for _, h in runs])
    curve = kaplan_meier(seen(times, hits))
    if not hits.any():
        assert (curve.times, curve.share, curve.median) == ((), (), None)
        return
    data = stats.CensoredData(uncensored=times[hits], right=times[~hits])
    theirs = stats.ecdf(data)
    assert curve.share == pytest.approx(tuple(theirs.cdf.evaluate(np.array(curve.times))))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        # It has no band where all have hit.
        warnings.simplefilter("ignore", RuntimeWarning)
        band = theirs.sf.confidence_interval(0.95, method="log-log")
    for t, s, low, high in zip(curve.times, curve.share, curve.low, curve.high, strict=True):
        assert 0 <= low <= s <= high <= 1
        if s < 1:
            assert low == pytest.approx(1 - band.high.evaluate(t))
            assert high == pytest.approx(1 - band.low.evaluate(t))


def test_the_band_where_all_hit_at_once():
    curve = kaplan_meier(seen([2] * 5, [1] * 5))
    assert (curve.share, curve.high) == ((1.0,), (1.0,))
    assert curve.low == pytest.approx((jeffreys(5, 5).interval.low,))
    # One by one they prove no more than that.
    one_by_one = kaplan_meier(seen([1, 2, 3, 4, 5], [1] * 5))
    assert one_by_one.low[-2] < one_by_one.low[-1] < jeffreys(5, 5).interval.low


def test_the_band_covers():
    """Of the median of exponential times, half of the runs cut off somewhere before 3 of their time constants."""
    rng = np.random.default_rng(7)
    at, inside = math.log(2), 0
    for _ in range(400):
        t, cut = rng.exponential(size=40), rng.uniform(0.2, 3, 40)
        curve = kaplan_meier(seen(np.minimum(t, cut), t <= cut))
        k = sum(x <= at for x in curve.times) - 1
        inside += curve.low[k] <= 0.5 <= curve.high[k]
    assert 0.92 < inside / 400 < 0.98


def test_curves_of_problems_weigh_the_same():
    one, other = kaplan_meier(seen([1, 2], [1, 1])), kaplan_meier(seen([1.5] * 4 + [9], [1] * 4 + [0]))
    mean = mean_curve([one, other])
    assert mean is not None
    assert mean.times == (1, 1.5, 2)
    assert mean.share == pytest.approx((0.25, 0.65, 0.9))
    assert (mean.low, mean.end, mean.n, mean.hits) == ((), 9, 7, 6)
    assert mean_curve([]) is None


# What counts as a hit


def test_a_run_is_over_when_its_budget_is():
    """Runs are cut off at not quite the same time: those that end a little before another one hits count against it."""
    times = observed([miss(10.0), miss(9.99, seed=1), miss(10.02, seed=2), hit(10.03, seed=3, solve_s=10.03)])
    assert times is not None
    assert times.times == (10.03, 10.03, 10.03, 10.03)
    assert kaplan_meier(times).share == (0.25,)


def test_runs_of_another_length_are_censored():
    budget = Budget(spin_tests=1000)
    runs = [
        miss(2.0, seed=0, budget=budget, spin_tests=1000),
        hit(5.0, seed=1, budget=budget, spin_tests=1000),
        miss(8.0, seed=2, budget=budget, spin_tests=1000),
    ]
    times = observed(runs)
    assert times is not None
    assert (times.times, times.hits, times.spent) == ((2, 5, 8), (False, True, False), (2, 5, 8))
    assert kaplan_meier(times).share == (0.5,)


def test_failed_and_early_ends_never_hit():
    runs = [miss(0.1), failed(seed=1), hit(5.0, seed=2), miss(10.0, seed=3, status="interrupted", solve_s=3.0)]
    times = observed(runs)
    assert times is not None
    assert times.times == (3.0, 5.0, math.inf, math.inf)
    # The crash is charged a whole run.
    assert times.spent == (3.0, 5.0, 0.1, 10.0)
    assert kaplan_meier(times).share == pytest.approx((1 / 3,))
    stopped = observed([miss(3.0, status="target")])
    assert stopped is not None
    assert stopped.times == (3.0,)


def test_hits_after_the_limit_are_none():
    times = observed([hit(30.0, solve_s=30.0), hit(10.5, seed=1, solve_s=10.5)])
    assert times is not None
    assert (times.hits, times.times) == ((True, False), (10.5, 11.0))


def test_what_the_trace_says_is_believed_only_if_the_spins_agree():
    lies = run(objective=90, trace=((1.0, 100),))
    silent = hit(3.0, seed=1, trace=())
    rounded = run(seed=2, objective=100, trace=((2.0, 99),), to_best_s=4.0)
    times = observed([lies, silent, rounded])
    assert times is not None
    assert (times.times, times.hits) == ((3.0, 4.0, 10.0), (True, True, False))


def test_thresholds_and_minimisation():
    trace = ((1.0, -90), (2.0, -95), (3.0, -99))
    runs = [run(objective=-99, trace=trace, to_best_s=3.0, sense="min", best_known=-100)]
    for theta, at in ((0.1, 1.0), (0.05, 2.0), (0.01, 3.0)):
        times = observed(runs, theta)
        assert times is not None
        assert times.times == (at,)
    none = observed(runs)
    assert none is not None
    assert none.hits == (False,)


def test_nothing_to_observe():
    ref = reference([hit(1.0)])
    assert ref is not None
    assert observe([unfit()], ref, 0.0) is None
    assert observe([], ref, 0.0) is None
    assert observe([hit(1.0)], ref, 0.0, "spin_tests") is None


# Time to solution


def slow_tts(runs, imagined):
    """By definition, from SciPy's estimate."""
    all_hits = sorted(t for t, h in runs if h)
    least = math.inf
    data = stats.CensoredData(uncensored=all_hits, right=[*(t for t, h in runs if not h), *[1e9] * imagined])
    for t in set(all_hits):
        p = stats.ecdf(data).cdf.evaluate(t)
        if sum(x <= t for x in all_hits) >= len(all_hits) ** (2 / 3) - 1e-9:
            least = min(least, t if p >= 0.99 else t * math.log(0.01) / math.log(1 - p))
    return least


@given(RUNS.filter(lambda runs: any(h for _, h in runs)))
@settings(max_examples=60, deadline=None)
def test_time_to_solution_by_definition(runs):
    """With and without the imagined run, which a censored run at the end of time stands for."""
    tts = time_to_solution(seen(*zip(*runs, strict=True)))
    assert tts.value == pytest.approx(slow_tts(runs, 1))
    assert tts.plug_in == pytest.approx(slow_tts(runs, 0))
    assert (tts.interval is None) == (len(runs) == 1)
    assert tts.interval is None or tts.interval.low <= tts.plug_in <= tts.value <= tts.interval.high


def test_time_to_solution_by_hand():
    """Four of five hit at 1 s: p = 4/6, and ln 0.01 / ln(1/3) restarts."""
    tts = time_to_solution(seen([1, 1, 1, 1, 10], [1, 1, 1, 1, 0]))
    assert tts.value == pytest.approx(math.log(0.01) / math.log(1 / 3))
    assert tts.plug_in == pytest.approx(math.log(0.01) / math.log(1 / 5))
    assert (tts.run_length, tts.hits, tts.n, tts.bound) == (1, 4, 5, None)
    assert tts.exponential == pytest.approx(14 / 4 * math.log(100))


def test_none_hit_is_a_bound():
    tts = time_to_solution(seen([10] * 5, [0] * 5))
    assert (tts.value, tts.interval, tts.run_length, tts.exponential, tts.hits) == (None, None, None, None, 0)
    assert tts.bound == pytest.approx(10 * math.log(0.01) / math.log(1 - stats.beta.ppf(0.975, 0.5, 5.5)))
    # A run that long is the least that a restart costs.
    assert (time_to_solution(seen([10], [0])).bound or 0) >= 10


def test_all_hit_at_once():
    """Five of five is no proof of 99 %: the interval has it both ways."""
    tts = time_to_solution(seen([2] * 5, [1] * 5))
    assert tts.value is not None and tts.interval is not None
    assert tts.plug_in == 2.0 == tts.interval.low
    assert tts.value == pytest.approx(2 * math.log(0.01) / math.log(1 / 6))
    assert 1.5 * tts.value < tts.interval.high < math.inf


def test_one_hit_of_many_has_no_upper_end():
    tts = time_to_solution(seen([1, 10, 10, 10, 10], [1, 0, 0, 0, 0]))
    assert tts.value is not None and tts.interval is not None
    assert tts.interval.high == math.inf
    assert 0 < tts.interval.low <= tts.value


def test_single_runs_and_hits_at_once():
    one = time_to_solution(seen([3], [1]))
    assert (one.plug_in, one.interval, one.run_length) == (3.0, None, 3.0)
    zero = time_to_solution(seen([0, 0], [1, 1]))
    assert zero.interval is not None
    assert (zero.value, zero.interval.low) == (0.0, 0.0)


def test_failures_cost():
    good = [hit(1.0 + k / 10, seed=k) for k in range(5)]
    (clean,), (mixed,) = summarise(good), summarise([*good[:3], failed(seed=3), failed(seed=4)])
    assert clean.tts is not None and mixed.tts is not None
    assert clean.tts.value is not None and mixed.tts.value is not None
    assert mixed.tts.value > 1.5 * clean.tts.value
    assert (mixed.tts.exponential or 0) > 3 * (clean.tts.exponential or math.inf)


def test_exponential_times_in_the_limit():
    """Any run length is as good as another: TTS is the time constant times ln 100."""
    t = np.random.default_rng(8).exponential(3.0, 1000)
    tts = time_to_solution(seen(np.minimum(t, 4), t <= 4))
    assert tts.value == pytest.approx(3 * math.log(100), rel=0.15)
    assert tts.exponential == pytest.approx(3 * math.log(100), rel=0.08)


def test_the_best_run_length_is_found():
    """A quarter of runs hits within 1 s, the others after 100 s: restarts after 1 s."""
    rng = np.random.default_rng(9)
    t = np.where(np.arange(400) % 4 == 0, rng.uniform(0.9, 1.0, 400), rng.uniform(100, 200, 400))
    tts = time_to_solution(seen(t, [1] * 400))
    assert tts.run_length is not None
    assert 0.9 <= tts.run_length <= 1.0
    assert tts.value == pytest.approx(math.log(0.01) / math.log(0.75), rel=0.1)


@pytest.mark.parametrize(("n", "limit", "shift"), [(5, 3, 0), (5, 20, 1), (20, 0.5, 0), (20, 3, 1)])
def test_the_interval_covers(n, limit, shift):
    """Exponential times, cut off at a limit, without and with a shift that makes one run length the best."""
    t = np.linspace(shift, limit, 4000)[1:]
    true = np.min(t * np.maximum(1, math.log(0.01) / -(t - shift)))
    rng, inside, reps = np.random.default_rng(10), 0, 150
    for _ in range(reps):
        x = shift + rng.exponential(size=n)
        tts = time_to_solution(seen(np.minimum(x, limit), x <= limit))
        # Where no run hit, the bound has to hold.
        inside += (tts.bound or 0) < true if tts.interval is None else tts.interval.low <= true <= tts.interval.high
    assert inside / reps > 0.87


def test_ratios_by_hand():
    fast, slow, never = seen([1, 1, 1], [1, 1, 1]), seen([4, 4, 4], [1, 1, 1]), seen([9, 9, 9], [0, 0, 0])
    ratio = tts_ratio(fast, slow)
    assert ratio.value == pytest.approx(4)
    assert ratio.interval is not None
    assert ratio.interval.low < 4 < ratio.interval.high
    back = tts_ratio(slow, fast)
    assert back.value == pytest.approx(0.25)
    lost = tts_ratio(fast, never)
    assert lost.value == math.inf
    assert lost.interval is not None
    assert lost.interval.high == math.inf
    assert tts_ratio(never, fast).value == 0.0
    assert tts_ratio(never, never).value is None
    assert tts_ratio(seen([1], [1]), fast).interval is None
    assert tts_ratio(seen([0, 0], [1, 1]), seen([0, 0], [1, 1])).value == pytest.approx(1)


def test_ratios_cover():
    rng, inside = np.random.default_rng(11), 0
    for _ in range(150):
        a, b = rng.exponential(1, 12), rng.exponential(3, 12)
        ends = tts_ratio(seen(np.minimum(a, 5), a <= 5), seen(np.minimum(b, 5), b <= 5)).interval
        assert ends is not None
        inside += ends.low <= 3 <= ends.high
    assert inside / 150 > 0.9


@given(RUNS, RUNS)
@settings(max_examples=40, deadline=None)
def test_ratios_are_always_in_order(one, other):
    ratio = tts_ratio(seen(*zip(*one, strict=True)), seen(*zip(*other, strict=True)))
    if ratio.interval is not None and ratio.value is not None:
        assert 0 <= ratio.interval.low <= ratio.value * (1 + 1e-12)
        assert ratio.value <= ratio.interval.high * (1 + 1e-12)


# The bootstrap


def test_bca_is_scipys_on_means():
    x = np.random.default_rng(12).gamma(2, 1, 30)
    ours = mean_interval(x.tolist())
    theirs = stats.bootstrap((x,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)).confidence_interval
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)


@pytest.mark.parametrize("jackknife", [[1.0, 1.0, 1.0], [0.0, 0.1, 0.3, 2.0]])
@pytest.mark.parametrize("value", [0.2, 0.5, 0.6])
def test_bca_by_its_formula(value, jackknife):
    """Replicates 0.001, 0.002 ...: a quantile is its own level."""
    ends = bca(value, np.arange(1, 1001) / 1000, [np.array(jackknife)])
    z0 = stats.norm.ppf(value - 0.0005)
    a = -float(np.nan_to_num(stats.skew(jackknife))) / math.sqrt(len(jackknife)) / 6 if len(set(jackknife)) > 1 else 0.0
    expected = [stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))) for z in stats.norm.ppf([0.025, 0.975])]
    assert (ends.low, ends.high) == pytest.approx(expected, abs=1.01e-3)


def test_bca_counts_ties_half():
    replicates = np.r_[np.zeros(400), np.arange(401, 1001) / 1000]
    expected = stats.norm.cdf(2 * stats.norm.ppf(0.2) + stats.norm.ppf(0.975))
    assert bca(0.0, replicates, [np.ones(3)]).high == pytest.approx(expected, abs=1.01e-3)


def test_bca_where_nothing_varies():
    ends = mean_interval([2.0, 2.0, 2.0])
    assert ends is not None
    assert (ends.low, ends.high) == (2.0, 2.0)
    assert mean_interval([1.0]) is None
    ends = bca(1.0, np.array([1.0, math.inf]), [np.zeros(3)])
    assert (ends.low, ends.high) == (1.0, math.inf)


def test_resamples_are_the_same_in_every_call():
    one = resamples(7).copy()
    resamples.cache_clear()
    assert (resamples(7) == one).all()
    assert (one.sum(axis=1) == 7).all()
    assert (resamples(8, 7).sum(axis=1) == 7).all()
    assert not (resamples(7, stream=1) == one).all()
    assert leave_one_out(2).tolist() == [[0, 1], [1, 0]]


# Energy

EVENTS = {"spin_tests": 10**9, "spikes": 10**7, "synaptic_events": 10**9, "threshold_draws": 10**9}
HALF = {k: v // 2 for k, v in EVENTS.items()}


def test_energy_under_each_technology():
    runs = [hit(2.0, seed=k, events=EVENTS, events_to_best=HALF) for k in range(4)]
    runs.append(miss(seed=4, events=EVENTS, events_to_best=EVENTS))
    ref = reference(runs)
    assert ref is not None
    rows = energies(runs, ref, 0.0)
    assert [r.technology for r in rows] == list(technologies())
    for row in rows:
        tech = technologies()[row.technology or ""]
        whole, half = account(EVENTS, tech), account(HALF, tech)
        assert (row.source, row.counted, row.n) == ("modelled", 5, 5)
        assert row.partial == tuple(whole.not_covered)
        assert (row.run_j, row.hit_j) == (whole.joules, half.joules)
        if half.joules is None:
            assert row.solution is None
            continue
        assert row.solution is not None
        # Four of five and the imagined one, as with seconds.
        assert row.solution.value == pytest.approx(half.joules * math.log(0.01) / math.log(1 / 3))
        assert row.solution.hits == 4
    assert any(r.solution is not None for r in rows)


def test_energy_of_a_target_before_the_best():
    """Half of the time until the best, and so half of its joules; past the best, the rest of the run's."""
    early = run(objective=100, trace=((1.0, 99), (2.0, 100)), to_best_s=2.0, events=EVENTS, events_to_best=HALF)
    ref = reference([early])
    assert ref is not None
    half = account(HALF, technologies()["cmos-45nm"]).joules
    assert half is not None
    found = {theta: energies([early], ref, theta)[0].hit_j for theta in (0.0, 0.01)}
    assert found == {0.0: pytest.approx(half), 0.01: pytest.approx(half / 2)}


def test_who_does_not_count_has_no_energy():
    runs = [hit(1.0), hit(1.0, seed=1)]
    ref = reference(runs)
    assert ref is not None
    assert energies(runs, ref, 0.0) == ()
    mixed = energies([hit(1.0, events=EVENTS, events_to_best=HALF), *runs[1:]], ref, 0.0)
    assert [(r.counted, r.n, r.solution) for r in mixed] == [(1, 2, None)] * len(technologies())
    assert energies([failed(), unfit(seed=1)], ref, 0.0) == ()


def test_measured_joules_stand_apart():
    runs = [hit(5.0, seed=k, measured_j=20.0, events=EVENTS, events_to_best=HALF) for k in range(3)]
    ref = reference(runs)
    assert ref is not None
    *modelled, measured = energies(runs, ref, 0.0)
    assert {r.source for r in modelled} == {"modelled"}
    assert (measured.source, measured.technology, measured.run_j, measured.hit_j) == ("measured", None, 20.0, 10.0)
    assert measured.solution is not None
    assert measured.solution.plug_in == 10.0
    crashed = energies([*runs, failed(seed=9)], ref, 0.0)[-1]
    assert crashed.solution is not None
    assert (crashed.counted, crashed.n, crashed.solution.n, crashed.solution.hits) == (3, 4, 4, 3)
