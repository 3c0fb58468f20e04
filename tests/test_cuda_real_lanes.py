"""The lanes of floats on a GPU: those of the CPU, spin for spin, and draw by draw those of a slow version."""

from __future__ import annotations

import numpy as np
import pytest

from fnanneal.solvers.cuda import source
from fnanneal.solvers.cuda.real_lanes import DeviceRealLanes
from fnanneal.solvers.kernels.noise import SPAN, exponential_noise
from fnanneal.solvers.kernels.philox import TILE
from fnanneal.solvers.kernels.vector import LANES
from fnanneal.solvers.populations.engines import HOTTEST, RealLanes
from fnanneal.solvers.system import spin_system

from . import oracles
from .cases import Case, ising
from .test_real_lanes import KEY, slow

NOTHING = np.zeros((LANES, 0), np.int8)


def hub():
    rng = np.random.default_rng(3)
    pairs = [(0, k, float(rng.normal())) for k in range(1, 200)] + [
        (k, k + 1, float(rng.normal())) for k in range(1, 199)
    ]
    return spin_system(ising(pairs, rng.normal(size=200).tolist()), coloured=True)


CASES = {
    "real": lambda: Case.random(3, 90, 5, "real", True).system,
    "large": lambda: Case.random(4, 77, 4, "large", False).system,
    "not coloured": lambda: Case.random(5, 40, 5, "real", True, coloured=False).system,
    "hub": hub,
    "one": lambda: spin_system(ising([], [-0.3]), coloured=True),
    "no edges": lambda: spin_system(ising([], np.linspace(-1, 1, 37).tolist()), coloured=True),
    "two passes": lambda: Case.random(6, 300, 2, "real", True).system,
}
HOW = {"resident": {}, "narrow": {"threads": 64}, "by phase": {"resident": False}}


def packed(work):
    """Spins (n * LANES,) int8 of each island as words (2 I, n)."""
    up = (work.reshape(work.shape[0], -1, 2, 32) > 0).astype(np.uint32) << np.arange(32, dtype=np.uint32)
    return np.ascontiguousarray(up.sum(axis=3, dtype=np.uint32).transpose(0, 2, 1)).reshape(2 * work.shape[0], -1)


def on_gpu(device, engine, work, islands, firsts, temperatures, key=KEY, *, flips=0, **how):
    sweeps = np.array([len(t) for t in temperatures], np.int32)
    table = np.ones((len(temperatures), max(1, int(sweeps.max())), LANES))
    for row, t in zip(table, temperatures, strict=True):
        row[: len(t)] = t
    words, counts = device.upload(packed(work)), device.upload(np.full(len(sweeps), flips, np.uint64))
    moves = DeviceRealLanes(device, engine, **how)
    moves.sweeps(
        words, device.upload(np.array(islands, np.uint32)), device.upload(np.array(firsts, np.uint32)), sweeps,
        device.upload(np.clip(table, 0, HOTTEST).astype(np.float32)), key, counts,
    )  # fmt: skip
    return device.download(words), device.download(counts).tolist()


@pytest.mark.parametrize("how", list(HOW))
@pytest.mark.parametrize("case", list(CASES))
def test_sweeps_are_the_cpus(device, case, how):
    system = CASES[case]()
    engine, rng = RealLanes.of(system), np.random.default_rng(5)
    work = rng.choice(np.array([-1, 1], np.int8), (4, system.n * LANES))
    islands, firsts, lengths = [7, 0, 2**31 + 5, 3], [11, 2**32 - 2, 0, 0], [3, 4, 0, 1]
    # The first lanes are greedy from the start, the last sweep is so in all.
    hot = np.linspace(0, 1.5, LANES) * 0.7 * system.largest
    temperatures = [np.outer([1.0, 0.3, 0.1, 0.0][4 - k :], hot) for k in lengths]
    words, flips = on_gpu(device, engine, work, islands, firsts, temperatures, flips=5, **HOW[how])
    for k in range(4):
        counts = np.zeros(2, np.int64)
        engine.sweeps(work[k], NOTHING, temperatures[k], counts, KEY, islands[k], firsts[k])
        assert flips[k] == 5 + counts[0]
    assert np.array_equal(words, packed(work))


