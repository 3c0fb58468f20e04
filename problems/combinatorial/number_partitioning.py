"""Number partitioning.

    minimise  (S - 2 sum_i a_i x_i)^2          S = sum_i a_i;   x_i = 1: number i goes left

The energy is the squared difference of the two sums, and every assignment is feasible, so no penalty is needed: linear
terms 4 a_i (a_i - S), couplings 8 a_i a_j, offset S^2. Source: A. Lucas, "Ising formulations of many NP problems",
Front. Phys. 2 (2014) 5, section 2.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InputError
from ..couplings import Weights, as_weights, frozen
from ..models import QUBO
from .base import Bits, Combinatorial, NotAnAssignment, Solution, all_pairs, check_pairs, distinct_couplings

MAX_SUM = 2**29 - 1
Parts = tuple[Iterable[int], Iterable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPartition(Solution[Parts]):
    """Two lists of numbers, each in ascending order (equal numbers are interchangeable).

    Attributes
    ----------
    left, right
        The numbers of spin +1 and of spin -1.
    value
        The absolute difference of their sums (the energy is its square).
    """

    left: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def difference(self) -> int:
        """`value` under its own name."""
        return int(self.value)

    @property
    def answer(self) -> Parts:
        return self.left, self.right


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NumberPartitioning(Combinatorial[Parts, NumberPartition]):
    """Two lists out of one, with sums as equal as can be.

    Parameters
    ----------
    numbers
        At most 10 000 integers of any sign, repeats allowed; 3.0 counts as 3, and 2.5 is refused (multiply by a power
        of ten first). The sum of their magnitudes may reach 2**29 - 1, so that its square fits in the 64-bit integers
        of the QUBO.
    name
        For people.

    Raises
    ------
    InputError
        For an empty list, numbers that are no integers, and numbers too large or too many.
    """

    numbers: Iterable[int] = field(kw_only=False)
    _a: Weights = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.numbers, Iterable) or isinstance(self.numbers, str):
            raise InputError(f"expected a list of integers, got {type(self.numbers).__name__}")
        numbers = list(self.numbers)
        if not numbers:
            raise InputError("the list of numbers is empty")
        a = as_weights(numbers, "number")
        if a.ndim != 1:
            raise InputError("the numbers are not a flat list")
        if a.dtype != np.int64:
            k = int(np.argmax(a != np.rint(a))) if (a != np.rint(a)).any() else int(np.argmax(np.abs(a)))
            raise InputError(f"number {k} is {a[k]}: only integers below 2**53 can be partitioned exactly")
        size = int(np.abs(a).sum())
        if size > MAX_SUM:
            raise InputError(
                f"numbers too large: their magnitudes add up to {size}, and the square of that must stay below 2**58"
            )
        check_pairs(a.size * (a.size - 1) // 2)
        object.__setattr__(self, "numbers", tuple(a.tolist()))
        object.__setattr__(self, "_a", frozen(a))

    def _build(self) -> QUBO:
        a, s = self._a, int(self._a.sum())
        rows, cols = all_pairs(a.size)
        pairs = distinct_couplings(a.size, rows, cols, 8 * a[rows] * a[cols])
        return QUBO(couplings=pairs, linear=4 * a * (a - s), offset=s * s, name=self.name)

    def _solution(self, x: Bits) -> NumberPartition:
        left, right = self._a[x], self._a[~x]
        difference = abs(int(left.sum()) - int(right.sum()))
        return NumberPartition(left=tuple(sorted(left.tolist())), right=tuple(sorted(right.tolist())), value=difference)

    def _bits(self, answer: Parts) -> Bits:
        left, right = two_parts(answer)
        try:
            wanted = Counter(left)
            found = wanted + Counter(right)
        except TypeError as e:
            raise InputError("the two lists must hold numbers") from e
        numbers = self._a.tolist()
        known = set(numbers)
        for v in found:
            if v not in known:
                raise InputError(f"{v!r} is not one of the numbers")
        if found != Counter(numbers):
            raise NotAnAssignment("the two lists together must hold every number once")
        x = np.zeros(len(numbers), bool)
        for i, v in enumerate(numbers):
            if wanted[v]:
                x[i] = True
                wanted[v] -= 1
        return x


def two_parts(answer: Any) -> tuple[list[Any], list[Any]]:
    """A pair of collections, as lists."""
    try:
        left, right = answer
        return list(left), list(right)
    except (TypeError, ValueError) as e:
        raise InputError("the solution must be a pair of collections") from e
