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

import hashlib
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..result import BestKnown, Number, Sense, Spins
from .couplings import Couplings, Weights, as_weights, frozen
from .known import lookup

ANCILLA = "ancilla"


def _number(value: Any, what: str) -> Number:
    """An int where it is one, else a float; refuses NaN and infinities."""
    w = as_weights([value], what)
    return w.tolist()[0]  # type: ignore[no-any-return]


def _total(weights: Weights) -> Number:
    """The exact sum: int64 sums cannot overflow (`as_weights` saw to it); floats are summed without rounding error but the last."""
    return int(weights.sum()) if weights.dtype == np.int64 else math.fsum(weights.tolist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """What `Ising`, `QUBO` and `MaxCut` share. Immutable; two are equal if they say the same, in whatever order.

    Attributes
    ----------
    couplings
        The weighted pairs.
    variables
        One label a variable, or None for 0..n-1.
    name
        For people.
    known
        A best objective that comes with the problem (a planted optimum, say).
    """

    kind: ClassVar[str]
    sense: ClassVar[Sense] = "min"

    couplings: Couplings
    variables: tuple[Hashable, ...] | None = None
    name: str = ""
    known: BestKnown | None = None
    _cache: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.variables is not None:
            labels = tuple(self.variables)
            if len(labels) != self.n:
                raise InputError(f"{len(labels)} labels for {self.n} variables")
            if len(set(labels)) != self.n:
                raise InputError("two variables have the same label")
            object.__setattr__(self, "variables", None if labels == tuple(range(self.n)) else labels)

    @property
    def n(self) -> int:
        """Number of variables."""
        return self.couplings.n

    @property
    def m(self) -> int:
        """Number of pairs with a weight."""
        return self.couplings.m

    def terms(self) -> tuple[Weights, Number]:
        """Linear terms (n,) and the constant."""
        return np.zeros(self.n, np.int64), 0

    @property
    def integral(self) -> bool:
        """Whether every number in it is an integer; objectives then are, exactly."""
        linear, offset = self.terms()
        return self.couplings.integral and linear.dtype == np.int64 and isinstance(offset, int)

    def sha256(self) -> str:
        """Digest of the content. Labels, names and the order of the pairs do not count."""
        if "sha256" not in self._cache:
            linear, offset = self.terms()
            if not linear.any() and not offset:
                digest = self.couplings.sha256()
                if self.kind != "maxcut":
                    digest = hashlib.sha256(f"fnanneal {self.kind} {digest}".encode()).hexdigest()
            else:
                h = hashlib.sha256(
                    f"fnanneal {self.kind} {self.couplings.sha256()} {offset!r} {linear.dtype}\n".encode()
                )
                h.update(linear.astype(linear.dtype.newbyteorder("<")).tobytes())
                digest = h.hexdigest()
            self._cache["sha256"] = digest
        return self._cache["sha256"]  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return type(self) is type(other) and self.variables == other.variables and self.sha256() == other.sha256()

    def __hash__(self) -> int:
        return hash((self.kind, self.sha256()))

    @property
    def best_known(self) -> BestKnown | None:
        """The best objective known: the problem's own, or the table's for these couplings."""
        return self.known

    def spins(self, values: ArrayLike | Mapping[Hashable, int]) -> Spins:
        """Check an assignment and give it as spins.

        Parameters
        ----------
        values : (n,) or a mapping from label to value
            +1/-1, or 0/1 (1 stands for +1); booleans count as 0/1.

        Returns
        -------
        (n,) int8

        Raises
        ------
        InputError
            For another length, another value, or labels that do not fit.
        """
        if isinstance(values, Mapping):
            labels = self.variables if self.variables is not None else tuple(range(self.n))
            if values.keys() != set(labels):
                raise InputError("the assignment's labels are not the problem's")
            values = [values[v] for v in labels]
        a = np.asarray(values)
        if a.shape != (self.n,):
            raise InputError(f"an assignment of shape {a.shape} for {self.n} variables")
        if a.dtype.kind not in "biuf":
            raise InputError("an assignment must be numbers")
        if a.dtype != np.int8:
            ok = np.isin(a, (-1, 0, 1))
            if not ok.all():
                k = int(np.argmin(ok))
                raise InputError(f"value {k + 1} of the assignment is {a[k]}: only +1/-1 or 0/1 will do")
        s = a.astype(np.int8)
        low, high = int(s.min()), int(s.max())
        zero = bool((s == 0).any())
        if low < -1 or high > 1 or (zero and low == -1):
            raise InputError("an assignment must be all +1/-1 or all 0/1")
        return s if not zero else (2 * s - 1).astype(np.int8)

    def objective(self, spins: ArrayLike | Mapping[Hashable, int]) -> Number:
        """The objective of one assignment, in exact arithmetic.

        Parameters
        ----------
        spins : (n,) or a mapping
            As for `spins`.

        Returns
        -------
        int or float
            An int for integer weights; else the correctly rounded sum.

        Raises
        ------
        InputError
            As `spins`.
        """
        raise NotImplementedError  # each model's own

    def assignment(self, spins: ArrayLike) -> dict[Hashable, int]:
        """Labels with their values: +1/-1 (a QUBO: 1/0)."""
        s = self.spins(spins).tolist()
        return dict(zip(self.variables if self.variables is not None else range(self.n), s, strict=True))

    def summary(self) -> dict[str, Any]:
        """What the JSON output says of a problem."""
        return {"name": self.name, "kind": self.kind, "n": self.n, "m": self.m, "sha256": self.sha256()}

    def named(self, name: str) -> Self:
        """The same problem under another name."""
        return replace(self, name=name)

    def to_ising(self) -> Ising:
        """As an Ising problem (module docstring)."""
        raise NotImplementedError  # each model's own

    def to_qubo(self) -> QUBO:
        """As a QUBO: the energy of `to_ising` for every assignment."""
        i = self.to_ising()
        c = i.couplings
        return QUBO(
            couplings=c.replace_weights(4 * c.weights),
            linear=2 * i.fields - 2 * _row_sums(c),
            offset=i.offset + _total(c.weights) - _total(i.fields),
            variables=self.variables,
            name=self.name,
            known=i.known,
        )

    def to_maxcut(self) -> MaxCut:
        """As a Max-Cut problem (module docstring)."""
        i = self.to_ising()
        c, labels = i.couplings, i.variables
        known = i.known
        if not i.fields.any():
            cut = MaxCut(couplings=c, offset=i.offset, variables=labels, name=self.name)
        else:
            ends = np.flatnonzero(i.fields).astype(np.int32)
            weights: Weights = np.concatenate([c.weights, i.fields[ends]])
            wide, _ = Couplings.build(
                i.n + 1,
                np.concatenate([c.rows, ends]),
                np.concatenate([c.cols, np.full(ends.size, i.n, np.int32)]),
                weights,
            )
            if labels is not None:
                labels = (*labels, _fresh(ANCILLA, labels))
            cut = MaxCut(couplings=wide, offset=i.offset, ancilla=True, variables=labels, name=self.name)
        if known is None:
            return cut
        value = _number((_total(cut.couplings.weights) - (known.value - i.offset)) / 2, "best known")
        return replace(cut, known=BestKnown(value=value, source=known.source))


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


def _linear(values: ArrayLike | None, n: int, what: str) -> Weights:
    w = np.zeros(n, np.int64) if values is None else as_weights(values, what)
    if w.shape != (n,):
        raise InputError(f"{what}s of shape {w.shape} for {n} variables")
    return frozen(w)


def _sum(parts: Iterable[Weights], constant: Number) -> Number:
    """Exact sum of all parts and a constant."""
    parts = list(parts)
    if all(p.dtype == np.int64 for p in parts) and isinstance(constant, int):
        return sum((int(p.sum()) for p in parts), constant)
    return math.fsum([x for p in parts for x in p.tolist()] + [constant])


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
        object.__setattr__(self, "fields", _linear(self.fields, self.n, "field"))
        object.__setattr__(self, "offset", _number(self.offset, "offset"))

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
        return BestKnown(value=self.offset + _total(self.couplings.weights) - 2 * known.value, source=known.source)

    def objective(self, spins: ArrayLike | Mapping[Hashable, int]) -> Number:
        s = self.spins(spins)
        c = self.couplings
        unequal = s[c.rows] != s[c.cols]
        pairs = np.where(unequal, -c.weights, c.weights)
        return _sum([pairs, self.fields * s], self.offset)

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
        object.__setattr__(self, "linear", _linear(self.linear, self.n, "linear term"))
        object.__setattr__(self, "offset", _number(self.offset, "offset"))

    def terms(self) -> tuple[Weights, Number]:
        return self.linear, self.offset

    def objective(self, spins: ArrayLike | Mapping[Hashable, int]) -> Number:
        one = self.spins(spins) > 0
        c = self.couplings
        return _sum([c.weights[one[c.rows] & one[c.cols]], self.linear[one]], self.offset)

    def assignment(self, spins: ArrayLike) -> dict[Hashable, int]:
        return {v: (1 + s) // 2 for v, s in Model.assignment(self, spins).items()}

    def to_ising(self) -> Ising:
        c = self.couplings
        return Ising(
            couplings=c.replace_weights(_quarter(c.weights)),
            fields=_quarter(2 * self.linear + _row_sums(c)),
            offset=_quarter(
                as_weights([4 * self.offset + 2 * _total(self.linear) + _total(c.weights)], "offset")
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
        object.__setattr__(self, "offset", _number(self.offset, "offset"))
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
        return _total(c.weights[s[c.rows] != s[c.cols]])

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
            known = BestKnown(value=self.offset + _total(c.weights) - 2 * known.value, source=known.source)
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
