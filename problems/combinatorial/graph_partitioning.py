"""Graph partitioning into two halves.

    minimise  sum_{uv in E} w_uv (x_u + x_v - 2 x_u x_v) + P (t - a)(t - b)          x_v = 1: v is on the left

with t = sum_v x_v, a = floor(n/2) and b = ceil(n/2), so that sizes may differ by one where n is odd. For integer t the
last term is 0 if t is a or b and positive elsewhere, and a balanced partition has its cut for energy. Since a + b = n
it adds P (1 - n) to each linear term, 2 P to every pair and P a b to the offset: the QUBO is dense.

Bound: let the larger side have t > b vertices. Moving v out of it gains P (2t - 1 - n), at least P for even n and 2 P
for odd n, and costs at most d_v = sum_u |w_uv|. That side leaves out fewer than a vertices, so one of its members has a
d_v no larger than D, the a-th smallest of all. So in every minimiser the halves are balanced if

    P > D for even n,     P > D / 2 for odd n

(a median, where Lucas has the largest degree). Source: A. Lucas, "Ising formulations of many NP problems", Front. Phys.
2 (2014) 5, section 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...result import Number
from ..models import QUBO
from .base import (
    Bits,
    Label,
    NotAnAssignment,
    Solution,
    Violation,
    all_pairs,
    check_pairs,
    choose_penalty,
    distinct_couplings,
    total,
)
from .graphs import GraphProblem, pair_places, read_graph
from .number_partitioning import two_parts

Halves = tuple[Iterable[Label], Iterable[Label]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection(Solution[Halves]):
    """Two sets of vertices.

    Attributes
    ----------
    left, right
        The vertices of spin +1 and of spin -1.
    value
        The weight of the edges between them.
    """

    left: frozenset[Label]
    right: frozenset[Label]

    @property
    def cut(self) -> Number:
        """`value` under its own name."""
        return self.value

    @property
    def answer(self) -> Halves:
        return self.left, self.right


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphPartitioning(GraphProblem[Halves, Bisection]):
    """Two halves, equal or (for an odd number of vertices) one vertex apart, with the least weight between them.

    ``decode(..., repair=True)`` moves vertices out of the larger side, each time the one that raises the cut least.

    Parameters
    ----------
    graph
        An undirected networkx graph of at most 10 000 vertices. Self-loops are never cut: they are ignored, with a
        warning.
    weight
        The edge attribute with the weights, of any sign (1 where an edge has none); None: every edge counts 1.
    penalty
        P; None for the smallest integer above the bound (module docstring), or twice the bound where a weight is no
        integer.
    name
        For people.

    Raises
    ------
    InputError
        For graphs that are empty, directed or too large, weights that are not finite, and a penalty that is not
        positive.
    """

    weight: str | None = "weight"

    def __post_init__(self) -> None:
        data = read_graph(self.graph, weight=self.weight, loops="")
        n, edges = data.n, data.edges
        check_pairs(n * (n - 1) // 2)
        bound: Number = 0
        if n > 1:
            degrees: NDArray[Any] = np.zeros(n, edges.weights.dtype)
            for ends in (edges.rows, edges.cols):
                np.add.at(degrees, ends, np.abs(edges.weights))
            median = np.partition(degrees, n // 2 - 1)[n // 2 - 1].item()
            exact = isinstance(median, int) and median % 2 == 0
            bound = median if n % 2 == 0 else median // 2 if exact else median / 2
        strength = choose_penalty(self.penalty, bound, integral=edges.integral)
        self._set(_data=data, _strength=strength)

    def _build(self) -> QUBO:
        edges, n, p = self._data.edges, self._data.n, self._strength
        rows, cols = all_pairs(n)
        weights: NDArray[Any] = np.full(
            rows.size, 2 * p, np.int64 if isinstance(p, int) and edges.integral else np.float64
        )
        weights[pair_places(n, edges)] -= 2 * edges.weights
        pairs = distinct_couplings(n, rows, cols, weights)
        linear = np.full(n, p * (1 - n), weights.dtype)
        for ends in (edges.rows, edges.cols):
            np.add.at(linear, ends, edges.weights)
        return QUBO(
            couplings=pairs,
            linear=linear,
            offset=p * (n // 2) * (n - n // 2),
            variables=self._data.labels,
            name=self.name,
        )

    def _solution(self, x: Bits) -> Bisection:
        edges, n, t = self._data.edges, self._data.n, int(x.sum())
        rule = f"the sides have {t} and {n - t} vertices"
        return Bisection(
            left=self._data.pick(x),
            right=self._data.pick(~x),
            value=total(edges.weights[x[edges.rows] != x[edges.cols]]),
            violations=() if abs(n - 2 * t) <= 1 else (Violation(rule=rule),),
        )

    def _bits(self, answer: Halves) -> Bits:
        left, right = two_parts(answer)
        x, y = self._data.members(left), self._data.members(right)
        if (x & y).any():
            raise NotAnAssignment(f"vertex {self._data.labels[int(np.argmax(x & y))]!r} is on both sides")
        if not (x | y).all():
            raise NotAnAssignment(f"vertex {self._data.labels[int(np.argmin(x | y))]!r} is on neither side")
        return x

    def _repaired(self, x: Bits) -> Bits:
        edges, n = self._data.edges, self._data.n
        excess = abs(2 * int(x.sum()) - n) // 2
        if not excess:
            return x
        x = x.copy()
        larger = 2 * int(x.sum()) > n
        indptr, indices, weights = edges.csr()
        # What moving a vertex would add to the cut, in floats: it only ranks them.
        cost: NDArray[np.float64] = np.zeros(n)
        same = np.where(x[edges.rows] == x[edges.cols], edges.weights, -edges.weights)
        for ends in (edges.rows, edges.cols):
            np.add.at(cost, ends, same)
        for _ in range(excess):
            v = int(np.argmin(np.where(x == larger, cost, np.inf)))
            x[v] = not larger
            row = slice(indptr[v], indptr[v + 1])
            cost[indices[row]] += np.where(x[indices[row]] == x[v], 2, -2) * weights[row]
        return x
