"""Graph colouring with k colours.

    minimise  P sum_v (1 - sum_c x_vc)^2 + sum_{uv in E} sum_c x_uc x_vc          x_vc = 1: v has colour c

With one colour a vertex, the energy is the number of conflicts, edges whose ends share a colour: 0 if the colouring is
proper. A vertex with several colours gains P or more by giving one up. Once none has several, a vertex without colour
can take the one that is rarest among its neighbours, for at most floor(degree / k) conflicts, and gains P. So in every
minimiser each vertex has one colour if

    P > floor(largest degree / k)

and the minimiser is then proper wherever a proper colouring exists, and has the fewest conflicts where none does.
Source: A. Lucas, "Ising formulations of many NP problems", Front. Phys. 2 (2014) 5, section 6.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError
from ..models import QUBO
from .base import (
    Bits,
    Label,
    NotAnAssignment,
    Solution,
    Violation,
    check_pairs,
    choose_penalty,
    distinct_couplings,
    place_of,
)
from .graphs import GraphProblem, read_graph

MAX_VARIABLES = 10**7


@dataclass(frozen=True, slots=True, kw_only=True)
class Colouring(Solution[Mapping[Label, int]]):
    """A colour a vertex.

    Attributes
    ----------
    colours
        Label to colour, 0 to k - 1: the first colour of a vertex that has several; a vertex without colour is left out.
    value
        Number of conflicts: edges whose ends share a colour.
    """

    colours: dict[Label, int]

    @property
    def answer(self) -> Mapping[Label, int]:
        return self.colours


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphColouring(GraphProblem[Mapping[Label, int], Colouring]):
    """One of k colours for each vertex, different at the two ends of every edge.

    The QUBO's variables are pairs (vertex, colour). There is no repair: mending could need a colour more.
    `encode` also takes a partial colouring; the vertices that it leaves out get no colour.

    Parameters
    ----------
    graph
        An undirected networkx graph. Self-loops are refused: no colouring would be proper.
    k
        Number of colours, at least 1.
    penalty
        P; None for the smallest integer above the bound (module docstring).
    name
        For people.

    Raises
    ------
    InputError
        For graphs that are empty, directed or have self-loops, k < 1, a penalty that is not positive, and more than 1e7
        variables or 5e7 pairs in the QUBO.
    """

    k: int = field(kw_only=False)

    def __post_init__(self) -> None:
        data = read_graph(self.graph, loops="no colouring can be proper")
        if isinstance(self.k, bool) or not isinstance(self.k, int | np.integer):
            raise InputError(f"k must be an integer, not {self.k!r}")
        k = int(self.k)
        if k < 1:
            raise InputError(f"k is {k}: at least one colour is needed")
        if data.n * k > MAX_VARIABLES:
            raise InputError(f"{data.n} vertices in {k} colours: at most {MAX_VARIABLES} variables are supported")
        check_pairs(data.n * k * (k - 1) // 2 + data.edges.m * k)
        degrees = np.bincount(np.concatenate([data.edges.rows, data.edges.cols]), minlength=data.n)
        strength = choose_penalty(self.penalty, int(degrees.max()) // k, integral=True)
        self._set(k=k, _data=data, _strength=strength)

    def _build(self) -> QUBO:
        data, k, p = self._data, self.k, self._strength
        n, m = data.n, data.edges.m
        first, second = np.triu_indices(k, 1)
        vertices, shades = np.arange(n)[:, None] * k, np.arange(k)
        rows = np.concatenate(
            [(vertices + first).ravel(), (data.edges.rows[:, None].astype(np.int64) * k + shades).ravel()]
        )
        cols = np.concatenate(
            [(vertices + second).ravel(), (data.edges.cols[:, None].astype(np.int64) * k + shades).ravel()]
        )
        weights = np.concatenate([np.full(n * first.size, 2 * p), np.ones(m * k, np.int64)])
        return QUBO(
            couplings=distinct_couplings(n * k, rows.astype(np.int32), cols.astype(np.int32), weights),
            linear=np.full(n * k, -p),
            offset=p * n,
            variables=tuple((v, c) for v in data.labels for c in range(k)),
            name=self.name,
        )

    def _solution(self, x: Bits) -> Colouring:
        data = self._data
        table = x.reshape(data.n, self.k)
        count = table.sum(axis=1)
        colour = np.where(count > 0, table.argmax(axis=1), -1).tolist()
        shared: Bits = np.logical_or.reduce(table[data.edges.rows] & table[data.edges.cols], axis=1)
        unfit = tuple(
            Violation(rule="no colour" if count[i] == 0 else "several colours", labels=(data.labels[i],))
            for i in np.flatnonzero(count != 1).tolist()
        )
        clashes = data.violations("both ends of an edge have the same colour", data.edges, shared)
        return Colouring(
            colours={v: c for v, c in zip(data.labels, colour, strict=True) if c >= 0},
            value=int(shared.sum()),
            violations=unfit + clashes,
        )

    def _bits(self, answer: Mapping[Label, int]) -> Bits:
        if not isinstance(answer, Mapping):
            raise InputError(f"the solution must be a mapping from vertex to colour, not {type(answer).__name__}")
        data = self._data
        x = np.zeros((data.n, self.k), bool)
        outside: InputError | None = None
        for v, c in answer.items():
            i = place_of(v, data.places)
            if isinstance(c, bool) or not isinstance(c, int | np.integer):
                raise InputError(f"the colour of vertex {v!r} is {c!r}: colours are integers")
            if 0 <= c < self.k:
                x[i, c] = True
            else:
                outside = NotAnAssignment(f"the colour of vertex {v!r} is {c}: there are only 0 to {self.k - 1}")
        if outside is not None:
            raise outside
        return x.ravel()

    def _repaired(self, x: Bits) -> Bits:
        raise InputError("a colouring cannot be repaired: decode it without repair, or allow more colours")
