"""The kernels for dense graphs, draw by draw against a slow version, at the bounds of their types, and as samplers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from fnanneal import Progress, load, solve
from fnanneal.problems.combinatorial import NumberPartitioning
from fnanneal.problems.couplings import Couplings
from fnanneal.problems.models import Ising
from fnanneal.solvers.kernels.jit import kernel
from fnanneal.solvers.kernels.noise import SPAN, exponential_noise
from fnanneal.solvers.kernels.resample import resample
from fnanneal.solvers.populations import descents
from fnanneal.solvers.populations import matrix as forms
from fnanneal.solvers.populations.engines import Chains
from fnanneal.solvers.populations.matrix import Bits, Matrix, Rows, matrix_of
from fnanneal.solvers.system import SpinSystem, spin_system

from . import oracles as oracle

KEY = 2**40 + 7


@pytest.mark.parametrize("values", [[-1, 1], [0, 3], [-2, 5, 90], [1.5, -0.25]], ids=str)
def test_fields_from_a_matrix(values: list[float]) -> None:
    """Those that the rows give, to the last digit where they are integers."""
    s = dense_system(5, 77, values, 1.0, 9.0)
    rows = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (3, s.n))
    expected = np.array([s.local_fields(r) for r in rows])
    found = Chains.of(s).fields_of(rows)
    assert np.array_equal(found, expected) if s.integral else np.allclose(found, expected, rtol=1e-12, atol=1e-12)


def dense_system(seed: int, n: int, values: list[float], density: float, field: float) -> SpinSystem:
    """Random weights out of `values` on a share of all pairs; fields up to +-field, of the same kind."""
    rng = np.random.default_rng(seed)
    rows, cols = np.triu_indices(n, 1)
    keep = rng.random(rows.size) < density
    weights = rng.choice(np.array(values), int(keep.sum()))
    fields = np.rint(rng.uniform(-field, field, n)) if weights.dtype == np.int64 else rng.uniform(-field, field, n)
    return make(n, rows[keep], cols[keep], weights, fields.astype(weights.dtype))


def one_strong_field(system: SpinSystem) -> SpinSystem:
    fields = system.fields.astype(np.int64)
    fields[3] = 40_000
    w = np.triu(square(system)).astype(np.int64)
    rows, cols = np.nonzero(w)
    return make(system.n, rows, cols, w[rows, cols], fields)


def make(
    n: int, rows: NDArray[np.int64], cols: NDArray[np.int64], weights: NDArray[np.generic], fields: NDArray[np.generic]
) -> SpinSystem:
    couplings, _ = Couplings.build(n, rows, cols, weights)
    return spin_system(Ising(couplings=couplings, fields=fields), coloured=False)


def square(system: SpinSystem) -> NDArray[np.generic]:
    """The weights as a square matrix, Python's integers or floats wide."""
    w = np.zeros((system.n, system.n), np.int64 if system.integral else np.float64)
    w[np.repeat(np.arange(system.n), np.diff(system.indptr)), system.indices] = system.weights
    return w


def slow_sweeps(
    system: SpinSystem, spins: NDArray[np.int8], temperatures: list[float], read: int, first: int
) -> tuple[NDArray[np.int8], int]:
    """One spin at a time: flip iff the loss is at most T E(u)."""
    w, s, flips = square(system), spins.astype(int), 0
    for t, temperature in enumerate(temperatures):
        for i in range(system.n):
            noise = -temperature * math.log((oracle.chain_draw(KEY, read, first + t, i) + 1) / 65536)
            if -s[i] * (w[i] @ s + system.fields[i]) <= noise:
                s[i] = -s[i]
                flips += 1
    return s.astype(np.int8), flips


def matrix(system: SpinSystem, form: str) -> Matrix:
    out = (Bits if form == "bits" else Rows).of(system)
    assert out is not None
    return out


def prepare(m: Matrix, spins: NDArray[np.int8], local: NDArray[np.generic]) -> None:
    m.sweeps(np.zeros(0, np.float32), spins, local, np.zeros(2, np.int64), 0, 0, 0, fresh=True)


