"""The lanes of floats: draw by draw against a slow version, as a sampler, and at the edges of what floats hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from fnanneal import Ising, load, solve
from fnanneal.problems.couplings import Couplings
from fnanneal.solvers.kernels.vector import LANES
from fnanneal.solvers.populations import lineages
from fnanneal.solvers.populations.engines import Chains, Lanes, RealLanes, engine_of
from fnanneal.solvers.populations.population import Plan
from fnanneal.solvers.populations.reduction import Reduction
from fnanneal.solvers.system import SpinSystem, spin_system

from . import oracles as oracle
from .cases import Case, ising

KEY = 2**40 + 7
NOTHING = np.zeros((LANES, 0), np.int8)


def weights_of(system: SpinSystem) -> NDArray[np.float64]:
    w = np.zeros((system.n, system.n))
    w[np.repeat(np.arange(system.n), np.diff(system.indptr)), system.indices] = system.weights
    return w


def slow(
    system: SpinSystem, lanes: NDArray[np.int8], temperatures: NDArray[np.float64], group: int, first: int
) -> tuple[NDArray[np.int8], int]:
    """One spin and one lane at a time, in float64: flip iff the loss is at most T E(u)."""
    w, s, flips = weights_of(system), lanes.reshape(system.n, LANES).astype(int), 0
    for t, row in enumerate(temperatures):
        for i in range(system.n):
            for r in range(LANES):
                noise = -row[r] * math.log((oracle.chain_draw(KEY, group, first + t, LANES * i + r) + 1) / 65536)
                if -s[i, r] * (w[i] @ s[:, r] + system.fields[i]) <= noise:
                    s[i, r] = -s[i, r]
                    flips += 1
    return s.astype(np.int8).ravel(), flips


@pytest.mark.parametrize(
    ("weights", "fields", "scale"), [("real", False, 2.0), ("real", True, 2.0), ("large", True, 2e5)]
)
def test_sweeps_are_one_spin_and_lane_at_a_time(weights: str, fields: bool, scale: float) -> None:
    system = Case.random(3, 30, 4, weights, fields).system
    engine = RealLanes.of(system)
    start = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), system.n * LANES)
    # Every lane has temperatures of its own, some of them 0 from the start.
    temperatures = np.outer([scale, scale / 3, scale / 10, 0.0], np.linspace(0, 1.5, LANES))
    expected, flips = slow(system, start, temperatures.astype(np.float32).astype(float), 3, 11)
    work, counts = start.copy(), np.zeros(5, np.int64)
    engine.sweeps(work, NOTHING, temperatures[:2], counts, KEY, 3, 11)
    engine.sweeps(work, NOTHING, temperatures[2:], counts, KEY, 3, 13)
    assert np.array_equal(work, expected)
    assert counts.tolist() == [flips, 4 * LANES * system.indices.size, 0, 0, 0]


@pytest.mark.parametrize("fields", [True, False])
def test_they_sample_the_boltzmann_distribution(fields: bool) -> None:
    n, temperatures = 5, np.repeat([1.1, 0.75], LANES // 2)
    pairs = [(0, 1, 0.83), (1, 2, 1.21), (0, 2, 0.47), (2, 3, -0.9), (3, 4, 1.05), (1, 4, 0.62), (0, 3, 0.31)]
    h = [0.4, 0.0, -0.7, 0.0, 0.2] if fields else [0.0] * n
    system = spin_system(ising(pairs, h), coloured=True)
    engine = RealLanes.of(system)
    work = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), n * LANES)
    counts, rows, seen = np.zeros(5, np.int64), np.empty((LANES, n), np.int8), np.zeros((2, 2**n))
    thin, rounds = 20, 400
    for k in range(rounds):
        engine.sweeps(work, NOTHING, np.tile(temperatures, (thin, 1)) / system.unit, counts, KEY, 0, k * thin)
        engine.unload(work, rows)
        np.add.at(seen, (np.repeat([0, 1], LANES // 2), (system.outwards(rows) > 0) @ (1 << np.arange(n))), 1)
    states = [[1 if c >> k & 1 else -1 for k in range(n)] for c in range(2**n)]
    values = np.array([float(oracle.value(pairs, h, s)) for s in states])
    for half, temperature in zip(seen, (1.1, 0.75), strict=True):
        # A gain is half the rise of the value.
        p = np.exp(values / (2 * temperature))
        expected = rounds * LANES / 2 * p / p.sum()
        assert expected.min() > 5
        assert chisquare(half, expected).pvalue > 1e-4


def test_the_engine_is_chosen_by_the_instance() -> None:
    rng = np.random.default_rng(1)
    i, j = np.triu_indices(4000, 1)
    keep = rng.random(i.size) < 0.04
    couplings, _ = Couplings.build(4000, i[keep], j[keep], rng.normal(size=int(keep.sum())))
    crowded = spin_system(Ising(couplings=couplings, fields=np.zeros(4000)), coloured=False)
    engines = {"G22": Lanes, "gen:torus2d(12,12,'gauss')": RealLanes, "gen:sk(200)": Chains, "K2000": Chains}
    for name, kind in engines.items():
        assert isinstance(engine_of(spin_system(load(name), coloured=False)), kind)
    chains = engine_of(crowded)
    assert isinstance(chains, Chains)
    assert chains.matrix is None
    assert isinstance(engine_of(Case.random(3, 200, 5, "large", True).system), RealLanes)
    assert isinstance(engine_of(Case.random(3, 1200, 50, "large", True).system), Chains)


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e300])
def test_no_scale_is_too_large_or_too_small(unit: float) -> None:
    rng = np.random.default_rng(2)
    pairs = [(i, (i + k) % 40, float(rng.normal()) * unit) for i in range(40) for k in (1, 3, 7)]
    results = [
        solve(ising(pairs, [0.0] * 40), "ensemble", num_sweeps=200, seed=1, engine=e) for e in ("lanes", "chains")
    ]
    assert results[0].verify()
    assert results[0].objective == pytest.approx(results[1].objective, rel=1e-12)
    engine = RealLanes.of(spin_system(ising(pairs, [0.0] * 40), coloured=False))
    work, counts = np.ones(40 * LANES, np.int8), np.zeros(5, np.int64)
    engine.sweeps(work, NOTHING, np.full((3, LANES), np.inf), counts, 1, 0, 0)
    # Everything passes, so every spin has flipped three times.
    assert np.all(work == -1)
    assert counts[0] == 3 * 40 * LANES


def test_equal_states_have_equal_values_whatever_their_past() -> None:
    system = Case.random(7, 120, 4, "real", False).system
    plan = Plan(reduction=Reduction.none(system), engine=RealLanes.of(system))
    rng = np.random.default_rng(1)
    parents = rng.choice(np.array([-1, 1], np.int8), (LANES, system.n))
    values, exact, gains = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    plan.values(parents, values)
    for step in range(30):
        rows = np.where(rng.random(parents.shape) < 0.1, -parents, parents).astype(np.int8)
        before = values.copy()
        lineages.cross(plan, rows, parents, values, 0.9, gains, 1, 0, step, np.zeros(3, np.int64))
        plan.values(parents, exact)
        assert np.array_equal(values, exact)
        assert np.all(values >= before)


def test_real_weights_are_solved_whatever_the_threads() -> None:
    name = "gen:torus2d(10,10,'gauss',seed=3)"
    results = [solve(name, "ensemble", num_sweeps=3000, seed=2, threads=k) for k in (1, 2)]
    assert np.array_equal(results[0].spins, results[1].spins)
    chains = solve(name, "ensemble", num_sweeps=20_000, seed=5, engine="chains")
    assert results[0].objective == pytest.approx(chains.objective, rel=1e-12)
