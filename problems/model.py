"""`Model`: what the three models share, and exact sums."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..result import BestKnown, Number, Sense, Spins
from .couplings import Couplings, Weights, as_weights, frozen

if TYPE_CHECKING:
    from .models import QUBO, Ising, MaxCut


def number(value: Any, what: str) -> Number:
    """An int where it is one, else a float; refuses NaN and infinities."""
    w = as_weights([value], what)
    return w.tolist()[0]  # type: ignore[no-any-return]


def total(weights: Weights) -> Number:
    """The exact sum: int64 sums cannot overflow (`as_weights` saw to it); floats are summed without rounding error but the last."""
    return int(weights.sum()) if weights.dtype == np.int64 else math.fsum(weights.tolist())


def linear_terms(values: ArrayLike | None, n: int, what: str) -> Weights:
    w = np.zeros(n, np.int64) if values is None else as_weights(values, what)
    if w.shape != (n,):
        raise InputError(f"{what}s of shape {w.shape} for {n} variables")
    return frozen(w)


def exact_sum(parts: Iterable[Weights], constant: Number) -> Number:
    """Exact sum of all parts and a constant."""
    parts = list(parts)
    if all(p.dtype == np.int64 for p in parts) and isinstance(constant, int):
        return sum((int(p.sum()) for p in parts), constant)
    return math.fsum([x for p in parts for x in p.tolist()] + [constant])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model(ABC):
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
    ideal
        The problem that this one stands for, where its numbers are readings of analog cells: schedules are made for that one. It is not part of the content.
    """

    kind: ClassVar[str]
    sense: ClassVar[Sense] = "min"

    couplings: Couplings
    variables: tuple[Hashable, ...] | None = None
    name: str = ""
    known: BestKnown | None = None
    ideal: Model | None = None
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
        try:
            a = np.asarray(values)
        except ValueError as e:
            raise InputError("an assignment must be a flat list of numbers") from e
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

    @abstractmethod
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

    @abstractmethod
    def to_ising(self) -> Ising:
        """As an Ising problem (`models`)."""

    def to_qubo(self) -> QUBO:
        """As a QUBO: the energy of `to_ising` for every assignment."""
        return self.to_ising().to_qubo()

    def to_maxcut(self) -> MaxCut:
        """As a Max-Cut problem (`models`)."""
        return self.to_ising().to_maxcut()
