"""Slow, obvious versions of the kernels for quadratic programs, in plain Python, from the documentation alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .oracles import philox4x32

Row = Sequence[float]
Matrix = Sequence[Sequence[float]]


def growth_step(
    Q: Matrix, b: Row, D: Matrix, c: Row, two_sided: Sequence[bool], psi: Row, lam: Row, mix: float, v: Row
) -> tuple[list[float], list[int], float]:
    """One step of the growth-transform dynamics: the potentials after it, the spikes in it, the objective before it."""
    n = len(v)
    Qv = [sum(Q[i][j] * v[j] for j in range(n)) for i in range(n)]
    objective = sum(0.5 * v[i] * Qv[i] - b[i] * v[i] for i in range(n))
    spikes = []
    for row, side, both in zip(D, c, two_sided, strict=True):
        above = sum(d * x for d, x in zip(row, v, strict=True)) - side
        spikes.append(1 if above > 0 else -1 if both else 0)
    new = []
    for i in range(n):
        G = b[i] - Qv[i] - sum(p * s * row[i] for p, s, row in zip(psi, spikes, D, strict=True))
        grown = (G + lam[i] * v[i]) / (v[i] * G + lam[i])
        new.append(mix * grown + (1 - mix) * v[i])
    return new, spikes, objective


@dataclass
class SlowCell:
    """A differential cell with its integrator and its converter, as `cells` uses it."""

    low: float
    resolution: float
    rate: float
    levels: int
    full_scale: float
    k1: tuple[float, float]
    k2: tuple[float, float]
    rise: tuple[float, float]
    unit: tuple[float, float]
    rest: tuple[float, float]
    volts: list[float]
    carry: float = 0.0
    level: int = 0
    pulses: int = 0
    held: int = 0

    @property
    def value(self) -> float:
        return self.low + self.level * self.resolution

    def fall(self, side: int, seconds: float) -> None:
        """exp(k2/V) grows by k1 t under the pulse: the closed form itself, not the kernel's rearrangement."""
        raised = self.volts[side] + self.rise[side]
        inverse = self.k2[side] / raised
        growth = math.log1p(self.k1[side] * seconds * math.exp(-inverse))
        self.volts[side] = self.k2[side] / (inverse + growth) - self.rise[side]

    def update(self, change: float, most: int) -> None:
        total = self.carry + change
        if (self.level == 0 and total < 0) or (self.level == self.levels - 1 and total > 0):
            self.held += 1
            total = 0.0
        total = max(-most, min(most, total))
        units = int(total)
        self.carry = total - units
        if units:
            side = 0 if units > 0 else 1
            self.fall(side, abs(units) * self.unit[side])
            self.pulses += 1
        for side in (0, 1):
            self.volts[side] -= self.rest[side]
        lsb = 2 * self.full_scale / (self.levels - 1)
        level = math.floor((self.volts[1] - self.volts[0] + self.full_scale) / lsb + 0.5)
        self.level = max(0, min(self.levels - 1, level))


def cells_update(P: Matrix, q: Row, A: Matrix, b: Row, keep: float, most: int, cells: Sequence[SlowCell]) -> None:
    """One update of `cells`, every product afresh: the variables by the gradient, then the multipliers by the rows where the variables were going."""
    n, m = len(q), len(b)
    x, y = [c.value for c in cells[:n]], [c.value for c in cells[n:]]

    def rows(at: Sequence[float]) -> list[float]:
        return [sum(A[r][j] * at[j] for j in range(n)) - b[r] for r in range(m)]

    def pull(cell: SlowCell) -> float:
        return keep * (cell.level - 0.5 * (cell.levels - 1))

    before = rows(x)
    for i in range(n):
        g = sum(P[i][j] * x[j] for j in range(n)) + q[i] + sum(A[r][i] * y[r] for r in range(m))
        cells[i].update(pull(cells[i]) - cells[i].rate * g, most)
    after = rows([c.value for c in cells[:n]])
    for r in range(m):
        cell = cells[n + r]
        cell.update(pull(cell) + cell.rate * (2 * after[r] - before[r]), most)


