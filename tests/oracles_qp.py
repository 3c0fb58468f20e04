"""Slow, obvious versions of the kernels for quadratic programs, in plain Python, from the documentation alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
