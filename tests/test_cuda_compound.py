"""Compound moves on a GPU: those of the CPU, one centre after another, whatever is done side by side."""

from __future__ import annotations

import numpy as np
import pytest

from fnanneal.solvers.cuda.compound import CompoundMoves
from fnanneal.solvers.kernels.compound import MOST_FOLLOWING, levels, stages
from fnanneal.solvers.kernels.vector import LANES
from fnanneal.solvers.populations.engines import Lanes, lanes_fit
from fnanneal.solvers.system import spin_system

from .cases import ising
from .test_cuda_real_lanes import packed
from .test_ensemble import slow_compound_moves, strong_fields


def random_graph(seed, n, edges, weights, fields=0, hubs=(), coloured=True):
    """Random pairs, and a hub of each of the degrees."""
    rng = np.random.default_rng(seed)
    ends = {tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(edges)}
    for h, degree in enumerate(hubs):
        ends |= {tuple(sorted((h, j))) for j in rng.choice(n, degree, replace=False).tolist() if j != h}
    pairs = [(i, j, int(rng.choice(weights))) for i, j in sorted(ends)]
    return spin_system(ising(pairs, rng.integers(-fields, fields + 1, n).tolist()), coloured=coloured)


def clique(n):
    rng = np.random.default_rng(n)
    pairs = [(i, j, int(rng.choice([-1, 1]))) for i in range(n) for j in range(i)]
    return spin_system(ising(pairs, [0] * n), coloured=True)


def stars(*degrees):
    """Hubs of just these degrees, each after its leaves, so that these move while it is still undecided; and fields."""
    rng, pairs, n = np.random.default_rng(4), [], 0
    for degree in degrees:
        pairs += [(n + k, n + degree, int(rng.choice([-1, 1]))) for k in range(degree)]
        n += degree + 1
    return spin_system(ising(pairs, rng.integers(-2, 3, n).tolist()), coloured=False)


CASES = {
    "sparse": lambda: random_graph(1, 150, 220, [-1, 1]),
    "triangles": lambda: random_graph(2, 40, 200, [-1, 1], fields=2),
    "ring": lambda: spin_system(ising([(k, (k + 1) % 97, -1) for k in range(97)], [0] * 97), coloured=True),
    "not coloured": lambda: random_graph(3, 70, 120, [-1, 1], coloured=False),
    "multiple": lambda: random_graph(4, 50, 100, [-4, -2, -1, 1, 3], fields=3),
    "hubs": lambda: random_graph(5, 200, 250, [-1, 1], hubs=[120, 64, 65, 33, 31]),
    "strong fields": strong_fields,
    "clique": lambda: clique(66),
    "stars": lambda: stars(31, 32, 33, 63, 64, 65, *[2] * 70),
    "one": lambda: spin_system(ising([], [-3]), coloured=True),
    "no edges": lambda: spin_system(ising([], [2, 0, -1] * 50), coloured=True),
}
HOW = {"resident": {}, "one warp": {"warps": 1}, "not resident": {"resident": False}, "by level": {}}


def starts(engine, count):
    """Spins as they are after a while, when flips no longer pay by themselves."""
    rng = np.random.default_rng(6)
    work = rng.choice(np.array([-1, 1], np.int8), (count, engine.fields.size * LANES))
    for k in range(1, count):
        engine.sweeps(work[k], None, np.zeros((3, LANES)), np.zeros(2, np.int64), 1, k, 0)
    return work


def on_gpu(device, engine, work, islands, how="resident", passes=1):
    words, flips = device.upload(packed(work)), device.upload(np.full(len(work), 5, np.uint64))
    moves = CompoundMoves(device, engine, **HOW[how])
    if how == "by level":
        moves._by_group = lambda islands: False
    for _ in range(passes):
        moves.run(words, device.upload(np.array(islands, np.int32)), len(islands), flips)
    return device.download(words), device.download(flips).astype(int) - 5


def on_cpu(engine, work, islands, passes=1):
    flips = np.zeros(len(work), int)
    for k in islands:
        counts = np.zeros(7, np.int64)
        for _ in range(passes):
            engine.polish(work[k], counts)
        flips[k] = counts[0]
    return packed(work), flips


@pytest.mark.parametrize("how", list(HOW))
@pytest.mark.parametrize("case", list(CASES))
def test_moves_are_the_cpus(device, case, how):
    engine = Lanes.of(CASES[case]())
    work = starts(engine, 3)
    words, flips = on_gpu(device, engine, work, [2, 0], how, passes=2)
    expected, counted = on_cpu(engine, work, [2, 0], passes=2)
    assert np.array_equal(words, expected)
    assert np.array_equal(flips, counted)


@pytest.mark.parametrize("case", ["triangles", "multiple", "strong fields"])
def test_moves_are_one_lane_at_a_time(device, case):
    system = CASES[case]()
    engine = Lanes.of(system)
    work = starts(engine, 1)
    expected, flips = slow_compound_moves(system, work[0])
    words, counts = on_gpu(device, engine, work, [0])
    assert np.array_equal(words, packed(expected[None])) and counts.tolist() == [flips]


