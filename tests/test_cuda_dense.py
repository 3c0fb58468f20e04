"""Dense chains and their populations on a GPU: those of the CPU, to the last byte."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from fnanneal.solvers.cuda import dense as cuda
from fnanneal.solvers.cuda.descents import Descents
from fnanneal.solvers.cuda.source import Kernels
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.kernels.philox import CROSS, one_block
from fnanneal.solvers.kernels.resample import resample
from fnanneal.solvers.kernels.rows import values_from
from fnanneal.solvers.populations import descents
from fnanneal.solvers.populations.engines import Chains
from fnanneal.solvers.populations.matrix import Bits, Rows
from fnanneal.solvers.populations.population import Plan, State
from fnanneal.solvers.populations.reduction import Reduction
from fnanneal.solvers.system import SpinSystem

from .cases import serial
from .test_dense import CASES, KEY, PM1, aligned, dense_system, matrix, prepare, slow_sweeps, square

LARGER = {
    "bits16, beyond 2048": (dense_system(11, 2100, [3], 0.4, 2), "bits", np.int16),
    "bits8, two spins": (dense_system(1, 2, [3], 1.0, 2), "bits", np.int8),
    "bits16, a tile": (dense_system(12, 256, PM1, 1.0, 0), "bits", np.int16),
    "rows8, 33 spins": (dense_system(13, 33, [-2, -1, 1, 2], 0.9, 0), "rows", np.int8),
    "rows16, 257 spins": (dense_system(14, 257, [-9, 3, 7], 1.0, 9), "rows", np.int16),
    "rows of int16, fields of int32": (dense_system(18, 64, [-3000, 2000, 700], 0.9, 900), "rows", np.int32),
    "rows of int32": (dense_system(15, 65, [-90_000, 50_000, 7], 0.9, 500), "rows", np.int32),
    "float32 rows": (dense_system(16, 740, [-0.37, 0.61, 1.13], 1.0, 1.0), "rows", np.float64),
}
EVERY = {**CASES, **LARGER}
READS = np.array([3, 0, 2**32 - 1], np.uint32)


def starts(n: int, count: int = READS.size) -> np.ndarray:
    return np.random.default_rng(5).choice(np.array([-1, 1], np.int8), (count, n))


def heats(system: SpinSystem) -> list[float]:
    scale = float(np.sqrt((square(system).astype(float) ** 2).sum(axis=1).mean()))
    return [2 * scale, scale, scale / 2, scale / 10, 0.0]


def check(chains, spins, local, n):
    assert np.array_equal(cuda.unpacked(chains.device.download(chains.spins), n), spins)
    assert np.array_equal(chains.device.download(chains.local).view(np.uint8), local.view(np.uint8))


FAR = ("bits16, beyond a span", "rows8", "rows16", "float64")


@pytest.mark.parametrize(("case", "far"), [(c, False) for c in EVERY] + [(c, True) for c in FAR])
def test_sweeps_are_those_of_the_cpu(device, case, far):
    system, form, kind = EVERY[case]
    n, m = system.n, matrix(system, form)
    assert m.kind == kind
    temperatures = np.array(heats(system) if n < 2000 else heats(system)[::2], np.float32)
    reads = READS if n < 600 else READS[:1]
    chains = cuda.Chains.of(device, m, n, reads, far=far, warps=2 if far else 1)
    assert chains.room.far == far
    local, counts = np.zeros((reads.size, m.width), m.kind), np.zeros((reads.size, 2), np.int64)
    for descent in range(2 if n < 600 else 1):
        spins = np.roll(starts(n, reads.size), descent, axis=1)
        chains.begin(device.upload(spins))
        for s, f in zip(spins, local, strict=True):
            prepare(m, s, f)
        check(chains, spins, local, n)
        for low, high in pairwise((0, 1, temperatures.size)):
            chains.sweeps(device.upload(temperatures[low:high]), KEY, 2**32 - 1 + low)
            for r, read in enumerate(reads.tolist()):
                m.sweeps(temperatures[low:high], spins[r], local[r], counts[r], KEY, read, (2**32 - 1 + low) % 2**32)
            check(chains, spins, local, n)
    assert device.download(chains.flips).tolist() == counts[:, 0].tolist()
    assert np.all(counts[:, 0] > 0)


@pytest.mark.parametrize("case", ["bits8", "bits16", "bits32", "rows8", "rows16", "rows32", "float64"])
def test_sweeps_are_one_spin_at_a_time(device, case):
    system, form, _ = CASES[case]
    n, m, start = system.n, matrix(system, form), starts(system.n, 1)
    temperatures = heats(system)
    expected, flips = slow_sweeps(system, start[0], temperatures, 3, 11)
    chains = cuda.Chains.of(device, m, n, READS[:1], warps=3)
    chains.begin(device.upload(start))
    chains.sweeps(device.upload(np.array(temperatures, np.float32)), KEY, 11)
    assert np.array_equal(cuda.unpacked(device.download(chains.spins), n)[0], expected)
    assert device.download(chains.flips).tolist() == [flips]
    truth = square(system) @ expected.astype(int) + system.fields
    found = device.download(chains.local)[0, :n] - m.shift * expected.astype(int)
    assert found == pytest.approx(truth, rel=1e-12, abs=1e-12 * np.abs(truth).max())


@pytest.mark.parametrize("form", ["bits", "rows"])
@pytest.mark.parametrize(("largest", "sign"), [(127, 1), (127, -1), (32767, -1), (2**29 - 1, 1)])
def test_no_field_overflows(device, form, largest, sign):
    system = aligned(largest, form, sign * (1 if largest == 127 else 127 if largest < 2**20 else 2**27))
    n, m = system.n, matrix(system, form)
    spins = np.stack([np.full(n, 1, np.int8), np.full(n, -1, np.int8)])
    local, counts = np.zeros((2, m.width), m.kind), np.zeros((2, 2), np.int64)
    chains = cuda.Chains.of(device, m, n, READS[:2])
    chains.begin(device.upload(spins))
    temperatures = np.array([0, 1e30, 0, largest / 50], np.float32)
    chains.sweeps(device.upload(temperatures), KEY, 0)
    for r, read in enumerate(READS[:2].tolist()):
        prepare(m, spins[r], local[r])
        m.sweeps(temperatures, spins[r], local[r], counts[r], KEY, read, 0)
    check(chains, spins, local, n)
    truth = spins.astype(np.int64) @ square(system) + system.fields
    assert np.array_equal(local[:, :n].astype(np.int64) - m.shift * spins.astype(np.int64), truth)


@pytest.mark.parametrize("weight", [1, -2])
def test_counts_are_as_large_as_can_be(device, weight):
    # All flip at every test, and all are neighbours of all.
    n = 600
    system = dense_system(1, n, [weight], 1.0, 0)
    m, spins = matrix(system, "bits"), np.ones((1, n), np.int8)
    local, counts = np.zeros((1, m.width), m.kind), np.zeros(2, np.int64)
    chains = cuda.Chains.of(device, m, n, READS[:1])
    chains.begin(device.upload(spins))
    prepare(m, spins[0], local[0])
    check(chains, spins, local, n)
    for sweep in range(2):
        hottest = np.full(1 + sweep, 1e30, np.float32)
        chains.sweeps(device.upload(hottest), KEY, sweep)
        m.sweeps(hottest, spins[0], local[0], counts, KEY, int(READS[0]), sweep)
        check(chains, spins, local, n)
    assert counts[0] > 3 * n - 5


def population(device, kind, external, width, values, local, words, best_values):
    """The launch of `choose` for two islands, and what it leaves: best values, best, spins, local."""
    held = [
        device.upload(a)
        for a in (values, np.array([4, 7], np.uint32), best_values, np.zeros((2, width // 32), np.uint32), words, local)
    ]

    def launch(block, resampling, slope, place, step):
        kernels = Kernels("population", (f"FIELD={kind}", f"EXTERNAL={external}"))
        device.launch(
            kernels, "choose", 2, block, *held, np.int32(width), np.int32(resampling), np.float64(slope), np.uint64(KEY), np.uint32(place), np.uint32(step)
        )  # fmt: skip
        return [device.download(held[k]) for k in (2, 3, 4, 5)]

    return launch


@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize(("kind", "dtype"), [("int8", np.int8), ("short", np.int16), ("int", np.int32), ("double", np.float64)])  # fmt: skip
@pytest.mark.parametrize("slope", [0.0, 0.05, 3.0, 1e3])
def test_selection(device, kind, dtype, block, slope):
    rng, width = np.random.default_rng(3), 128
    values = np.rint(rng.normal(0, 9, (2, 32)) * 2) / 2
    values[0, [5, 20]] = values.max() + 1
    best_values = np.array([-np.inf, values[1].max()])
    words = rng.integers(0, 2**32, (64, width // 32), np.uint32)
    local = rng.integers(-100, 100, (64, width)).astype(dtype)
    external = "double" if kind == "double" else "int"
    launch = population(device, kind, external, width, values.ravel(), local, words, best_values)
    kept_values, kept, spins, fields_ = launch(block, 1, slope, 77, 5)
    assert kept_values.tolist() == [values[0].max(), values[1].max()]
    assert np.array_equal(kept, [words[5], np.zeros(width // 32)]), "the first of equals; an equal replaces nothing"
    moved = 0
    for k, island in enumerate((4, 7)):
        source = np.empty(32, np.int64)
        resample(values[k], slope, one_block(KEY, (77, 5, island, CROSS))[0] / 2**32, source)
        assert np.array_equal(spins[32 * k : 32 * k + 32], words[32 * k + source])
        assert np.array_equal(fields_[32 * k : 32 * k + 32], local[32 * k + source])
        moved += int((source != np.arange(32)).sum())
    assert (moved > 8) == (slope > 0)


@pytest.mark.parametrize("block", [32, 128])
@pytest.mark.parametrize("case", ["bits8", "bits32", "rows16", "float64"])
def test_values(device, case, block):
    system, form, _ = CASES[case]
    n, m, spins = system.n, matrix(system, form), starts(system.n, 5)
    local, twin = np.zeros((5, m.width), m.kind), np.empty(5)
    for s, f in zip(spins, local, strict=True):
        prepare(m, s, f)
    values_from(local, spins, system.fields, m.shift, twin)
    kernels = Kernels(
        "population", (f"FIELD={cuda.NAMES[m.kind.name]}", f"EXTERNAL={'int' if system.integral else 'double'}")
    )
    out = device.empty(5, np.float64)
    device.launch(
        kernels, "chain_values", -(-5 * 32 // block), block, device.upload(cuda.packed(spins, m.width)), device.upload(local),
        device.upload(system.fields), out, np.int64(5), np.int32(n), np.int32(m.width), np.int64(m.shift),
    )  # fmt: skip
    assert np.array_equal(device.download(out), twin)
    slow = [system.value(s) for s in spins]
    assert twin == pytest.approx(slow, rel=1e-12)


def test_packing():
    for n, width in ((1, 64), (64, 64), (100, 128)):
        states = starts(n)
        words = cuda.packed(states, width)
        assert words.shape == (3, width // 32) and np.array_equal(cuda.unpacked(words, n), states)
        assert words[0, (n - 1) // 32] >> np.uint32((n - 1) % 32) & 1 == (states[0, n - 1] > 0)


def test_where_a_chain_has_its_room():
    most = 227 * 1024
    small, large = cuda.Room.of(2000, 2048, 2, most), cuda.Room.of(20_000, 20_032, 4, most)
    assert (small.far, small.capacity, large.far) == (False, 2048, True)
    assert small.shared < 10_000 and 16 * small.shared < most and 16 * large.shared < most
    assert cuda.Room.of(40_000, 40_000, 1, 2**30).far, "flips of so many spins are no 16 bits"


def plan_of(system: SpinSystem) -> Plan:
    reduction = Reduction.of(system)
    return Plan(reduction=reduction, engine=Chains.of(reduction.core))


def equal(a: State, b: State) -> None:
    for each in fields(State):
        x, y = getattr(a, each.name), getattr(b, each.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype and np.array_equal(x.view(np.uint8), y.view(np.uint8)), each.name
        else:
            assert x == y, each.name


@pytest.fixture
def short_descents(monkeypatch):
    monkeypatch.setattr(descents, "SWEEPS", 13)
    monkeypatch.setattr(descents, "PROBE", 4)
    monkeypatch.setattr(descents, "RESAMPLINGS", 5)


@pytest.mark.parametrize(
    ("case", "cls", "budget", "far"),
    [("bits", Bits, 0, False), ("rows8", Rows, 41, True), ("float64", Rows, 0, True), ("float64", Rows, 41, False)],
)
def test_populations_are_those_of_the_cpu(device, short_descents, monkeypatch, case, cls, budget, far):
    moved = []

    def counted(values, slope, uniform, source):
        resample(values, slope, uniform, source)
        moved.append(int((source != np.arange(32)).sum()))

    monkeypatch.setattr(descents, "resample", counted)
    small = {
        "bits": dense_system(2, 40, PM1, 1.0, 3),
        "rows8": CASES["rows8"][0],
        "float64": dense_system(9, 35, np.random.default_rng(0).normal(size=500).tolist(), 1.0, 1.0),
    }
    plan = plan_of(small[case])
    assert isinstance(plan.dense.matrix, cls)
    n, wants = plan.system.n, (1, 2, 30, 4, 9)
    solver = Ensemble(num_reads=3, num_sweeps=budget or None)
    options = {"open_ended": not budget, "threads": 1}
    cpu = solver.init(plan, KEY, initial=None, **options)
    gpu = solver.blank(plan, KEY, **options)
    parts = [Descents(device, plan, np.array(i), far=far, warps=1 + far) for i in ([0, 2], [1])]
    for part in parts:
        part.begin(gpu, None)
    for k, want in enumerate(wants):
        solver.advance(plan, cpu, want * n, serial)
        over = [part.queue(gpu, want) for part in parts]
        for part, mine in zip(parts, over, strict=True):
            part.finish(gpu, mine)
        assert np.array_equal(gpu.best_values, cpu.best_values) and np.array_equal(gpu.best, cpu.best)
        if k % 2 == 0:
            for part in parts:
                part.save(gpu)
            equal(gpu, cpu)
        if k == 2:
            assert cpu.found[0] >= 2
            parts = [Descents(device, plan, np.array(i), far=far) for i in ([2, 1], [0])]
            for part in parts:
                part.restore(gpu)
    assert (cpu.swept + cpu.sweep).tolist() == [41 if budget else sum(wants)] * 3
    assert sum(moved) > 10


def test_populations_begin_where_they_are_told(device, short_descents):
    plan = plan_of(CASES["rows8"][0])
    n, solver = plan.system.n, Ensemble(num_reads=2, num_sweeps=100)
    given, options = starts(CASES["rows8"][0].n), {"open_ended": False, "threads": 1}
    cpu, gpu = solver.init(plan, 3, initial=given, **options), solver.blank(plan, 3, **options)
    part = Descents(device, plan, np.arange(2))
    part.begin(gpu, plan.reduction.inwards(given))
    part.save(gpu)
    equal(gpu, cpu)
    gpu.until = cpu.until = 5
    for want in (3, 30):
        solver.advance(plan, cpu, want * n, serial)
        part.finish(gpu, part.queue(gpu, want))
    part.save(gpu)
    equal(gpu, cpu)
    assert cpu.sweep.tolist() == [5, 5]


def test_a_first_descent_on_a_large_matrix_is_short(device, short_descents, monkeypatch):
    monkeypatch.setattr(descents, "FAR_BYTES", 10)
    plan = plan_of(CASES["rows8"][0])
    solver, options = Ensemble(num_reads=1), {"open_ended": True, "threads": 1}
    cpu, gpu = solver.init(plan, 3, initial=None, **options), solver.blank(plan, 3, **options)
    part = Descents(device, plan, np.arange(1))
    part.begin(gpu, None)
    assert gpu.length.tolist() == cpu.length.tolist() == [6]
    solver.advance(plan, cpu, 7 * plan.system.n, serial)
    part.finish(gpu, part.queue(gpu, 7))
    part.save(gpu)
    equal(gpu, cpu)


def test_memory_is_stated(device):
    class Counting:
        def __init__(self):
            self.bytes = 0

        def __getattr__(self, name):
            return getattr(device, name)

        def empty(self, shape, kind):
            out = device.empty(shape, kind)
            self.bytes += out.nbytes
            return out

        zeros = empty

        def upload(self, host):
            out = device.upload(host)
            self.bytes += out.nbytes
            return out

    for case in ("bits16, beyond a span", "rows16", "float64"):
        plan = plan_of(EVERY[case][0])
        for far in (False, True):
            counting = Counting()
            Descents(counting, plan, np.arange(3), far=far)
            stated = Descents.problem_bytes(plan) + 3 * Descents.island_bytes(plan)
            assert (0.6 if far else 0.3) * stated < counting.bytes <= stated


def test_flips_of_a_chain_are_its_own(device):
    # A launch that is cut by blocks: 5 chains, 3 a block.
    system, form, _ = CASES["rows8"]
    m, n = matrix(system, form), system.n
    reads = np.arange(5, dtype=np.uint32)
    chains = replace(cuda.Chains.of(device, m, n, reads), warps=3)
    spins = starts(n, 5)
    chains.begin(device.upload(spins))
    chains.sweeps(device.upload(np.array([2.0, 1.0], np.float32)), KEY, 0)
    found = device.download(chains.flips)
    for r in range(5):
        single = cuda.Chains.of(device, m, n, reads[r : r + 1])
        single.begin(device.upload(spins[r : r + 1]))
        single.sweeps(device.upload(np.array([2.0, 1.0], np.float32)), KEY, 0)
        assert device.download(single.flips)[0] == found[r]
