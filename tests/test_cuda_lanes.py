"""The lanes of integers on a GPU: those of the CPU, spin for spin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fnanneal.solvers.cuda.lanes import DeviceLanes, pack, unpack
from fnanneal.solvers.cuda.rows import independent_runs
from fnanneal.solvers.kernels.vector import LANES
from fnanneal.solvers.populations.engines import Lanes
from fnanneal.solvers.populations.reduction import Reduction
from fnanneal.solvers.system import spin_system

from .cases import ising


def system(n, density, seed, *, weights=(-1, 1), fields=0, hub=0, coloured=True):
    rng = np.random.default_rng(seed)
    J = np.triu(rng.choice(weights, (n, n)) * (rng.random((n, n)) < density), 1)
    if hub:
        J[0, 1 : hub + 1] = rng.choice(weights, hub)
    i, j = np.nonzero(J)
    pairs = list(zip(i.tolist(), j.tolist(), J[i, j].tolist(), strict=True))
    return spin_system(ising(pairs, rng.integers(-fields, fields + 1, n).tolist()), coloured=coloured)


CASES = {
    "torus-like": {"n": 100, "density": 0.04, "seed": 1},
    "denser": {"n": 130, "density": 0.2, "seed": 2},
    "fields": {"n": 70, "density": 0.1, "seed": 3, "fields": 5},
    "weights": {"n": 60, "density": 0.2, "seed": 4, "weights": (-3, -1, 1, 2), "fields": 2},
    "hub": {"n": 400, "density": 0.01, "seed": 5, "hub": 350},
    "great field": {"n": 40, "density": 0.1, "seed": 6, "fields": 20000},
    "one": {"n": 1, "density": 0, "seed": 7},
    "one with a field": {"n": 1, "density": 0, "seed": 9, "fields": 3},
    "no edges": {"n": 33, "density": 0, "seed": 8},
}


def on_cpu(engine, rows, temperatures, key, islands, firsts):
    """Rows and flips after the sweeps of each island."""
    out, flips = rows.copy(), []
    for k in range(rows.shape[0]):
        work, local = np.empty(rows[k].size, np.int8), np.zeros((LANES, 0), np.int8)
        engine.load(rows[k], work, local)
        counts = np.zeros(2, np.int64)
        engine.sweeps(work, local, temperatures[k], counts, key, int(islands[k]), int(firsts[k]))
        engine.unload(work, out[k])
        flips.append(int(counts[0]))
    return out, flips


def on_gpu(device, engine, rows, temperatures, key, islands, firsts, **how):
    count, n = rows.shape[0], rows.shape[2]
    most = max(1, max(t.shape[0] for t in temperatures))
    table = np.full((count, most, LANES), np.nan)
    for k, t in enumerate(temperatures):
        table[k, : t.shape[0]] = t
    every = device.upload(np.arange(count, dtype=np.int32))
    words, states = device.empty((2 * count, n), np.uint32), device.upload(rows)
    pack(device, every, count, states, words)
    flips = device.zeros(count, np.uint64)
    DeviceLanes(device, engine, **how).sweeps(
        words, device.upload(np.asarray(islands, np.uint32)), device.upload(np.asarray(firsts, np.uint32)),
        np.array([t.shape[0] for t in temperatures], np.int32), device.upload(table), max(float(t.max(initial=0)) for t in temperatures), key, flips,
    )  # fmt: skip
    device.write(states, np.zeros_like(rows))
    unpack(device, every, count, words, states)
    return device.download(states), device.download(flips).tolist()


@pytest.mark.parametrize("how", [{}, {"warps": 2}, {"resident": False}], ids=["resident", "two warps", "phases"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_spins(device, case, how):
    s = system(**CASES[case])
    engine = Lanes.of(s)
    rng = np.random.default_rng(0)
    rows = rng.choice(np.array([-1, 1], np.int8), (3, LANES, s.n))
    hottest = max(3.0, 0.3 * s.largest)
    temperatures = [np.geomspace(hottest, 0.2, 12)[:, None] * rng.uniform(0.5, 1, (12, LANES)) for _ in range(3)]
    temperatures[0][-2:] = 0
    temperatures[1] = temperatures[1][:5]
    temperatures[2] = temperatures[2][:0]
    given = engine, rows, temperatures, 2**63 + 12345, [7, 0, 3], [100, 2**32 - 12, 5]
    expected, flips = on_cpu(*given)
    got, counted = on_gpu(device, *given, **how)
    assert np.array_equal(got, expected)
    assert counted == flips
    assert s.n < 2 or flips[0] > 0


def test_phases_hold_no_edges():
    s = system(**CASES["denser"])
    bounds = independent_runs(s.indptr, s.indices)
    assert bounds[0] == 0 and bounds[-1] == s.n and np.all(np.diff(bounds) > 0)
    run = np.repeat(np.arange(bounds.size - 1), np.diff(bounds))
    row = np.repeat(np.arange(s.n), np.diff(s.indptr))
    assert np.all(run[row] != run[s.indices])
    # They are the longest: the spin after a run has a neighbour in it.
    for begin, end in itertools.pairwise(bounds[:-1]):
        mine = s.indices[s.indptr[end] : s.indptr[end + 1]]
        assert np.any((mine >= begin) & (mine < end))


@pytest.mark.parametrize("size", [0.3, 1.0, 1.5, 40.0])
def test_a_million_places(size):
    """Runs longer than a stride are found whole."""
    n = int(5000 * size)
    bounds = independent_runs(np.zeros(n + 1, np.int64), np.zeros(0, np.uint32))
    assert bounds.tolist() == [0, n]


def test_reduced_systems_fit(device):
    """A core that `Reduction` has numbered anew."""
    s = Reduction.of(system(n=200, density=0.03, seed=11, coloured=False)).core
    assert 1 < s.n < 200
    engine = Lanes.of(s)
    rows = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (1, LANES, s.n))
    given = engine, rows, [np.full((6, LANES), 1.1)], 5, [0], [0]
    expected, flips = on_cpu(*given)
    got, counted = on_gpu(device, *given)
    assert np.array_equal(got, expected) and counted == flips
