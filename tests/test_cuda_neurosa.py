"""`neurosa` on a GPU: the CPU's chains, bit for bit, and the oracle's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fnanneal.run
from fnanneal import InputError, Status, solve
from fnanneal.fndam import FNDAMArray
from fnanneal.problems.models import QUBO
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.neurosa import Form
from fnanneal.solvers.kernels.neurosa import neurosa_steps
from fnanneal.solvers.neurosa import NeuroSA

from . import oracles as oracle
from .cases import Case, ising, random_problem
from .cuda_shim import COMPILER, ShimDevice

KEY = 0x9ABC_DEF0_1234_5678
READ = 2**32 - 3
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no g++ to compile the kernels for the CPU")
UNITS = {"pm1": 1.0, "large": 5e4, "real": 1.0}


class Run:
    """One launch after another over some reads of a case, by the CPU's kernel or by the device's."""

    def __init__(
        self, case: Case, timers: Any, shift: Any, *, scale: float = 2.5, floor: float = 1e-6, reads: int = 2
    ) -> None:
        self.case, self.graph, self.reads, self.scale, self.floor = case, case.system, reads, scale, floor
        self.timers = np.atleast_2d(np.array(timers, np.float64))
        self.shift = (
            np.zeros(case.system.n, case.system.weights.dtype)
            if shift is None
            else np.array(shift, case.system.weights.dtype)
        )
        self.spins = np.array([case.spins * (1 if r % 2 else -1) for r in range(reads)], np.int8)
        self.fields = np.array([case.system.local_fields(s) for s in self.spins])
        self.best = self.spins.copy()
        self.journal = np.zeros((reads, self.graph.n), np.int32)
        self.totals = np.zeros((reads, 2), np.int64 if case.exact else np.float64)
        self.counts = np.zeros((reads, 3), np.int64)

    def host(self, first: int, chunks: list[int]) -> Run:
        g = self.graph
        largest = int(g.largest) + int(np.abs(self.shift).max()) if g.integral else -1
        for count in chunks:
            for r in range(self.reads):
                neurosa_steps(
                    g.indptr, g.indices, g.weights, self.spins[r], self.fields[r], self.shift, self.best[r], self.journal[r], self.totals[r],
                    self.counts[r], largest, self.timers, self.scale, self.floor, np.uint64(KEY), READ + r, first, count,
                )  # fmt: skip
            first += count
        return self

    def device(self, device: Any, first: int, chunks: list[int], form: Form, *, shared: bool, warps: int) -> Run:
        g = self.graph
        held = [device.upload(a) for a in (g.indptr, g.indices, g.weights, self.shift)]
        timers, neurons = device.upload(self.timers), device.upload(form.pack(self.spins, self.fields))
        best, journal = device.upload(self.best), device.upload(self.journal)
        ledger = device.upload(np.concatenate([self.totals.view(np.int64), self.counts], axis=1))
        for count in chunks:
            device.launch(
                form.kernels, "neurosa_shared" if shared else "neurosa_global", -(-self.reads // warps), 32 * warps, *held,
                np.int32(self.shift.any()), timers, np.int32(len(self.timers) > 1), neurons, np.int64(form.stride), best, journal, ledger,
                np.float64(self.scale), np.float64(self.floor), np.uint64(KEY), np.uint32(READ), np.uint32(self.reads), np.uint32(g.n),
                np.int64(first), np.int32(count), shared=warps * form.stride if shared else 0,
            )  # fmt: skip
            first += count
        form.unpack(device.download(neurons), self.spins, self.fields)
        self.best, self.journal, ledger = device.download(best), device.download(journal), device.download(ledger)
        self.totals, self.counts = ledger[:, :2].copy().view(self.totals.dtype), ledger[:, 2:]
        return self

    def check(self, other: Run) -> None:
        for what in ("spins", "fields", "best", "totals", "counts"):
            mine, its = getattr(self, what), getattr(other, what)
            assert mine.dtype == its.dtype and np.array_equal(mine, its), what
        for r, length in enumerate(self.counts[:, 0]):
            if length <= self.graph.n:
                assert np.array_equal(self.journal[r, :length], other.journal[r, :length])

    def check_oracle(self, first: int, steps: int) -> None:
        timer = [tuple(row) for row in self.timers.tolist()]
        for r in range(self.reads):
            chain = oracle.neurosa(
                self.case.pairs, self.case.fields, (self.case.spins * (1 if r % 2 else -1)).tolist(), range(first, first + steps),
                timer=timer[0] if len(timer) == 1 else timer, scale=self.scale, floor=self.floor, shift=self.shift.tolist(), key=KEY, read=READ + r,
            )  # fmt: skip
            assert (self.spins[r].tolist(), self.best[r].tolist()) == (chain.spins, chain.best)
            assert self.counts[r, 1:].tolist() == [chain.flips, chain.reads]


def forms(system: Any) -> list[Form]:
    """All the words that hold the fields."""
    narrow = Form.of(type("Neurons", (), {"graph": system})())
    words = ["int8", "short", "int", "double"]
    return [Form(word=w, n=system.n) for w in words[words.index(narrow.word) : 3 if system.integral else 4]]


def compare(
    device: Any,
    case: Case,
    timers: Any,
    first: int,
    steps: int,
    shift: Any = None,
    *,
    oracles: bool = True,
    every: bool = False,
    **settings: Any,
) -> Run:
    host = Run(case, timers, shift, **settings).host(first, [steps])
    assert host.counts[:, 1].min() > 0
    for k, form in enumerate(forms(case.system)[: None if every else 1]):
        for shared in (True, False):
            run = Run(case, timers, shift, **settings)
            chunks = [steps] if shared else [1, 31, 65, steps - 97]
            run.device(device, first, chunks, form, shared=shared, warps=1 + (k + shared) % 4)
            run.check(host)
    if oracles:
        host.check_oracle(first, steps)
    return host


@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("first", [0, 2**32 - 500, 2**40 + 17])
def test_kernel(device, weights, first):
    case = Case.random(11, 45, 6, weights, first > 0, coloured=False)
    compare(device, case, (0.8 * UNITS[weights], 0.5, 0.5 / (first + 1000)), first, 1000, every=True, reads=3)


@pytest.mark.parametrize("n", [1, 2, 33])
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_few_neurons(device, n, weights):
    pairs = [(k, k + 1, 1 if weights == "pm1" else 0.7) for k in range(n - 1)]
    case = Case.of(pairs, [1 if weights == "pm1" else 0.3] * n, np.random.default_rng(2), coloured=False)
    compare(device, case, (1.5, 0.5, 1e-3), 0, 300)
    # None of their neighbours, too.
    compare(device, Case.of([], [1] * n, np.random.default_rng(2), coloured=False), (1.5, 0.5, 1e-3), 0, 300)


@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
def test_own_timers_and_shifted_gains(device, weights):
    case, unit = Case.random(9, 40, 4, weights, True, coloured=False), UNITS[weights]
    spread = np.exp(0.3 * np.random.default_rng(2).normal(size=(40, 3)))
    _, shift = random_problem(np.random.default_rng(15), 40, 0, weights, True)
    own = compare(device, case, spread * [2.0 * unit, 0.5, 1e-3], 0, 600)
    shifted = compare(device, case, spread * [2.0 * unit, 0.5, 1e-3], 0, 600, shift)
    assert not np.array_equal(own.spins, shifted.spins)


@pytest.mark.parametrize(
    ("scale", "floor"), [(1.0, 0.05), (0.2, 1e-6), (4.0, 0.9), (1e-3, 0.5), (2.5, 1e-40), (2.5, 1e-320), (1e-40, 1e-41)]
)
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_thresholds(device, weights, scale, floor):
    case = Case.random(16, 50, 9, weights, True, coloured=False)
    compare(device, case, (3.0, 0.5, 1e-3), 0, 500, scale=scale, floor=floor, oracles=floor > 1e-300)


@pytest.mark.parametrize(
    "timer",
    [
        (1e300, 1e-12, 1e-15),
        (1e-50, 0.5, 1e-3),
        (1e-300, 0.5, 1e300),
        (5.0, 1e-30, 1e-33),
        (1e38, 1e-3, 1e-6),
        (0.5, 1e60, 1e57),
        (4e-44, 2e-44, 1e-46),
    ],
)
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_temperatures_beyond_floats(device, weights, timer):
    compare(device, Case.random(17, 40, 5, weights, True, coloured=False), timer, 0, 300)


def test_gains_that_only_the_exact_rule_decides(device):
    """Gains within float's errors of the threshold: of the last neuron of one step, by bisection, just above and just below the rule."""
    n, step, timer = 40, 5, (2.0, 0.5, 1e-3)
    p, u = oracle.step_draws(KEY, READ, step, n)
    mu = oracle.temperature(step, *timer) * math.log(2.5 * u + 1e-6)
    outcomes = []
    for off in (-3e-7, -1e-9, -1e-12, 1e-12, 1e-9, 3e-7):
        fields = np.zeros(n)
        fields[p] = mu * (1 + off)
        case = Case.of([], fields.tolist(), np.random.default_rng(2), coloured=False)
        case.spins[:] = 1
        unit = case.system.unit
        # Read 0 of a run starts from the spins turned over.
        case.spins *= -1
        run = Run(case, (timer[0] / unit, *timer[1:]), None, reads=1)
        twin = Run(case, (timer[0] / unit, *timer[1:]), None, reads=1).host(step, [1])
        run.device(device, step, [1], Form(word="double", n=n), shared=True, warps=1).check(twin)
        outcomes.append(int(run.counts[0, 1]))
    above = [int(mu * (1 + off) > mu) for off in (-3e-7, -1e-9, -1e-12, 1e-12, 1e-9, 3e-7)]
    assert outcomes == above and 0 < sum(above) < 6


