"""Chains on a GPU: every bit of the CPU's, whatever the launch's shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fnanneal.solvers.cuda.sweep import SPAN, DeviceChains, Shape
from fnanneal.solvers.kernels.start import random_spins
from fnanneal.solvers.kernels.sweep import TABLE, anneal
from fnanneal.solvers.system import SpinSystem

from . import oracles as oracle
from .cases import Case

KEY = 0x9ABC_DEF0_1234_5678
SHAPES = [
    Shape(block=64, window=SPAN, tabulated=True, resident=True, speculative=False),
    Shape(block=256, window=2 * SPAN, tabulated=False, resident=False, speculative=True),
]


class Chains:
    """Chains of one system on both sides, from the same states."""

    def __init__(self, device, system, count, seed=0):
        self.device, self.system = device, system
        rng = np.random.default_rng(seed)
        self.spins = rng.choice(np.array([-1, 1], np.int8), (count, system.n))
        self.fields = np.array([system.local_fields(s) for s in self.spins])
        self.best = self.spins.copy()
        first = [system.value(s) for s in self.spins]
        self.values = np.repeat(np.array(first, np.int64 if system.integral else np.float64)[:, None], 2, axis=1)
        self.counts = np.tile(np.array([10, 100], np.int64), (count, 1))
        self.there = [device.upload(a) for a in self.arrays]
        self.chains = DeviceChains(device, system)

    @property
    def arrays(self):
        return self.spins, self.fields, self.best, self.values, self.counts

    def advance(self, slopes, reads, first, *, heat_bath=False, reach=None, shape=None, sweeps=None):
        """Both; slopes (rows, k), sweeps and first of all chains or of each."""
        count, s = self.spins.shape[0], self.system
        slopes = np.ascontiguousarray(np.atleast_2d(slopes), np.float64)
        if reach is None:
            reach = self.chains.reach(float(slopes.min()))
        if shape is not None and reach < 0:
            shape = replace(shape, tabulated=False)
        sweeps = slopes.shape[1] if sweeps is None else sweeps
        some, firsts = np.broadcast_to(sweeps, count), np.broadcast_to(first, count)
        for r in range(count):
            anneal(
                s.indptr, s.indices, s.weights, s.segments, slopes[r % slopes.shape[0], : some[r]], heat_bath, reach,
                self.spins[r], self.fields[r], self.best[r], self.values[r], self.counts[r], np.uint64(KEY), int(reads[r]), int(firsts[r]),
            )  # fmt: skip
        spins, fields, best, values, counts = self.there
        self.chains.anneal(
            spins, fields, self.device.upload(slopes), sweeps, first, np.array(reads, np.uint32),
            key=KEY, reach=reach, heat_bath=heat_bath, best=best, values=values, counts=counts, shape=shape,
        )  # fmt: skip

    def check(self):
        for name, host, there in zip(
            ("spins", "fields", "best", "values", "counts"), self.arrays, self.there, strict=True
        ):
            held = self.device.download(there)
            assert held.dtype == host.dtype and held.tobytes() == host.tobytes(), name
        assert self.counts[:, 0].max() > 10


def case(weights, n=300, degree=5.0, seed=1, fields=True) -> SpinSystem:
    return Case.random(seed, n, degree, weights, fields).system


def slopes_of(system, count, low=0.05, high=2.0):
    return np.linspace(low, high, count) * (8 / system.largest)


@pytest.mark.parametrize("shape", [*SHAPES, None], ids=["resident", "global", "chosen"])
@pytest.mark.parametrize("heat_bath", [False, True])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_every_bit(device, weights, heat_bath, shape):
    both = Chains(device, case(weights), 3)
    slopes = slopes_of(both.system, 7)
    # In pieces: the second of each chain's own length, none for one of them.
    both.advance(slopes[:3], [0, 7, 2**32 - 1], 2**31 - 1, heat_bath=heat_bath, shape=shape)
    own = slopes[3:] * np.array([[1.0], [0.8], [1.3]])
    both.advance(
        own,
        [0, 7, 2**32 - 1],
        np.array([2, 2**32 - 4, 9]),
        heat_bath=heat_bath,
        shape=shape,
        sweeps=np.array([4, 0, 3]),
    )
    both.check()


@pytest.mark.parametrize("speculative", [False, True])
@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("block", [32, 128, 512])
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_shapes(device, weights, block, resident, speculative):
    """Windows shorter and longer than a run, a block longer than a window, and rows of more spins than a group of threads."""
    system = case(weights, n=3 * SPAN + 17, degree=12, seed=3)
    both = Chains(device, system, 2)
    for window in (SPAN, 3 * SPAN):
        shape = Shape(block=block, window=window, tabulated=False, resident=resident, speculative=speculative)
        both.advance(slopes_of(system, 2), [3, 1], 5, shape=shape)
        # Cold: some steps flip nothing.
        both.advance(slopes_of(system, 5, 2.0, 4.0), [3, 1], 7, shape=shape)
    both.check()


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_dense_graphs_are_tried_by_blocks(device, weights):
    system = case(weights, n=70, degree=69, seed=2)
    both = Chains(device, system, 2)
    assert both.chains.shape(2, -1).speculative
    both.advance(slopes_of(system, 6, high=4.0), [0, 1], 0)
    both.check()


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_many_flips_at_one_spin(device, weights):
    """A hub, whose field many spins of a run change at once, in the CPU's order."""
    rng = np.random.default_rng(5)
    n = 300
    draw = (lambda k: rng.choice([-1, 1], k)) if weights == "pm1" else (lambda k: rng.normal(size=k))
    pairs = [(hub, j, w) for hub in (0, 1) for j, w in zip(range(2, n), draw(n - 2).tolist(), strict=True)]
    system = Case.of(pairs, [0] * n, rng).system
    for shape in SHAPES:
        both = Chains(device, system, 2)
        both.advance([0.01] * 4, [0, 1], 0, shape=replace(shape, tabulated=False))
        both.check()


