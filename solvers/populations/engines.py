"""How the ensemble anneals the lineages of an island: side by side in SIMD lanes, or one chain after another.

`Lanes` is for sparse graphs with small integer weights: a sum over the neighbours of a spin costs one vector addition an edge, for all 64
lineages; `RealLanes` are the same for weights of any kind, in float32. `Chains` are for the rest, dense graphs: local fields are kept up to date,
and only flips cost a row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..kernels.compound import MOST_FOLLOWING, compound_moves
from ..kernels.lanes import OFFSETS, lane_sweeps
from ..kernels.real_lanes import real_lane_sweeps
from ..kernels.rows import values_from
from ..kernels.sweep import TABLE, anneal
from ..kernels.vector import LANES
from ..system import SpinSystem
from ..temperature import COLDEST
from .matrix import Matrix, matrix_of

Array = NDArray[Any]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

MAX_DEGREE = 100
# Float lanes pay every edge at every test, chains only at flips: docs/performance.md.
REAL_DEGREE = 32
MAX_EXPANSION = 4
MAX_ROW = 2**15 - 1
MAX_LEVELS = 4096
CHAINS, POPULATION = 16, 32
EXP_RANGE = 22.2
# Far above any gain, and its products with a draw still a float32.
HOTTEST = 1e30


def aligned(shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """Zeros that begin at a multiple of `LANES` bytes, so that no vector straddles two cache lines (10 to 25 % of a sweep's time)."""
    kind = np.dtype(kind)
    size = math.prod(shape) * kind.itemsize
    raw = np.zeros(size + LANES, np.uint8)
    start = -raw.ctypes.data % LANES
    out: NDArray[Any] = raw[start : start + size].view(kind).reshape(shape)
    return out


class Engine(Protocol):
    """Anneals `reads` states of one island, which lie in `work` (reads * n,) int8 in the engine's own layout.

    `local` (reads, width) of type `kind` is what else it keeps between calls. temperatures (sweeps, reads): a timer for each of them. `traffic`: bytes
    read and written a spin test, and a synaptic event (docs/energy.md).
    """

    @property
    def reads(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def kind(self) -> np.dtype[Any]: ...
    @property
    def traffic(self) -> tuple[float, float]: ...
    def load(self, rows: Spins, work: Spins, local: Array) -> None: ...
    def unload(self, work: Spins, rows: Spins) -> None: ...
    def sweeps(
        self, work: Spins, local: Array, temperatures: Floats, counts: Counts, key: int, island: int, first: int
    ) -> None: ...
    def polish(self, work: Spins, counts: Counts) -> None: ...


def lanes_fit(system: SpinSystem) -> bool:
    """Whether the integer lanes take this problem, and pay: sums within 16 bits, few edges a spin, few of them multiple."""
    edges = float(np.abs(system.weights).sum()) if system.integral else np.inf
    return rows_fit(system) and edges <= MAX_DEGREE * system.n and edges <= MAX_EXPANSION * max(system.weights.size, 1)


def rows_fit(system: SpinSystem) -> bool:
    """Whether the integer lanes can take this problem at all."""
    return system.integral and system.largest <= MAX_ROW


def lanes_of(system: SpinSystem) -> Lanes | RealLanes | None:
    """The lanes that this problem fits, if any."""
    if lanes_fit(system):
        return Lanes.of(system)
    return RealLanes.of(system) if system.indices.size <= MAX_DEGREE * system.n else None


def engine_of(system: SpinSystem) -> Engine:
    """The engine that the instance calls for."""
    if lanes_fit(system):
        return Lanes.of(system)
    chains = Chains.of(system)
    pays = chains.matrix is None and system.indices.size <= REAL_DEGREE * system.n
    return RealLanes.of(system) if pays else chains


class _SideBySide:
    """What both kinds of lanes have in common: 64 bytes a spin, a lineage each, and nothing else."""

    __slots__ = ()

    @property
    def reads(self) -> int:
        return LANES

    @property
    def width(self) -> int:
        return 0

    @property
    def kind(self) -> np.dtype[Any]:
        return np.dtype(np.int8)

    def load(self, rows: Spins, work: Spins, local: Array) -> None:
        work.reshape(-1, LANES)[:] = rows.T

    def unload(self, work: Spins, rows: Spins) -> None:
        rows[:] = work.reshape(-1, LANES).T


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lanes(_SideBySide):
    """64 lineages side by side; the arrays are `lane_sweeps`'s."""

    indptr: NDArray[np.int64]
    middle: NDArray[np.int64]
    indices: NDArray[np.uint32]
    fields: NDArray[np.int16]
    bounds: NDArray[np.int16]

    @property
    def traffic(self) -> tuple[float, float]:
        # A spin read and written; a neighbour's spin, and a 64th of its number.
        return 2.0, 1 + 4 / LANES

    @classmethod
    def of(cls, system: SpinSystem) -> Lanes:
        """Neighbours of positive weight first; an edge of weight w stands |w| times."""
        n = system.n
        row = np.repeat(np.arange(n), np.diff(system.indptr))
        order = np.lexsort((system.weights < 0, row))
        row, weights = row[order], system.weights[order]
        times = np.abs(weights)
        indices = np.repeat(system.indices[order], times)
        degree = np.bincount(row, weights=times, minlength=n).astype(np.int64)
        indptr = np.zeros(n + 1, np.int64)
        np.cumsum(degree, out=indptr[1:])
        positive = np.bincount(row, weights=np.maximum(weights, 0), minlength=n).astype(np.int64)
        return cls(
            indptr=indptr,
            middle=indptr[:-1] + positive,
            indices=indices * np.uint32(LANES),
            fields=system.fields.astype(np.int16),
            bounds=(degree + np.abs(system.fields)).astype(np.int16),
        )

    def sweeps(
        self, work: Spins, local: Array, temperatures: Floats, counts: Counts, key: int, island: int, first: int
    ) -> None:
        hottest = float(temperatures.max(initial=0.0))
        levels = int(min(MAX_LEVELS, int(self.bounds.max(initial=0)), np.ceil(12 * hottest)))
        table = aligned((max(levels, 1) * LANES,), np.uint16)
        lane_sweeps(
            self.indptr, self.middle, self.indices, self.fields, self.bounds, work, temperatures, table, OFFSETS, counts,
            np.uint64(key), island, first,
        )  # fmt: skip
        counts[1] += temperatures.shape[0] * self.indices.size * LANES

    def polish(self, work: Spins, counts: Counts) -> None:
        """One pass of compound moves (`kernels.compound`). counts: as in `State`."""
        degrees = np.diff(self.indptr)
        before = aligned((int(degrees.max(initial=0)) * LANES,), np.int8)
        compound_moves(self.indptr, self.middle, self.indices, self.fields, self.bounds, work, before, counts)
        following = degrees[degrees <= MOST_FOLLOWING]
        counts[1] += LANES * int(degrees.sum() + following @ following)
        counts[5] += LANES * int(degrees.size + following.sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RealLanes(_SideBySide):
    """64 lineages side by side, with weights of any kind; the arrays are `real_lane_sweeps`'s."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.uint32]
    doubled: NDArray[np.float32]
    totals: NDArray[np.float32]

    @property
    def traffic(self) -> tuple[float, float]:
        # As in `Lanes`, and a 64th of a weight.
        return 2.0, 1 + 8 / LANES

    @classmethod
    def of(cls, system: SpinSystem) -> RealLanes:
        """Rounded to float32."""
        up = system.local_fields(np.ones(system.n, np.int8))
        return cls(
            indptr=system.indptr,
            indices=system.indices * np.uint32(LANES),
            doubled=(2.0 * system.weights).astype(np.float32),
            totals=up.astype(np.float32),
        )

    def sweeps(
        self, work: Spins, local: Array, temperatures: Floats, counts: Counts, key: int, island: int, first: int
    ) -> None:
        t = np.clip(temperatures, 0, HOTTEST).astype(np.float32).ravel()
        real_lane_sweeps(
            self.indptr, self.indices, self.doubled, self.totals, work, t, counts, np.uint64(key), island, first
        )
        counts[1] += temperatures.shape[0] * self.indices.size * LANES

    def polish(self, work: Spins, counts: Counts) -> None:
        """Nothing: compound moves are for integers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """A few lineages one after another; `matrix` where the graph is dense."""

    system: SpinSystem
    matrix: Matrix | None

    @classmethod
    def of(cls, system: SpinSystem) -> Chains:
        """Dense or sparse as the instance calls for."""
        return cls(system=system, matrix=matrix_of(system))

    @classmethod
    def sparse(cls, system: SpinSystem) -> Chains:
        """Without a matrix, whatever the density."""
        return cls(system=system, matrix=None)

    @property
    def reads(self) -> int:
        return CHAINS if self.matrix is None else POPULATION

    @property
    def kind(self) -> np.dtype[Any]:
        return self.system.weights.dtype if self.matrix is None else self.matrix.kind

    @property
    def traffic(self) -> tuple[float, float]:
        # A spin, its field and its draw; a field read and written, a coupling, and in a sparse row its number.
        w = self.kind.itemsize
        return 5.0 + w, 2 * w + (4 + w if self.matrix is None else self.matrix.coupling_bytes)

    @property
    def width(self) -> int:
        return self.system.n if self.matrix is None else self.matrix.width

    def load(self, rows: Spins, work: Spins, local: Array) -> None:
        work.reshape(rows.shape)[:] = rows
        self._sum(rows, local)

    def _sum(self, rows: Spins, local: Array) -> None:
        for r in range(rows.shape[0]):
            if self.matrix is not None:
                self.matrix.sweeps(
                    np.zeros(0, np.float32), rows[r], local[r], np.zeros(2, np.int64), 0, 0, 0, fresh=True
                )
            else:
                local[r] = self.system.local_fields(rows[r])

    def fields_of(self, rows: Spins) -> Array:
        """Local fields (k, n) of states (k, n), from the matrix if there is one: `SpinSystem.local_fields` of each, where they are integers."""
        local = np.empty((rows.shape[0], self.width), self.kind)
        self._sum(rows, local)
        shift = 0 if self.matrix is None else self.matrix.shift
        out: Array = local[:, : self.system.n] - shift * rows.astype(np.int64)
        return out

    def unload(self, work: Spins, rows: Spins) -> None:
        rows[:] = work.reshape(rows.shape)

    def polish(self, work: Spins, counts: Counts) -> None:
        """Nothing: chains have no compound moves."""

    def copy(self, work: Spins, local: Array, source: NDArray[np.int64]) -> None:
        """Lineage k becomes a copy of lineage source[k], which stays itself."""
        rows = work.reshape(self.reads, self.system.n)
        for k in np.flatnonzero(source != np.arange(self.reads)).tolist():
            rows[k] = rows[source[k]]
            local[k] = local[source[k]]

    def values_of(self, work: Spins, local: Array) -> NDArray[np.float64]:
        """-(sum_{i<j} w s s + sum h s) of each lineage, from its local fields: (reads,)."""
        values = np.empty(self.reads)
        shift = 0 if self.matrix is None else self.matrix.shift
        values_from(local, work.reshape(self.reads, self.system.n), self.system.fields, shift, values)
        return values

    def sweeps(
        self, work: Spins, local: Array, temperatures: Floats, counts: Counts, key: int, island: int, first: int
    ) -> None:
        s = self.system
        rows = work.reshape(self.reads, s.n)
        if self.matrix is not None:
            t = np.ascontiguousarray(np.clip(temperatures, 0, HOTTEST).T, np.float32)
            for r, spins in enumerate(rows):
                self.matrix.sweeps(t[r], spins, local[r], counts, key, island * self.reads + r, first)
            return
        slopes = np.ascontiguousarray(1 / np.clip(temperatures, COLDEST, 1 / COLDEST).T)
        reach = -1
        if s.integral and slopes.size:
            reach = int(min(s.largest, np.ceil(EXP_RANGE / float(slopes.min()))))
            reach = reach if reach <= TABLE else -1
        values: NDArray[Any] = np.zeros(2, np.int64 if s.integral else np.float64)
        for r, spins in enumerate(rows):
            anneal(
                s.indptr, s.indices, s.weights, s.segments, slopes[r], False, reach, spins, local[r], spins.copy(), values, counts,
                np.uint64(key), island * self.reads + r, first,
            )  # fmt: skip
