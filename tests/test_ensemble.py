"""The ensemble's kernels against slow versions, and the engine as a whole."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from fnanneal import InputError, load, solve
from fnanneal.solvers.kernels.compound import MOST_FOLLOWING
from fnanneal.solvers.kernels.crossover import step_lineages, values_of
from fnanneal.solvers.kernels.lanes import fill_thresholds
from fnanneal.solvers.kernels.philox import LANES_SWEEP
from fnanneal.solvers.populations.engines import Lanes, lanes_fit
from fnanneal.solvers.system import SpinSystem, spin_system

from . import oracles as oracle
from .cases import ising

LANES = 64
MASK = 2**32 - 1


def scramble(x: int) -> int:
    """The documented bijection, in Python integers."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


def lane_draws(key: int, group: int, sweep: int, spin: int) -> list[int]:
    """The 64 draws of 16 bits of one spin in one sweep."""
    words = oracle.philox4x32((key & MASK, key >> 32), (spin, sweep, group, LANES_SWEEP))
    halves = []
    for k in range(LANES // 2):
        x = scramble((words[k % 4] + (k + 1) * 0x9E3779B9) & MASK)
        halves += [x & 0xFFFF, x >> 16]
    return halves


def thresholds_of(temperature: float, levels: int) -> list[int]:
    """c_k = floor(2**16 exp(-1/T)**k), the power by repeated multiplication."""
    power, found = 65536.0, []
    for _ in range(levels):
        power *= math.exp(-1 / temperature) if temperature else 0.0
        found.append(int(min(power, 65535.0)))
    return found


def slow_lanes(
    system: SpinSystem, lanes: NDArray[np.int8], temperatures: NDArray[np.float64], key: int, group: int, first: int
) -> tuple[NDArray[np.int8], int]:
    """One spin and one lane at a time, from the docstring; temperatures (sweeps, lanes)."""
    n = system.n
    s = lanes.reshape(n, LANES).astype(int)
    w = np.zeros((n, n), int)
    w[np.repeat(np.arange(n), np.diff(system.indptr)), system.indices] = system.weights
    bound = np.abs(w).sum(axis=1) + np.abs(system.fields)
    flips = 0
    for t, row in enumerate(temperatures):
        tables = [thresholds_of(float(temperature), int(bound.max())) for temperature in row]
        for i in range(n):
            draws = lane_draws(key, group, first + t, i)
            for r in range(LANES):
                gain = s[i, r] * (w[i] @ s[:, r] + system.fields[i])
                noise = sum(draws[r] < c for c in tables[r][: bound[i]])
                if gain + noise >= 0:
                    s[i, r] = -s[i, r]
                    flips += 1
    return s.astype(np.int8).ravel(), flips


def graph_system(seed: int, n: int, degree: float, weights: list[int], fields: bool) -> SpinSystem:
    rng = np.random.default_rng(seed)
    pairs = [(i, j, int(rng.choice(weights))) for i in range(n) for j in range(i) if rng.random() < degree / n]
    return spin_system(ising(pairs, [int(h) for h in rng.integers(-2, 3, n) * fields]), coloured=True)


def star_system(leaves: int) -> SpinSystem:
    """A hub whose sum needs 16 bits, in a graph with a few more edges."""
    pairs = [(0, k, 1 if k % 3 else -1) for k in range(1, leaves + 1)]
    return spin_system(ising([*pairs, (1, 2, 1), (5, 9, -1)], [0] * (leaves + 1)), coloured=True)


CASES: dict[str, SpinSystem] = {
    "pm1": graph_system(1, 70, 5, [-1, 1], False),
    "fields": graph_system(2, 40, 4, [-1, 1], True),
    "multiples": graph_system(3, 40, 3, [-3, -1, 1, 2], True),
    "no edges": graph_system(4, 5, 0, [1], True),
    "hub": star_system(200),
}


@pytest.mark.parametrize("case", list(CASES))
def test_lanes_are_one_spin_at_a_time(case: str) -> None:
    system = CASES[case]
    lanes = Lanes.of(system)
    start = np.random.default_rng(5).choice(np.array([-1, 1], np.int8), system.n * LANES)
    # Every lane has temperatures of its own, some of them 0 from the start.
    temperatures = np.outer([3.0, 1.3, 0.4, 0.0], np.linspace(0, 1.5, LANES))
    expected, flips = slow_lanes(system, start, temperatures, 2**40 + 7, 3, 11)
    work, counts = start.copy(), np.zeros(2, np.int64)
    nothing = np.zeros((64, 0), np.int8)
    lanes.sweeps(work, nothing, temperatures[:2], counts, 2**40 + 7, 3, 11)
    lanes.sweeps(work, nothing, temperatures[2:], counts, 2**40 + 7, 3, 13)
    assert np.array_equal(work, expected)
    assert counts.tolist() == [flips, 4 * LANES * int(np.abs(system.weights).sum())]


def slow_compound_moves(system: SpinSystem, lanes: NDArray[np.int8]) -> tuple[NDArray[np.int8], int]:
    """One lane at a time, from the kernel's docstring, with Python's own integers."""
    n = system.n
    s = lanes.reshape(n, LANES).T.tolist()
    rows = [list(zip(*row, strict=True)) for row in map(system_row, [system] * n, range(n))]
    flips = 0

    def gain(x: list[int], i: int) -> int:
        return x[i] * (sum(w * x[j] for j, w in rows[i]) + int(system.fields[i]))

    for x in s:
        for c in range(n):
            before, change = list(x), gain(x, c)
            x[c] = -x[c]
            flips += 1
            # Neighbours of positive weight come first, and one of weight w stands |w| times.
            for j, w in sorted(rows[c], key=lambda e: e[1] < 0):
                for _ in range(abs(w)):
                    g = gain(x, j)
                    if sum(abs(v) for _, v in rows[j]) <= MOST_FOLLOWING and g > 0:
                        x[j] = -x[j]
                        change += g
                        flips += 1
            if change <= 0:
                flips += sum(a != b for a, b in zip(x, before, strict=True))
                x[:] = before
    return np.array(s, np.int8).T.ravel(), flips


def system_row(system: SpinSystem, i: int) -> tuple[list[int], list[int]]:
    part = slice(system.indptr[i], system.indptr[i + 1])
    return system.indices[part].tolist(), system.weights[part].tolist()


def strong_fields() -> SpinSystem:
    """A spin whose neighbours gain 30000 each as they follow it: together far more than 16 bits hold."""
    pairs = [(0, k, 2) for k in range(1, 31)]
    return spin_system(ising(pairs, [-30_000, *[30_000] * 30]), coloured=True)


@pytest.mark.parametrize("case", [*CASES, "strong fields"])
def test_compound_moves_are_one_lane_at_a_time(case: str) -> None:
    system = strong_fields() if case == "strong fields" else CASES[case]
    lanes = Lanes.of(system)
    start = np.random.default_rng(6).choice(np.array([-1, 1], np.int8), system.n * LANES)
    work, counts = start.copy(), np.zeros(7, np.int64)
    expected, flips = slow_compound_moves(system, start)
    lanes.polish(work, counts)
    assert np.array_equal(work, expected)
    degrees = np.array([sum(map(abs, system_row(system, i)[1])) for i in range(system.n)])
    tests = system.n + sum(int(d) for d in degrees if d <= MOST_FOLLOWING)
    reads = sum(degrees) + sum(int(d) ** 2 for d in degrees if d <= MOST_FOLLOWING)
    assert counts.tolist() == [flips, LANES * reads, 0, 0, 0, LANES * tests, 0]
    # A pass never makes a state worse, and ends where nothing is to be gained.
    for _ in range(20):
        before, last = values_of_lanes(system, work), work.copy()
        lanes.polish(work, counts)
        assert np.all(values_of_lanes(system, work) >= before)
    assert np.array_equal(work, last)


def values_of_lanes(system: SpinSystem, work: NDArray[np.int8]) -> NDArray[np.float64]:
    return np.array([float(system.value(x)) for x in np.ascontiguousarray(work.reshape(system.n, LANES).T)])


def test_compound_moves_turn_a_hub_that_sweeps_cannot() -> None:
    """Leaves that cling to a hub, which is against its field: every flip alone is a loss, the hub with its leaves a gain."""
    pairs = [(0, k, -1) for k in range(1, 31)]
    system = spin_system(ising(pairs, [3, *[0] * 30]), coloured=True)
    lanes, work = Lanes.of(system), np.ones(31 * LANES, np.int8)
    nothing, counts = np.zeros((64, 0), np.int8), np.zeros(7, np.int64)
    lanes.sweeps(work, nothing, np.zeros((5, LANES)), counts, 1, 0, 0)
    assert np.all(work == 1)
    lanes.polish(work, counts)
    assert np.all(work == -1)


def test_thresholds_are_those_of_the_law() -> None:
    temperatures = np.zeros(LANES)
    temperatures[:4] = [0.05, 0.7, 10.0, 1e9]
    table = np.empty(200 * LANES, np.uint16)
    levels = fill_thresholds(temperatures, table, np.empty(LANES), np.empty(LANES))
    assert levels == 200, "the hottest lane needs them all"
    for lane, temperature in enumerate(temperatures.tolist()):
        law = [math.floor(65536 * math.exp(-k / temperature)) if temperature else 0 for k in range(1, 201)]
        found = table.reshape(200, LANES)[:, lane].tolist()
        assert found == thresholds_of(temperature, 200)
        assert max(abs(a - b) for a, b in zip(found, law, strict=True)) <= 1
    temperatures[2:] = 0.7
    assert fill_thresholds(temperatures, table, np.empty(LANES), np.empty(LANES)) == int(0.7 * math.log(65536))


@pytest.mark.parametrize("fields", [True, False])
def test_lanes_sample_the_boltzmann_distribution(fields: bool) -> None:
    # A frustrated graph of odd degrees and fields, on which always taking zero-gain flips is ergodic.
    pairs = [(0, 1, 1), (1, 2, 1), (0, 2, 1), (2, 3, -1), (3, 4, 1), (1, 4, 1), (0, 3, 1)]
    h = [1, 0, -1, 0, 1] if fields else [0] * 5
    system = spin_system(ising(pairs, h), coloured=True)
    lanes, n = Lanes.of(system), 5
    # Half of the lanes are hotter than the others, and each half follows its own law.
    temperatures = np.repeat([2.2, 0.9], LANES // 2)
    work = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), n * LANES)
    nothing, counts = np.zeros((64, 0), np.int8), np.zeros(2, np.int64)
    seen = np.zeros((2, 2**n))
    rows = np.empty((LANES, n), np.int8)
    thin, rounds = 20, 400
    for k in range(rounds):
        lanes.sweeps(work, nothing, np.tile(temperatures, (thin, 1)), counts, 1234, 0, k * thin)
        lanes.unload(work, rows)
        np.add.at(seen, (np.repeat([0, 1], LANES // 2), (system.outwards(rows) > 0) @ (1 << np.arange(n))), 1)
    # The gain is half an energy: P ~ exp(-E / (2 T)).
    states = [[1 if c >> k & 1 else -1 for k in range(n)] for c in range(2**n)]
    energy = np.array([-float(oracle.value(pairs, h, s)) for s in states])
    for half, temperature in zip(seen, (2.2, 0.9), strict=True):
        p = np.exp(-energy / (2 * temperature))
        expected = rounds * LANES / 2 * p / p.sum()
        # States too rare for the chi-square law count together.
        rare = expected < 8
        observed, law = np.append(half[~rare], half[rare].sum()), np.append(expected[~rare], expected[rare].sum())
        assert chisquare(observed[law > 0], law[law > 0]).pvalue > 1e-4


def test_draws_of_lanes_are_uniform_and_independent() -> None:
    draws = np.array([lane_draws(99, 0, sweep, spin) for sweep in range(40) for spin in range(50)])
    expected = draws.size / 256
    for byte in (draws & 255, draws >> 8):
        assert chisquare(np.bincount(byte.ravel(), minlength=256), np.full(256, expected)).pvalue > 1e-4
    per_lane = [chisquare(np.bincount(draws[:, r] >> 12, minlength=16)).pvalue for r in range(LANES)]
    assert min(per_lane) > 1e-5
    correlation = np.corrcoef(draws.T) - np.eye(LANES)
    assert np.abs(correlation).max() < 5.5 / math.sqrt(len(draws))
    along = np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]
    assert abs(along) < 5 / math.sqrt(draws.size)


def slow_cross(pairs: oracle.Pairs, h: list[Any], x: list[int], p: list[int]) -> tuple[list[list[int]], list[float]]:
    """The components where x and p differ, and what flipping each would add to x's value."""
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(i for i in range(len(x)) if x[i] != p[i])
    graph.add_edges_from((i, j) for i, j, _ in pairs if x[i] != p[i] and x[j] != p[j])
    parts, gains = [], []
    for part in nx.connected_components(graph):
        y = [-s if i in part else s for i, s in enumerate(x)]
        parts.append(sorted(part))
        gains.append(float(oracle.value(pairs, h, y)) - float(oracle.value(pairs, h, x)))
    return parts, gains


@pytest.mark.parametrize("weights", ["pm1", "real"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_crossover_takes_the_better_side_of_each_component(weights: str, symmetric: bool) -> None:
    rng = np.random.default_rng(8)
    n, reads = 60, 8
    draw = (lambda: int(rng.choice([-1, 1]))) if weights == "pm1" else rng.normal
    pairs = [(i, j, draw()) for i in range(n) for j in range(i) if rng.random() < 2.5 / n]
    h: list[Any] = [0] * n if symmetric else [draw() for _ in range(n)]
    system = spin_system(ising(pairs, h), coloured=False)
    rows = rng.choice(np.array([-1, 1], np.int8), (reads, n))
    parents = rng.choice(np.array([-1, 1], np.int8), (reads, n))
    values = np.zeros(reads)
    values_of(system.indptr, system.indices, *system.exact, parents, values)
    expected = [float(oracle.value(pairs, h, p.tolist())) / system.unit for p in parents]
    assert values == pytest.approx(expected, rel=1e-12)
    children, kept, kept_values, counts = rows.copy(), parents.copy(), values.copy(), np.zeros(3, np.int64)
    gained = np.empty(reads)
    step_lineages(
        system.indptr, system.indices, *system.exact, symmetric, children, kept, kept_values, np.uint32(0), np.uint64(3), 0, 0,
        np.empty(n, np.uint32), gained, counts,
    )  # fmt: skip
    assert gained == pytest.approx(kept_values - values, abs=1e-9), "there was nobody else to gain from"
    components = 0
    degrees = np.diff(system.indptr)
    # The values of the first state and of the last one, then every crossing's comparisons and what it follows.
    operations = reads * 2 * (n + int(degrees.sum()))
    for r in range(reads):
        x = rows[r].tolist()
        for sign in (1, -1) if symmetric else (1,):
            parts, gains = slow_cross(pairs, h, x, (sign * parents[r]).tolist())
            components += len(parts)
            operations += n + int(degrees[np.not_equal(x, sign * parents[r])].sum())
            y = children[r].tolist()
            if sign == 1 and symmetric:
                # The second crossing starts from the first one's child: replay it by the rule, its coins from the other side.
                x = replay(pairs, h, x, parents[r].tolist(), y, parts, gains)
                continue
            for part, gain in zip(parts, gains, strict=True):
                flipped = {x[i] != y[i] for i in part}
                assert len(flipped) == 1, "a component is taken whole"
                if abs(gain) > 1e-9:
                    assert flipped == {gain > 0}
        assert kept_values[r] >= max(values[r], float(oracle.value(pairs, h, rows[r].tolist())) / system.unit) - 1e-9
        assert kept_values[r] == pytest.approx(float(oracle.value(pairs, h, kept[r].tolist())) / system.unit, rel=1e-12)
    if not symmetric:
        assert counts.tolist() == [reads, components, operations]
    else:
        # A component that changes nothing may flip back in the second crossing, which the replay cannot see.
        assert counts[0] == 2 * reads and counts[2] == pytest.approx(operations, rel=0.02)


def replay(
    pairs: oracle.Pairs,
    h: list[Any],
    x: list[int],
    p: list[int],
    child: list[int],
    parts: list[list[int]],
    gains: list[float],
) -> list[int]:
    """x after the crossing with p: gains are taken; a component that changes nothing is as the child has it, up to the second crossing."""
    y = list(x)
    for part, gain in zip(parts, gains, strict=True):
        if gain > 1e-9 or (abs(gain) <= 1e-9 and child[part[0]] != x[part[0]]):
            for i in part:
                y[i] = -y[i]
    return y


def test_lineages_meet() -> None:
    # No couplings: every differing spin is a component of its own, so crossing with a partner copies its better fields.
    n = 32
    system = spin_system(ising([], [1] * n), coloured=False)
    parents = np.ones((4, n), np.int8)
    parents[0, :16] = parents[1, 16:] = -1
    values, gained, counts = np.zeros(4), np.empty(4), np.zeros(3, np.int64)
    values_of(system.indptr, system.indices, *system.exact, parents, values)
    for step in range(40):
        step_lineages(
            system.indptr, system.indices, *system.exact, False, parents.copy(), parents, values, np.uint32(2**31), np.uint64(1), 0, step,
            np.empty(n, np.uint32), gained, counts,
        )  # fmt: skip
        assert gained.tolist() == [0] * 4, "what comes from a partner is not counted"
    assert values.tolist() == [n] * 4


def test_the_engine_is_chosen_by_the_instance() -> None:
    for name, fits in (
        ("G22", True),
        ("G81", True),
        ("G14", True),
        ("gen:sk(200)", False),
        ("gen:torus2d(8,8,'gauss')", False),
    ):
        assert lanes_fit(spin_system(load(name), coloured=True)) is fits
    assert lanes_fit(star_system(40000)) is False, "a row beyond 16 bits"
    with pytest.raises(InputError, match="use engine=chains"):
        solve("gen:sk(200)", "ensemble", engine="lanes", num_sweeps=10)
    for arguments in ({"engine": "warp"}, {"kappa": 0}, {"num_reads": 0}):
        with pytest.raises(InputError):
            solve("gen:sk(5)", "ensemble", **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["lanes", "chains"])
def test_planted_optima_are_found(engine: str) -> None:
    result = solve("gen:tile2d(16, seed=4)", "ensemble", engine=engine, num_sweeps=4000, seed=1)
    assert result.best_known is not None
    assert (result.gap, result.verify()) == (0.0, True)
    assert np.array_equal(
        result.spins,
        solve("gen:tile2d(16, seed=4)", "ensemble", engine=engine, num_sweeps=4000, seed=1, threads=1).spins,
    )


def test_lanes_and_rows_are_inverse() -> None:
    rows = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (LANES, 13))
    engine = Lanes.of(graph_system(1, 13, 3, [1], False))
    lanes, back, nothing = np.empty(13 * LANES, np.int8), np.empty_like(rows), np.zeros((64, 0), np.int8)
    engine.load(rows, lanes, nothing)
    engine.unload(lanes, back)
    assert np.array_equal(rows, back)
    assert lanes[5 * LANES + 7] == rows[7, 5]


def test_a_million_levels_of_noise_are_not_tabulated() -> None:
    # A hot start on rows of 16 bits: the table stays below its bound, and the sums stay right.
    system = star_system(3000)
    lanes = Lanes.of(system)
    work, counts = np.ones(system.n * LANES, np.int8), np.zeros(2, np.int64)
    lanes.sweeps(work, np.zeros((64, 0), np.int8), np.full((2, LANES), 1e6), counts, 1, 0, 0)
    assert set(np.unique(work).tolist()) <= {-1, 1}
    assert counts[0] > 0


PORTABLE = """
import hashlib, sys
from fnanneal import solve
for graph in ("gen:torus2d(12,12,'pm1',seed=1)", "gen:sk(70,seed=1)", "gen:torus2d(8,8,'gauss',seed=1)"):
    for engine in ("auto", "chains"):
        spins = solve(graph, "ensemble", engine=engine, num_sweeps=150, num_reads=1, seed=3, threads=1).spins
        print(hashlib.sha256(spins.tobytes()).hexdigest())
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names a processor of this architecture")
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_processors_without_avx512_give_the_same_spins() -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", PORTABLE], env=os.environ | name, capture_output=True, text=True, check=True
        ).stdout
        for name in ({}, {"NUMBA_CPU_NAME": "haswell"})
    ]
    assert found[0] == found[1]
    assert len(found[0].split()) == 6
