"""Smaller systems that stand for a whole one: without its spins of few neighbours, or contracted to where given states agree.

`Reduction` is exact: an optimum of the core, extended, is an optimum of the whole (`kernels.reduce`). `Contraction` keeps every edge rigid whose two
spins stand alike in all of the given states: what is left are clusters, and any choice of theirs is a state of the whole; choosing well is at
least as good as the best of the given states. With two states that is partition crossover, with more the clusters touch and must be annealed
(Houdayer and Martin, Phys. Rev. E 64, 056704 (2001): renormalisation for discrete optimisation).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..kernels.crossover import clusters
from ..kernels.reduce import eliminate, restore, twins
from ..system import SpinSystem, assembled, by_colour

MAX_STATES = 64


def _wide(a: NDArray[Any]) -> NDArray[Any]:
    return a.astype(np.int64) if a.dtype == np.int32 else a.copy()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reduction:
    """A system without its spins of few neighbours.

    core, the system that is left, its spins numbered by kept (c,), the whole's numbers; removed (r,), neighbours (r, 2), strengths (r, 3): see
    `kernels.reduce.eliminate`.
    """

    core: SpinSystem
    kept: NDArray[np.int64]
    removed: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    strengths: NDArray[Any]

    @classmethod
    def of(cls, system: SpinSystem) -> Self:
        """Of an uncoloured system; its core is coloured."""
        degree = np.diff(system.indptr)
        if not np.any(degree <= 2):
            return cls.none(by_colour(replace(system, ideal=None)))
        n, two_m = system.n, system.indices.size
        source = np.repeat(np.arange(n, dtype=np.int32), degree)
        to = system.indices.astype(np.int32)
        weights, fields = _wide(system.weights), _wide(system.fields)
        removed = np.empty(n, np.int64)
        neighbours, strengths = np.empty((n, 2), np.int64), np.empty((n, 3), weights.dtype)
        following, previous = np.arange(1, two_m + 1), np.arange(-1, two_m - 1)
        following[system.indptr[1:][degree > 0] - 1] = -1
        previous[system.indptr[:-1][degree > 0]] = -1
        head = np.where(degree > 0, system.indptr[:-1], -1)
        twin = np.empty(two_m, np.int64)
        twins(system.indptr, system.indices, twin)
        count = int(
            eliminate(
                head, following, previous, source, to, twin, weights, fields, degree, removed, neighbours, strengths
            )
        )
        left = np.ones(n, np.bool_)
        left[removed[:count]] = False
        kept = np.flatnonzero(left)
        place = np.full(n, -1, np.int64)
        place[kept] = np.arange(kept.size)
        alive = source >= 0
        return cls(
            core=_from_entries(place[source[alive]], place[to[alive]], weights[alive], fields[kept], system.unit),
            kept=kept,
            removed=removed[:count].copy(),
            neighbours=neighbours[:count].copy(),
            strengths=strengths[:count].copy(),
        )

    @classmethod
    def none(cls, system: SpinSystem) -> Self:
        """Nothing removed."""
        nothing = np.zeros((0, 3), np.int64 if system.integral else np.float64)
        return cls(
            core=system,
            kept=np.arange(system.n),
            removed=np.zeros(0, np.int64),
            neighbours=np.zeros((0, 2), np.int64),
            strengths=nothing,
        )

    def inwards(self, spins: Spins) -> Spins:
        """States (..., n) of the whole as states (..., c) of the core, in its kernels' order."""
        return self.core.inwards(spins[..., self.kept])

    def outwards(self, spins: Spins) -> Spins:
        """A state (c,) of the core as the best state (n,) of the whole that holds it."""
        out = np.zeros(self.kept.size + self.removed.size, np.int8)
        out[self.kept] = self.core.outwards(spins)
        if self.removed.size:
            restore(self.removed, self.neighbours, self.strengths, out)
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contraction:
    """A system contracted to where states agree: cluster c flips the spins labelled c, (n,), of the state reference (n,)."""

    system: SpinSystem
    labels: NDArray[np.int64]
    first: NDArray[np.int64]
    reference: Spins

    @classmethod
    def of(cls, system: SpinSystem, states: Spins) -> Self:
        """Of up to `MAX_STATES` states (k, n) in the kernels' order."""
        n = system.n
        labels, count = parts(system, states)
        first = np.empty(count, np.int64)
        first[labels[::-1]] = np.arange(n - 1, -1, -1)
        reference = states[0].copy()
        row = np.repeat(np.arange(n), np.diff(system.indptr))
        between = labels[row] != labels[system.indices]
        a, b = row[between], system.indices[between]
        weights = _wide(system.weights)[between] * reference[a] * reference[b]
        fields = np.zeros(count, weights.dtype)
        np.add.at(fields, labels, _wide(system.fields) * reference)
        small = _from_entries(labels[a], labels[b], weights, fields, system.unit)
        return cls(system=small, labels=labels, first=first, reference=reference)

    def inwards(self, states: Spins) -> Spins:
        """States (..., n) that agree within clusters, as states (..., clusters) of the contracted system."""
        return self.system.inwards((states * self.reference)[..., self.first])

    def outwards(self, spins: Spins) -> Spins:
        """States (..., clusters) as states (..., n)."""
        out: Spins = self.system.outwards(spins)[..., self.labels] * self.reference
        return out


def parts(system: SpinSystem, states: Spins) -> tuple[NDArray[np.int64], int]:
    """Clusters in which up to `MAX_STATES` states (k, n) agree, or differ, edge by edge: each spin's number (n,), and how many there are."""
    if states.shape[0] > MAX_STATES:
        raise ValueError(f"{states.shape[0]} states: at most {MAX_STATES}")
    # Where a state stands against the first one is what its negation would tell as well.
    signature = np.zeros(system.n, np.uint64)
    for k, state in enumerate(states):
        signature |= (state != states[0]).astype(np.uint64) << np.uint64(k)
    labels = np.empty(system.n, np.int64)
    return labels, int(clusters(system.indptr, system.indices, signature, labels, np.empty(system.n, np.uint32)))


def _from_entries(
    rows: NDArray[np.int64], columns: NDArray[np.int64], weights: NDArray[Any], fields: NDArray[Any], unit: float
) -> SpinSystem:
    """The coloured system of the entries of a symmetric matrix, equal places added up."""
    n = fields.size
    place = rows * n + columns
    order = np.argsort(place, kind="stable")
    rows, columns, weights = rows[order], columns[order], weights[order]
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    if starts.size:
        rows, columns, weights = rows[starts], columns[starts], np.add.reduceat(weights, starts)
    there = weights != 0
    rows, columns, weights = rows[there], columns[there], weights[there]
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=indptr[1:])
    indices = columns.astype(np.uint32)
    # Read-only as a graph's own rows are, so that no kernel is compiled for both kinds.
    for a in (indptr, indices):
        a.setflags(write=False)
    return assembled(indptr, indices, weights, fields, unit, coloured=True)
