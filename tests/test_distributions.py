"""The kernels' statistics: Boltzmann's law for the sweeps, the published acceptance law for NeuroSA, and the random words themselves.

Seeds are fixed, so each test passes or fails for good; p-values are asked to lie in (1e-4, 1 - 1e-4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fnanneal.problems.couplings import Couplings
from fnanneal.problems.model import Model
from fnanneal.problems.models import QUBO
from fnanneal.solvers.kernels.neurosa import neurosa_steps
from fnanneal.solvers.kernels.philox import SWEEP, TILE, philox_blocks
from fnanneal.solvers.sa import SimulatedAnnealing

from . import oracles as oracle
from .cases import ising, serial

READS, RECORDS, THIN, BURN = 3000, 6, 25, 60

SYSTEMS: dict[str, tuple[list[tuple[int, int, Any]], list[Any], float]] = {
    "one spin": ([], [1], 0.4),
    "two uncoupled spins": ([], [0, 0], 1.0),
    "pair": ([(0, 1, -1)], [0, 0], 0.5),
    "triangle with fields": ([(0, 1, 1), (1, 2, 1), (0, 2, 1)], [1, 0, -2], 0.35),
    "four spins, +-1": ([(0, 1, 1), (1, 2, -1), (2, 3, 1), (0, 3, 1), (0, 2, -1)], [0, 0, 0, 0], 0.45),
    "four spins, large integers": ([(0, 1, 30_000), (1, 2, -70_000), (2, 3, 45_000)], [10_000, 0, 0, -20_000], 1.2e-5),
    "four spins, real": ([(0, 1, 0.31), (1, 2, -0.77), (2, 3, 0.6), (0, 3, 1.1)], [0.2, -0.13, 0.0, 0.41], 0.9),
}
# Every gain differs from zero, so that Metropolis in a fixed order reaches every state.
ERGODIC = ["one spin", "four spins, large integers", "four spins, real"]


def visited(problem: Model, beta: float, rule: Any, seed: int) -> NDArray[np.int64]:
    """How often each state, numbered with spin 0 as the highest bit, is met: RECORDS a chain, THIN sweeps apart."""
    last = BURN + THIN * (RECORDS - 1)
    solver = SimulatedAnnealing(num_reads=READS, num_sweeps=last, beta_range=(beta, beta), rule=rule)
    system = solver.prepare(problem)
    state = solver.init(system, seed, open_ended=False, threads=1, initial=None)
    counts = np.zeros(2**problem.n, np.int64)
    for stop in range(BURN, last + 1, THIN):
        while state.sweep < stop:
            solver.advance(system, state, (stop - state.sweep) * problem.n, serial)
        numbers = (system.outwards(state.spins) > 0) @ (1 << np.arange(problem.n)[::-1])
        counts += np.bincount(numbers, minlength=counts.size)
    return counts


def fits(counts: NDArray[np.int64], probabilities: Any) -> bool:
    """Chi-square at 1e-4 on both sides."""
    p = np.asarray(probabilities, np.float64)
    assert p.min() * counts.sum() > 5
    return bool(1e-4 < stats.chisquare(counts, p * counts.sum(), sum_check=False).pvalue < 1 - 1e-4)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_heat_bath_samples_the_boltzmann_distribution(name: str) -> None:
    pairs, fields, beta = SYSTEMS[name]
    counts = visited(ising(pairs, fields), beta, "heat-bath", 1)
    assert fits(counts, list(oracle.boltzmann(pairs, fields, beta).values()))
    # The test has the power to see a beta that is wrong by a fifth.
    if name != "two uncoupled spins":
        assert not fits(counts, list(oracle.boltzmann(pairs, fields, 1.2 * beta).values()))


@pytest.mark.parametrize("name", ERGODIC)
def test_metropolis_samples_the_boltzmann_distribution(name: str) -> None:
    pairs, fields, beta = SYSTEMS[name]
    counts = visited(ising(pairs, fields), beta, "metropolis", 2)
    assert fits(counts, list(oracle.boltzmann(pairs, fields, beta).values()))


def test_metropolis_in_a_fixed_order_is_reducible_for_zero_gains() -> None:
    solver = SimulatedAnnealing(num_reads=1, num_sweeps=1000, beta_range=(1.0, 1.0))
    system = solver.prepare(ising([], [0, 0]))
    state = solver.init(system, 3, open_ended=False, threads=1, initial=np.array([[1, -1]], np.int8))
    seen = set()
    while state.sweep < 1000:
        solver.advance(system, state, 2, serial)
        seen.add(tuple(state.spins[0].tolist()))
    assert seen == {(1, -1), (-1, 1)}


def test_a_qubo_is_sampled_at_the_temperature_of_its_own_energy() -> None:
    q, linear, beta = {(0, 1): 3, (1, 2): -2, (0, 2): 1}, [-2, 1, 1], 0.5
    couplings, _ = Couplings.build(3, [i for i, _ in q], [j for _, j in q], list(q.values()))
    problem = QUBO(couplings=couplings, linear=np.array(linear))
    weights = []
    for s in oracle.assignments(3):
        x = [(1 + v) // 2 for v in s]
        energy = sum(w * x[i] * x[j] for (i, j), w in q.items()) + sum(a * b for a, b in zip(linear, x, strict=True))
        weights.append(math.exp(-beta * energy))
    assert fits(visited(problem, beta, "heat-bath", 4), np.array(weights) / sum(weights))


GAINS = [-60, -9, -6, -3, -2, -1, 0, 1, 2, 3, 8]
T = 3.0


def spikes_by_gain(kind: Any, largest: int, calls: int, scale: float) -> NDArray[np.int64]:
    """Single steps at temperature T, each from the same spins: vertex k has no pair and the gain GAINS[k]. Last: no spike."""
    n = len(GAINS)
    indptr, indices, weights = np.zeros(n + 1, np.int64), np.zeros(0, np.uint32), np.zeros(0, kind)
    spins, fields, best = np.ones(n, np.int8), np.array(GAINS, kind), np.ones(n, np.int8)
    journal, shift = np.zeros(n, np.int32), np.zeros(n, kind)
    timer = np.array([[T * math.log1p(0.5), 0.5, 1e-300]])
    totals = np.int64 if kind is np.int32 else np.float64
    tally = np.zeros(n + 1, np.int64)
    for step in range(calls):
        gains, counts = np.zeros(2, totals), np.zeros(3, np.int64)
        neurosa_steps(
            indptr, indices, weights, spins, fields, shift, best, journal, gains, counts, largest, timer,
            scale, 1e-6, np.uint64(77), 0, step, 1,
        )  # fmt: skip
        flipped = np.flatnonzero(spins < 0)
        assert flipped.size == counts[1] <= 1
        tally[flipped[0] if flipped.size else n] += 1
        spins[flipped] = 1
    return tally


@pytest.mark.parametrize("scale", [2.5, 1.0])
@pytest.mark.parametrize(("kind", "largest"), [(np.int32, 60), (np.int32, -1), (np.float64, -1)])
def test_neurosa_accepts_by_the_published_law(kind: Any, largest: int, scale: float) -> None:
    calls = 30_000
    accept = [min(1.0, max(0.0, (math.exp(g / T) - 1e-6) / scale)) for g in GAINS]
    assert accept[0] == 0
    law = [a / len(GAINS) for a in accept]
    tally = spikes_by_gain(kind, largest, calls, scale)
    assert tally[0] == 0
    assert fits(tally[1:], [*law[1:], 1 - sum(law)])


def sweep_words() -> NDArray[np.uint32]:
    """Words (8 reads, 8 sweeps, 2048 spins) as the sweeping kernels use them."""
    out = np.empty((8, 8, 8, 4, TILE), np.uint32)
    for read, sweep, tile in np.ndindex(8, 8, 8):
        counters = (np.uint64(c) for c in (tile * TILE, sweep, read, SWEEP))
        philox_blocks(np.uint64(2024), *counters, TILE, out[read, sweep, tile])
    return out.reshape(8, 8, 8 * 4 * TILE)


def test_every_byte_of_the_words_is_uniform() -> None:
    words = sweep_words()
    assert words.ravel()[1] == oracle.spin_word(2024, 0, 0, 1)
    assert words[5, 3, 300] == oracle.spin_word(2024, 5, 3, 300)
    for shift in (0, 8, 16, 24):
        counts = np.bincount((words.ravel() >> np.uint32(shift)) & np.uint32(255), minlength=256)
        assert fits(counts, np.full(256, 1 / 256))


def test_words_of_other_reads_sweeps_and_spins_are_uncorrelated() -> None:
    u = sweep_words() / 2.0**32 - 0.5
    assert abs(u.mean()) * math.sqrt(12 * u.size) < 4.5
    for axis in range(3):
        for lag in (1, 2, 3, TILE, 4 * TILE) if axis == 2 else (1, 2, 3):
            a, b = np.moveaxis(u, axis, 0)[lag:], np.moveaxis(u, axis, 0)[:-lag]
            assert abs((a * b).mean()) * 12 * math.sqrt(a.size) < 4.5
    # Pairs fill the square evenly: successive spins on a 16 by 16 grid.
    cell = ((u[..., :-1:2] + 0.5) * 16).astype(np.int64) * 16 + ((u[..., 1::2] + 0.5) * 16).astype(np.int64)
    assert fits(np.bincount(cell.ravel(), minlength=256), np.full(256, 1 / 256))