def test_sweeps_are_one_spin_and_lane_at_a_time(device):
    system = Case.random(3, 30, 4, "real", True).system
    start = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), (1, system.n * LANES))
    temperatures = np.outer([2.0, 0.6, 0.2, 0.0], np.linspace(0, 1.5, LANES))
    expected, flips = slow(system, start[0], temperatures.astype(np.float32).astype(float), 3, 11)
    words, counts = on_gpu(device, RealLanes.of(system), start, [3], [11], [temperatures])
    assert np.array_equal(words, packed(expected[None])) and counts == [flips]


def test_hot_and_huge_numbers(device):
    """Temperatures beyond a float's range, sums that are infinite or no numbers at all: whatever the CPU does."""
    system = Case.random(8, 50, 4, "real", True).system
    plain, rng = RealLanes.of(system), np.random.default_rng(1)
    doubled, totals = plain.doubled.copy(), plain.totals.copy()
    doubled[:3], totals[:2] = [np.inf, -np.inf, 3e38], [np.nan, -0.0]
    engine = RealLanes(indptr=plain.indptr, indices=plain.indices, doubled=doubled, totals=totals)
    work = rng.choice(np.array([-1, 1], np.int8), (2, system.n * LANES))
    temperatures = [np.outer([1.0, 1e-3], np.geomspace(1e-12, 1e40, LANES))] * 2
    words, flips = on_gpu(device, engine, work, [0, 1], [0, 0], temperatures)
    for k in range(2):
        counts = np.zeros(2, np.int64)
        engine.sweeps(work[k], NOTHING, temperatures[k], counts, KEY, k, 0)
        assert flips[k] == counts[0]
    assert np.array_equal(words, packed(work))


def test_few_groups_are_spread_over_the_processors(device):
    """With more processors than groups, a launch to each phase, and the same spins."""
    system = Case.random(9, 64, 3, "real", True).system
    engine = RealLanes.of(system)
    moves = DeviceRealLanes(device, engine)
    assert moves._by_group(1)
    moves.work = 1e6
    assert moves._by_group(1) == (device.multiprocessors < 2)


CHECK = """#include "noise.cuh"
// Place by place the draws of blocks 40, 41, ..., and the noise of every draw there is.
extern "C" __global__ void __launch_bounds__(256) check(uint32* draws, float* noise, uint64 key, uint32 read, uint32 sweep) {
    uint32 at = blockIdx.x * blockDim.x + threadIdx.x;
    draws[at] = chain_draw(philox(key, 40 + at / 64, sweep, read, CHAIN), (int)(at % 64));
    noise[at] = unit_noise(at);
}
"""


def test_noise_of_every_draw(device, monkeypatch, tmp_path):
    """`noise.cuh` by itself, which the kernels of dense graphs use too."""
    for header in source.FOLDER.glob("*.cuh"):
        (tmp_path / header.name).write_text(header.read_text())
    (tmp_path / "check.cu").write_text(CHECK)
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    draws, noise = device.empty(2**16, np.uint32), device.empty(2**16, np.float32)
    read, sweep = 5, 9
    device.launch(
        source.Kernels("check"), "check", 256, 256, draws, noise, np.uint64(KEY), np.uint32(read), np.uint32(sweep)
    )
    draws, noise = device.download(draws), device.download(noise)
    assert draws[:640].tolist() == [oracles.chain_draw(KEY, read, sweep, LANES * 40 + place) for place in range(640)]
    assert noise == pytest.approx(-np.log((np.arange(2**16) + 1) / 2**16), abs=5e-6)
    words, halves, exponents = np.empty((4, TILE), np.uint32), np.empty(SPAN, np.uint16), np.empty(SPAN, np.int32)
    floats = np.empty(SPAN, np.float32)
    for begin in range(0, 2**16, SPAN):
        exponential_noise(
            np.uint64(KEY), read, sweep, 40 + begin // LANES, np.float32(1), words, halves, floats, exponents
        )
        assert np.array_equal(noise[draws[begin : begin + SPAN]], floats)
