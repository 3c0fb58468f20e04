"""`Form`: a problem in the one form that peers are built from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...problems.model import Model
from ...problems.models import MaxCut


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A problem as E(s) = sum_{i<j} J_ij s_i s_j + sum_i h_i s_i + offset, minimised, in float64 and in the problem's own order of its spins.

    Of a Max-Cut problem J is its weights, and E is their sum less twice the cut.
    """

    n: int
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    couplings: NDArray[np.float64]
    fields: NDArray[np.float64]
    offset: float
    integral: bool

    @classmethod
    def of(cls, problem: Model) -> Form:
        """Pairs of weight 0 are left out."""
        # An ancilla of a cut is a vertex like any other here, so that all spins keep their places.
        if isinstance(problem, MaxCut):
            c, fields, offset = problem.couplings, np.zeros(problem.n), 0.0
        else:
            ising = problem.to_ising()
            c, fields, offset = ising.couplings, ising.fields.astype(np.float64), float(ising.offset)
        keep = c.weights != 0
        return cls(
            n=problem.n,
            rows=c.rows[keep].astype(np.int64),
            cols=c.cols[keep].astype(np.int64),
            couplings=c.weights[keep].astype(np.float64),
            fields=fields,
            offset=offset,
            integral=problem.integral,
        )

    @property
    def flat(self) -> bool:
        """Whether every assignment has the same energy."""
        return not self.couplings.size and not self.fields.any()
