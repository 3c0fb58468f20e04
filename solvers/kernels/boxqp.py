"""The rounds of `boxqp`: anneal a point of the unit box, descend to a local optimum, cross it, keep it in a pool.

    round 0   the given point, or the centre; no anneal
    fresh     from the centre, or (one in four) from random ends, cooled from the hot temperature
    again     from a random member of the pool, cooled from a random temperature, 1 to `AGAIN` times the cold one
    cooling   T(t) = k2/(k2/hot + ln(1 + (e^kappa - 1) t)), k2 = kappa/(1/cold - 1/hot), t = 0 ... 1: the FN timer `FNTimer.between(hot, cold, kappa)`
    descent   exact coordinate moves; conjugate gradients on the coordinates between their ends where those are slow
    crossing  where P is sparse: with `PARTNERS` random members of the pool, and a descent
    pool      a result replaces its nearest member if that is near and no better, else the worst member if that is worse
    probing   when the best value has been met `SUSPICIOUS` times: each coordinate of the best point in turn to its farther end, and a descent

The next anneal is longer by `GROWTH` unless this one met the best value again. All that a round needs is in arrays, so that it can stop after any sweep
and go on: what comes out depends on the seed, not on when it was stopped.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .box_cross import cross_boxes
from .box_moves import (
    BOX_CHOICE,
    SLICE,
    SPAN,
    Matrix,
    add_row,
    conjugate_start,
    conjugate_step,
    descend,
    draw_halves,
    gradient,
    noisy_sweep,
    objective,
    steepest,
)
from .jit import helper, kernel
from .log import ln_plus_one
from .philox import philox_blocks

GROWTH, AGAIN, PARTNERS, NEAR = 1.03, 4.8, 2, 0.01
FRESH, RANDOM_ENDS = 1 << 30, 4
# Coordinate sweeps before conjugate gradients are tried; and sweeps and steps of one descent, where it need not and where it must be accurate.
PATIENCE, ROUGH, FINE = 8, 3000, 10_000
# Repeats after which the best point's neighbours are looked at, sweeps that a neighbour is given to do better, and coordinates beyond which that takes too long.
SUSPICIOUS, CHANCES, MOST_PROBED = 4, 3, 5000
# How small slopes must be, beside reach.
ROUGH_SLOPE, FINE_SLOPE = 1e-7, 1e-13
BEGIN, ANNEAL, DESCEND, CONJUGATE, END, PROBE = 0, 1, 2, 3, 4, 5
STAGE, ROUND, SWEEP, FRESH_NOW, FILLED, HITS, PASSES, EFFORT, TIGHT, CROSSED, STEPS, PROBED = range(12)
HOT_NOW, LENGTH, BEST, PRODUCT = range(4)
TESTS, MOVES, DRAWS, READS, CROSSING, PRODUCTS = range(6)
NUMBERS, LEVELS, COUNTS = 12, 4, 6


class Box(NamedTuple):
    """f on the unit box; see `box_moves`. reach (n,): sum_j |P_ij| + |c_i|, at least every |g_i|, and positive; size: the largest."""

    P: Matrix
    linear: NDArray[np.float64]
    diagonal: NDArray[np.float64]
    bend: NDArray[np.float64]
    spread: NDArray[np.float64]
    reach: NDArray[np.float64]
    size: float


class Rules(NamedTuple):
    """What a search is told: temperatures in units of `Box.spread`, the longest anneal, where to end, and which numbers it draws: an island has its own."""

    hot: float
    cold: float
    kappa: float
    longest: float
    rounds: int
    hits: int
    target: float
    island: int = 0


class Search(NamedTuple):
    """All that a search is: its numbers (see the names above), its points, and scratch."""

    numbers: NDArray[np.int64]
    levels: NDArray[np.float64]
    counts: NDArray[np.int64]
    u: NDArray[np.float64]
    g: NDArray[np.float64]
    best: NDArray[np.float64]
    start: NDArray[np.float64]
    pool: NDArray[np.float64]
    values: NDArray[np.float64]
    direction: NDArray[np.float64]
    image: NDArray[np.float64]
    label: NDArray[np.int8]
    queue: NDArray[np.int32]
    starts: NDArray[np.int32]


@helper
def _copy(source, target):
    # In place of a slice's assignment, which takes Numba seconds to compile.
    for i in range(target.size):
        target[i] = source[i]


@helper
def _begin(box, rules, s, key, words, halves):
    """Choose what the round starts from, and how hot."""
    numbers, levels = s.numbers, s.levels
    step, n = numbers[ROUND], s.u.size
    philox_blocks(key, np.uint64(0), np.uint64(step), np.uint64(2 * rules.island), np.uint64(BOX_CHOICE), 1, words)
    filled = numbers[FILLED]
    fresh = step == 0 or filled < s.values.size or words[0, 0] < FRESH << min(numbers[HITS], 1)
    numbers[FRESH_NOW] = fresh
    numbers[SWEEP] = numbers[PASSES] = numbers[EFFORT] = numbers[TIGHT] = numbers[CROSSED] = 0
    levels[HOT_NOW] = rules.hot
    if step == 0:
        _copy(s.start, s.u)
    elif not fresh:
        parent = np.int64((np.uint64(words[1, 0]) * np.uint64(filled)) >> np.uint64(32))
        _copy(s.pool[parent], s.u)
        share = np.float64(words[2, 0]) / 4294967296.0
        levels[HOT_NOW] = rules.cold * (1.0 + share * (AGAIN - 1.0))
    elif words[1, 0] % RANDOM_ENDS == 0:
        for i in range(n):
            if i % SPAN == 0:
                # An odd member of the noise: the even one is the sweeps'.
                draw_halves(key, i // SPAN, step, 2 * rules.island + 1, words, halves)
            s.u[i] = halves[i % SPAN] >> 15
    else:
        for i in range(n):
            s.u[i] = 0.5
    s.counts[PRODUCTS] += gradient(box.P, box.linear, s.u, s.g)
    numbers[STAGE] = ANNEAL if step > 0 else DESCEND


@helper
def temperature(hot, cold, kappa, t):
    """Of the FN timer between hot and cold."""
    if not cold < hot:
        return cold
    k2 = kappa / (1.0 / cold - 1.0 / hot)
    return k2 / (k2 / hot + ln_plus_one(math.expm1(kappa) * t))


@helper
def _anneal(box, rules, s, key, words, halves, loaded):
    """One sweep; returns the chunk of draws that is loaded now."""
    n = s.u.size
    length, sweep = np.int64(s.levels[LENGTH]), s.numbers[SWEEP]
    T = temperature(s.levels[HOT_NOW], rules.cold, rules.kappa, sweep / max(length - 1, 1))
    moves, products, loaded = noisy_sweep(
        box.P, box.diagonal, box.bend, box.spread, s.u, s.g, T, key, sweep * n, s.numbers[ROUND], 2 * rules.island, words, halves, loaded
    )  # fmt: skip
    s.counts[TESTS] += n
    s.counts[DRAWS] += n
    s.counts[READS] += 1
    s.counts[MOVES] += moves
    s.counts[PRODUCTS] += products
    s.numbers[SWEEP] += 1
    if s.numbers[SWEEP] >= length:
        s.numbers[STAGE] = DESCEND
    return loaded


@helper
def _descend(box, s, most):
    """One sweep of exact moves, and what to do next; `most` sweeps and steps in all."""
    numbers = s.numbers
    steep, moves, products = descend(box.P, box.diagonal, box.bend, box.reach, s.u, s.g, -1)
    s.counts[TESTS] += s.u.size
    s.counts[MOVES] += moves
    s.counts[PRODUCTS] += products
    numbers[PASSES] += 1
    numbers[EFFORT] += 1
    slope, between = steepest(box.bend, box.reach, s.u, s.g)
    goal = FINE_SLOPE if numbers[TIGHT] == 1 else ROUGH_SLOPE
    if max(steep, slope) <= goal or numbers[EFFORT] >= most:
        numbers[STAGE] = END
    elif between > 1 and numbers[PASSES] >= PATIENCE:
        numbers[STAGE] = CONJUGATE
        numbers[STEPS] = 0
        s.levels[PRODUCT] = conjugate_start(box.bend, s.u, s.g, s.direction)


@helper
def _conjugate(box, s, most):
    """One step of conjugate gradients."""
    numbers = s.numbers
    product, products = conjugate_step(
        box.P, box.bend, box.reach, s.u, s.g, s.direction, s.image, s.levels[PRODUCT]
    )  # fmt: skip
    s.levels[PRODUCT] = product
    s.counts[PRODUCTS] += products + s.u.size
    numbers[EFFORT] += 1
    numbers[STEPS] += 1
    slope, between = steepest(box.bend, box.reach, s.u, s.g)
    done = slope <= 0.1 * (FINE_SLOPE if numbers[TIGHT] == 1 else ROUGH_SLOPE)
    if done or product <= 0.0 or numbers[STEPS] >= between + PATIENCE or numbers[EFFORT] >= most:
        numbers[STAGE] = DESCEND
        # A sweep or two, to see which ends are left.
        numbers[PASSES] = PATIENCE - 2


@helper
def _cross(box, rules, s, key, words):
    """Cross with random members of the pool."""
    step, filled = s.numbers[ROUND], s.numbers[FILLED]
    philox_blocks(key, np.uint64(1), np.uint64(step), np.uint64(2 * rules.island), np.uint64(BOX_CHOICE), 1, words)
    for k in range(PARTNERS):
        partner = np.int64((np.uint64(words[k, 0]) * np.uint64(filled)) >> np.uint64(32))
        _, _, followed = cross_boxes(
            box.P, box.bend, s.u, s.g, s.pool[partner], s.label, s.queue, s.starts, s.image
        )  # fmt: skip
        s.counts[CROSSING] += s.u.size + followed
    s.numbers[CROSSED] = 1
    s.numbers[PASSES] = s.numbers[EFFORT] = 0
    s.numbers[STAGE] = DESCEND


@helper
def _insert(s, value):
    """Into the pool."""
    filled, size = s.numbers[FILLED], s.values.size
    if filled < size:
        _copy(s.u, s.pool[filled])
        s.values[filled] = value
        s.numbers[FILLED] += 1
        return
    nearest, least, worst = 0, np.inf, 0
    for k in range(size):
        distance = 0.0
        member = s.pool[k]
        for start in range(0, s.u.size, SLICE):
            part = 0.0
            for i in range(start, min(start + SLICE, s.u.size)):
                part += abs(member[i] - s.u[i])
            distance += part
        if distance < least:
            nearest, least = k, distance
        if s.values[k] > s.values[worst]:
            worst = k
    s.counts[CROSSING] += size * s.u.size
    place = nearest if least < NEAR * s.u.size else worst
    if value < s.values[place] or (place == nearest and value == s.values[place]):
        _copy(s.u, s.pool[place])
        s.values[place] = value


@helper
def _end(box, rules, s, key, words):
    """Judge the local optimum: make it accurate if it is the best, else cross it or put it into the pool."""
    numbers, levels = s.numbers, s.levels
    if box.P.rows.shape[0] == 0 and numbers[CROSSED] == 0 and numbers[ROUND] > 0 and numbers[FILLED] > 1:
        _cross(box, rules, s, key, words)
        return
    value = objective(box.linear, s.u, s.g)
    same = 1e-9 * max(box.size, abs(value))
    if value < levels[BEST] - 1e-3 * same and numbers[TIGHT] == 0:
        numbers[TIGHT] = 1
        numbers[PASSES] = numbers[EFFORT] = 0
        s.counts[PRODUCTS] += gradient(box.P, box.linear, s.u, s.g)
        numbers[STAGE] = DESCEND
        return
    if value < levels[BEST] - 1e-3 * same:
        numbers[PROBED] = 0
    if value < levels[BEST] - same:
        numbers[HITS] = 0
    if value < levels[BEST] and numbers[TIGHT] == 1:
        levels[BEST] = value
        _copy(s.u, s.best)
    if value <= levels[BEST] + same:
        numbers[HITS] += numbers[FRESH_NOW]
    elif numbers[ROUND] > 0:
        levels[LENGTH] = min(GROWTH * levels[LENGTH], rules.longest)
    _insert(s, value)
    numbers[ROUND] += 1
    probe = numbers[HITS] >= SUSPICIOUS and numbers[PROBED] < s.u.size <= MOST_PROBED
    numbers[STAGE] = PROBE if probe else BEGIN


@helper
def _probe(box, s):
    """Move one coordinate of the best point to its farther end, and let the others answer, before it may move back.

    A basin can hide behind a wider one that is worse by a little: anneals then meet the wrong value again and again.
    """
    numbers, levels, n = s.numbers, s.levels, s.u.size
    if numbers[SWEEP] >= 0:
        _copy(s.best, s.u)
        s.counts[PRODUCTS] += gradient(box.P, box.linear, s.u, s.g)
        _copy(s.g, s.image)
        # The mark that u, g and the copy of g in `image` are those of the best point.
        numbers[SWEEP] = -1
    i = numbers[PROBED]
    numbers[PROBED] += 1
    new = 1.0 if s.u[i] < 0.5 else 0.0
    s.counts[PRODUCTS] += add_row(box.P, i, new - s.u[i], s.g)
    s.u[i] = new
    for k in range(2 * CHANCES):
        _, moves, products = descend(
            box.P, box.diagonal, box.bend, box.reach, s.u, s.g, i if k < CHANCES else -1
        )  # fmt: skip
        s.counts[TESTS] += n
        s.counts[MOVES] += moves
        s.counts[PRODUCTS] += products
        if moves == 0 and k >= CHANCES:
            break
    value = objective(box.linear, s.u, s.g)
    if value < levels[BEST] - 1e-9 * max(box.size, abs(value)):
        numbers[FRESH_NOW] = numbers[PASSES] = numbers[EFFORT] = numbers[TIGHT] = numbers[SWEEP] = 0
        numbers[CROSSED] = 1
        numbers[STAGE] = DESCEND
        return
    _copy(s.best, s.u)
    _copy(s.image, s.g)
    if numbers[PROBED] == n:
        numbers[STAGE] = BEGIN


@kernel
def search(box, rules, s, key, budget):
    """Go on with the rounds for about `budget` products. Returns (whether all is done, products, or as long as they take).

    All is done after enough rounds, or when enough anneals from nothing have met the best value, or with a value at most the target.
    """
    words = np.empty((4, SPAN // 64), np.uint32)
    halves = np.empty(SPAN, np.uint16)
    loaded = -1
    n = s.u.size
    spent = 0
    while True:
        stage = s.numbers[STAGE]
        if stage == BEGIN:
            if s.numbers[ROUND] >= rules.rounds or s.numbers[HITS] >= rules.hits or s.levels[BEST] <= rules.target:
                return True, spent
            if spent >= budget:
                return False, spent
        before = s.counts[PRODUCTS]
        if stage == BEGIN:
            _begin(box, rules, s, key, words, halves)
            loaded = -1
        elif stage == ANNEAL:
            loaded = _anneal(box, rules, s, key, words, halves, loaded)
        elif stage == DESCEND:
            _descend(box, s, FINE if s.numbers[TIGHT] == 1 else ROUGH)
        elif stage == CONJUGATE:
            _conjugate(box, s, FINE if s.numbers[TIGHT] == 1 else ROUGH)
        elif stage == END:
            _end(box, rules, s, key, words)
        else:
            _probe(box, s)
        spent += s.counts[PRODUCTS] - before + 4 * n
        if spent >= budget and s.numbers[STAGE] != BEGIN:
            return False, spent


@kernel
def settle(box, s, most):
    """Take s.u to a local optimum with small slopes, in at most about `most` sweeps and steps; returns the number of products."""
    numbers = s.numbers
    numbers[PASSES] = numbers[EFFORT] = 0
    numbers[TIGHT] = 1
    numbers[STAGE] = DESCEND
    before = s.counts[PRODUCTS]
    s.counts[PRODUCTS] += gradient(box.P, box.linear, s.u, s.g)
    while numbers[STAGE] != END:
        if numbers[STAGE] == DESCEND:
            _descend(box, s, most)
        else:
            _conjugate(box, s, most)
    return s.counts[PRODUCTS] - before


def new_search(n: int, members: int, length: float) -> Search:
    """A search before its first round, from the middle of the box."""
    levels = np.zeros(LEVELS)
    levels[BEST], levels[LENGTH] = np.inf, length
    return Search(
        numbers=np.zeros(NUMBERS, np.int64),
        levels=levels,
        counts=np.zeros(COUNTS, np.int64),
        u=np.zeros(n),
        g=np.zeros(n),
        best=np.zeros(n),
        start=np.full(n, 0.5),
        pool=np.zeros((members, n)),
        values=np.zeros(members),
        direction=np.zeros(n),
        image=np.zeros(n),
        label=np.zeros(n, np.int8),
        queue=np.zeros(n, np.int32),
        starts=np.zeros(n + 1, np.int32),
    )
