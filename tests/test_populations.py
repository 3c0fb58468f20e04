"""Smaller systems that stand for whole ones, and what the ensemble does with them."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fnanneal import load, solve
from fnanneal.solvers.ensemble import Ensemble
from fnanneal.solvers.populations import lineages
from fnanneal.solvers.populations.population import CHAMPIONS, State
from fnanneal.solvers.populations.reduction import Contraction, Reduction
from fnanneal.solvers.system import SpinSystem, spin_system

from . import oracles as oracle
from .cases import ising


def all_states(n: int) -> NDArray[np.int8]:
    return np.array(list(itertools.product([-1, 1], repeat=n)), np.int8).reshape(-1, n)


def system_of(pairs: oracle.Pairs, h: list[Any]) -> SpinSystem:
    return spin_system(ising(pairs, h), coloured=False)


@st.composite
def sparse_problems(draw: st.DrawFn) -> tuple[oracle.Pairs, list[Any]]:
    """Few edges on few vertices: paths, trees, cycles, parallel chains."""
    n = draw(st.integers(1, 7))
    weight = (
        st.one_of(st.integers(-3, 3).filter(bool))
        if draw(st.booleans())
        else st.floats(-2, 2).filter(lambda w: abs(w) > 1e-3)
    )
    places = [(i, j) for i in range(n) for j in range(i)]
    chosen = draw(st.lists(st.sampled_from(places), max_size=n + 3, unique=True)) if places else []
    pairs = [(i, j, draw(weight)) for i, j in chosen]
    h: list[Any] = [draw(st.one_of(st.just(0), weight)) for _ in range(n)] if draw(st.booleans()) else [0] * n
    return pairs, h


@settings(deadline=None, max_examples=100)
@given(problem=sparse_problems())
def test_the_core_stands_for_the_whole(problem: tuple[oracle.Pairs, list[Any]]) -> None:
    pairs, h = problem
    system = system_of(pairs, h)
    reduction = Reduction.of(system)
    core = reduction.core
    assert core.n + reduction.removed.size == system.n
    assert core.integral is system.integral
    assert core.largest <= system.largest * (1 + 1e-12) + 1e-12, "no sum grows, so what cannot overflow still cannot"
    best: dict[bytes, float] = {}
    for s in all_states(system.n):
        key = reduction.inwards(s).tobytes()
        best[key] = max(best.get(key, -np.inf), system.value(s))
    offsets = []
    for c in all_states(core.n):
        whole = reduction.outwards(c)
        assert reduction.inwards(whole).tobytes() == c.tobytes()
        assert system.value(whole) == pytest.approx(best[c.tobytes()], rel=1e-9, abs=1e-9), "extended in the best way"
        offsets.append(system.value(whole) - core.value(c))
    assert offsets == pytest.approx([offsets[0]] * len(offsets), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("graph", "left"),
    [
        (nx.balanced_tree(2, 6), 1),
        (nx.cycle_graph(50), 1),
        (nx.disjoint_union(nx.path_graph(9), nx.empty_graph(4)), 1),
        (nx.complete_graph(4), 4),
        (nx.barbell_graph(5, 7), 10),
        (nx.circular_ladder_graph(5), 10),
    ],
)
def test_what_is_left_has_three_neighbours(graph: Any, left: int) -> None:
    system = spin_system(load(graph), coloured=False)
    core = Reduction.of(system).core
    assert core.n == left
    if left > 1:
        assert np.diff(core.indptr).min() >= 3


def test_forests_are_solved_outright() -> None:
    for problem in (nx.random_labeled_tree(300, seed=3), nx.cycle_graph(7), nx.empty_graph(3), nx.path_graph(1)):
        graph = load(problem)
        result = solve(graph, "ensemble", num_sweeps=1, seed=1)
        edges = graph.m
        assert result.objective == (edges - 1 if edges == 7 else edges)
        assert result.verify()


def random_states(rng: np.random.Generator, k: int, n: int, block: int) -> NDArray[np.int8]:
    """States that agree within runs of `block` spins."""
    reference = rng.choice(np.array([-1, 1], np.int8), n)
    coarse = rng.choice(np.array([-1, 1], np.int8), (k, -(-n // block)))
    return np.ascontiguousarray(reference * np.repeat(coarse, block, axis=1)[:, :n])


@pytest.mark.parametrize("fields", [True, False])
@pytest.mark.parametrize("weights", ["pm1", "real"])
def test_a_contraction_keeps_what_all_states_agree_on(weights: str, fields: bool) -> None:
    rng = np.random.default_rng(3)
    n, k = 60, 5
    draw = (lambda: int(rng.choice([-1, 1]))) if weights == "pm1" else rng.normal
    pairs = [(i, j, draw()) for i in range(n) for j in range(i) if rng.random() < 3 / n]
    system = system_of(pairs, [draw() if fields else 0 for _ in range(n)])
    states = random_states(rng, k, n, 7)
    contraction = Contraction.of(system, states)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from((i, j) for i, j, _ in pairs if len({int(x) for x in states[:, i] * states[:, j]}) == 1)
    parts = [sorted(part) for part in nx.connected_components(graph)]
    assert sorted(np.flatnonzero(contraction.labels == c).tolist() for c in range(contraction.system.n)) == sorted(
        parts
    )
    small = contraction.inwards(states)
    assert np.array_equal(contraction.outwards(small), states)
    free = rng.choice(np.array([-1, 1], np.int8), (20, contraction.system.n))
    every = np.concatenate([small, free])
    offsets = [system.value(contraction.outwards(s)) - contraction.system.value(s) for s in every]
    assert offsets == pytest.approx([offsets[0]] * len(offsets), abs=1e-9)


def settled(graph: str) -> tuple[Any, State]:
    """A plan, and a state that has just begun."""
    solver = Ensemble(num_sweeps=1000, num_reads=1)
    plan = solver.prepare(load(graph))
    return plan, solver.init(plan, 5, open_ended=False, threads=1, initial=None)


@pytest.mark.parametrize("graph", ["gen:torus2d(24,24,'pm1',seed=1)", "gen:torus2d(14,14,'gauss',seed=1)"])
def test_merged_states_beat_each_of_them(graph: str) -> None:
    plan, state = settled(graph)
    engine, rows = plan.engine, np.empty_like(state.parents[0])
    t = lineages.timers(state.hot[0], state.cold, 0.1, 60, 0, 62)
    engine.sweeps(state.work[0], state.local[0], t, state.counts[0], 5, 0, 0)
    engine.unload(state.work[0], rows)
    values = np.empty(rows.shape[0])
    plan.values(rows, values)
    merged, value = lineages.merge(plan, state, rows[:8], 0, 0.1)
    assert value > values[:8].max(), "eight rough states of a torus have much to give each other"
    assert value == pytest.approx(plan.system.value(merged), rel=1e-12)
    again, same = lineages.merge(plan, state, rows[:8], 0, 0.1)
    assert (same, again.tolist()) == (value, merged.tolist())
    alone, own = lineages.merge(plan, state, rows[:1], 0, 0.1)
    assert (own, alone.tolist()) == (values[0], rows[0].tolist())


def test_champions_teach_the_length_of_anneals() -> None:
    plan, state = settled("gen:torus2d(16,16,'pm1',seed=2)")
    state.effort[:] = 1000
    rng = np.random.default_rng(1)
    for k in range(CHAMPIONS + 3):
        state.parents[0] = rng.choice(np.array([-1, 1], np.int8), state.parents[0].shape)
        plan.values(state.parents[0], state.values[0])
        before = state.effort[0]
        lineages.champion(plan, state, 0, 0.1)
        assert state.found[0] == k + 1
        if k == 1:
            assert state.effort[0] == lineages.QUICKER * before, "random states are worth more together"
    # The merged best is a champion of its own in every merge; from here on it stays on top, and anneals grow.
    best = state.best_values[0]
    assert best > state.values[0].max()
    for _ in range(40):
        state.parents[0] = state.best[0]
        plan.values(state.parents[0], state.values[0])
        lineages.champion(plan, state, 0, 0.1)
    assert state.effort[0] == lineages.ORDINARY
    assert state.best_values[0] >= best


def test_anneals_grow_as_long_as_champions_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, state = settled("gen:torus2d(16,16,'pm1',seed=2)")
    monkeypatch.setattr(lineages, "merge", lambda plan, state, states, i, kappa: (states[-1], state.best_values[i]))
    rng = np.random.default_rng(3)
    states = rng.choice(np.array([-1, 1], np.int8), (6, plan.system.n))
    values = np.empty(6)
    plan.values(states, values)
    assert np.unique(values).size == 6
    state.effort[0], efforts = lineages.AVERAGE, []
    # Champions better and better, then the best once more.
    for k in [*np.argsort(values), np.argmax(values)]:
        state.parents[0], state.values[0], state.best_values[0] = states[k], values[k], values[k]
        lineages.champion(plan, state, 0, 0.1)
        efforts.append(int(state.effort[0]))
    assert efforts == [1600, 6400, 25600, 102_400, 102_400, 102_400, lineages.ORDINARY]


def test_learnt_temperatures_follow_the_gains() -> None:
    plan, state = settled("gen:torus2d(16,16,'pm1',seed=2)")
    state.fresh[0] = False
    state.learnt[0] = 0
    state.learnt[0, :, 5] = 100.0
    state.learnt[0, 1] += 1
    share = []
    for step in range(60):
        state.step[0] = step
        lineages.begin(plan, state, 0)
        share.append((state.hot[0] - state.cold) / (state.hottest - state.cold))
    inside = np.mean([(lineages.EDGES[5] <= s) & (s < lineages.EDGES[6]) for s in share])
    expected = 1 - lineages.CURIOSITY + lineages.CURIOSITY / 9
    assert inside == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / (60 * 64)))
    assert np.min(share) >= lineages.EDGES[0]
    assert np.max(share) <= lineages.EDGES[-1]


def test_timers_run_from_hot_to_cold() -> None:
    hot = np.array([3.0, 1.0, 0.2])
    t = lineages.timers(hot, 0.2, 0.1, 50, 0, 53)
    assert t[0] == pytest.approx([3.0, 1.0, 0.20002], rel=1e-6)
    assert t[49] == pytest.approx([0.2] * 3, rel=1e-6)
    assert not t[50:].any()
    assert np.all(np.diff(t[:50], axis=0) <= 0)
    assert np.array_equal(t[20:30], lineages.timers(hot, 0.2, 0.1, 50, 20, 30)), "in pieces as at once"
    linear = lineages.timers(hot, 0.2, 1e-6, 50, 0, 50)
    assert 1 / linear[:, 0] == pytest.approx(np.linspace(1 / 3, 5, 50), rel=1e-4)


def test_the_sweeps_of_a_budget_do_not_depend_on_how_they_are_cut() -> None:
    found = []
    for threads in (1, 2):
        result = solve("G39", "ensemble", num_sweeps=1500, num_reads=3, seed=9, threads=threads)
        assert result.events.spin_tests >= 3 * 64 * 1500 * 1500
        found.append(result.spins)
    assert np.array_equal(*found)


@pytest.mark.parametrize("sweeps", [1, 2, 3, 40, 700])
@pytest.mark.parametrize("graph", ["gen:torus2d(16,16,'pm1',seed=2)", "gen:sk(100,seed=1)"])
def test_a_budget_ends_cold(sweeps: int, graph: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = Ensemble(num_sweeps=sweeps, num_reads=1, engine="auto" if "torus" in graph else "chains")
    plan = solver.prepare(load(graph))
    assert (plan.dense is None) is ("torus" in graph)
    state = solver.init(plan, 5, open_ended=False, threads=1, initial=None)
    seen = []
    temperatures = Ensemble._temperatures

    def watched(*arguments: Any) -> NDArray[np.float64]:
        t = temperatures(*arguments)
        seen.append(t)
        return t

    monkeypatch.setattr(Ensemble, "_temperatures", watched)
    while not state.exhausted(0):
        solver.advance(plan, state, 10**9, lambda f, k: [f(i) for i in range(k)])
    assert sum(len(t) for t in seen) == int(state.swept[0]) == sweeps
    assert not seen[-1][-1].any(), "the last sweep of all is greedy"
