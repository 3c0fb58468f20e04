"""Combinatorial problems refuse what they cannot take: one clear line, in the user's terms."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest

from fnanneal.errors import InputError, ProblemWarning
from fnanneal.problems.combinatorial import (
    GraphColouring,
    GraphPartitioning,
    MaximumClique,
    MaximumIndependentSet,
    MaxTwoSat,
    MinimumVertexCover,
    NumberPartitioning,
    neurobench_mis,
)

VERTEX_SETS = [MaximumIndependentSet, MinimumVertexCover, MaximumClique]
GRAPH_PROBLEMS = [*VERTEX_SETS, GraphPartitioning, lambda graph, **kw: GraphColouring(graph, 2, **kw)]


def test_what_is_no_assignment_is_infeasible_and_cannot_be_encoded():
    path = nx.path_graph(4)
    cases = [
        (GraphPartitioning(path), ({0, 1}, {2}), "vertex 3 is on neither side"),
        (GraphPartitioning(path), ({0, 1}, {1, 2, 3}), "vertex 1 is on both sides"),
        (NumberPartitioning([1, 1, 2]), ([1], [2]), "every number once"),
        (GraphColouring(path, 2), {0: 0, 1: 1, 2: 2, 3: 0}, "colour of vertex 2 is 2: there are only 0 to 1"),
        (MaxTwoSat([(1, 2)]), {1: True}, "variable 2 has no value"),
    ]
    for problem, answer, message in cases:
        assert problem.is_feasible(answer) is False
        with pytest.raises(InputError, match=message):
            problem.encode(answer)
    partial = GraphColouring(path, 2)
    assert partial.is_feasible({0: 1}) is False
    assert partial.decode(partial.encode({0: 1})).colours == {0: 1}


@pytest.mark.parametrize(
    ("problem", "answer", "message"),
    [
        (MaximumIndependentSet(nx.path_graph(3)), [0, "x"], "no vertex 'x'"),
        (MaximumIndependentSet(nx.path_graph(3)), [[0]], r"no vertex \[0\]"),
        (MaximumIndependentSet(nx.path_graph(3)), 3, "collection of vertices, not int"),
        (MinimumVertexCover(nx.Graph([("a", "b")])), "ab", "collection of vertices, not str"),
        (GraphColouring(nx.path_graph(3), 2), {5: 0}, "no vertex 5"),
        (GraphColouring(nx.path_graph(3), 2), {0: 0.5}, "colours are integers"),
        (GraphColouring(nx.path_graph(3), 2), [0, 1, 0], "mapping from vertex to colour"),
        (GraphPartitioning(nx.path_graph(3)), [{0, 1, 2}], "pair of collections"),
        (GraphPartitioning(nx.path_graph(3)), ({0, 9}, {1, 2}), "no vertex 9"),
        (NumberPartitioning([1, 2]), ([1], [5]), "5 is not one of the numbers"),
        (NumberPartitioning([1, 2]), ([[1]], [2]), "must hold numbers"),
        (MaxTwoSat([(1, 2)]), {1: True, 7: True}, "no variable 7"),
        (MaxTwoSat([(1, 2)]), {1: True, 2: 2}, "only True or False"),
        (MaxTwoSat([(1, 2)]), [True, False], "mapping from variable to truth value"),
    ],
)
def test_answers_of_another_problem_are_refused(problem, answer, message):
    for use in (problem.encode, problem.is_feasible):
        with pytest.raises(InputError, match=message):
            use(answer)


@pytest.mark.parametrize("kind", GRAPH_PROBLEMS)
def test_bad_graphs_and_penalties_are_refused(kind):
    path = nx.path_graph(3)
    for graph, message in [
        (nx.Graph(), "empty"),
        (nx.DiGraph([(0, 1)]), "directed"),
        ([(0, 1)], "networkx graph, got list"),
        (None, "networkx graph, got NoneType"),
    ]:
        with pytest.raises(InputError, match=message):
            kind(graph)
    for penalty in (0, -1, math.nan, math.inf, 2**60, 10**400, "9", True, [1]):
        with pytest.raises(InputError, match="penalty"):
            kind(path, penalty=penalty)
    problem = kind(path)
    for spins in ([1, 1], np.ones(problem.qubo.n + 1), [2] * problem.qubo.n, ["a"] * problem.qubo.n, {"x": 1}):
        with pytest.raises(InputError):
            problem.decode(spins)


@pytest.mark.parametrize("kind", [*VERTEX_SETS, lambda g: GraphColouring(g, 3)])
def test_self_loops_are_refused(kind):
    with pytest.raises(InputError, match="vertex 'b' has a self-loop"):
        kind(nx.Graph([("a", "b"), ("b", "b")]))


@pytest.mark.parametrize("kind", VERTEX_SETS)
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: 1, 1: math.nan}, "weight of vertex 1 is nan"),
        ({0: 1, 1: "3"}, "weight of vertex 1 is '3'"),
        ({0: None, 1: 1}, "weight of vertex 0 is None"),
        ({0: [1, 2], 1: [3, 4]}, "weight of vertex 0 is"),
        ({0: 2**59, 1: 2**59}, "too large"),
        ({0: 1}, "vertex 1 has no weight"),
        ({0: 1, 1: 1, 2: 1}, "no vertex 2"),
        ([1, 1], "mapping"),
    ],
)
def test_bad_vertex_weights_are_refused(kind, weights, message):
    with pytest.raises(InputError, match=message):
        kind(nx.path_graph(2), weights=weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GraphColouring(nx.path_graph(2), 0), "at least one colour"),
        (lambda: GraphColouring(nx.path_graph(2), 2.0), "k must be an integer"),
        (lambda: GraphColouring(nx.empty_graph(10), 10**6 + 1), "at most 10000000 variables"),
        (lambda: GraphColouring(nx.empty_graph(10), 10**5), "too large"),
        (lambda: GraphColouring(nx.path_graph(2), 2).decode([1, 0, 0, 1], repair=True), "cannot be repaired"),
        (lambda: GraphPartitioning(nx.empty_graph(10_001)), "too large"),
        (
            lambda: GraphPartitioning(nx.Graph([("a", "b", {"weight": math.inf})])),
            r"weight of edge \('a', 'b'\) is inf",
        ),
        (lambda: MaximumClique(nx.empty_graph(10_001)), "too large"),
        (lambda: NumberPartitioning([]), "empty"),
        (lambda: NumberPartitioning(5), "list of integers, got int"),
        (lambda: NumberPartitioning("123"), "list of integers, got str"),
        (lambda: NumberPartitioning([1, 2.5]), "number 1 is 2.5: only integers"),
        (lambda: NumberPartitioning([1, 1e300]), "number 1 is 1e[+]300"),
        (lambda: NumberPartitioning([1, math.nan]), "number 1 is nan"),
        (lambda: NumberPartitioning([1, "2"]), "number is not a real number"),
        (lambda: NumberPartitioning([[1, 2]]), "flat list"),
        (lambda: NumberPartitioning([1, [2]]), "flat list"),
        (lambda: NumberPartitioning([2**28, -(2**28)]), "too large"),
        (lambda: NumberPartitioning([10**30, 1]), "too large"),
        (lambda: NumberPartitioning(range(10_001)), "too large"),
        (lambda: MaxTwoSat([]), "no clauses"),
        (lambda: MaxTwoSat(3), "list of clauses"),
        (lambda: MaxTwoSat([1, 2]), "clause 0 is 1"),
        (lambda: MaxTwoSat(["ab"]), "clause 0 is 'ab'"),
        (lambda: MaxTwoSat([(1, 2), (1, 2, 3)]), "clause 1 has 3 literals"),
        (lambda: MaxTwoSat([()]), "clause 0 has 0 literals"),
        (lambda: MaxTwoSat([(1, 0)]), "literal 0"),
        (lambda: MaxTwoSat([("a", True)]), "literal True"),
        (lambda: MaxTwoSat([("--a",)]), "'--a'"),
        (lambda: MaxTwoSat([("-",)]), "'-'"),
        (lambda: MaxTwoSat([(1.5, 2)]), "literal 1.5"),
        (lambda: MaxTwoSat([(([1], True),)]), "not hashable"),
        (lambda: MaxTwoSat([(1, 2)], weights=[1, 2]), "2 weights for 1 clauses"),
        (lambda: MaxTwoSat([(1, 2)], weights=[math.nan]), "weight of clause 0 is nan"),
        (lambda: MaxTwoSat([(1, 2)], weights=3), "list of weights"),
        (lambda: GraphPartitioning(nx.path_graph(2), weight={}), "name of an edge attribute"),
        (lambda: neurobench_mis(0, 0.1, 0), "n must be"),
        (lambda: neurobench_mis(10**12, 0.1, 0), "n must be"),
        (lambda: neurobench_mis(10**6, 0.1, 0), "too large"),
        (lambda: neurobench_mis(10, 10, 0), "fraction"),
        (lambda: neurobench_mis(10, math.nan, 0), "fraction"),
        (lambda: neurobench_mis(10, 0.1, -1), "seed"),
    ],
)
def test_bad_input_is_one_clear_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", VERTEX_SETS)
def test_weak_penalty_warns_at_the_callers_line(kind):
    with pytest.warns(ProblemWarning, match="penalty 1 does not exceed 1") as caught:
        kind(nx.path_graph(4), penalty=1)
    assert caught[0].filename == __file__


def test_weak_penalty_of_the_others_warns():
    with pytest.warns(ProblemWarning, match="penalty 1 does not exceed 2"):
        GraphColouring(nx.complete_graph(5), 2, penalty=1)
    with pytest.warns(ProblemWarning, match=r"penalty 0.5 does not exceed 1") as caught:
        GraphPartitioning(nx.cycle_graph(5), penalty=0.5)
    assert caught[0].filename == __file__


def test_self_loops_of_a_partition_are_ignored_with_a_warning():
    graph = nx.path_graph(4)
    plain = GraphPartitioning(graph).qubo
    graph.add_edge(2, 2, weight=9)
    with pytest.warns(ProblemWarning, match="vertex 2") as caught:
        assert GraphPartitioning(graph).qubo == plain
    assert caught[0].filename == __file__