def test_integer_gains_beside_a_threshold(device):
    """A large integer gain whose threshold is the next integer, or itself, for what float can tell."""
    n, step = 40, 5
    p, u = oracle.step_draws(KEY, READ, step, n)
    for off in (-0.01, 0.01):
        # T such that the threshold of this step is -(10**6 - off).
        c = -(10**6 - off) / math.log(2.5 * u + 1e-6) * math.log1p(0.5 + 1e-3 * step)
        fields = [0] * n
        fields[p] = -(10**6)
        case = Case.of([], fields, np.random.default_rng(2), coloured=False)
        case.spins[:] = -1
        twin = Run(case, (c, 0.5, 1e-3), None, reads=1).host(step, [1])
        run = Run(case, (c, 0.5, 1e-3), None, reads=1).device(
            device, step, [1], Form(word="int", n=n), shared=False, warps=1
        )
        run.check(twin)
        assert run.counts[0, 1] == int(off < 0)


def test_a_hub_and_a_journal_that_overflows(device):
    pairs = [(0, k, 1) for k in range(1, 150)] + [(k, k + 1, -1) for k in range(1, 149)]
    case = Case.of(pairs, [0] * 150, np.random.default_rng(2), coloured=False)
    assert [f.word for f in forms(case.system)] == ["short", "int"]
    compare(device, case, (30.0, 0.2, 1e-3), 0, 1000, every=True)
    small = Case.random(13, 12, 4, "pm1", True, coloured=False)
    assert compare(device, small, (1.5, 0.5, 1e-4), 0, 1500).counts[:, 1].min() > 10 * 12


