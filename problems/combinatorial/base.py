"""What the combinatorial problems share: going to spins and back, labelled weights, penalties and dense pairs.

A problem is read once, when it is built; changing the graph or list afterwards changes nothing. Its QUBO is built on
first use.
"""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, ProblemWarning
from ...result import Number, Spins
from ..couplings import Couplings, Weights, as_weights, frozen
from ..models import QUBO

Bits = NDArray[np.bool_]
# Any hashable. Typed as Hashable, mappings would refuse a dict[str, int]: their keys are invariant.
Label = Any
Answer = TypeVar("Answer")
MAX_PAIRS = 5 * 10**7


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule.

    Attributes
    ----------
    rule
        What is broken.
    labels
        The user's labels that it concerns: the two ends of an edge, one vertex, or none.
    """

    rule: str
    labels: tuple[Label, ...] = ()

    def __str__(self) -> str:
        return f"{', '.join(map(repr, self.labels))}: {self.rule}" if self.labels else self.rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution(ABC, Generic[Answer]):
    """An assignment in the user's terms.

    Attributes
    ----------
    value
        The problem's own objective, for the assignment as it stands, feasible or not.
    violations
        Every broken rule; empty where the assignment is feasible.
    """

    value: Number
    violations: tuple[Violation, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether nothing is violated."""
        return not self.violations

    @property
    @abstractmethod
    def answer(self) -> Answer:
        """The bare answer, as `encode` and `is_feasible` take it."""


Solved = TypeVar("Solved", bound=Solution[Any])


class NotAnAssignment(InputError):
    """An answer that is made of the problem's labels, but does not say one thing of each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combinatorial(ABC, Generic[Answer, Solved]):
    """A problem in the user's terms that is solved as a QUBO.

    Attributes
    ----------
    name
        For people; the QUBO bears it.
    """

    name: str = ""
    _cache: dict[str, QUBO] = field(default_factory=dict, init=False, repr=False)

    @property
    def qubo(self) -> QUBO:
        """The QUBO, built on first use."""
        if "qubo" not in self._cache:
            self._cache["qubo"] = self._build()
        return self._cache["qubo"]

    def decode(self, spins: ArrayLike | Mapping[Label, int], *, repair: bool = False) -> Solved:
        """An assignment of the QUBO in the user's terms.

        Parameters
        ----------
        spins : (n,) or a mapping from the QUBO's labels to values
            +1/-1, or 0/1 (1 stands for +1).
        repair
            Mend a broken assignment greedily first; the same assignment is always mended in the same way.

        Returns
        -------
        Solution
            With ``value``, ``feasible`` and ``violations``.

        Raises
        ------
        InputError
            For another length, another value, labels that do not fit, or a problem that knows no repair.
        """
        x = self.qubo.spins(spins) > 0
        return self._solution(self._repaired(x) if repair else x)

    def encode(self, answer: Answer | Solution[Answer]) -> Spins:
        """An answer as spins, to start a solver from. What `decode` gives of them is the same answer.

        Parameters
        ----------
        answer
            In the user's terms, or a solution from `decode`.

        Returns
        -------
        (n,) int8
            +1 or -1 a variable of the QUBO.

        Raises
        ------
        InputError
            For unknown labels, and for an answer that leaves something open or says it twice.
        """
        x = self._bits(answer.answer if isinstance(answer, Solution) else answer)
        return np.where(x, 1, -1).astype(np.int8)

    def is_feasible(self, answer: Answer | Solution[Answer]) -> bool:
        """Whether an answer in the user's terms obeys every rule, judged from those rules and not from the QUBO.

        Raises
        ------
        InputError
            For labels that are not the problem's.
        """
        try:
            x = self._bits(answer.answer if isinstance(answer, Solution) else answer)
        except NotAnAssignment:
            return False
        return self._solution(x).feasible

    @abstractmethod
    def _build(self) -> QUBO: ...

    @abstractmethod
    def _solution(self, x: Bits) -> Solved: ...

    @abstractmethod
    def _bits(self, answer: Answer) -> Bits: ...

    def _repaired(self, x: Bits) -> Bits:
        return x


def labelled_weights(labels: Iterable[Any], values: list[Any], what: str) -> Weights:
    """`as_weights`, but an error names the user's label."""
    fault: InputError | None = None
    try:
        w = as_weights(values)
        if w.shape == (len(values),):
            return w
    except InputError as e:
        fault = e
    for label, value in zip(labels, values, strict=True):
        try:
            single = as_weights([value]).shape == (1,)
        except InputError:
            single = False
        if not single:
            raise InputError(f"{what} {label!r} is {value!r}: it must be a finite number below 2**60")
    raise fault if fault is not None else InputError(f"{what}s are not a flat list of numbers")


def place_of(label: Any, places: Mapping[Label, int], what: str = "vertex") -> int:
    """A label's place; an error for one that is not there."""
    try:
        return places[label]
    except (KeyError, TypeError) as e:
        raise InputError(f"there is no {what} {label!r} in the problem") from e


def total(weights: Weights) -> Number:
    """The exact sum of integers; the correctly rounded sum of floats."""
    return int(weights.sum()) if weights.dtype == np.int64 else math.fsum(weights.tolist())


def choose_penalty(penalty: Number | None, bound: Number, *, integral: bool) -> Number:
    """The penalty to use, given the number that it must exceed.

    To be called from ``__post_init__`` itself, for the place of the warning. Left open, it is the next integer where
    the problem's numbers are integers, else twice the bound (1 where that is 0).
    """
    if penalty is None:
        return math.floor(bound) + 1 if integral else 2 * bound or 1
    if isinstance(penalty, bool) or not isinstance(penalty, int | float | np.integer | np.floating):
        raise InputError(f"the penalty must be a number, not {penalty!r}")
    if not 0 < penalty < math.inf:
        raise InputError(f"the penalty is {penalty}: it must be positive and finite")
    value: Number = as_weights([penalty], "penalty").tolist()[0]
    if value <= bound:
        warnings.warn(
            f"penalty {value} does not exceed {bound}: the best energy may belong to an infeasible assignment",
            ProblemWarning,
            stacklevel=4,
        )
    return value


def all_pairs(n: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Every i < j < n, by i and then j, (n (n - 1)/2,) each."""
    check_pairs(n * (n - 1) // 2)
    later = [np.arange(i + 1, n, dtype=np.int32) for i in range(n)]
    return np.repeat(np.arange(n, dtype=np.int32), np.arange(n - 1, -1, -1)), np.concatenate(later)


def check_pairs(pairs: int) -> None:
    """Refuse a QUBO that would not fit in memory."""
    if pairs > MAX_PAIRS:
        raise InputError(f"too large: the QUBO would have {pairs} pairs of variables, more than {MAX_PAIRS}")


def distinct_couplings(n: int, rows: NDArray[np.int32], cols: NDArray[np.int32], weights: Weights) -> Couplings:
    """Couplings of pairs that are known to be distinct and without loops, spared the search for duplicates."""
    return Couplings(n=n, rows=frozen(rows), cols=frozen(cols), weights=frozen(as_weights(weights)))
