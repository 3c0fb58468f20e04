"""The lanes of integers on a GPU: those of the CPU, spin for spin."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

import fnanneal
from fnanneal.solvers.cuda.engines import TIMERS
from fnanneal.solvers.cuda.lanes import DeviceLanes, filling, pack, unpack
from fnanneal.solvers.cuda.lineages import Lineages
from fnanneal.solvers.cuda.rows import independent_runs
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.kernels.vector import LANES
from fnanneal.solvers.populations import lineages
from fnanneal.solvers.populations.engines import Lanes
from fnanneal.solvers.populations.reduction import Reduction
from fnanneal.solvers.system import spin_system
from fnanneal.solvers.temperature import COLDEST

from .cases import ising
from .cuda_shim import ShimDevice
from .test_ensemble import CASES as SLOW
from .test_ensemble import slow_lanes


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


@pytest.mark.parametrize("case", SLOW)
def test_one_spin_and_one_lane_at_a_time(device, case):
    """Against the oracle, which knows neither lanes nor bits."""
    s = SLOW[case]
    rng = np.random.default_rng(5)
    rows = rng.choice(np.array([-1, 1], np.int8), (1, LANES, s.n))
    temperatures = rng.uniform(0.3, 3, (3, LANES))
    temperatures[2] = 0
    got, counted = on_gpu(device, Lanes.of(s), rows, [temperatures], 9, [4], [7])
    expected, flips = slow_lanes(s, np.ascontiguousarray(rows[0].T).ravel(), temperatures, 9, 4, 7)
    assert np.array_equal(got[0].T.ravel(), expected) and counted == [flips]


@pytest.mark.parametrize("mismatch", [0.0, 0.05])
def test_temperatures_are_the_hosts(device, mismatch):
    """To the last bit, in any stretch of a round, greedy sweeps included."""
    solver = Ensemble(num_reads=3, num_sweeps=1000, kappa=0.7, timer_mismatch=mismatch)
    plan = solver.prepare(fnanneal.load("nx:random_regular_graph(3,60,seed=1)"))
    state = solver.blank(plan, 3, open_ended=False, threads=1)
    state.length[:] = 50, 200, 7
    state.hot[:] = state.cold + (state.hottest - state.cold) * np.random.default_rng(1).uniform(0, 1.2, state.hot.shape)
    with ThreadPoolExecutor(1) as pool:
        part = Lineages(device, plan, np.arange(3), solver.kappa, pool)
        stretches = [(0, 50), (120, 200), (3, 3)]
        table, hottest = part._temperatures(state, stretches)
    table = device.download(table)
    for i, (first, last) in enumerate(stretches):
        assert np.array_equal(table[i, : last - first], lineages.temperatures(state, i, solver.kappa, first, last))
        assert table[i, : last - first].max(initial=0) <= hottest * (1 + 1e-6)
    assert np.count_nonzero(table[0] == 0) >= 2 * LANES
    floats, slopes = device.empty(table.shape, np.float32), device.empty((3 * LANES, table.shape[1]), np.float64)
    held = device.upload(np.nan_to_num(table))
    device.launch(TIMERS, "as_floats", 2, 64, held, np.int64(table.size), np.float64(1.5), floats)
    three = np.int32(3), np.int32(table.shape[1]), np.int32(LANES)
    device.launch(TIMERS, "as_slopes", 2, 64, held, *three, np.float64(COLDEST), slopes)
    held = device.download(held)
    assert np.array_equal(device.download(floats), np.clip(held, 0, 1.5).astype(np.float32))
    expected = 1 / np.clip(held, COLDEST, 1 / COLDEST).transpose(0, 2, 1)
    assert np.array_equal(device.download(slopes), expected.reshape(3 * LANES, -1))


@pytest.mark.parametrize(
    ("n", "shared", "expected"),
    [
        (40, 10**5, 264),  # a block of two warps: four of them to each of 132 multiprocessors, two to an island
        (1100, 10**5, 132),  # of sixteen warps, the most: two of them
        (30_000, 10**5, 3),  # 938 slices a phase, two groups an island
        (10**6, 10**5, 2),
    ],
)
def test_islands_that_fill_a_device(n, shared, expected):
    """Without edges, so that all is one phase."""
    nothing = SimpleNamespace(n=n, indptr=np.zeros(n + 1, np.int64), indices=np.zeros(0, np.uint32))
    assert filling(ShimDevice(multiprocessors=132, shared_bytes=shared), nothing) == expected