@pytest.mark.parametrize("how", list(HOW))
def test_a_neighbour_that_stands_twice_but_not_side_by_side(device, how):
    """Rows as `Lanes.of` never has them: the second visit finds a spin that others have changed meanwhile."""
    rng, n = np.random.default_rng(9), 9
    rows = [[] for _ in range(n)]
    for _ in range(200):
        i, j = rng.choice(n, 2, replace=False).tolist()
        sign = int(rng.choice([-1, 1]))
        rows[i].append((j, sign))
        rows[j].append((i, sign))
    rows = (
        [[j for j, s in r if s > 0] + [j for j, s in r if s < 0] for r in rows],
        [sum(s > 0 for _, s in r) for r in rows],
    )
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows[0]])]).astype(np.int64)
    fields = rng.integers(-2, 3, n).astype(np.int16)
    engine = Lanes(
        indptr=indptr, middle=indptr[:-1] + rows[1], indices=np.concatenate(rows[0]).astype(np.uint32) * np.uint32(LANES),
        fields=fields, bounds=(np.diff(indptr) + np.abs(fields)).astype(np.int16),
    )  # fmt: skip
    assert np.diff(indptr).max() > 32 and np.diff(indptr).min() <= MOST_FOLLOWING
    work = rng.choice(np.array([-1, 1], np.int8), (2, n * LANES))
    words, flips = on_gpu(device, engine, work, [0, 1], how, passes=3)
    expected, counted = on_cpu(engine, work, [0, 1], passes=3)
    assert np.array_equal(words, expected) and np.array_equal(flips, counted)


@pytest.mark.parametrize("case", list(CASES))
def test_centres_of_a_level_do_not_touch_what_others_read(case):
    engine = Lanes.of(CASES[case]())
    n, spins = engine.fields.size, engine.indices // LANES
    level = np.empty(n, np.int32)
    count = levels(engine.indptr, engine.indices, level)
    assert sorted(set(level.tolist())) == list(range(count))
    near = [set(spins[engine.indptr[i] : engine.indptr[i + 1]].tolist()) for i in range(n)]
    degrees = np.diff(engine.indptr)
    written = [{c} | {j for j in near[c] if degrees[j] <= MOST_FOLLOWING} for c in range(n)]
    read = [near[c].union(*(near[j] | {j} for j in written[c])) for c in range(n)]
    for a in range(n):
        before = [b for b in range(a) if written[a] & (written[b] | read[b]) or read[a] & written[b]]
        assert level[a] == 1 + max((level[b] for b in before), default=-1)


@pytest.mark.parametrize("case", ["triangles", "multiple", "hubs", "clique"])
def test_neighbours_of_a_stage_do_not_touch(case):
    engine = Lanes.of(CASES[case]())
    spins, degrees = (engine.indices // LANES).tolist(), np.diff(engine.indptr).tolist()
    asked = np.random.default_rng(1).random(len(spins)) < 0.8
    stage = np.zeros(len(spins), np.int32)
    stages(engine.indptr, engine.indices, asked, stage)
    near = [set(spins[b : b + d]) for b, d in zip(engine.indptr, degrees, strict=False)]
    for begin, degree in zip(engine.indptr, degrees, strict=False):
        entries = [e for e in range(begin, begin + degree) if asked[e]]
        for k, e in enumerate(entries):
            before = [f for f in entries[:k] if spins[f] == spins[e] or spins[f] in near[spins[e]]]
            assert stage[e] == 1 + max((stage[f] for f in before), default=0)


def test_steps_are_few_where_edges_are(device):
    """A grid, numbered in a random order: each centre waits for few others; without triangles all neighbours of a centre are asked at once."""
    side, rng = 30, np.random.default_rng(2)
    name = rng.permutation(side * side).reshape(side, side)
    pairs = [(int(a), int(b), 1) for x in (name, name.T) for a, b in zip(x[:-1].ravel(), x[1:].ravel(), strict=True)]
    engine = Lanes.of(spin_system(ising(pairs, [0] * side**2), coloured=False))
    count = levels(engine.indptr, engine.indices, np.empty(side**2, np.int32))
    moves = CompoundMoves(device, engine)
    assert count < 60 and moves.steps.size - 1 == 2 * count
    assert CompoundMoves(device, Lanes.of(CASES["clique"]())).warps == 1


def test_few_groups_are_spread_over_the_processors(device):
    moves = CompoundMoves(device, Lanes.of(CASES["ring"]()))
    assert moves._by_group(1)
    # Two crowded levels, which a single block would be long about.
    moves.steps, moves.bounds, moves.asked = np.array([0, 10**6, 2 * 10**6]), np.array([0, 10**6]), np.array([2.0])
    assert moves._by_group(1) == (device.multiprocessors < 2)


def test_cases_fit_the_lanes():
    assert all(lanes_fit(CASES[case]()) for case in CASES if case not in ("one", "no edges"))
