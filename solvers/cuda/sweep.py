"""Chains on a GPU, their local fields kept up to date: the launcher of `sweep.cu`, for `sa` and for the ensemble's sparse chains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..kernels.philox import TILE
from ..kernels.sweep import TABLE
from ..system import SpinSystem
from .device import Array, Device
from .rows import WARP, independent_runs
from .source import Kernels

START = Kernels("start")
SPAN = 4 * TILE
# A wide window spares barriers where runs are long; words and lists of a window take 6 bytes of shared memory a spin.
MOST_DRAWN = 2048
LEAST_BLOCK, MOST_BLOCK = 64, 512
# Threads that registers leave a multiprocessor, and blocks that it runs side by side.
THREADS, BLOCKS = 1024, 16
FEWEST_TABULATED, MOST_TABULATED = 64, 1024
PACKED_SPINS, PACKED_WEIGHT = 2**24, 127
EXP_RANGE = 22.2
_ROWS = 2**15
_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a launch is cut. None of it enters the result.

    Attributes
    ----------
    block
        Threads a chain: a power of two.
    window
        Spins whose words are drawn at a time, a multiple of `SPAN`.
    tabulated
        Whether there is a table of thresholds.
    resident
        Whether spins and fields lie in shared memory.
    speculative
        Whether a step tries a block of spins whatever their edges.
    """

    block: int
    window: int
    tabulated: bool
    resident: bool
    speculative: bool