def box_value(P: Matrix, c: Row, u: Sequence[float]) -> float:
    """1/2 u'Pu + c'u, every term by itself."""
    n = len(u)
    return sum(c[i] * u[i] + sum(0.5 * P[i][j] * u[i] * u[j] for j in range(n)) for i in range(n))


def coordinate_minimum(P: Matrix, c: Row, u: Sequence[float], i: int, ends: bool, noise: float = 0.0) -> float:
    """Where f + noise u_i is least along coordinate i: among the ends and, unless it must be at one of them, the stationary point inside."""

    def at(v: float) -> float:
        moved = list(u)
        moved[i] = v
        return box_value(P, c, moved) + noise * v

    candidates = [0.0, 1.0]
    if P[i][i] > 0 and not ends:
        slope = c[i] + sum(P[i][j] * u[j] for j in range(len(u)) if j != i) + noise
        candidates.append(min(max(-slope / P[i][i], 0.0), 1.0))
    return min(candidates, key=at)


def box_noise(key: int, step: int, member: int, draw: int) -> float:
    """The logistic noise of one draw of `boxqp`: 12 of the 16 bits of half `draw % 64` of block `draw // 64`."""
    mask = 2**32 - 1
    block, place = divmod(draw, 64)
    pair, half = divmod(place, 2)
    word = philox4x32((key & mask, key >> 32), (block, step, member, 16))[pair // 8]
    x = (word + (pair + 1) * 0x9E3779B9) & mask
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & mask
    x = ((x ^ (x >> 15)) * 0x846CA68B) & mask
    x ^= x >> 16
    uniform = (((x >> (16 * half)) & 0xFFFF) // 16 + 0.5) / 4096
    return math.log(uniform / (1 - uniform))


def box_child(
    P: Matrix, c: Row, u: Sequence[float], v: Sequence[float], alike: float, ends: Sequence[bool]
) -> tuple[list[float], int]:
    """The best child of u that takes a share of each component of its difference from v, all of whose shares in 0, 1/1000, ..., 1 are tried; and how many components."""
    n = len(u)
    left = {i for i in range(n) if abs(u[i] - v[i]) > alike}
    parts = []
    while left:
        part = {left.pop()}
        while True:
            more = {j for j in left if any(P[i][j] != 0 for i in part)}
            if not more:
                break
            part |= more
            left -= more
        parts.append(part)
    child = list(u)
    if len(parts) < 2:
        return child, len(parts)
    for part in parts:
        shares = [0.0, 1.0] if any(ends[i] for i in part) else [k / 1000 for k in range(1001)]

        def moved(t: float, part: set[int] = part) -> list[float]:
            return [u[i] + t * (v[i] - u[i]) if i in part else u[i] for i in range(n)]

        t = min(shares, key=lambda t: box_value(P, c, moved(t)))
        child = [moved(t)[i] if i in part else child[i] for i in range(n)]
    return child, len(parts)


def box_minimum(P: Matrix, q: Row, lb: Row, ub: Row, binary: Sequence[bool]) -> float:
    """The least of 1/2 x'Px + q'x on a box, by a look at every face: each variable at a bound, or between."""
    n = len(q)
    A, b = np.asarray(P, float), np.asarray(q, float)
    best = math.inf
    for where in product((0, 1, 2), repeat=n):
        if any(w == 2 and binary[i] for i, w in enumerate(where)):
            continue
        x = np.array([(lb[i], ub[i], 0.0)[w] for i, w in enumerate(where)])
        F = [i for i, w in enumerate(where) if w == 2]
        if F:
            x[F] = np.linalg.lstsq(A[np.ix_(F, F)], -(A @ x + b)[F], rcond=None)[0]
            if any(not lb[i] <= x[i] <= ub[i] for i in F):
                continue
        best = min(best, float(0.5 * x @ A @ x + b @ x))
    return best
