"""The three models and the exact conversions among them.

    Ising    E(s) = sum_{i<j} J_ij s_i s_j + sum_i h_i s_i + offset     minimised, s in {-1, +1}   (dimod's sign)
    QUBO     E(x) = sum_{i<j} Q_ij x_i x_j + sum_i q_i x_i + offset     minimised, x = (1 + s)/2 in {0, 1}
    MaxCut   cut(s) = sum_{i<j} w_ij (1 - s_i s_j)/2                    maximised

All three are assigned by spins: a QUBO's x is 1 where the spin is +1. Conversions:

    QUBO   <-> Ising    the same energy for every assignment. A QUBO's integers are divided by 4 (2 in the fields); quotients that
                        are no integers are exact binary fractions, and ``.scaled(4)`` makes them integers again.
    MaxCut  -> Ising    J = w, so that E = offset + W - 2 cut with W the sum of the weights: integers stay integers.
    Ising   -> MaxCut   w = J. Fields become edges to one more vertex, the *ancilla*, which comes last; the offset is kept
                        aside and comes back with `MaxCut.to_ising`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..result import BestKnown, Number, Sense, Spins
from .couplings import Couplings, Weights, as_weights
from .known import lookup
from .model import Model, exact_sum, linear_terms, number, total

ANCILLA = "ancilla"


def _row_sums(c: Couplings) -> Weights:
    """Sum of the weights at each vertex, (n,)."""
    sums: Weights = np.zeros(c.n, c.weights.dtype)
    for ends in (c.rows, c.cols):
        np.add.at(sums, ends, c.weights)
    return sums


def _quarter(values: Weights) -> Weights:
    """A quarter of each, exactly: as integers where all divide."""
    if values.dtype == np.int64:
        if not (values & 3).any():
            return values >> 2
        if int(np.abs(values).max()) >= 2**53:
            raise InputError("weights too large to convert exactly: keep them below 2**53")
    return values / 4


def _fresh(label: str, labels: Iterable[Hashable]) -> str:
    taken = set(labels)
    while label in taken:
        label += "_"
    return label


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ising(Model):
    """E(s) = sum_{i<j} J_ij s_i s_j + sum_i h_i s_i + offset, minimised.

    Attributes
    ----------
    couplings
        J.
    fields : (n,)
        h; zero where None was given.
    offset
        Added to every energy.
    """

    kind: ClassVar[str] = "ising"

    fields: NDArray[Any] = None  # type: ignore[assignment]
    offset: Number = 0

    def __post_init__(self) -> None:
        Model.__post_init__(self)
        object.__setattr__(self, "fields", linear_terms(self.fields, self.n, "field"))
        object.__setattr__(self, "offset", number(self.offset, "offset"))

    def terms(self) -> tuple[Weights, Number]:
        return self.fields, self.offset

    @property
    def best_known(self) -> BestKnown | None:
        """The problem's own, or offset + W - 2 cut for a graph of the table."""
        if self.known is not None or self.fields.any():
            return self.known
        known = lookup(self.couplings)
        if known is None:
            return None
        return BestKnown(value=self.offset + total(self.couplings.weights) - 2 * known.value, source=known.source)

    def objective(self, spins: ArrayLike | Mapping[Hashable, int]) -> Number:
        s = self.spins(spins)
        c = self.couplings
        unequal = s[c.rows] != s[c.cols]
        pairs = np.where(unequal, -c.weights, c.weights)
        return exact_sum([pairs, self.fields * s], self.offset)

    def scaled(self, factor: int) -> Ising:
        """Every number times a positive integer: ``qubo.to_ising().scaled(4)`` has integers where the QUBO has."""
        if factor < 1:
            raise InputError("the factor must be a positive integer")
        known = self.known and BestKnown(value=self.known.value * factor, source=self.known.source)
        return replace(
            self,
            couplings=self.couplings.replace_weights(as_weights(self.couplings.weights * factor)),
            fields=as_weights(self.fields * factor),
            offset=self.offset * factor,
            known=known,
        )

    def to_ising(self) -> Ising:
        return self

    def to_qubo(self) -> QUBO:
        c = self.couplings
        return QUBO(
            couplings=c.replace_weights(4 * c.weights),
            linear=2 * self.fields - 2 * _row_sums(c),
            offset=self.offset + total(c.weights) - total(self.fields),
            variables=self.variables,
            name=self.name,
            known=self.known,
        )

    def to_maxcut(self) -> MaxCut:
        c, labels = self.couplings, self.variables
        ends = np.flatnonzero(self.fields).astype(np.int32)
        if ends.size:
            c, _ = Couplings.build(
                self.n + 1,
                np.concatenate([c.rows, ends]),
                np.concatenate([c.cols, np.full(ends.size, self.n, np.int32)]),
                np.concatenate([c.weights, self.fields[ends]]),
            )
            if labels is not None:
                labels = (*labels, _fresh(ANCILLA, labels))
        known = self.known
        if known is not None:
            cut = number((total(c.weights) - (known.value - self.offset)) / 2, "best known")
            known = BestKnown(value=cut, source=known.source)
        return MaxCut(
            couplings=c, offset=self.offset, ancilla=ends.size > 0, variables=labels, name=self.name, known=known
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QUBO(Model):
    """E(x) = sum_{i<j} Q_ij x_i x_j + sum_i q_i x_i + offset, minimised, x in {0, 1}.

    Attributes
    ----------
    couplings
        Q_ij for each unordered pair, once (of a symmetric matrix: Q_ij + Q_ji).
    linear : (n,)
        q, the diagonal; zero where None was given.
    offset
        Added to every energy.
    """

    kind: ClassVar[str] = "qubo"

    linear: NDArray[Any] = None  # type: ignore[assignment]
    offset: Number = 0

    def __post_init__(self) -> None:
        Model.__post_init__(self)
        object.__setattr__(self, "linear", linear_terms(self.linear, self.n, "linear term"))
        object.__setattr__(self, "offset", number(self.offset, "offset"))

    def terms(self) -> tuple[Weights, Number]:
        return self.linear, self.offset

    def objective(self, spins: ArrayLike | Mapping[Hashable, int]) -> Number:
        one = self.spins(spins) > 0
        c = self.couplings
        return exact_sum([c.weights[one[c.rows] & one[c.cols]], self.linear[one]], self.offset)

    def assignment(self, spins: ArrayLike) -> dict[Hashable, int]:
        return {v: (1 + s) // 2 for v, s in Model.assignment(self, spins).items()}

    def to_ising(self) -> Ising:
        c = self.couplings
        return Ising(
            couplings=c.replace_weights(_quarter(c.weights)),
            fields=_quarter(2 * self.linear + _row_sums(c)),
            offset=_quarter(
                as_weights([4 * self.offset + 2 * total(self.linear) + total(c.weights)], "offset")
            ).tolist()[0],
            variables=self.variables,
            name=self.name,
            known=self.known,
        )

    def to_qubo(self) -> QUBO:
        return self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxCut(Model):
    """cut(s) = sum_{i<j} w_ij (1 - s_i s_j)/2, maximised: the weight between the two sides.

    Attributes
    ----------
    couplings
        The graph's edges and weights.
    offset
        The constant of the Ising problem that this came from; it is no part of the cut.
    ancilla
        Whether the last vertex carries the fields of an Ising problem.
    """

    kind: ClassVar[str] = "maxcut"
    sense: ClassVar[Sense] = "max"

    offset: Number = 0
    ancilla: bool = False

    def __post_init__(self) -> None:
        Model.__post_init__(self)
        object.__setattr__(self, "offset", number(self.offset, "offset"))
        if self.ancilla and self.n < 2:
            raise InputError("an ancilla needs another vertex beside it")

    def terms(self) -> tuple[Weights, Number]:
        return np.zeros(self.n, np.int64), 0

    @property
    def best_known(self) -> BestKnown | None:
        return self.known or lookup(self.couplings)

    def objective(self, spins: ArrayLike | Mapping[Hashable, int]) -> Number:
        s = self.spins(spins)
        c = self.couplings
        cut = s.take(c.rows, mode="clip") != s.take(c.cols, mode="clip")
        return int(np.dot(c.weights, cut)) if c.integral else total(c.weights[cut])

    def fold(self, spins: ArrayLike) -> Spins:
        """The Ising problem's spins for a cut of this graph: those relative to the ancilla; all of them where there is none.

        Parameters
        ----------
        spins : (n,)

        Returns
        -------
        (n - 1,) or (n,) int8
        """
        s = self.spins(spins)
        return s[:-1] * s[-1] if self.ancilla else s

    def to_ising(self) -> Ising:
        c = self.couplings
        known = self.known
        if known is not None:
            known = BestKnown(value=self.offset + total(c.weights) - 2 * known.value, source=known.source)
        if not self.ancilla:
            return Ising(couplings=c, offset=self.offset, variables=self.variables, name=self.name, known=known)
        last = self.n - 1
        touches = (c.rows == last) | (c.cols == last)
        fields = np.zeros(last, c.weights.dtype)
        fields[np.minimum(c.rows, c.cols)[touches]] = c.weights[touches]
        rest, _ = Couplings.build(last, c.rows[~touches], c.cols[~touches], c.weights[~touches])
        labels = None if self.variables is None else self.variables[:-1]
        return Ising(couplings=rest, fields=fields, offset=self.offset, variables=labels, name=self.name, known=known)

    def to_maxcut(self) -> MaxCut:
        return self


Problem = Ising | QUBO | MaxCut