class DeviceChains:
    """The graph of a problem on a device. States are rows of device arrays: spins (R, n) int8, fields (R, n) of `kind`."""

    def __init__(self, device: Device, system: SpinSystem) -> None:
        self.device, self.system, self.n = device, system, system.n
        self.kind = system.weights.dtype
        degree = np.diff(system.indptr)
        bounds = independent_runs(system.indptr, system.indices)
        self.run = system.n / (bounds.size - 1)
        # Two entries or more a thread: what a row costs beside its entries is shared by few.
        self.lanes = min(int(math.log2(max(degree.mean() / 2, 1))), 5)
        self.packed = _packs(system)
        up = device.upload
        self._until = up(np.repeat(bounds[1:], np.diff(bounds)).astype(np.uint32))
        self._indptr, self._indices, self._weights = up(system.indptr), up(system.indices), up(system.weights)
        self._external = up(system.fields)
        # As the sweeps read them.
        self._columns, self._entries = self._indices, self._weights
        if self.packed:
            self._columns = up(system.indices | system.weights.view(np.uint32) << np.uint32(24))
        elif not system.integral:
            columns, weights = _ascending(system)
            self._columns, self._entries = up(columns), up(weights)
        self._marks: Array = device.zeros((0, 2, 1), np.uint32)

    @staticmethod
    def graph_bytes(system: SpinSystem) -> int:
        """Memory of the graph on a device."""
        extra = 4 if system.integral else 4 + system.weights.itemsize
        return system.nbytes + extra * system.indices.size + 4 * system.n

    @staticmethod
    def chain_bytes(system: SpinSystem) -> int:
        """Memory of one chain's spins, best spins and fields on a device, and of what its sweeps need."""
        return system.n * (2 + system.weights.itemsize) + (0 if system.integral else system.n // 4) + 256

    def draw(self, spins: Array, key: int, reads: NDArray[np.uint32]) -> None:
        """The first spins of each read: `kernels.start.random_spins`."""
        blocks = min(-(-self.n // (4 * _BLOCK)), 1024)
        for at in range(0, reads.size, _ROWS):
            some = reads[at : at + _ROWS]
            self.device.launch(
                START, "random_spins", (blocks, some.size), _BLOCK,
                self.device.upload(some), spins[at : at + _ROWS], np.int64(self.n), np.uint64(key),
            )  # fmt: skip

    def local_fields(self, spins: Array, fields: Array) -> None:
        """`SpinSystem.local_fields` of every row."""
        blocks = min(-(-self.n // _BLOCK), 1024)
        for at in range(0, spins.shape[0], _ROWS):
            some = spins[at : at + _ROWS]
            self.device.launch(
                self._rows, "local_fields", (blocks, some.shape[0]), _BLOCK, self._indptr, self._indices, self._weights, self._external,
                some, fields[at : at + _ROWS], np.int64(self.n),
            )  # fmt: skip

    def integer_values(self, spins: Array, fields: Array, values: Array) -> None:
        """`SpinSystem.value` of every row, from its local fields, into values (R, 2) int64, twice. Of floats, the host knows NumPy's order of summation."""
        self.device.launch(
            self._rows, "values_from", spins.shape[0], _BLOCK, fields, self._external, spins, values, np.int64(self.n)
        )

    def reach(self, slope: float) -> int:
        """What `anneal` calls reach, where no slope is below this one."""
        if not self.system.integral:
            return -1
        wide = int(min(self.system.largest, math.ceil(EXP_RANGE / slope)))
        return wide if wide <= TABLE else -1

    def anneal(
        self,
        spins: Array,
        fields: Array,
        slopes: Array,
        sweeps: int | NDArray[Any],
        firsts: int | NDArray[Any],
        reads: NDArray[Any],
        *,
        key: int,
        reach: int,
        heat_bath: bool = False,
        best: Array | None = None,
        values: Array | None = None,
        counts: Array | None = None,
        shape: Shape | None = None,
    ) -> None:
        """Queue `kernels.sweep.anneal` of every row.

        slopes (R or 1 or a divisor of R, at least as many as there are sweeps) float64, on the device: row r has those of row r modulo their number.
        sweeps, firsts: of all rows or of each (R,); reads (R,): their numbers. best (R, n), values (R, 2): both or none. counts (R, 2) int64: added to.
        """
        device, chains, n = self.device, int(spins.shape[0]), self.n
        if not chains:
            return
        if shape is None:
            shape = self.shape(chains, reach)
        entries = 2 * reach + 3 if shape.tabulated else 0
        integral = self.system.integral
        marks = self._marks if integral or shape.resident else self._room(chains)
        total = "int64" if integral else "double"
        kernels = Kernels(
            "sweep",
            (f"WEIGHT={'int' if integral else 'double'}", f"TOTAL={total}", f"REAL={int(not integral)}", f"PACKED={int(self.packed)}", f"RESIDENT={int(shape.resident)}"),
        )  # fmt: skip
        each = (device.upload(np.broadcast_to(np.asarray(a, np.uint32), chains)) for a in (sweeps, firsts, reads))
        keep = best is not None
        device.launch(
            kernels, "anneal", chains, shape.block,
            self._indptr, self._columns, self._entries, self._until, np.uint32(n), slopes, np.int64(slopes.shape[1]), np.int64(slopes.shape[0]), *each,
            np.int32(heat_bath), np.int32(reach), np.int32(entries), np.int32(self.lanes), np.uint32(shape.window), np.int32(shape.speculative), np.int32(keep),
            spins, fields, best if keep else spins,
            values if values is not None else device.zeros((chains, 2), np.int64 if integral else np.float64),
            counts if counts is not None else device.zeros((chains, 2), np.int64),
            marks, np.uint64(key), shared=self.shared_bytes(shape, entries),
        )  # fmt: skip

    def shape(self, chains: int, reach: int) -> Shape:
        """What suits so many chains: as many threads as the device runs side by side, none without a spin of the run."""
        entries = 2 * reach + 3 if reach >= 0 else 0
        tabulated = 0 < entries <= min(MOST_TABULATED, max(self.n // 4, FEWEST_TABULATED))
        entries = entries if tabulated else 0
        speculative = self.run < WARP
        least = Shape(block=LEAST_BLOCK, window=SPAN, tabulated=tabulated, resident=True, speculative=speculative)
        held = self.shared_bytes(least, entries)
        resident = held <= self.device.shared_bytes
        room = max(self.device.shared_bytes // held, 1) if resident else BLOCKS
        side = min(-(-chains // self.device.multiprocessors), room, BLOCKS)
        useful = MOST_BLOCK // 2 if speculative else _power(math.ceil(self.run))
        block = min(max(_power(THREADS // side), LEAST_BLOCK), max(useful, WARP), MOST_BLOCK)
        window = min(max(4 * block, SPAN), MOST_DRAWN, -(-self.n // SPAN) * SPAN)
        while True:
            shape = Shape(block=block, window=window, tabulated=tabulated, resident=resident, speculative=speculative)
            if window == SPAN or self.shared_bytes(shape, entries) * side <= self.device.shared_bytes:
                return shape
            window = max(window // 2 // SPAN * SPAN, SPAN)

    def shared_bytes(self, shape: Shape, entries: int) -> int:
        """Dynamic shared memory of a block: as sweep.cu lays it out."""
        n, words = self.n, (self.n + 31) // 32
        held = 8 * entries + shape.window * 6 + shape.window // 8
        if shape.resident:
            held += n * (1 + self.kind.itemsize) + (0 if self.system.integral else 8 * words)
        return held

    @property
    def _rows(self) -> Kernels:
        return Kernels("rows", (f"WEIGHT={'int' if self.system.integral else 'double'}",))

    def _room(self, chains: int) -> Array:
        # Each call leaves zeros.
        if self._marks.shape[0] < chains:
            self._marks = self.device.zeros((chains, 2, (self.n + 31) // 32), np.uint32)
        return self._marks


def _power(x: int) -> int:
    """The largest power of two up to x, or the next one where x is nearer to it."""
    return 1 << max(round(math.log2(max(x, 1))), 0)


def _packs(system: SpinSystem) -> bool:
    """Whether a column and a weight go into 32 bits."""
    largest = int(np.abs(system.weights).max(initial=0)) if system.integral else PACKED_WEIGHT + 1
    return system.n <= PACKED_SPINS and largest <= PACKED_WEIGHT


def _ascending(system: SpinSystem) -> tuple[NDArray[np.uint32], NDArray[Any]]:
    """Columns and weights, each row in the order of its columns."""
    shape = (system.n, system.n)
    matrix = csr_array((system.weights.copy(), system.indices.astype(np.int64), system.indptr.copy()), shape=shape)
    matrix.sort_indices()
    return matrix.indices.astype(np.uint32), matrix.data
