"""Partition crossover on a GPU: what `step_lineages` does, for many islands at once; and the exact integers that both sum."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest

from fnanneal.solvers.cuda import crossover
from fnanneal.solvers.kernels.crossover import pairings, step_lineages, values_of
from fnanneal.solvers.kernels.philox import CROSS, one_block
from fnanneal.solvers.system import SpinSystem, fixed_point, spin_system

from . import oracles as oracle
from .cases import Case, ising
from .test_ensemble import slow_cross

KEY = 9876543210987654321
PLACES = {"shared": 10**6, "split": None, "scratch": 0}


def shared_bytes(place: str, n: int) -> int:
    """A limit that puts states of n spins there: words alone, with no room for two such with gains."""
    limit = PLACES[place]
    return -(-4 * n // 16) * 16 if limit is None else limit


def cpu(system: SpinSystem, rows: Any, parents: Any, values: Any, share: float, island: int, step: int) -> Any:
    gains, counts = np.empty(values.size), np.zeros(3, np.int64)
    step_lineages(
        system.indptr, system.indices, *system.exact, not system.fields.any(), rows, parents, values, np.uint32(share * 2**32),
        np.uint64(KEY), island, step, np.empty(system.n, np.uint32), gains, counts,
    )  # fmt: skip
    return gains, counts


def cpu_values(system: SpinSystem, rows: Any) -> Any:
    values = np.empty(rows.shape[0])
    values_of(system.indptr, system.indices, *system.exact, rows, values)
    return values


def changed(rng: np.random.Generator, parents: Any, rate: float) -> Any:
    """States that differ from their parents in some places."""
    return np.where(rng.random(parents.shape) < rate, -parents, parents).astype(np.int8)


def compare(device: Any, system: SpinSystem, *, reads: int, rates: list[float], seed: int = 1, **how: Any) -> Any:
    """Steps of some of four islands on both sides: the same states, values, gains and counts; returns the counts."""
    rng = np.random.default_rng(seed)
    graph = crossover.Graph.of(device, system, **how)
    parents = rng.choice(np.array([-1, 1], np.int8), (4, reads, system.n))
    values = np.array([cpu_values(system, p) for p in parents])
    on_gpu = device.upload(parents)
    assert np.array_equal(crossover.values_of(graph, on_gpu), values)
    total = np.zeros(3, np.int64)
    for step, rate in enumerate(rates):
        places = rng.permutation(4)[: 1 + step % 4].astype(np.int64)
        islands, steps = places + 2**32 - 8, np.array([step + 7 * p for p in places.tolist()], np.int64)
        shares = np.array([0.0, 0.5, 0.9, 0.99])[places]
        rows = changed(rng, parents, rate)
        rows_on_gpu, before = device.upload(rows), values.copy()
        found = crossover.cross(
            graph,
            rows_on_gpu,
            on_gpu,
            before[places],
            places=places,
            islands=islands,
            steps=steps,
            shares=shares,
            key=KEY,
        )
        for k, p in enumerate(places.tolist()):
            gains, counts = cpu(system, rows[p], parents[p], values[p], shares[k], int(islands[k]), int(steps[k]))
            assert np.array_equal(found.values[k], values[p])
            assert np.array_equal(found.gains[k], gains)
            assert found.counts[k].tolist() == counts.tolist()
            total += counts
        assert np.array_equal(device.download(on_gpu), parents)
        assert np.array_equal(device.download(rows_on_gpu), rows)
    assert np.array_equal(values, np.array([cpu_values(system, p) for p in parents]))
    return total


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("block", [64, 256])
@pytest.mark.parametrize("weights", ["pm1", "large", "real"])
@pytest.mark.parametrize("fields", [False, True])
def test_as_on_the_cpu(device, weights, fields, block, place):
    system = Case.random(3, 150, 3, weights, fields).system
    how = {"block": block, "shared": shared_bytes(place, system.n)}
    total = compare(device, system, reads=9, rates=[0.05, 0.3, 0.1, 0.5, 0.02], **how)
    assert total.min() > 0
    chosen = crossover.Graph.of(device, system, **how).place(9)
    assert (chosen.words > 0, chosen.gains > 0) == (place == "scratch", place != "shared")


def test_wide_sums(device):
    # Rows stay below 2**29, but all of them together do not fit in 32 bits.
    rng = np.random.default_rng(2)
    pairs = [(i, (i + d) % 40, int(rng.integers(-(2**27), 2**27))) for i in range(40) for d in (1, 7)]
    system = spin_system(ising(pairs, [2**26] * 40), coloured=True)
    assert system.integral
    assert crossover.Graph.of(device, system).number == np.int64
    compare(device, system, reads=6, rates=[0.5, 0.2, 0.9])


def test_halves_of_an_edge_rounded_apart(device):
    # As in contractions, whose weights are sums of floats in two orders: rises do not add up to the last digit.
    system = Case.random(5, 80, 4, "real", False).system
    rng = np.random.default_rng(1)
    apart = dataclasses.replace(system, weights=system.weights * (1 + 2e-16 * rng.integers(-4, 5, system.weights.size)))
    assert not np.array_equal(apart.exact.weights, system.exact.weights)
    compare(device, apart, reads=8, rates=[0.3, 0.1, 0.5, 0.2])


@pytest.mark.parametrize("n", [1, 2, 31, 33])
def test_small(device, n):
    for pairs in ([], [(i, i + 1, 1) for i in range(n - 1)]):
        for h in ([0] * n, [1] * n):
            for place in PLACES:
                system = spin_system(ising(pairs, h), coloured=True)
                compare(device, system, reads=5, rates=[0.5, 0.0, 1.0], shared=shared_bytes(place, n))


def test_coins(device):
    # All weights 1 on a ring: nearly every part gains nothing, and a coin decides.
    n = 96
    system = spin_system(ising([(i, (i + 1) % n, 1) for i in range(n)], [0] * n), coloured=False)
    parents = np.ones((1, 4, n), np.int8)
    parents[:, :, ::2] = -1
    rows = -parents
    rows[:, :, :48] *= -1
    compare(device, system, reads=7, rates=[0.3, 0.3, 0.9, 0.1])
    graph, children = crossover.Graph.of(device, system), device.upload(rows)
    crossover.cross(
        graph, children, device.upload(parents), np.full((1, 4), -1.0), places=np.zeros(1, np.int64),
        islands=np.zeros(1, np.int64), steps=np.zeros(1, np.int64), shares=np.zeros(1), key=KEY,
    )  # fmt: skip
    assert 0 < np.count_nonzero(device.download(children) != rows) < rows.size


@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_hubs(device, weights):
    # A few rows much longer than all others, some of them neighbours, shared out over the block.
    rng = np.random.default_rng(5)
    n = 140
    draw = (lambda: int(rng.choice([-1, 1]))) if weights == "pm1" else rng.normal
    edges = {(i, j) for i in range(3) for j in range(3, n) if rng.random() < 0.7} | {(0, 1)}
    edges |= {(i, i + 1) for i in range(5, n - 1, 3)}
    system = spin_system(ising([(i, j, draw()) for i, j in sorted(edges)], [0] * n), coloured=True)
    graph = crossover.Graph.of(device, system, hub=32)
    assert graph.hub_count == 3
    for hub in (32, 1, 10**6):
        compare(device, system, reads=6, rates=[0.1, 0.4, 0.02], hub=hub, block=64)


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32])
def test_any_number_of_threads_a_row(device, lanes, monkeypatch):
    system = Case.random(8, 100, 5, "pm1", False).system
    of = crossover.Graph.of.__func__
    monkeypatch.setattr(
        crossover.Graph, "of", classmethod(lambda cls, *a, **k: dataclasses.replace(of(cls, *a, **k), lanes=lanes))
    )
    compare(device, system, reads=5, rates=[0.2, 0.5])


def test_large_parts(device):
    # Paths through all spins in a random order: the longest chains that union can meet.
    rng = np.random.default_rng(4)
    n = 700
    way = rng.permutation(n).tolist()
    system = spin_system(ising([(a, b, 1) for a, b in itertools.pairwise(way)], [0] * n), coloured=False)
    for place in PLACES:
        compare(device, system, reads=2, rates=[1.0, 0.98, 0.02], block=128, shared=shared_bytes(place, n))


def test_few_blocks(device):
    # Scratch for two states: blocks take one job after another.
    system = Case.random(6, 80, 4, "real", False).system
    graph = crossover.Graph.of(device, system, shared=0)
    assert graph.place(3).blocks == 3
    of = crossover.Graph.place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossover.Graph, "place", lambda self, jobs: of(self, min(jobs, 2)))
        compare(device, system, reads=7, rates=[0.2, 0.4, 0.1], shared=0)
    place = dataclasses.replace(graph, n=10**6, block=1024).place(10**6)
    assert place.words == place.gains == place.blocks * 10**6 > 1
    assert 12 * place.words <= crossover.SCRATCH and place.block <= 512
    roomy = dataclasses.replace(graph, n=2000, shared=227 * 2**10)
    assert (roomy.place(10).block, roomy.place(10**4).block) == (1024, 256)


def test_values(device):
    for weights in ("pm1", "large", "real"):
        case = Case.random(1, 60, 4, weights, True)
        system, rng = case.system, np.random.default_rng(2)
        rows = rng.choice(np.array([-1, 1], np.int8), (2, 5, system.n))
        graph = crossover.Graph.of(device, system, hub=4)
        found = crossover.values_of(graph, device.upload(rows))
        assert found.shape == (2, 5)
        for x, value in zip(rows.reshape(10, -1), found.ravel().tolist(), strict=True):
            assert value == pytest.approx(float(oracle.value(case.pairs, case.fields, x.tolist())), rel=1e-13)
            assert weights == "real" or value == oracle.value(case.pairs, case.fields, x.tolist())
        assert crossover.values_of(graph, device.upload(rows)[:0]).shape == (0, 5)


def test_parts_and_gains_are_the_obvious_ones(device):
    # One lineage without a partner: networkx tells the parts and the oracle what each would gain.
    for seed in range(6):
        case = Case.random(seed, 50, 2.2, "pm1", True)
        rng = np.random.default_rng(seed)
        parents = rng.choice(np.array([-1, 1], np.int8), (1, 1, 50))
        rows = changed(rng, parents, 0.4)
        graph, children = crossover.Graph.of(device, case.system), device.upload(rows)
        values = cpu_values(case.system, parents[0])[None]
        found = crossover.cross(
            graph, children, device.upload(parents), values, places=np.zeros(1, np.int64), islands=np.array([seed]),
            steps=np.array([3]), shares=np.zeros(1), key=KEY,
        )  # fmt: skip
        parts, gains = slow_cross(case.pairs, case.fields, rows[0, 0].tolist(), parents[0, 0].tolist())
        word = one_block(KEY, (1, 3, seed, CROSS))[0]
        child = rows[0, 0].copy()
        for part, gain in zip(parts, gains, strict=True):
            if gain > 0 or (gain == 0 and coin(word, min(part))):
                child[part] *= -1
        assert np.array_equal(device.download(children)[0, 0], child)
        assert found.counts[0, 1] == len(parts) > 3
        assert found.values[0, 0] == oracle.value(case.pairs, case.fields, child.tolist())


def coin(word: int, k: int) -> bool:
    x = word ^ k
    x = (x ^ (x >> 16)) * 0x7FEB352D % 2**32
    x = (x ^ (x >> 15)) * 0x846CA68B % 2**32
    return bool((x ^ (x >> 16)) & 1)


def test_who_waits_for_whom():
    islands, steps = np.array([0, 5]), np.array([3, 4])
    partners, levels = np.empty((2, 50), np.int32), np.empty((2, 50), np.int32)
    pairings(np.uint64(KEY), islands, steps, np.array([2**31, 2**32 - 1], np.uint32), partners, levels)
    for k in range(2):
        for r in range(50):
            word, chosen, _, _ = one_block(KEY, (2 * r, int(steps[k]), int(islands[k]), CROSS))
            assert partners[k, r] == (chosen * 50 >> 32 if word < (2**31, 2**32 - 1)[k] else -1)
            waits = 0 <= partners[k, r] < r
            assert levels[k, r] == (levels[k, partners[k, r]] + 1 if waits else 0)
    assert 5 < np.count_nonzero(partners[0] < 0) < 45 and partners[1].min() >= 0


def test_exact_integers():
    rng = np.random.default_rng(3)
    weights, fields = rng.normal(size=400), rng.normal(size=20)
    exact = fixed_point(weights, fields)
    total = np.abs(exact.weights).sum() + np.abs(exact.fields).sum()
    assert 2**60 < total < 2**61
    assert exact.quantum == 2.0 ** round(np.log2(exact.quantum))
    assert exact.weights * exact.quantum == pytest.approx(weights, rel=0, abs=exact.quantum)
    whole = rng.integers(-(2**50), 2**50, 400).astype(float)
    kept = fixed_point(whole, np.zeros(3))
    assert kept.quantum <= 1 and np.array_equal(kept.weights * kept.quantum, whole)
    nothing = fixed_point(np.zeros(0), np.zeros(1))
    assert nothing.weights.size == 0 and nothing.fields.tolist() == [0]
    system = spin_system(nx_ring(), coloured=False)
    assert system.exact.weights is system.weights and system.exact.quantum == 1
    assert system.exact is system.exact


def nx_ring() -> Any:
    return ising([(a, b, 1) for a, b in nx.cycle_graph(9).edges], [0] * 9)
