"""Every kernel against its oracle, step by step: `tests/oracles.py` is the reference."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fnanneal.solvers.kernels.colour import greedy_colours
from fnanneal.solvers.kernels.exact import enumerate_codes
from fnanneal.solvers.kernels.neurosa import neurosa_steps
from fnanneal.solvers.kernels.philox import philox_blocks
from fnanneal.solvers.kernels.start import random_spins
from fnanneal.solvers.kernels.sweep import SPAN, anneal, exp_negative
from fnanneal.solvers.system import spin_system

from . import oracles as oracle
from .cases import Case, ising, random_problem

KEY = 0x9ABC_DEF0_1234_5678


def check_end(case: Case, chain: oracle.Chain, spins: Any, fields: Any, best: Any, now: Any, top: Any) -> None:
    """A kernel's end state is the oracle's, and its running sums are those of its spins."""
    assert spins.tolist() == chain.spins
    assert best.tolist() == chain.best
    tolerance = 0 if case.exact else 1e-9
    gains = [oracle.gain(case.pairs, case.fields, chain.spins, p) for p in range(len(chain.spins))]
    assert (spins * fields).tolist() == pytest.approx(gains, rel=0, abs=tolerance)
    assert now == pytest.approx(oracle.value(case.pairs, case.fields, chain.spins), rel=0, abs=tolerance)
    assert top == pytest.approx(oracle.value(case.pairs, case.fields, chain.best), rel=0, abs=tolerance)


def layouts(case: Case, seed: int) -> list[NDArray[np.int64]]:
    """The colours' runs, every spin by itself, and the runs cut at random places."""
    n, rng = case.system.n, np.random.default_rng(seed)
    cuts = np.unique(np.concatenate([case.system.segments, rng.integers(0, n + 1, n // 5)]))
    return [case.system.segments, np.arange(n + 1), cuts]


def check_anneal(case: Case, slopes: list[float], heat_bath: bool, reach: int, first: int, seed: int) -> None:
    key, read, s = KEY + seed, 2**32 - 1 - seed, case.system
    chain = oracle.anneal(
        case.pairs, case.fields, case.spins.tolist(), slopes, heat_bath=heat_bath, key=key, read=read, first=first
    )
    assert chain.flips > 0
    for segments in layouts(case, seed):
        assert np.all(segments[:-1] // SPAN == (segments[1:] - 1) // SPAN)
        spins, best = case.spins.copy(), case.spins.copy()
        fields = s.local_fields(spins)
        values = np.full(2, s.value(spins), np.int64 if s.integral else np.float64)
        counts = np.array([10, 100], np.int64)
        half = len(slopes) // 3
        for begin, end in ((0, half), (half, len(slopes))):
            anneal(
                s.indptr, s.indices, s.weights, segments, np.array(slopes[begin:end]), heat_bath, reach,
                spins, fields, best, values, counts, np.uint64(key), read, first + begin,
            )  # fmt: skip
        check_end(case, chain, spins, fields, best, *values.tolist())
        assert counts.tolist() == [10 + chain.flips, 100 + chain.reads]


@pytest.mark.nojit
@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0, 0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 4, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_published_vectors(key: Any, counter: Any, words: str) -> None:
    expected = [int(w, 16) for w in words.split()]
    assert list(oracle.philox4x32(key, counter)) == expected
    out = np.zeros((4, 1), np.uint32)
    philox_blocks(np.uint64(key[0] + 2**32 * key[1]), *(np.uint64(c) for c in counter), 1, out)
    assert out[:, 0].tolist() == expected


@pytest.mark.nojit
def test_philox_blocks_follow_one_another_and_wrap() -> None:
    out = np.zeros((4, 9), np.uint32)
    philox_blocks(np.uint64(KEY), np.uint64(2**32 - 3), np.uint64(5), np.uint64(2**32 - 1), np.uint64(1), 7, out)
    for b in range(7):
        words = oracle.philox4x32((KEY % 2**32, KEY >> 32), ((2**32 - 3 + b) % 2**32, 5, 2**32 - 1, 1))
        assert tuple(out[:, b].tolist()) == words
    assert not out[:, 7:].any()


@pytest.mark.nojit
@pytest.mark.parametrize(("key", "read"), [(0, 0), (KEY, 1), (2**64 - 1, 2**32 - 1)])
@pytest.mark.parametrize("n", [1, 255, 256, 257, 700])
def test_random_spins(n: int, key: int, read: int) -> None:
    spins = np.zeros(n, np.int8)
    random_spins(np.uint64(key), read, spins)
    assert spins.tolist() == oracle.random_spins(key, read, n)


def test_exp_negative() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate(
        [-43 * rng.random(20_000), -(rng.random(2000) ** 8), [0.0, -43.0, -math.log(2), -0.5 * math.log(2)]]
    )
    for v in x.tolist():
        assert exp_negative(v) == pytest.approx(math.exp(v), rel=1e-13, abs=0)
    assert exp_negative(0.0) == 1.0
    for v in (-43.1, -1e3, -1e300, -math.inf):
        assert 2**32 * exp_negative(v) < 1e-8


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(4))
def test_local_fields_and_values(seed: int) -> None:
    case = Case.random(seed, 30, 4, ("pm1", "large", "real")[seed % 3], seed > 0)
    s, spins = case.system, case.spins
    gains = [oracle.gain(case.pairs, case.fields, spins.tolist(), p) for p in range(s.n)]
    assert (spins * s.local_fields(spins)).tolist() == pytest.approx(gains, rel=1e-12, abs=1e-12 * (not case.exact))
    assert s.value(spins) == pytest.approx(oracle.value(case.pairs, case.fields, spins.tolist()), rel=1e-12)


@pytest.mark.nojit
@pytest.mark.parametrize("heat_bath", [False, True])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_small_anneal(weights: str, heat_bath: bool) -> None:
    case = Case.random(3, 40, 4, weights, True)
    slopes = (np.linspace(0.3, 2.0, 6) / (5e4 if weights == "large" else 1)).tolist()
    check_anneal(case, slopes, heat_bath, int(case.system.largest) if weights == "pm1" else -1, 0, 1)


@pytest.mark.parametrize("heat_bath", [False, True])
@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize(("n", "degree"), [(97, 5), (300, 12)])
def test_anneal(n: int, degree: int, weights: str, fields: bool, heat_bath: bool) -> None:
    case = Case.random(n + degree, n, degree, weights, fields)
    scale = 5e4 if weights == "large" else 1.0
    slopes = [*(np.geomspace(0.1, 3.0, 12) / scale).tolist(), 2e30]
    check_anneal(case, slopes, heat_bath, int(case.system.largest) if weights == "pm1" else -1, 2**31 - 5, n % 7)


def test_anneal_where_gains_leave_the_table() -> None:
    pairs = [(0, k, 1 + k % 3) for k in range(1, 600)]
    case = Case.of(pairs, [0] * 600, np.random.default_rng(5))
    slopes = [0.5, 1.0, 1.5]
    reach = math.ceil(22.2 / 0.5)
    assert reach < case.system.largest
    check_anneal(case, slopes, False, reach, 0, 2)
    check_anneal(case, slopes, False, -1, 0, 2)


def test_anneal_of_spins_without_pairs() -> None:
    case = Case.of([], [0, 1, -2, 3] * 70, np.random.default_rng(6))
    assert case.system.segments.tolist() == [0, 256, 280]
    for heat_bath in (False, True):
        check_anneal(case, [0.2, 0.7, 1.0], heat_bath, 3, 0, 3)


def check_neurosa(
    case: Case,
    first: int,
    steps: int,
    timer: oracle.Timer | list[oracle.Timer],
    *,
    direct: bool = False,
    shift: list[oracle.Number] | None = None,
    scale: float = 2.5,
    floor: float = 1e-6,
) -> oracle.Chain:
    s, read = case.system, 7
    shift = [0] * s.n if shift is None else shift
    chain = oracle.neurosa(
        case.pairs,
        case.fields,
        case.spins.tolist(),
        range(first, first + steps),
        timer=timer,
        scale=scale,
        floor=floor,
        shift=shift,
        key=KEY,
        read=read,
    )
    assert 0 < chain.flips < steps
    largest = -1 if direct or not s.integral else int(s.largest) + int(max(map(abs, shift)))
    shifts = np.array(shift, s.weights.dtype)
    for chunks in ([steps], [1, 700, steps - 701]):
        spins, best, journal = case.spins.copy(), case.spins.copy(), np.zeros(s.n, np.int32)
        fields, gains = s.local_fields(spins), np.zeros(2, np.int64 if s.integral else np.float64)
        counts, at = np.zeros(3, np.int64), first
        for chunk in chunks:
            neurosa_steps(
                s.indptr, s.indices, s.weights, spins, fields, shifts, best, journal, gains, counts, largest,
                np.atleast_2d(timer), scale, floor, np.uint64(KEY), read, at, chunk,
            )  # fmt: skip
            at += chunk
        start = s.value(case.spins)
        check_end(case, chain, spins, fields, best, *(start + 2 * gains).tolist())
        assert counts[1:].tolist() == [chain.flips, chain.reads]
        assert counts[0] == s.n + 1 or {k for k in range(s.n) if spins[k] != best[k]} <= set(journal[: counts[0]])
    return chain


@pytest.mark.nojit
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_a_timer_for_each_neuron(weights: str) -> None:
    case = Case.random(9, 40, 4, weights, True, coloured=False)
    spread = np.exp(0.3 * np.random.default_rng(2).normal(size=(40, 3)))
    timers = [(2.0 * a, 0.5 * b, 1e-3 * c) for a, b, c in spread.tolist()]
    own = check_neurosa(case, 0, 2000, timers)
    assert own.spins != check_neurosa(case, 0, 2000, (2.0, 0.5, 1e-3)).spins


@pytest.mark.nojit
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_small_neurosa(weights: str) -> None:
    case = Case.random(4, 30, 4, weights, True, coloured=False)
    check_neurosa(case, 0, 1500, (2.0 * (5e4 if weights == "large" else 1), 0.5, 1e-3))


@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("first", [0, 2**32 - 1500, 2**40 + 2**32 - 100])
def test_neurosa(weights: str, fields: bool, first: int) -> None:
    case = Case.random(11, 80, 6, weights, fields, coloured=False)
    scale = 5e4 if weights == "large" else 1.0
    # The slope is such that the temperature falls by half over the run, wherever the run begins.
    timer = (0.8 * scale, 0.5, 0.5 / (first + 10_000))
    check_neurosa(case, first, 10_000, timer)
    if weights == "pm1":
        check_neurosa(case, first, 3000, timer, direct=True)


@pytest.mark.parametrize(("scale", "floor"), [(1.0, 0.05), (0.99, 1e-3), (4.0, 0.2), (0.2, 1e-6)])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_neurosa_with_other_thresholds(weights: str, scale: float, floor: float) -> None:
    # A floor that is not tiny makes the gains near the cut-off matter; the fall is steep, so that one block of steps sees it all.
    case = Case.random(16, 60, 9, weights, True, coloured=False)
    unit = 5e4 if weights == "large" else 1.0
    check_neurosa(case, 0, 6000, (3.0 * unit, 0.5, 1e-3), scale=scale, floor=floor)


@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_neurosa_with_shifted_gains(weights: str) -> None:
    case = Case.random(14, 60, 5, weights, True, coloured=False)
    _, shift = random_problem(np.random.default_rng(15), 60, 0, weights, True)
    scale = 5e4 if weights == "large" else 1.0
    check_neurosa(case, 0, 6000, (0.8 * scale, 0.5, 1e-4), shift=shift)


def test_neurosa_with_the_published_schedule() -> None:
    case = Case.random(12, 120, 5, "pm1", False, coloured=False)
    check_neurosa(case, 0, 3000, (0.3125, 1 / 8e4, 0.002 / 8e4))
    check_neurosa(case, 12_000_000, 12_000, (0.3125, 1 / 8e4, 0.002 / 8e4))


def test_neurosa_on_a_hub() -> None:
    pairs = [(0, k, 1) for k in range(1, 400)] + [(k, k + 1, -1) for k in range(1, 399)]
    case = Case.of(pairs, [0] * 400, np.random.default_rng(2), coloured=False)
    # From hot, where gains beyond the table's width still matter, to cold, where the hub's are decided without a draw.
    check_neurosa(case, 0, 9000, (6.0, 0.05, 4e-3))
    check_neurosa(case, 0, 6000, (30.0, 0.2, 1e-6))


def test_the_best_outlives_a_journal_that_overflows() -> None:
    case = Case.random(13, 12, 4, "pm1", True, coloured=False)
    chain = check_neurosa(case, 0, 6000, (1.5, 0.5, 1e-4))
    assert chain.flips > 20 * 12
    # No improvement after the first optimum, so hundreds of flips have followed it.
    top, _ = oracle.optima(case.pairs, case.fields)
    assert oracle.value(case.pairs, case.fields, chain.best) == top
    assert oracle.value(case.pairs, case.fields, chain.spins) < top


def check_codes(pairs: oracle.Pairs, h: list[oracle.Number], low: int) -> None:
    """All optima, whatever the share of spins that goes in one piece."""
    n = len(h)
    kind = np.int64 if all(isinstance(x, int) for x in [*h, *(w for _, _, w in pairs)]) else np.float64
    dense = np.zeros((n, n), kind)
    for i, j, w in pairs:
        dense[i, j] = dense[j, i] = w
    free = n if any(h) else n - 1
    low = min(low, free)
    top, optima = oracle.optima(pairs, h)
    expected = {s for s in optima if all(s[k] == 1 for k in range(free, n))}
    best, codes = np.array([-(2**60)], kind), np.zeros(2**free, np.int64)
    found = enumerate_codes(dense, np.array(h, kind), free, low, 0, 2 ** (free - low), best, codes)
    assert best[0] == pytest.approx(top, rel=0, abs=0 if kind is np.int64 else 1e-12)
    seen = set()
    for number in codes[:found].tolist():
        outer, inner = divmod(number, 2**low)
        bits = inner + ((outer ^ (outer >> 1)) << low)
        seen.add(tuple(1 if k >= free or bits >> k & 1 else -1 for k in range(n)))
    assert found == len(seen)
    assert seen == expected


@pytest.mark.nojit
@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_enumerate_few(n: int, weights: str, fields: bool) -> None:
    pairs, h = random_problem(np.random.default_rng(n), n, n, weights, fields)
    check_codes(pairs, h, 5)


@pytest.mark.parametrize("low", [0, 3, 5])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("n", range(1, 13))
def test_enumerate(n: int, weights: str, low: int) -> None:
    pairs, h = random_problem(np.random.default_rng(50 + n), n, 4, weights, n % 2 == 0 or weights == "real")
    check_codes(pairs, h, low)


@pytest.mark.nojit
@pytest.mark.parametrize("seed", range(5))
def test_colouring(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = (1, 5, 17, 40, 60)[seed]
    pairs, h = random_problem(rng, n, 3 + seed, "pm1", False)
    system = spin_system(ising(pairs, h), coloured=False)
    order = rng.permutation(n)
    colours = greedy_colours(system.indptr, system.indices, order.astype(np.uint32)).tolist()
    assert oracle.is_colouring(pairs, colours)
    assert colours == oracle.smallest_free_colours(n, pairs, order.tolist())


def test_segments_lie_within_a_colour_and_a_tile() -> None:
    case = Case.random(21, 700, 8, "pm1", False)
    bounds = case.system.segments.tolist()
    assert (bounds[0], bounds[-1]) == (0, 700)
    for begin, end in pairwise(bounds):
        assert begin < end
        assert begin // SPAN == (end - 1) // SPAN
        assert not any(begin <= i < end and begin <= j < end for i, j, _ in case.pairs)