PM1, MANY = [-1, 1], list(range(-9, 10))
CASES: dict[str, tuple[SpinSystem, str, type[np.generic]]] = {
    "bits8": (dense_system(1, 90, [3], 0.3, 2), "bits", np.int8),
    "bits16": (dense_system(2, 150, PM1, 1.0, 3), "bits", np.int16),
    "bits16, beyond a span": (dense_system(3, SPAN + 130, PM1, 1.0, 0), "bits", np.int16),
    "bits32": (dense_system(4, 70, [-1000, 3000], 1.0, 2000), "bits", np.int32),
    "rows8": (dense_system(5, 20, [-2, -1, 1, 2], 0.9, 2), "rows", np.int8),
    "rows16": (dense_system(6, 150, MANY, 0.5, 9), "rows", np.int16),
    "rows16, wide": (dense_system(7, 40, [-300, 500, 7], 0.9, 500), "rows", np.int16),
    "rows32": (one_strong_field(dense_system(8, 70, MANY, 0.9, 9)), "rows", np.int32),
    "float64": (dense_system(9, 150, np.random.default_rng(0).normal(size=500).tolist(), 1.0, 1.0), "rows", np.float64),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_sweeps_are_one_spin_at_a_time(case: str) -> None:
    system, form, kind = CASES[case]
    m = matrix(system, form)
    assert (m.kind, m.width % 64) == (kind, 0)
    start = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), system.n)
    scale = float(np.sqrt((square(system).astype(float) ** 2).sum(axis=1).mean()))
    temperatures = [2 * scale, scale, scale / 2, scale / 10, 0.0]
    expected, flips = slow_sweeps(system, start, temperatures, 3, 11)
    assert flips > 1.5 * system.n
    for cuts in ((0, 5), (0, 1, 3, 5)):
        spins, local, counts = start.copy(), np.full(m.width, 77, m.kind), np.zeros(2, np.int64)
        prepare(m, spins, local)
        for low, high in pairwise(cuts):
            m.sweeps(np.array(temperatures[low:high], np.float32), spins, local, counts, KEY, 3, 11 + low)
        assert np.array_equal(spins, expected)
        assert counts.tolist() == [flips, flips * system.n]
        truth = square(system) @ spins.astype(int) + system.fields
        tolerance = {np.float64: 1e-12}.get(kind, 0.0)
        assert local[: system.n] - m.shift * spins.astype(int) == pytest.approx(
            truth, rel=tolerance, abs=tolerance * scale
        )


def test_local_fields_are_those_of_the_system() -> None:
    for system, form, _ in CASES.values():
        m = matrix(system, form)
        spins, local = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), system.n), np.ones(m.width, m.kind)
        prepare(m, spins, local)
        found = local[: system.n].astype(float) - m.shift * spins.astype(int)
        assert found == pytest.approx(system.local_fields(spins).astype(float), rel=1e-12, abs=1e-12)


