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

from .form import Form
from .postsolve import Fixed, Forcing, Parallel, Presolved, Singletons, undo

Vector = NDArray[np.float64]
Index = NDArray[np.intp]

PASSES = 30
EXACT = 1e-12
INFEASIBLE = 1e-9
PARALLEL = 1e-13


class _Presolver:
    """The state of one presolve."""

    def __init__(self, form: Form) -> None:
        f = self.f = form
        self.AL, self.AU, self.l, self.u = f.AL.copy(), f.AU.copy(), f.l.copy(), f.u.copy()
        self.x = np.zeros(f.n)
        self.column, self.row = np.ones(f.n, bool), np.ones(f.m, bool)
        self.of = np.repeat(np.arange(f.m), np.diff(f.A.indptr))
        self.linear = np.diff(f.P.indptr) == 0
        self.P_diagonal = f.P.diagonal()
        self.P_rows = np.repeat(np.arange(f.n), np.diff(f.P.indptr))
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
            P=f.P[c][:, c], c=self.gradient[c], A=f.A[r][:, c], AL=self.AL[r], AU=self.AU[r], l=self.l[c], u=self.u[c]
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

    def entries(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which entries of A are left, and how many in each row."""
        alive = self.column[self.f.A.indices] & self.row[self.of]
        return alive, np.bincount(self.of[alive], minlength=self.f.m)

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
        alive, count = self.entries()
        none = self.row & (count == 0)
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
        single = self.row & (count == 1)
        if not single.any():
            return
        entry = np.flatnonzero(alive & single[self.of])
        # One row a variable and pass: two of them are not independent.
        j, first = np.unique(f.A.indices[entry], return_index=True)
        entry = entry[first]
        i, a = self.of[entry], f.A.data[entry]
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
        alive, count = self.entries()
        rows, a, j = self.of[alive], f.A.data[alive], f.A.indices[alive]
        low = np.where(a > 0, a * self.l[j], a * self.u[j])
        high = np.where(a > 0, a * self.u[j], a * self.l[j])
        least = np.bincount(rows, low, f.m)
        most = np.bincount(rows, high, f.m)
        size = 1 + np.bincount(rows, np.where(np.isfinite(low), np.abs(low), 0), f.m)
        size += np.bincount(rows, np.where(np.isfinite(high), np.abs(high), 0), f.m)
        there = self.row & (count > 0)
        for wrong, sign in (
            (there & (least > self.AU + INFEASIBLE * size), -1.0),
            (there & (most < self.AL - INFEASIBLE * size), 1.0),
        ):
            if wrong.any():
                i = int(np.argmax(wrong))
                y, z = np.zeros(f.m), np.zeros(f.n)
                y[i] = sign
                mine = rows == i
                z[j[mine]] = -sign * a[mine]
                self.infeasible(y, z)
                return
        forced = np.zeros(f.m, bool)
        for force, sign in (
            (there & (least >= self.AU - EXACT * size), -1),
            (there & (most <= self.AL + EXACT * size), 1),
        ):
            for i in np.flatnonzero(force & ~forced):
                mine = np.flatnonzero(rows == i) if rows.size < 10_000 else self.span(rows, int(i))
                columns = j[mine].astype(np.intp)
                if not self.column[columns].all() or not columns.size:
                    continue  # Another row of this pass has fixed some: the next pass looks again.
                at_low = (a[mine] > 0) == (sign < 0)
                value = np.where(at_low, self.l[columns], self.u[columns])
                self.steps.append(Forcing(int(i), sign, columns, a[mine]))
                self.fix(columns, value, record=False)
                self.row[i] = False
                forced[i] = True
        if forced.any():
            return  # The activities are no longer those of what is left.
        live = there & self.row
        self.AU[live & (most <= self.AU)] = np.inf
        self.AL[live & (least >= self.AL)] = -np.inf
        self.row[live & np.isinf(self.AL) & np.isinf(self.AU)] = False

    @staticmethod
    def span(rows: NDArray[np.int64], i: int) -> Index:
        return np.arange(np.searchsorted(rows, i), np.searchsorted(rows, i, side="right"))

    def unopposed(self) -> None:
        """Variables that no row holds back on one side, and those on their own."""
        f = self.f
        alive, _ = self.entries()
        rows, a, j = self.of[alive], f.A.data[alive], f.A.indices[alive]
        touched = np.bincount(j, minlength=f.n)
        to_up = np.where(a > 0, np.isfinite(self.AU[rows]), np.isfinite(self.AL[rows]))
        to_down = np.where(a > 0, np.isfinite(self.AL[rows]), np.isfinite(self.AU[rows]))
        holds_up, holds_down = np.bincount(j, to_up, f.n) > 0, np.bincount(j, to_down, f.n) > 0
        neighbours = np.bincount(self.P_rows[self.column[f.P.indices]], minlength=f.n) - (self.P_diagonal != 0)
        g, p = self.gradient, self.P_diagonal
        alone = self.column & (touched == 0) & (neighbours == 0)
        curved = alone & (p > 0)
        if curved.any():
            k = np.flatnonzero(curved)
            self.fix(k, np.clip(-g[k] / p[k], self.l[k], self.u[k]))
        flat = self.column & (neighbours == 0) & (p == 0)
        down = flat & ~holds_down & np.isfinite(self.l) & ((g > 0) | ((g == 0) & (touched == 0)))
        up = flat & ~holds_up & np.isfinite(self.u) & (g < 0)
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
        alive, count = self.entries()
        rows, a, j = self.of[alive], f.A.data[alive], f.A.indices[alive]
        there = np.flatnonzero(self.row & (count > 1))
        if there.size < 2:
            return
        start = np.searchsorted(rows, there)
        first = np.zeros(f.m)
        first[there] = a[start]
        scaled = a / first[rows]
        marks = np.random.default_rng(0).uniform(1, 2, (2, f.n))
        prints = np.stack(
            [np.bincount(rows, np.abs(scaled) * marks[0][j], f.m), np.bincount(rows, scaled * marks[1][j], f.m)]
        )[:, there]
        order = np.lexsort((prints[0], count[there], j[start]))
        i = there[order]
        near = np.all(np.abs(np.diff(prints[:, order])) <= PARALLEL * np.abs(prints[:, order[1:]]) * 10, axis=0)
        near &= (count[i][1:] == count[i][:-1]) & (j[start][order][1:] == j[start][order][:-1])
        # Which row gave a kept one its side: the last that did.
        dropped: dict[tuple[int, bool], tuple[int, float]] = {}
        keeper = -1
        for position in np.flatnonzero(near):
            one, other = int(i[position]), int(i[position + 1])
            if not (keeper >= 0 and not self.row[one]):
                keeper = one
            s, t = self.span(rows, keeper), self.span(rows, other)
            if (
                not np.array_equal(j[s], j[t])
                or np.abs(scaled[s] - scaled[t]).max() > PARALLEL * np.abs(scaled[s]).max() * 10
            ):
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