def test_packing():
    rng = np.random.default_rng(1)
    for word, most in (("int8", 63), ("short", 2**14 - 1), ("int", 2**29), ("double", 1e6)):
        for n in (1, 7, 16, 33):
            form = Form(word=word, n=n)
            spins = rng.choice(np.array([-1, 1], np.int8), (3, n))
            fields = (
                rng.uniform(-most, most, (3, n))
                if word == "double"
                else rng.integers(-most, most + 1, (3, n)).astype(np.int32)
            )
            fields[0, 0], fields[1, 0] = most, -most
            packed = form.pack(spins, fields)
            assert packed.shape == (3, form.stride) and form.stride % 16 == 0
            s, f = np.empty_like(spins), np.empty_like(fields)
            form.unpack(packed, s, f)
            assert np.array_equal(s, spins) and np.array_equal(f, fields)


FAST = {"k0_minus_1": 1e-2, "k1": 1e-3}


def problem(seed: int, n: int, weights: str, fields: bool = True) -> Any:
    return ising(*random_problem(np.random.default_rng(seed), n, 5, weights, fields))


def qubo(n: int) -> QUBO:
    return problem(7, n, "pm1").to_qubo()


def same(a: Any, b: Any) -> None:
    assert (a.backend, b.backend) == ("cuda", "cpu")
    for what in ("objective", "events", "status", "num_sweeps", "num_reads"):
        assert getattr(a, what) == getattr(b, what), what
    for what in ("spins", "states", "objectives", "multiplicity"):
        assert np.array_equal(getattr(a, what), getattr(b, what)), what
    assert a.events.spikes > 0 and a.verify()