def aligned(largest: int, form: str, weight: int) -> SpinSystem:
    """A complete graph of one weight, with a field at every spin that makes the greatest field `largest`."""
    n = min(130, largest // abs(weight) + 1)
    rows, cols = np.triu_indices(n, 1)
    weights = np.full(rows.size, weight)
    if form == "rows":
        # Three values, so that the couplings are no bits.
        weights[0], weights[1] = 0, -weight
        rows, cols = np.concatenate([rows, [1, 2]]), np.concatenate([cols, [2, 3]])
        weights = np.concatenate([weights, [0, 0]])
    field = largest - (n - 1) * abs(weight)
    return make(n, rows, cols, weights, np.full(n, field if weight > 0 else -field))


@pytest.mark.parametrize("form", ["bits", "rows"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("largest", "kind"), [(127, np.int8), (128, np.int16), (32767, np.int16), (32768, np.int32)])
def test_no_field_overflows(form: str, sign: int, largest: int, kind: type[np.generic]) -> None:
    # A weight of 127 is doubled by a flip, beyond its own type.
    system = aligned(largest, form, sign * (127 if largest > 1000 else 1))
    assert system.largest == largest
    m = matrix_of(system)
    assert isinstance(m, Bits if form == "bits" else Rows)
    assert m.kind == kind
    if isinstance(m, Rows):
        assert m.rows.dtype == np.int8
    for up in (1, -1):
        spins, local = np.full(system.n, up, np.int8), np.zeros(m.width, m.kind)
        prepare(m, spins, local)
        truth = square(system) @ spins.astype(np.int64) + system.fields
        assert up * sign > 0 or abs(int(truth.max())) <= largest
        counts = np.zeros(2, np.int64)
        for temperature in (0.0, 1e30, 0.0, largest / 50):
            m.sweeps(np.full(3, temperature, np.float32), spins, local, counts, KEY, 0, 0)
            truth = square(system) @ spins.astype(np.int64) + system.fields
            assert np.array_equal(local[: system.n].astype(np.int64) - m.shift * spins.astype(int), truth)
        assert counts[0] >= 3 * system.n - 1, "at 1e30 all but every 65536th test passes, whatever the loss"


def test_the_bound_is_reached() -> None:
    for form in ("bits", "rows"):
        system = aligned(127, form, 1)
        assert int(np.abs(system.local_fields(np.ones(system.n, np.int8))).max()) == 127


TINY = {
    "bits8": ([-1, 1], "bits"),
    "rows8": ([-1, 1, 2], "rows"),
    "rows16": ([-50, 50, 70], "rows"),
    "rows32": ([-9000, 9000, 20_000], "rows"),
    "float64": ([-0.7, 0.9, 1.3], "rows"),
}


@pytest.mark.parametrize("fields", [True, False])
@pytest.mark.parametrize("case", list(TINY))
def test_chains_sample_the_boltzmann_distribution(case: str, fields: bool) -> None:
    # Even n and odd weights leave no field 0 without external ones, so that always taking zero-gain flips is ergodic.
    values, form = TINY[case]
    n = 6
    top = max(abs(v) for v in values)
    system = dense_system(4, n, values, 1.0, 1.5 * top if fields else 0)
    temperature = 1.7 * top
    m = matrix(system, form)
    spins, local, counts = np.ones(n, np.int8), np.zeros(m.width, m.kind), np.zeros(2, np.int64)
    prepare(m, spins, local)
    samples, thin = 6000, 12
    seen = np.zeros(2**n)
    t = np.full(thin, temperature, np.float32)
    for k in range(samples):
        m.sweeps(t, spins, local, counts, KEY, 1, k * thin)
        seen[int((spins > 0) @ (1 << np.arange(n)))] += 1
    states = np.array([[1 if c >> k & 1 else -1 for k in range(n)] for c in range(2**n)])
    value = -((states @ square(system) * states).sum(axis=1) / 2 + states @ system.fields)
    # A gain is half the rise of the value: P ~ exp(value / (2 T)).
    p = np.exp((value - value.max()) / (2 * temperature))
    assert chisquare(seen, samples * p / p.sum()).pvalue > 1e-4


@kernel
def noise_of(sweep, block, temperature):
    floats = np.empty(SPAN, np.float32)
    words, halves = np.empty((4, SPAN // 64), np.uint32), np.empty(SPAN, np.uint16)
    exponential_noise(
        np.uint64(2**40 + 7), 3, sweep, block, np.float32(temperature), words, halves, floats, np.empty(SPAN, np.int32)
    )
    return floats


def test_noise_is_exponential_to_five_millionths() -> None:
    for sweep, block, temperature in ((0, 0, 1.0), (2**32 - 1, 8, 1.0), (5, 0, 3.5)):
        exact = [-math.log((oracle.chain_draw(KEY, 3, sweep, 64 * block + j) + 1) / 65536) for j in range(SPAN)]
        noise = noise_of(sweep, block, temperature)
        assert noise.min() >= 0
        assert noise / temperature == pytest.approx(np.array(exact), abs=5e-6)
    assert np.array_equal(noise_of(2**32 + 4, 0, 1.0), noise_of(4, 0, 1.0))


def test_draws_are_uniform_and_independent() -> None:
    draws = np.array(
        [[np.rint(65536 * np.exp(-x.astype(float))) for x in noise_of(s, 0, 1.0)[:64]] for s in range(3000)]
    )
    bytes_ = (draws.astype(int) - 1) >> 8
    assert chisquare(np.bincount(bytes_.ravel(), minlength=256)).pvalue > 1e-4
    assert min(chisquare(np.bincount(bytes_[:, k] >> 4, minlength=16)).pvalue for k in range(64)) > 1e-5
    correlation = np.corrcoef(draws.T) - np.eye(64)
    assert np.abs(correlation).max() < 5.5 / math.sqrt(len(draws))
    along = np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]
    assert abs(along) < 5 / math.sqrt(draws.size)


def test_the_form_is_chosen_by_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(matrix_of(dense_system(1, 50, PM1, 1.0, 0)), Bits)
    assert isinstance(matrix_of(dense_system(1, 50, [2], 0.4, 0)), Bits)
    assert isinstance(matrix_of(dense_system(1, 50, PM1, 0.4, 0)), Rows), "three values with the missing pairs' 0"
    assert isinstance(matrix_of(dense_system(1, 50, [0.5, 0.3], 1.0, 0)), Rows)
    assert matrix_of(dense_system(1, 200, PM1, 0.03, 0)) is None
    nothing = matrix_of(dense_system(1, 1, [1], 1.0, 2))
    assert nothing is not None or dense_system(1, 1, [1], 1.0, 2).indices.size == 0
    monkeypatch.setattr(forms, "DENSE_BYTES", 5000)
    assert isinstance(matrix_of(dense_system(1, 50, PM1, 1.0, 0)), Bits)
    assert isinstance(matrix_of(dense_system(1, 50, MANY, 1.0, 0)), Rows)
    assert matrix_of(dense_system(1, 50, [-1000, 1, 3], 1.0, 0)) is None


@pytest.mark.parametrize("case", ["bits16", "rows16", "float64"])
def test_chains_keep_values_and_fields(case: str) -> None:
    system = CASES[case][0]
    engine = Chains.of(system)
    n = system.n
    rows = np.random.default_rng(2).choice(np.array([-1, 1], np.int8), (engine.reads, n))
    work, local = np.empty(rows.size, np.int8), np.zeros((engine.reads, engine.width), engine.kind)
    engine.load(rows, work, local)
    rounded = 1e-9 * system.largest
    assert engine.values_of(work, local) == pytest.approx([system.value(r) for r in rows], abs=rounded)
    counts = np.zeros(2, np.int64)
    falling = np.geomspace(9 * system.largest / math.sqrt(n), 0.1, 20)
    engine.sweeps(work, local, np.outer(falling, np.linspace(0.5, 1, engine.reads)), counts, 9, 1, 0)
    after = np.empty_like(rows)
    engine.unload(work, after)
    assert engine.values_of(work, local) == pytest.approx([system.value(r) for r in after], abs=rounded)
    assert len({r.tobytes() for r in after}) == engine.reads, "each read has its own draws"


def test_resampling_gives_each_its_share() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        r = int(rng.integers(1, 20))
        values, slope, uniform = rng.normal(size=r) * 5, float(rng.uniform(0, 1)), float(rng.random())
        source = np.full(r, -1, np.int64)
        resample(values, slope, uniform, source)
        share = np.exp(slope * (values - values.max()))
        share *= r / share.sum()
        copies = np.bincount(source, minlength=r)
        assert (np.floor(share - 1e-9) <= copies).all()
        assert (copies <= np.ceil(share + 1e-9)).all()
        assert (source[copies > 0] == np.flatnonzero(copies)).all(), "who lives on stays in place"
    marks = np.zeros(3)
    for u in np.linspace(0, 1, 1000, endpoint=False):
        source = np.empty(3, np.int64)
        resample(np.array([0.0, 1.0, 2.0]), 1.0, float(u), source)
        marks += np.bincount(source, minlength=3)
    assert marks / 3000 == pytest.approx(np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), abs=2e-3)


@pytest.mark.parametrize("name", ["gen:sk(90)", "gen:sk(60,'gauss')"])
def test_populations_find_optima_whatever_the_threads(name: str) -> None:
    exact = solve(name, "ensemble", num_sweeps=30_000, seed=9).objective
    found = [solve(name, "ensemble", num_sweeps=4000, seed=2, threads=k) for k in (1, 2)]
    assert all(r.verify() for r in found)
    assert np.array_equal(found[0].spins, found[1].spins)
    assert found[0].objective == pytest.approx(exact, rel=1e-12)
    assert found[0].num_sweeps == pytest.approx(4000)


def test_populations_begin_from_given_states() -> None:
    problem = load("gen:sk(80)")
    best = solve(problem, "ensemble", num_sweeps=4000, seed=1)
    again = solve(problem, "ensemble", num_sweeps=1, seed=2, initial_states=best.spins)
    assert again.objective == best.objective


def test_there_is_an_answer_before_the_first_descent_ends() -> None:
    assert solve("gen:sk(80)", "ensemble", num_sweeps=1, seed=3).verify()


def test_where_descents_are_slow_the_first_one_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    # What stops a run after a tenth of a whole descent finds a state that a greedy descent could not have found.
    problem = load("gen:sk(300,'gauss',seed=3)")
    seen: list[float] = []

    def after(progress: Progress) -> bool:
        seen.append(progress.spin_tests / (problem.n * 32 * 2))
        return seen[-1] >= 60

    best = solve(problem, "ensemble", num_sweeps=8000, seed=1).objective
    stopped = {}
    for slow in (2**22, 2**10):
        monkeypatch.setattr(descents, "FAR_BYTES", slow)
        stopped[slow] = solve(problem, "ensemble", time_limit=60, seed=1, threads=2, callback=after).objective
        assert 60 <= seen[-1] < 300
    assert stopped[2**22] > 0.9 * best > 0.97 * best > stopped[2**10]


def test_only_large_matrices_of_fractions_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    fractions = dense_system(3, 100, [-0.7, 0.9, 1.3], 1.0, 1.0)
    integers = dense_system(3, 100, [2**30 + 1, -(2**31) + 5, 2**35 + 7], 1.0, 1.0)
    for far, narrow in ((2**22, np.float64), (2**10, np.float32)):
        monkeypatch.setattr(forms, "FAR_BYTES", far)
        rows = Rows.of(fractions)
        assert rows is not None and rows.rows.dtype == narrow and rows.kind == np.float64
        exact = Rows.of(integers)
        assert exact is not None and exact.rows.dtype == np.float64
    rows = Rows.of(fractions)
    assert rows is not None and rows.rows.dtype == np.float32
    start = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), 100)
    spins, local, counts = start.copy(), np.zeros(rows.width), np.zeros(2, np.int64)
    prepare(rows, spins, local)
    rows.sweeps(np.array([9.0, 3.0, 0.0], np.float32), spins, local, counts, KEY, 3, 11)
    expected, flips = slow_sweeps(fractions, start, [9.0, 3.0, 0.0], 3, 11)
    assert np.array_equal(spins, expected) and counts[0] == flips
    assert local[:100] == pytest.approx(fractions.local_fields(spins), abs=1e-6 * fractions.largest)


def test_the_last_digits_of_large_integers_decide() -> None:
    # Partitioning numbers: couplings of 1e12, and the best difference is a few units; rounded to float32 it came out near a hundred.
    numbers = np.random.default_rng(0).integers(10**5, 10**6, 40).tolist()
    problem = NumberPartitioning(numbers)
    r = solve(problem.qubo, "ensemble", num_sweeps=3000, seed=1)
    assert problem.decode(r.spins).value <= 10
