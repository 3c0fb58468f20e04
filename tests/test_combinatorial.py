"""Every combinatorial problem against brute force in the user's own terms, on all assignments of small instances."""

from __future__ import annotations

import csv
import itertools
import pickle
import time
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnanneal.errors import InputError
from fnanneal.problems.combinatorial import (
    GraphColouring,
    GraphPartitioning,
    MaximumClique,
    MaximumIndependentSet,
    MaxTwoSat,
    MinimumVertexCover,
    NumberPartitioning,
    Solution,
    Violation,
    neurobench_mis,
)

LABELS = ["a", ("b", 1), 7, "c", frozenset({1}), 2.5, -3, "zz"]
VERTEX_SETS = [MaximumIndependentSet, MinimumVertexCover, MaximumClique]
MIS_TABLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "neurobench_mis.csv"
INTEGERS = st.integers(-3, 6)
# Eighths add up exactly, so energies can be compared with ==.
EIGHTHS = st.integers(-24, 48).map(lambda k: k / 8)


@st.composite
def graphs(draw, most=7, edge_weights=None):
    n = draw(st.integers(1, most))
    labels = draw(st.permutations(LABELS))[:n]
    graph = nx.Graph()
    graph.add_nodes_from(labels)
    for u, v in itertools.combinations(labels, 2):
        if draw(st.booleans()):
            graph.add_edge(v, u, **({} if edge_weights is None else {"weight": draw(edge_weights)}))
    return graph


@st.composite
def weighted_graphs(draw):
    graph = draw(graphs())
    numbers = draw(st.sampled_from([None, INTEGERS, EIGHTHS]))
    return graph, None if numbers is None else {v: draw(numbers) for v in graph}


def assignments(n):
    return np.array(list(itertools.product([0, 1], repeat=n)), np.int8).reshape(2**n, n)


def energies(qubo):
    """All 2^n energies from the plain sum, independent of `QUBO.objective`."""
    x = assignments(qubo.n).astype(qubo.linear.dtype)
    c = qubo.couplings
    return x @ qubo.linear + (x[:, c.rows] * x[:, c.cols]) @ c.weights + qubo.offset


def check(problem, is_feasible, value, energy, best):
    """All assignments: feasibility, value, energy and round trip; all minimisers: feasible and optimal."""
    qubo = problem.qubo
    e = energies(qubo)
    solutions = [problem.decode(x) for x in assignments(qubo.n)]
    feasible = [s for s in solutions if is_feasible(s.answer)]
    for x, s, e_x in zip(assignments(qubo.n), solutions, e, strict=True):
        assert isinstance(s, Solution)
        assert s.feasible == is_feasible(s.answer) == problem.is_feasible(s.answer) == problem.is_feasible(s)
        assert s.value == value(s.answer)
        assert bool(s.violations) != s.feasible
        assert qubo.objective(x) == e_x
        if s.feasible:
            assert e_x == energy(s.value)
            spins = problem.encode(s)
            assert spins.dtype == np.int8
            assert problem.decode(spins) == s
            assert qubo.objective(spins) == e_x
    optimum = best(s.value for s in feasible)
    for k in np.flatnonzero(e == e.min()):
        assert solutions[k].feasible
        assert solutions[k].value == optimum
    return solutions


def weigh(weights):
    return lambda chosen: sum(1 if weights is None else weights[v] for v in chosen)


def independent(graph, chosen):
    return not any(u in chosen and v in chosen for u, v in graph.edges)


def covers(graph, chosen):
    return all(u in chosen or v in chosen for u, v in graph.edges)


def is_clique(graph, chosen):
    return all(graph.has_edge(u, v) for u, v in itertools.combinations(chosen, 2))


@given(weighted_graphs())
@settings(max_examples=60, deadline=None)
def test_independent_set(case):
    graph, weights = case
    problem = MaximumIndependentSet(graph, weights=weights)
    solutions = check(problem, lambda a: independent(graph, a), weigh(weights), lambda v: -v, max)
    for s in solutions:
        mended = problem.decode(problem.encode(s), repair=True)
        assert mended.feasible
        assert not s.feasible or mended.vertices >= s.vertices
        for v in set(graph) - mended.vertices:
            heavy = weights is None or weights[v] > 0
            assert not (heavy and independent(graph, mended.vertices | {v}))


