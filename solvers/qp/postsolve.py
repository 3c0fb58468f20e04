"""The way back from presolve: what was done to a `Form`, and how a solution of what was left becomes one of the whole, multipliers included."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .form import Form, PrimalDual

Vector = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(slots=True, eq=False)
class Fixed:
    columns: Index


@dataclass(slots=True, eq=False)
class Singletons:
    """Row rows[k] = coefficients[k] x_columns[k] gave that variable its lower or upper bound."""

    rows: Index
    columns: Index
    coefficients: Vector
    lower: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Forcing:
    """A row at its upper side if sign is -1, else at its lower one, and its variables."""

    row: int
    sign: int
    columns: Index
    coefficients: Vector


@dataclass(slots=True, eq=False)
class Parallel:
    """Row rows[k] = factors[k] times row kept[k], and gave that one its lower or upper side."""

    rows: Index
    kept: Index
    factors: Vector
    lower: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Presolved:
    """What `presolve` found.

    Attributes
    ----------
    form
        The smaller one; None where nothing is left, or it is infeasible.
    columns, rows
        Which variables and rows of the original it has.
    ray
        (y, z) that claims to prove infeasibility, in the original's terms, or None.
    """

    original: Form
    form: Form | None
    columns: Index
    rows: Index
    x: Vector
    steps: list[Any] = field(default_factory=list)
    ray: tuple[Vector, Vector] | None = None

    def back(self, point: PrimalDual) -> PrimalDual:
        """A point of the smaller form, for the original."""
        f = self.original
        x, y, z = self.x.copy(), np.zeros(f.m), np.zeros(f.n)
        x[self.columns], y[self.rows], z[self.columns] = point.x, point.y, point.z
        gradient = f.P @ x + f.c
        undo(f, self.steps, y, z, gradient)
        return PrimalDual(x, y, z)

    def forth(self, point: PrimalDual) -> PrimalDual:
        """A point of the original, for the smaller form."""
        return PrimalDual(point.x[self.columns], point.y[self.rows], point.z[self.columns])

    def ray_back(self, y: Vector, z: Vector) -> tuple[Vector, Vector]:
        """A certificate of the smaller form's infeasibility, for the original."""
        f = self.original
        whole_y, whole_z = np.zeros(f.m), np.zeros(f.n)
        whole_y[self.rows], whole_z[self.columns] = y, z
        undo(f, self.steps, whole_y, whole_z, np.zeros(f.n))
        return whole_y, whole_z

    def direction_back(self, x: Vector) -> Vector:
        """A direction of the smaller form, for the original."""
        whole = np.zeros(self.original.n)
        whole[self.columns] = x
        return whole


def undo(f: Form, steps: list[Any], y: Vector, z: Vector, gradient: Vector) -> None:
    """Put y and z of the rows and variables that went, step by step."""
    for step in reversed(steps):
        if isinstance(step, Fixed):
            j = step.columns
            z[j] = (gradient - f.A.T @ y)[j]
        elif isinstance(step, Singletons):
            share = z[step.columns]
            mine = np.where(step.lower, share > 0, share < 0)
            y[step.rows[mine]] += share[mine] / step.coefficients[mine]
            z[step.columns[mine]] = 0.0
        elif isinstance(step, Parallel):
            share = y[step.kept]
            mine = np.where(step.lower, share > 0, share < 0)
            y[step.rows[mine]] += share[mine] / step.factors[mine]
            y[step.kept[mine]] = 0.0
        else:
            j, a = step.columns, step.coefficients
            left = (gradient - f.A.T @ y)[j]
            ratio = left / a
            y[step.row] = max(0.0, float(ratio.max())) if step.sign > 0 else min(0.0, float(ratio.min()))
            z[j] = left - a * y[step.row]


def untouched(form: Form) -> Presolved:
    """The form as it is."""
    return Presolved(original=form, form=form, columns=np.arange(form.n), rows=np.arange(form.m), x=np.zeros(form.n))