@pytest.mark.parametrize("heat_bath", [False, True])
def test_the_oracle_agrees(device, heat_bath):
    c = Case.random(4, 60, 4, "pm1", True)
    slopes = [0.2, 0.5, 0.9, 1.4]
    chain = oracle.anneal(c.pairs, c.fields, c.spins.tolist(), slopes, heat_bath=heat_bath, key=KEY, read=5, first=3)
    chains = DeviceChains(device, c.system)
    spins, best = device.upload(c.spins[None]), device.upload(c.spins[None])
    fields, counts = device.empty((1, 60), np.int32), device.zeros((1, 2), np.int64)
    values = device.empty((1, 2), np.int64)
    chains.local_fields(spins, fields)
    chains.integer_values(spins, fields, values)
    assert device.download(values).tolist() == [[oracle.value(c.pairs, c.fields, c.spins.tolist())] * 2]
    chains.anneal(
        spins, fields, device.upload(np.array([slopes])), 4, 3, np.array([5]),
        key=KEY, reach=chains.reach(0.2), heat_bath=heat_bath, best=best, values=values, counts=counts,
    )  # fmt: skip
    assert device.download(spins)[0].tolist() == chain.spins and device.download(best)[0].tolist() == chain.best
    assert device.download(counts).tolist() == [[chain.flips, chain.reads]]
    top = oracle.value(c.pairs, c.fields, chain.best)
    assert device.download(values).tolist() == [[oracle.value(c.pairs, c.fields, chain.spins), top]]


@pytest.mark.parametrize("reach", [1, 3, TABLE, -1])
def test_any_reach(device, reach):
    """Beyond it thresholds are 0 and 2**32, with a table and without."""
    system = case("pm1", n=100)
    for tabulated in (False, True):
        both = Chains(device, system, 2)
        both.advance(
            [0.3, 0.7],
            [0, 1],
            0,
            heat_bath=True,
            reach=reach,
            shape=replace(SHAPES[0], tabulated=tabulated and reach >= 0),
        )
        both.check()


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("fields", [False, True])
def test_a_single_spin_and_no_edges(device, weights, fields):
    for n in (1, 33, 257):
        both = Chains(device, case(weights, n=n, degree=0, fields=fields), 2)
        both.advance([1.0, 0.5], [0, 1], 0)
        both.check()


def test_extreme_slopes(device):
    """Cold chains go to and fro between states of one value, of which the first is kept."""
    both = Chains(device, case("pm1", n=100, seed=2, fields=False), 4)
    both.advance([1e-30, 1e30], range(4), 0, heat_bath=True)
    both.advance([1e30] * 10, range(4), 2)
    level = both.values[:, 0] == both.values[:, 1]
    assert np.any(level & np.any(both.best != both.spins, axis=1))
    both.check()


@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_starts_and_sums(device, weights):
    system = case(weights, n=301)
    chains = DeviceChains(device, system)
    reads = np.array([4, 2**32 - 1, 0], np.uint32)
    spins, fields = device.empty((3, 301), np.int8), device.empty((3, 301), chains.kind)
    chains.draw(spins, KEY, reads)
    chains.local_fields(spins, fields)
    twins = np.empty((3, 301), np.int8)
    for r, twin in zip(reads.tolist(), twins, strict=True):
        random_spins(np.uint64(KEY), r, twin)
    assert np.array_equal(device.download(spins), twins)
    local = np.array([system.local_fields(s) for s in twins])
    assert device.download(fields).tobytes() == local.tobytes()
    if system.integral:
        values = device.empty((3, 2), np.int64)
        chains.integer_values(spins, fields, values)
        assert device.download(values).tolist() == [[system.value(s)] * 2 for s in twins]


def test_scratch_is_left_as_it_was(device):
    """Without best, values and counts; and many chains, more than there are multiprocessors."""
    system = case("real", n=90)
    chains, rng = DeviceChains(device, system), np.random.default_rng(0)
    start = rng.choice(np.array([-1, 1], np.int8), (40, 90))
    spins, fields = device.upload(start), device.empty((40, 90), np.float64)
    chains.local_fields(spins, fields)
    slopes = slopes_of(system, 3)
    shape = replace(SHAPES[1], block=64)
    for first in (0, 3):
        chains.anneal(
            spins, fields, device.upload(slopes[None]), 3, first, np.arange(40), key=KEY, reach=-1, shape=shape
        )
    for r in range(40):
        twin, best = start[r].copy(), start[r].copy()
        local, values = system.local_fields(twin), np.zeros(2)
        for first in (0, 3):
            anneal(
                system.indptr, system.indices, system.weights, system.segments, slopes, False, -1, twin, local, best, values,
                np.zeros(2, np.int64), np.uint64(KEY), r, first,
            )  # fmt: skip
        assert np.array_equal(device.download(spins)[r], twin)
        assert device.download(fields)[r].tobytes() == local.tobytes()


@pytest.mark.parametrize("chains", [1, 8, 1000, 100_000])
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_launches_fit(device, weights, chains):
    for n, degree in ((1, 0), (40, 39), (2000, 3)):
        system = case(weights, n=n, degree=degree)
        made = DeviceChains(device, system)
        for reach in (-1, 5, TABLE):
            shape = made.shape(chains, reach if system.integral else -1)
            entries = 2 * reach + 3 if shape.tabulated else 0
            assert made.shared_bytes(shape, entries) <= device.shared_bytes
            assert shape.window % SPAN == 0 and shape.block & (shape.block - 1) == 0 and 32 <= shape.block <= 512