@given(weighted_graphs())
@settings(max_examples=60, deadline=None)
def test_vertex_cover(case):
    graph, weights = case
    problem = MinimumVertexCover(graph, weights=weights)
    solutions = check(problem, lambda a: covers(graph, a), weigh(weights), lambda v: v, min)
    for s in solutions:
        mended = problem.decode(problem.encode(s), repair=True)
        assert mended.feasible
        assert not s.feasible or mended.vertices <= s.vertices
        for v in mended.vertices:
            heavy = weights is None or weights[v] > 0
            assert not (heavy and covers(graph, mended.vertices - {v}))


@given(weighted_graphs())
@settings(max_examples=60, deadline=None)
def test_clique(case):
    graph, weights = case
    problem = MaximumClique(graph, weights=weights)
    solutions = check(problem, lambda a: is_clique(graph, a), weigh(weights), lambda v: -v, max)
    assert all(problem.decode(problem.encode(s), repair=True).feasible for s in solutions)


@given(st.lists(st.integers(-20, 60), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_number_partitioning(numbers):
    problem = NumberPartitioning(numbers)
    assert problem.qubo.integral
    solutions = check(
        problem,
        lambda a: sorted([*a[0], *a[1]]) == sorted(numbers),
        lambda a: abs(sum(a[0]) - sum(a[1])),
        lambda v: v * v,
        min,
    )
    assert all(s.difference == s.value and s == problem.decode(problem.encode(s), repair=True) for s in solutions)


@given(graphs(most=4), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_colouring(graph, k):
    problem = GraphColouring(graph, k)
    qubo = problem.qubo
    assert qubo.integral
    assert problem.decode(np.ones(qubo.n)).answer.keys() == set(graph)

    def conflicts(colours):
        return sum(colours[u] == colours[v] for u, v in graph.edges)

    every = [dict(zip(graph, c, strict=True)) for c in itertools.product(range(k), repeat=len(graph))]
    fewest = min(map(conflicts, every))
    e = energies(qubo)
    for k_best in np.flatnonzero(e == e.min()):
        s = problem.decode(assignments(qubo.n)[k_best])
        assert s.colours.keys() == set(graph)
        assert s.value == conflicts(s.colours) == fewest
        assert s.feasible == (fewest == 0)
    for colours in every:
        spins = problem.encode(colours)
        s = problem.decode(spins)
        assert s.colours == colours
        assert s.value == conflicts(colours) == qubo.objective(spins)
        assert s.feasible == (conflicts(colours) == 0) == problem.is_feasible(colours)
    for x in assignments(qubo.n):
        one_each = (x.reshape(-1, k).sum(axis=1) == 1).all()
        s = problem.decode(x)
        assert s.feasible == bool(one_each and conflicts(s.colours) == 0)


@given(st.one_of(graphs(edge_weights=INTEGERS), graphs(edge_weights=EIGHTHS), graphs()))
@settings(max_examples=90, deadline=None)
def test_graph_partitioning(graph):
    problem = GraphPartitioning(graph)

    def cut(halves):
        return sum(d for u, v, d in graph.edges(data="weight", default=1) if (u in halves[0]) != (v in halves[0]))

    def balanced(halves):
        return abs(len(halves[0]) - len(halves[1])) <= 1 and halves[0] | halves[1] == set(graph)

    for s in check(problem, balanced, cut, lambda v: v, min):
        mended = problem.decode(problem.encode(s), repair=True)
        assert mended.feasible and s.cut == s.value
        assert mended == s if s.feasible else mended.left < s.left or mended.right < s.right


LITERALS = st.integers(1, 5).flatmap(lambda v: st.sampled_from([v, -v]))
CLAUSES = st.lists(st.lists(LITERALS, min_size=1, max_size=2).map(tuple), min_size=1, max_size=12)


@given(CLAUSES, st.sampled_from([None, INTEGERS, EIGHTHS]), st.data())
@settings(max_examples=80, deadline=None)
def test_max_2_sat(clauses, numbers, data):
    weights = None if numbers is None else [data.draw(numbers) for _ in clauses]
    problem = MaxTwoSat(clauses, weights=weights)
    w = weights or [1] * len(clauses)

    def satisfied(values):
        return [any(values[abs(x)] == (x > 0) for x in clause) for clause in clauses]

    solutions = check(
        problem,
        lambda a: a.keys() == {abs(x) for c in clauses for x in c},
        lambda a: sum(itertools.compress(w, satisfied(a))),
        lambda v: sum(w) - v,
        max,
    )
    for s in solutions:
        assert s.satisfied == sum(satisfied(s.values))
        assert list(s.unsatisfied) == [i for i, ok in enumerate(satisfied(s.values)) if not ok]


def test_literals_of_every_form_agree():
    clauses = [(1, -2), (2,), (-1, -2), (1, -1), (2, 2)]
    names = MaxTwoSat([tuple(("-" if x < 0 else "") + f"v{abs(x)}" for x in c) for c in clauses])
    pairs = MaxTwoSat([tuple(((abs(x), "label"), x > 0) for x in c) for c in clauses])
    for other in (names, pairs):
        assert other.qubo.sha256() == MaxTwoSat(clauses).qubo.sha256()
    assert names.qubo.variables == ("v1", "v2")
    assert MaxTwoSat([(5, -3)]).qubo.variables == (3, 5)
    assert MaxTwoSat(iter([iter([5, -3])])).clauses == ((5, -3),)


@given(
    st.sampled_from(VERTEX_SETS),
    graphs(),
    st.one_of(st.integers(2, 50), st.floats(1.25, 50).map(lambda x: round(x * 8) / 8)),
)
@settings(max_examples=40, deadline=None)
def test_own_penalty_is_used(kind, graph, penalty):
    weights = kind(graph, penalty=penalty).qubo.couplings.weights
    assert weights.size == 0 or set(weights.tolist()) == {penalty}


def test_penalties_are_the_stated_bounds():
    star = nx.star_graph(6)
    assert set(MaximumIndependentSet(star).qubo.couplings.weights.tolist()) == {2}
    heavy_hub = {v: 100 if v == 0 else 3 for v in star}
    assert set(MinimumVertexCover(star, weights=heavy_hub).qubo.couplings.weights.tolist()) == {4}
    assert GraphColouring(star, 4).qubo.linear[0] == -2
    # Seven vertices, the third smallest degree is 1: P > 1/2, so P = 1, and a pair without an edge has 2 P.
    assert GraphPartitioning(star).qubo.couplings.weights.max() == 2
    assert GraphPartitioning(nx.star_graph(5)).qubo.couplings.weights.max() == 4


def test_multigraph():
    graph = nx.MultiGraph([("a", "b"), ("b", "a"), ("b", "c"), ("c", "d")])
    simple = nx.Graph([("a", "b"), ("b", "c"), ("c", "d")])
    for kind in (*VERTEX_SETS, lambda g: GraphColouring(g, 2)):
        assert kind(graph).qubo == kind(simple).qubo
    simple["a"]["b"]["weight"] = 2
    assert GraphPartitioning(graph).qubo == GraphPartitioning(simple).qubo
    assert GraphPartitioning(graph, weight=None).decode([1, 0, 1, 0]).cut == 3


def test_weights_from_a_node_attribute():
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, {0: 2, 1: 5, 2: 4}, "load")
    assert MaximumIndependentSet(graph, weights="load").decode([1, 0, 1]).value == 6
    del graph.nodes[1]["load"]
    with pytest.raises(InputError, match="vertex 1 has no attribute 'load'"):
        MaximumIndependentSet(graph, weights="load")


def test_violations_name_the_users_labels():
    graph = nx.Graph([("a", "b"), ("b", "c")])
    s = MaximumIndependentSet(graph).decode({"a": 1, "b": 1, "c": -1})
    assert s.violations == (Violation(rule="both ends of an edge are chosen", labels=("a", "b")),)
    assert str(s.violations[0]) == "'a', 'b': both ends of an edge are chosen"
    assert [set(v.labels) for v in MinimumVertexCover(graph).decode([1, 0, 0]).violations] == [{"b", "c"}]
    assert [v.labels for v in MaximumClique(graph).decode([1, 1, 1]).violations] == [("a", "c")]
    s = GraphColouring(graph, 2).decode([0, 0, 1, 1, 1, 0])
    assert [v.labels for v in s.violations] == [("a",), ("b",), ("b", "c")]
    assert s.colours == {"b": 0, "c": 0} and s.value == 1
    assert str(GraphPartitioning(graph).decode([1, 1, 1]).violations[0]) == "the sides have 3 and 0 vertices"


def test_largest_numbers_stay_exact():
    problem = NumberPartitioning([2**28, 2**28 - 1])
    assert problem.qubo.objective([1, 1]) == (2**29 - 1) ** 2
    assert problem.qubo.objective([1, 0]) == 1
    assert problem.qubo.to_ising().objective([1, -1]) == 1
    assert NumberPartitioning([3.0, np.int16(2)]).numbers == (3, 2)


def test_a_problem_is_read_once():
    graph = nx.path_graph(3)
    problem = MaximumIndependentSet(graph, name="path")
    graph.add_edge(0, 2)
    assert problem.is_feasible({0, 2})
    assert problem.qubo.couplings.m == 2 and problem.qubo is problem.qubo and problem.qubo.name == "path"
    again = pickle.loads(pickle.dumps(problem))
    assert again.qubo == problem.qubo and again.decode([1, 0, 1]) == problem.decode([1, 0, 1])


def test_all_spin_conventions_say_the_same():
    problem = MaximumIndependentSet(nx.Graph([("a", "b"), ("b", "c")]))
    expected = problem.decode([1, 0, 1])
    assert expected.vertices == {"a", "c"}
    assert problem.decode([1, -1, 1]) == problem.decode(np.array([True, False, True])) == expected
    assert problem.decode({"c": 1, "b": 0, "a": 1}) == expected


def test_partition_repair_of_a_larger_graph():
    graph = nx.connected_caveman_graph(10, 7)
    graph.remove_node(3)
    problem = GraphPartitioning(graph)
    cut_all = problem.decode(np.ones(69, np.int8), repair=True)
    assert cut_all.feasible and len(cut_all.left) == 35
    assert cut_all == problem.decode(np.ones(69, np.int8), repair=True)
    assert problem.qubo.objective(problem.encode(cut_all)) == cut_all.value
    # Greedy moves follow the caves; a random split would cut half of the 204 edges.
    assert cut_all.cut <= 10


def test_large_graphs_are_fast():
    graph = nx.empty_graph(50_000)
    ends = np.random.default_rng(1).integers(0, 50_000, (500_000, 2))
    graph.add_edges_from(ends[ends[:, 0] != ends[:, 1]].tolist())
    start = time.perf_counter()
    problem = MaximumIndependentSet(graph)
    assert problem.qubo.m == graph.number_of_edges()
    built = time.perf_counter() - start
    mended = problem.decode(np.ones(50_000, np.int8), repair=True)
    assert mended.feasible and mended.value > 5_000
    assert built < 10


def test_neurobench_matrix():
    problem = neurobench_mis(25, 0.1, 3)
    graph = nx.gnm_random_graph(25, 31, 3)
    q = -np.eye(25) + 4 * nx.to_numpy_array(graph)
    x = np.random.default_rng(0).integers(0, 2, (20, 25))
    for row in x:
        assert problem.qubo.objective(row) == row @ q @ row
    assert neurobench_mis(10, 0.01, 0).qubo.m == 0
    assert neurobench_mis(4, 1, 0).qubo.m == 6


@pytest.mark.skipif(not MIS_TABLE.exists(), reason="the NeuroBench table is not beside this checkout")
def test_neurobench_optima():
    with MIS_TABLE.open(newline="") as f:
        rows = [r for r in csv.DictReader(f) if int(r["num_vertices"]) <= 25]
    assert len(rows) == 40
    for r in rows:
        problem = neurobench_mis(int(r["num_vertices"]), float(r["density"]), int(r["seed"]))
        optimum, size = nx.max_weight_clique(nx.complement(problem.graph), weight=None)
        assert size == int(r["target_size"])
        assert problem.is_feasible(optimum)
        assert problem.qubo.objective(problem.encode(optimum)) == -size
        if problem.qubo.n == 10:
            assert energies(problem.qubo).min() == -size