SOLVES: dict[str, tuple[Any, dict[str, Any]]] = {
    "ints": (lambda: problem(1, 60, "pm1"), {}),
    "one spin": (lambda: ising([], [1]), {}),
    "no field": (lambda: problem(2, 70, "pm1", False).to_maxcut(), {"num_reads": 40, "num_steps": 600}),
    "large": (lambda: problem(3, 50, "large"), {"k2": 1e5, "num_reads": 3}),
    "reals": (lambda: problem(4, 50, "real"), {"num_reads": 40, "num_steps": 700}),
    "huge integers": (lambda: ising([(0, 1, 2**40), (1, 2, -(2**40) + 3)], [5, 0, 0]), {"k2": 2.0**39}),
    "self coupling": (lambda: qubo(30), {"self_coupling": True, "scale": 0.99, "k2": 2.0}),
    "mismatch": (lambda: problem(5, 40, "pm1"), {"timer_mismatch": 0.2, "num_reads": 2}),
    "mismatch, real": (lambda: problem(5, 40, "real"), {"timer_mismatch": 0.2, "num_reads": 2}),
    "initial": (lambda: problem(6, 20, "pm1"), {"initial_states": [[1] * 20, [-1] * 20], "num_reads": 3}),
    "analog": (lambda: problem(6, 20, "pm1"), {"weights": FNDAMArray(mismatch=0.05), "num_reads": 2}),
    "drifting": (lambda: problem(6, 20, "pm1"), {"weights": FNDAMArray(mismatch=0.05, sweep_seconds=1e3, reread_sweeps=20), "num_reads": 3}),
}  # fmt: skip


@pytest.mark.parametrize("name", SOLVES)
def test_solves(on_device, name):
    make, settings = SOLVES[name]
    arguments = {"solver": "neurosa", "seed": 3, "num_steps": 1000, **FAST, **settings}
    same(solve(make(), backend="cuda", **arguments), solve(make(), backend="cpu", **arguments))


def test_chunks_do_not_matter(on_device, monkeypatch):
    whole = solve(problem(1, 60, "real"), "neurosa", seed=3, num_steps=1000, num_reads=3, backend="cpu", **FAST)
    monkeypatch.setattr(fnanneal.run, "CHUNK_S", 1e-5)
    monkeypatch.setattr("fnanneal.solvers.cuda.neurosa.LAUNCH", 50)
    seen: list[int] = []
    cut = solve(
        problem(1, 60, "real"),
        "neurosa",
        seed=3,
        num_steps=1000,
        num_reads=3,
        backend="cuda",
        callback=lambda p: seen.append(p.spin_tests),
        **FAST,
    )
    assert len(seen) > 3
    same(cut, whole)


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("begin", ["cuda", "cpu"])
def test_a_run_goes_on_on_the_other_backend(on_device, monkeypatch, tmp_path: Path, begin, weights):
    monkeypatch.setattr(fnanneal.run, "CHUNK_S", 1e-3)
    arguments: dict[str, Any] = {"num_steps": 1200, "num_reads": 3, "timer_mismatch": 0.05, **FAST}
    chosen = problem(8, 50, weights)
    file, other = tmp_path / "run.npz", "cpu" if begin == "cuda" else "cuda"
    part = solve(
        chosen, "neurosa", seed=3, backend=begin, checkpoint=file, callback=lambda p: p.spin_tests > 1000, **arguments
    )
    assert part.status is Status.STOPPED
    ends = [solve(chosen, resume=file, backend=b) for b in (other, begin)]
    whole = solve(chosen, "neurosa", seed=3, backend="cpu", **arguments)
    for end in ends:
        assert (
            np.array_equal(end.states, whole.states) and end.events == whole.events and end.objective == whole.objective
        )


