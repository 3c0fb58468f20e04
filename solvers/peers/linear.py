"""A spin problem as a mixed-integer linear program, for solvers of those.

    x_i = (1 + s_i)/2 in {0, 1},  y_p = x_i x_j for each pair p = (i, j):  minimise  sum_p 4 J_p y_p + sum_i (2 h_i - 2 sum_j J_ij) x_i + constant
    J_p > 0:  y_p >= x_i + x_j - 1, y_p >= 0        J_p < 0:  y_p <= x_i, y_p <= x_j

(Fortet 1960; of Glover and Woolsey's four inequalities a pair needs those that its sign presses against.) Without fields s and -s are equally good: one spin is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...problems.model import Model
from ...result import Spins
from .form import Form

MOST_PAIRS = 100_000
# Programs do not end by themselves in a reasonable time.
DEFAULT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """Minimise cost . (x, y) + constant, with matrix (x, y) <= right; x binary, y in [0, 1].

    Attributes
    ----------
    form
        The problem.
    cost : (n + m,)
    fixed
        Whether x_0 is fixed to 0.
    start : (k + 1,), index : (e,), value : (e,), right : (k,)
        The inequalities, row by row.
    """

    form: Form
    cost: NDArray[np.float64]
    constant: float
    fixed: bool
    start: NDArray[np.int64]
    index: NDArray[np.int64]
    value: NDArray[np.float64]
    right: NDArray[np.float64]

    @classmethod
    def of(cls, problem: Model) -> Program:
        f = Form.of(problem)
        sums = np.bincount(f.rows, f.couplings, f.n) + np.bincount(f.cols, f.couplings, f.n)
        y = f.n + np.arange(f.couplings.size)
        up, down = f.couplings > 0, f.couplings < 0
        above = np.stack([f.rows[up], f.cols[up], y[up]], axis=1)
        below = np.concatenate([np.stack([y[down], ends[down]], axis=1) for ends in (f.rows, f.cols)])
        widths = np.concatenate([np.full(len(above), 3), np.full(len(below), 2)])
        return cls(
            form=f,
            cost=np.concatenate([2 * (f.fields - sums), 4 * f.couplings]),
            constant=float(f.couplings.sum() - f.fields.sum()) + f.offset,
            fixed=not f.fields.any(),
            start=np.concatenate([[0], np.cumsum(widths)]).astype(np.int64),
            index=np.concatenate([above.ravel(), below.ravel()]).astype(np.int64),
            value=np.concatenate([np.tile([1.0, 1.0, -1.0], len(above)), np.tile([1.0, -1.0], len(below))]),
            right=np.concatenate([np.ones(len(above)), np.zeros(len(below))]),
        )

    def state(self, values: ArrayLike) -> Spins:
        """The spins of a solution (n + m,) or longer."""
        out: Spins = np.where(np.asarray(values)[: self.form.n] > 0.5, 1, -1).astype(np.int8)
        return out

    def closed(self, state: Spins, bound: float) -> bool:
        """Whether a lower bound on the energy proves a state optimal: of integers, all that is better is better by 1."""
        f = self.form
        energy = float(np.dot(f.couplings, state[f.rows] * state[f.cols]) + np.dot(f.fields, state)) + f.offset
        return f.integral and bound > energy - 1 + 1e-4


def too_large(problem: Model) -> str | None:
    """Why such a program is not made of the problem."""
    if problem.m <= MOST_PAIRS:
        return None
    return f"a linear program of it has a variable for each pair, and is made for {MOST_PAIRS} pairs at most, not for {problem.m}"


def seconds(limits_seconds: float | None, open_ended: bool) -> float:
    """How long a program may take: until it is proved where only a target ends the run, and `DEFAULT_S` where nothing does."""
    if limits_seconds is not None:
        return limits_seconds
    return np.inf if open_ended else DEFAULT_S
