"""Problems on graphs: reading a networkx graph into arrays, and the greedy pass that mends vertex sets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, ProblemWarning
from ...result import Number
from ..couplings import Couplings, Weights, frozen
from .base import Answer, Bits, Combinatorial, Label, Solved, Violation, labelled_weights, place_of

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphData:
    """A graph as arrays: its labels in the graph's order, their places, and its edges with their weights."""

    labels: tuple[Label, ...]
    places: Mapping[Label, int]
    edges: Couplings

    @property
    def n(self) -> int:
        return len(self.labels)

    def violations(self, rule: str, pairs: Couplings, broken: Bits) -> tuple[Violation, ...]:
        """One violation for each broken pair, with the labels of its two ends."""
        ends = zip(pairs.rows[broken].tolist(), pairs.cols[broken].tolist(), strict=True)
        return tuple(Violation(rule=rule, labels=(self.labels[i], self.labels[j])) for i, j in ends)

    def members(self, answer: Iterable[Label], what: str = "the solution") -> Bits:
        """Which vertices a collection of labels names, (n,) bool."""
        if not isinstance(answer, Iterable) or isinstance(answer, str):
            raise InputError(f"{what} must be a collection of vertices, not {type(answer).__name__}")
        x = np.zeros(self.n, bool)
        for v in answer:
            x[place_of(v, self.places)] = True
        return x

    def pick(self, x: Bits) -> frozenset[Label]:
        """The labels of the chosen vertices."""
        return frozenset(self.labels[i] for i in np.flatnonzero(x).tolist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphProblem(Combinatorial[Answer, Solved]):
    """A problem on an undirected networkx graph.

    Attributes
    ----------
    graph
        Any hashable labels. The edges of a multigraph between the same ends count once, or add up where they have
        weights.
    penalty
        What one broken rule costs in the QUBO; None for the smallest safe one (each problem states its bound).
    """

    graph: nx.Graph[Any] = field(kw_only=False)
    penalty: Number | None = None
    _data: GraphData = field(init=False, repr=False)
    _strength: Number = field(init=False, repr=False)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


def read_graph(graph: nx.Graph[Any], *, weight: str | None = None, loops: str) -> GraphData:
    """A networkx graph as arrays.

    Parameters
    ----------
    graph
        Undirected, with at least one vertex.
    weight
        The edge attribute that holds the weights (1 where an edge has none); None: every edge counts 1, once.
    loops
        Why the problem cannot have self-loops; "" drops them, with a warning.

    Raises
    ------
    InputError
        For anything else than a networkx graph, and directed or empty ones, self-loops, and weights that are not
        finite.
    """
    import networkx as nx

    if not isinstance(graph, nx.Graph):
        raise InputError(f"expected a networkx graph, got {type(graph).__name__}")
    if graph.is_directed():
        raise InputError("the graph is directed: give graph.to_undirected()")
    if weight is not None and not isinstance(weight, str):
        raise InputError(f"weight must be the name of an edge attribute or None, not {type(weight).__name__}")
    labels = tuple(graph)
    if not labels:
        raise InputError("the graph is empty: it has no vertices")
    places = {v: i for i, v in enumerate(labels)}
    m = graph.number_of_edges()
    ends = np.fromiter((places[v] for edge in graph.edges() for v in edge), np.int32, count=2 * m).reshape(m, 2)
    rows, cols = ends[:, 0], ends[:, 1]
    loop = rows == cols
    if loop.any():
        at = labels[rows[int(np.argmax(loop))]]
        if loops:
            raise InputError(f"vertex {at!r} has a self-loop: {loops}")
        warnings.warn(f"self-loops ignored (the first at vertex {at!r})", ProblemWarning, stacklevel=4)
    w: Weights = np.ones(m, np.int64)
    if weight is not None:
        pairs = [(u, v) for u, v in graph.edges()]
        w = labelled_weights(pairs, [d for *_, d in graph.edges(data=weight, default=1)], "the weight of edge")
    keep = ~loop
    edges, _ = Couplings.build(len(labels), rows[keep], cols[keep], w[keep])
    if weight is None:
        edges = edges.replace_weights(np.ones(edges.m, np.int64))
    return GraphData(labels=labels, places=places, edges=edges)


def node_weights(graph: nx.Graph[Any], data: GraphData, weights: Mapping[Label, Number] | str | None) -> Weights:
    """Vertex weights in the graph's order, (n,): ones for None, an attribute for a string, else looked up by label."""
    if weights is None:
        return frozen(np.ones(data.n, np.int64))
    if isinstance(weights, str):
        values: list[Any] = [d for _, d in graph.nodes(data=weights)]
        for v, d in zip(data.labels, values, strict=True):
            if d is None:
                raise InputError(f"vertex {v!r} has no attribute {weights!r}")
    elif isinstance(weights, Mapping):
        for v in data.labels:
            if v not in weights:
                raise InputError(f"vertex {v!r} has no weight")
        for v in weights:
            place_of(v, data.places)
        values = [weights[v] for v in data.labels]
    else:
        raise InputError(
            f"weights must be a mapping from vertex to number, or an attribute's name, not {type(weights).__name__}"
        )
    return frozen(labelled_weights(data.labels, values, "the weight of vertex"))


def pair_places(n: int, edges: Couplings) -> NDArray[np.int64]:
    """Where `all_pairs` has each edge, (m,)."""
    i = np.minimum(edges.rows, edges.cols).astype(np.int64)
    j = np.maximum(edges.rows, edges.cols)
    return i * n - i * (i + 1) // 2 + j - i - 1


def maximal_independent(edges: Couplings, chosen: Bits, weights: Weights) -> Bits:
    """A maximal independent set that keeps as much of a chosen set as a greedy pass can.

    Chosen vertices come first, those of most weight for the fewest conflicts before others; then vertices of positive
    weight that are still free, those of most weight for the fewest neighbours first. Chosen vertices without conflicts
    always stay.

    Returns
    -------
    (n,) bool
    """
    indptr, indices, _ = edges.csr()
    clash = chosen[edges.rows] & chosen[edges.cols]
    conflicts = np.bincount(np.concatenate([edges.rows[clash], edges.cols[clash]]), minlength=edges.n)
    rivals = np.where(chosen, conflicts, np.diff(indptr))
    order = np.lexsort((-weights / (1 + rivals), ~chosen))
    kept, blocked = np.zeros(edges.n, bool), np.zeros(edges.n, bool)
    for v in order[chosen[order] | (weights[order] > 0)].tolist():
        if not blocked[v]:
            kept[v] = True
            blocked[indices[indptr[v] : indptr[v + 1]]] = True
    return kept
