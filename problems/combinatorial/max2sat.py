"""Max-2-SAT, weighted.

    minimise  sum_c w_c u_c1 u_c2          u = 1 - x for the literal x, u = x for the literal not x

A clause costs its weight where both of its literals are false, so the energy is the weight of the unsatisfied clauses:
exactly, for every assignment, with no penalty. Products of a variable with itself are linear (x x = x), which takes
care of (x or x) and of (x or not x), and a clause of one literal is that literal twice. Source: F. Glover, G.
Kochenberger, Y. Du, "Quantum bridge analytics I: a tutorial on formulating and using QUBO models", 4OR 17 (2019) 335.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...result import Number
from ..couplings import Couplings, Weights, as_weights, frozen
from ..models import QUBO
from .base import Bits, Combinatorial, Label, NotAnAssignment, Solution, labelled_weights, place_of, total

Truth = Mapping[Label, bool]
NEGATION = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthAssignment(Solution[Truth]):
    """A truth value a variable; always feasible.

    Attributes
    ----------
    values
        Variable to truth value.
    value
        Weight of the satisfied clauses (their number, where clauses have no weights).
    satisfied
        Number of satisfied clauses.
    unsatisfied
        The other clauses, by position from 0.
    """

    values: dict[Label, bool]
    satisfied: int
    unsatisfied: tuple[int, ...]

    @property
    def answer(self) -> Truth:
        return self.values


def parse_literal(literal: Any, clause: int) -> tuple[Label, bool]:
    """(variable, whether it stands as it is) of a literal in any of its three forms."""
    if isinstance(literal, int | np.integer) and not isinstance(literal, bool):
        if literal == 0:
            raise InputError(f"clause {clause} has the literal 0: variables are numbered from 1")
        return abs(int(literal)), bool(literal > 0)
    if isinstance(literal, str):
        label = literal.removeprefix(NEGATION)
        if not label or label.startswith(NEGATION):
            raise InputError(
                f"clause {clause} has the literal {literal!r}: expected a name, with at most one - before it"
            )
        return label, label == literal
    if isinstance(literal, tuple) and len(literal) == 2 and isinstance(literal[1], bool | np.bool_):
        try:
            hash(literal[0])
        except TypeError as e:
            raise InputError(f"clause {clause} has a variable that is not hashable: {literal[0]!r}") from e
        return literal[0], bool(literal[1])
    raise InputError(
        f"clause {clause} has the literal {literal!r}: expected an integer, a name, or (variable, True or False)"
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaxTwoSat(Combinatorial[Truth, TruthAssignment]):
    """Truth values that satisfy clauses of as much weight as possible.

    Parameters
    ----------
    clauses
        Each one or two literals. A literal is a non-zero integer as in DIMACS (-3: not 3); a name, negated by one "-"
        before it; or, for variables of any hashable type, a pair (variable, True) or (variable, False), the latter
        negated. A clause that comes twice counts twice. Variables are those that occur: in ascending order if all are
        integers, else as they first come.
    weights
        One a clause, of any sign; None: all 1.
    name
        For people.

    Raises
    ------
    InputError
        For no clauses, clauses of no or more than two literals, the literal 0, and weights that are not finite or not
        one a clause.
    """

    clauses: Iterable[Sequence[Any]] = field(kw_only=False)
    weights: Iterable[Number] | None = None
    _w: Weights = field(init=False, repr=False)
    _variables: tuple[Label, ...] = field(init=False, repr=False)
    _places: Mapping[Label, int] = field(init=False, repr=False)
    _ends: NDArray[np.int32] = field(init=False, repr=False)
    _plain: Bits = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.clauses, Iterable) or isinstance(self.clauses, str):
            raise InputError(f"expected a list of clauses, got {type(self.clauses).__name__}")
        clauses = list(self.clauses)
        if not clauses:
            raise InputError("there are no clauses")
        literals: list[tuple[Label, bool]] = []
        for i, clause in enumerate(clauses):
            if not isinstance(clause, Iterable) or isinstance(clause, str | Mapping):
                raise InputError(f"clause {i} is {clause!r}: expected one or two literals in a list or tuple")
            clauses[i] = clause = tuple(clause)
            if not 1 <= len(clause) <= 2:
                raise InputError(f"clause {i} has {len(clause)} literals: one or two are allowed")
            parsed = [parse_literal(x, i) for x in clause]
            literals += (parsed[0], parsed[-1])
        variables = list(dict.fromkeys(v for v, _ in literals))
        integers = [v for v in variables if isinstance(v, int)]
        if len(integers) == len(variables):
            variables = [*sorted(integers)]
        places = {v: i for i, v in enumerate(variables)}
        w = as_weights([1] * len(clauses)) if self.weights is None else self._clause_weights(len(clauses))
        values = {
            "clauses": tuple(clauses),
            "_w": frozen(w),
            "_variables": tuple(variables),
            "_places": places,
            "_ends": frozen(np.array([places[v] for v, _ in literals], np.int32).reshape(-1, 2)),
            "_plain": frozen(np.array([plain for _, plain in literals], bool).reshape(-1, 2)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _clause_weights(self, m: int) -> Weights:
        if not isinstance(self.weights, Iterable) or isinstance(self.weights, str | Mapping):
            raise InputError(f"expected a list of weights, got {type(self.weights).__name__}")
        weights = list(self.weights)
        if len(weights) != m:
            raise InputError(f"{len(weights)} weights for {m} clauses")
        object.__setattr__(self, "weights", tuple(weights))
        return labelled_weights(range(m), weights, "the weight of clause")

    def _build(self) -> QUBO:
        n, w = len(self._variables), self._w
        # u = constant + slope x, for each literal.
        constant, slope = self._plain.astype(np.int64), np.where(self._plain, -1, 1)
        pairs, loops = Couplings.build(n, self._ends[:, 0], self._ends[:, 1], w * slope[:, 0] * slope[:, 1])
        linear: NDArray[Any] = loops.copy()
        for this, other in ((0, 1), (1, 0)):
            np.add.at(linear, self._ends[:, this], w * slope[:, this] * constant[:, other])
        offset = total(w[constant.all(axis=1)])
        return QUBO(couplings=pairs, linear=linear, offset=offset, variables=self._variables, name=self.name)

    def _solution(self, x: Bits) -> TruthAssignment:
        satisfied = (x[self._ends] == self._plain).any(axis=1)
        return TruthAssignment(
            values=dict(zip(self._variables, x.tolist(), strict=True)),
            value=total(self._w[satisfied]),
            satisfied=int(satisfied.sum()),
            unsatisfied=tuple(np.flatnonzero(~satisfied).tolist()),
        )

    def _bits(self, answer: Truth) -> Bits:
        if not isinstance(answer, Mapping):
            raise InputError(
                f"the solution must be a mapping from variable to truth value, not {type(answer).__name__}"
            )
        x = np.zeros(len(self._variables), bool)
        for v, truth in answer.items():
            i = place_of(v, self._places, "variable")
            if not isinstance(truth, bool | int | np.bool_ | np.integer) or truth not in (0, 1):
                raise InputError(f"variable {v!r} is {truth!r}: only True or False (1 or 0) will do")
            x[i] = bool(truth)
        for v in self._variables:
            if v not in answer:
                raise NotAnAssignment(f"variable {v!r} has no value")
        return x