def test_states_are_the_cpus(device):
    solver = NeuroSA(num_reads=5, num_steps=2000, **FAST)
    cuda = solver.on_cuda([device])
    system = solver.prepare(problem(9, 40, "pm1"))
    starts = [s.init(system, KEY, open_ended=False, threads=1, initial=None) for s in (solver, cuda)]
    for state, one in zip(starts, (solver, cuda), strict=True):
        for budget in (1, 700, 10**12):
            one.advance(system, state, budget, lambda f, n: [f(k) for k in range(n)])
    mine, its = cuda.on_host(starts[1]), starts[0]
    assert mine.step == its.step == 2000
    for what in ("spins", "best", "fields", "totals", "values", "counts", "timers"):
        assert np.array_equal(getattr(mine, what), getattr(its, what)), what
        assert getattr(mine, what).dtype == getattr(its, what).dtype
    report = cuda.report(system, starts[1])
    assert [report.spins(r).tolist() for r in (4, 0, 1)] == its.best[[4, 0, 1]].tolist()


@needs_compiler
@pytest.mark.parametrize("count", [2, 3, 7])
def test_several_devices(monkeypatch, count):
    devices = tuple(ShimDevice(descending=k % 2 == 1) for k in range(count))
    monkeypatch.setattr(finding, "find", lambda: finding.Found(devices=devices, driver=(12, 0), cupy="0"))
    arguments: dict[str, Any] = {"solver": "neurosa", "seed": 3, "num_steps": 1500, "num_reads": 5, **FAST}
    same(
        solve(problem(1, 60, "pm1"), backend="cuda", **arguments),
        solve(problem(1, 60, "pm1"), backend="cpu", **arguments),
    )
    assert sum(len(d.launched) > 2 for d in devices) == min(count, 5)


@needs_compiler
@pytest.mark.parametrize(
    ("n", "reads", "shared", "kernel"),
    [
        (60, 200, 2**16, "neurosa_shared"),
        (60, 40, 32, "neurosa_global"),
        (900, 3, 2**11, "neurosa_shared"),
        (900, 40, 2**11, "neurosa_global"),
    ],
)
def test_the_kernel_that_suits(monkeypatch, n, reads, shared, kernel):
    device = ShimDevice(shared_bytes=shared, multiprocessors=4)
    monkeypatch.setattr(finding, "find", lambda: finding.Found(devices=(device,), driver=(12, 0), cupy="0"))
    arguments: dict[str, Any] = {"solver": "neurosa", "seed": 3, "num_steps": 50, "num_reads": reads, **FAST}
    same(
        solve(problem(1, n, "pm1"), backend="cuda", **arguments),
        solve(problem(1, n, "pm1"), backend="cpu", **arguments),
    )
    assert device.launched[-1] == kernel


@needs_compiler
def test_too_little_memory(monkeypatch):
    device = ShimDevice(memory=3 * 2**20)
    monkeypatch.setattr(finding, "find", lambda: finding.Found(devices=(device,), driver=(12, 0), cupy="0"))
    with pytest.raises(
        InputError, match=r"10000 reads need 0\.\d+ GiB on CPU, which has 0\.00293 GiB free: fewer reads \(num_reads\)"
    ) as e:
        solve(problem(1, 60, "pm1"), "neurosa", num_reads=10_000, num_steps=10, backend="cuda")
    assert "\n" not in str(e.value)
    assert solve(problem(1, 60, "pm1"), "neurosa", num_reads=10, num_steps=10, backend="cuda").backend == "cuda"
