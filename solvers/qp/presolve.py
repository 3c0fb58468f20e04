"""Presolve: a smaller `Form` with the same solutions, and the way back with all multipliers.

Passes repeat until nothing changes:

    fixed variables             l = u, or no row and no other variable touches them: x is known
    dual fixing                 no cost and no row objects to a variable's going to one of its bounds: it goes there
    empty rows                  dropped
    singleton rows              become bounds
    redundant sides             activities cannot reach them: they become infinite; rows without sides are dropped
    forcing rows                only one activity is possible: all their variables are at bounds
    parallel rows               are merged

Every step is undone in the reverse order, multipliers included: a singleton row takes the multiplier of the bound that it gave, a forcing row the value that leaves
its variables' multipliers their signs, a fixed variable what stationarity leaves.

Source: Andersen and Andersen, Presolving in linear programming, Math. Program. 71 (1995); Gould and Toint, Math. Program. 100 (2004).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.sparse_rows import column_locks, row_activities, row_prints
from .form import Form
from .postsolve import Fixed, Forcing, Parallel, Presolved, Singletons, undo

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

PASSES = 30
EXACT = 1e-12
INFEASIBLE = 1e-9
NEAR = 1e-12


class _Presolver:
    """The state of one presolve."""

    def __init__(self, form: Form) -> None:
        f = self.f = form
        self.AL, self.AU, self.l, self.u = f.AL.copy(), f.AU.copy(), f.l.copy(), f.u.copy()
        self.x = np.zeros(f.n)
        self.column, self.row = np.ones(f.n, bool), np.ones(f.m, bool)
        self.P_diagonal = f.P.diagonal()
        self.gradient = f.c.copy()
        self.steps: list[Any] = []
        self.ray: tuple[Vector, Vector] | None = None

    def run(self) -> Presolved:
        with np.errstate(all="ignore"):
            for _ in range(PASSES):
                before = self.column.sum(), self.row.sum(), np.isfinite(self.AL).sum(), np.isfinite(self.AU).sum()
                for work in (self.fixed, self.small_rows, self.activities, self.unopposed, self.parallel):
                    work()
                    if self.ray is not None:
                        return self.result(None)
                if before == (
                    self.column.sum(),
                    self.row.sum(),
                    np.isfinite(self.AL).sum(),
                    np.isfinite(self.AU).sum(),
                ):
                    break
        f, c, r = self.f, np.flatnonzero(self.column), np.flatnonzero(self.row)
        if not c.size:
            return self.result(None)
        small = Form(
            P=f.P if c.size == f.n else f.P[c][:, c],
            c=self.gradient[c],
            A=f.A if (r.size, c.size) == (f.m, f.n) else f.A[r][:, c],
            AL=self.AL[r],
            AU=self.AU[r],
            l=self.l[c],
            u=self.u[c],
        )
        return self.result(small)

    def result(self, small: Form | None) -> Presolved:
        return Presolved(
            original=self.f,
            form=small,
            columns=np.flatnonzero(self.column),
            rows=np.flatnonzero(self.row),
            x=self.x,
            steps=self.steps,
            ray=self.ray,
        )

    def infeasible(self, y: Vector, z: Vector) -> None:
        """Ends it: (y, z) is a certificate for what is left."""
        undo(self.f, self.steps, y, z, np.zeros(self.f.n))
        self.ray = y, z

    def fix(self, j: Index, value: Vector, record: bool = True) -> None:
        """Variables j have these values."""
        f = self.f
        self.x[j] = value
        self.column[j] = False
        moved = np.zeros(f.n)
        moved[j] = value
        if value.any():
            shift = f.A @ moved
            self.AL, self.AU = self.AL - shift, self.AU - shift
            self.gradient = self.gradient + f.P @ moved
        if record:
            self.steps.append(Fixed(j))

    def look(self) -> None:
        """What each row can add up to."""
        f = self.f
        self.count, self.place = np.zeros(f.m, np.int64), np.zeros(f.m, np.int64)
        self.least, self.most, self.size = np.zeros(f.m), np.zeros(f.m), np.zeros(f.m)
        A = f.A
        row_activities(
            A.indptr, A.indices, A.data, self.row, self.column, self.l, self.u,
            self.count, self.least, self.most, self.size, self.place,
        )  # fmt: skip

    def entries(self, i: int) -> tuple[Index, Vector]:
        """Variables and coefficients that are left in a row."""
        A = self.f.A
        j, a = (v[A.indptr[i] : A.indptr[i + 1]] for v in (A.indices, A.data))
        left = self.column[j]
        return j[left].astype(np.intp), a[left]

    def fixed(self) -> None:
        if self.crossed():
            return
        j = np.flatnonzero(self.column & (self.l >= self.u))
        if j.size:
            self.fix(j, np.where(np.abs(self.l[j]) <= np.abs(self.u[j]), self.l[j], self.u[j]))

    def crossed(self) -> bool:
        """Whether some lower bound exceeds the upper one: the row or the bound behind each says so."""
        empty = self.column & (self.l > self.u + INFEASIBLE * (1 + np.abs(self.u)))
        if not empty.any():
            return False
        j = int(np.argmax(empty))
        y, z = np.zeros(self.f.m), np.zeros(self.f.n)
        behind: dict[bool, tuple[int, float] | None] = {True: None, False: None}
        for step in self.steps:
            if isinstance(step, Singletons):
                for k in np.flatnonzero(step.columns == j):
                    behind[bool(step.lower[k])] = int(step.rows[k]), float(step.coefficients[k])
        for lower, source in behind.items():
            share = 1.0 if lower else -1.0
            if source is not None:
                y[source[0]] += share / source[1]
                share = 0.0
            z[j] += share
        self.infeasible(y, z)
        return True

    def small_rows(self) -> None:
        f = self.f
        self.look()
        none = self.row & (self.count == 0)
        if none.any():
            low, high = (np.where(np.isfinite(v), np.abs(v), 0.0) for v in (self.AL, self.AU))
            allowed = INFEASIBLE * (1 + np.maximum(low, high))
            over, under = self.AL - allowed > 0, self.AU + allowed < 0
            for wrong, sign in ((over, 1.0), (under, -1.0)):
                if (wrong & none).any():
                    y = np.zeros(f.m)
                    y[int(np.argmax(wrong & none))] = sign
                    self.infeasible(y, np.zeros(f.n))
                    return
            self.row[none] = False
        rows = np.flatnonzero(self.row & (self.count == 1))
        if not rows.size:
            return
        # One row a variable and pass: two of them are not independent.
        j, first = np.unique(f.A.indices[self.place[rows]], return_index=True)
        i = rows[first]
        a = f.A.data[self.place[i]]
        low = np.where(a > 0, self.AL[i], self.AU[i]) / a
        high = np.where(a > 0, self.AU[i], self.AL[i]) / a
        for side, lower in ((low, True), (high, False)):
            better = side > self.l[j] if lower else side < self.u[j]
            if better.any():
                self.steps.append(
                    Singletons(i[better], j[better].astype(np.intp), a[better], np.full(int(better.sum()), lower))
                )
                (self.l if lower else self.u)[j[better]] = side[better]
        self.row[i] = False
        self.crossed()

    def activities(self) -> None:
        """Redundant sides, and rows that force or cannot be met."""
        f = self.f
        self.look()
        least, most, size = self.least, self.most, self.size
        there = self.row & (self.count > 0)
        for wrong, sign in (
            (there & (least > self.AU + INFEASIBLE * size), -1.0),
            (there & (most < self.AL - INFEASIBLE * size), 1.0),
        ):
            if wrong.any():
                i = int(np.argmax(wrong))
                y, z = np.zeros(f.m), np.zeros(f.n)
                y[i] = sign
                j, a = self.entries(i)
                z[j] = -sign * a
                self.infeasible(y, z)
                return
        forced = np.zeros(f.m, bool)
        for force, sign in (
            (there & (least >= self.AU - EXACT * size), -1),
            (there & (most <= self.AL + EXACT * size), 1),
        ):
            for i in np.flatnonzero(force & ~forced).tolist():
                j, a = self.entries(i)
                if j.size < self.count[i]:
                    continue  # Another row of this pass has fixed some: the next pass looks again.
                self.steps.append(Forcing(i, sign, j, a))
                self.fix(j, np.where((a > 0) == (sign < 0), self.l[j], self.u[j]), record=False)
                self.row[i] = False
                forced[i] = True
        if forced.any():
            return  # The activities are no longer those of what is left.
        live = there & self.row
        self.AU[live & (most <= self.AU)] = np.inf
        self.AL[live & (least >= self.AL)] = -np.inf
        self.row[live & np.isinf(self.AL) & np.isinf(self.AU)] = False

    def unopposed(self) -> None:
        """Variables that no row holds back on one side, and those on their own."""
        f = self.f
        touched, holds_up, holds_down = (np.zeros(f.n, np.int64) for _ in range(3))
        column_locks(f.A.indptr, f.A.indices, f.A.data, self.row, self.AL, self.AU, touched, holds_up, holds_down)
        neighbours, unused = np.zeros(f.n, np.int64), np.zeros(f.n, np.int64)
        side = np.zeros(f.n)
        column_locks(f.P.indptr, f.P.indices, f.P.data, self.column, side, side, neighbours, unused, unused)
        neighbours -= self.P_diagonal != 0
        g, p = self.gradient, self.P_diagonal
        alone = self.column & (touched == 0) & (neighbours == 0)
        curved = alone & (p > 0)
        if curved.any():
            k = np.flatnonzero(curved)
            self.fix(k, np.clip(-g[k] / p[k], self.l[k], self.u[k]))
        flat = self.column & (neighbours == 0) & (p == 0)
        down = flat & (holds_down == 0) & np.isfinite(self.l) & ((g > 0) | ((g == 0) & (touched == 0)))
        up = flat & (holds_up == 0) & np.isfinite(self.u) & (g < 0)
        for goes, bound in ((down, self.l), (up, self.u)):
            k = np.flatnonzero(goes)
            if k.size:
                self.fix(k, bound[k])
        free = flat & self.column & (touched == 0) & (g == 0) & ~np.isfinite(self.l)
        k = np.flatnonzero(free)
        if k.size:
            self.fix(k, np.minimum(self.u[k], 0.0))

    def parallel(self) -> None:
        """Rows that are multiples of another one."""
        f = self.f
        self.look()
        there = np.flatnonzero(self.row & (self.count > 1))
        if there.size < 2:
            return
        one, two, first = np.zeros(f.m), np.zeros(f.m), np.zeros(f.m)
        marks = np.random.default_rng(0).uniform(1, 2, f.n)
        row_prints(f.A.indptr, f.A.indices, f.A.data, self.row, self.column, marks, one, two, first)
        start = f.A.indices[self.place]
        i = there[np.lexsort((two[there], self.count[there], start[there]))]
        near = (self.count[i][1:] == self.count[i][:-1]) & (start[i][1:] == start[i][:-1])
        for v in (one, two):
            near &= np.abs(np.diff(v[i])) <= NEAR * two[i[1:]]
        # Which row gave a kept one its side: the last that did.
        dropped: dict[tuple[int, bool], tuple[int, float]] = {}
        keeper = -1
        for position in np.flatnonzero(near):
            before, other = int(i[position]), int(i[position + 1])
            if keeper < 0 or self.row[before]:
                keeper = before
            (j, a), (k, c) = self.entries(keeper), self.entries(other)
            if not np.array_equal(j, k) or np.abs(a / a[0] - c / c[0]).max() > NEAR * np.abs(a / a[0]).max():
                continue
            factor = first[other] / first[keeper]
            low, high = (self.AL[other], self.AU[other]) if factor > 0 else (self.AU[other], self.AL[other])
            low, high = low / factor, high / factor
            if low > self.AL[keeper]:
                dropped[keeper, True] = other, factor
                self.AL[keeper] = low
            if high < self.AU[keeper]:
                dropped[keeper, False] = other, factor
                self.AU[keeper] = high
            self.row[other] = False
            gap = self.AL[keeper] - self.AU[keeper]
            if gap > 0:
                size = 1 + max(abs(self.AL[keeper]), abs(self.AU[keeper]))
                if gap > INFEASIBLE * size:
                    self.apart(keeper, dropped)
                    return
                self.AL[keeper] = self.AU[keeper] = 0.5 * (self.AL[keeper] + self.AU[keeper])
        if dropped:
            kept, lower = (np.array(v) for v in zip(*dropped, strict=True))
            rows_dropped, factors = (np.array(v) for v in zip(*dropped.values(), strict=True))
            self.steps.append(Parallel(rows_dropped.astype(np.intp), kept, factors, lower))

    def apart(self, keeper: int, dropped: dict[tuple[int, bool], tuple[int, float]]) -> None:
        """Two parallel rows exclude each other."""
        y, z = np.zeros(self.f.m), np.zeros(self.f.n)
        behind: dict[bool, tuple[int, float]] = {True: (keeper, 1.0), False: (keeper, 1.0)}
        for lower in (True, False):
            behind[lower] = dropped.get((keeper, lower), behind[lower])
        for lower, (i, factor) in behind.items():
            y[i] += (1.0 if lower else -1.0) / factor
        self.infeasible(y, z)


def presolve(form: Form) -> Presolved:
    """Reduce a form.

    Returns
    -------
    Presolved
        With ``ray`` set where it is infeasible; with ``form`` None where no variable is left.
    """
    return _Presolver(form).run()
