"""The lanes of integers on a GPU: `engines.Lanes`, for many islands at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..kernels.vector import LANES
from ..populations.engines import MAX_LEVELS, Lanes
from ..system import SpinSystem
from .device import Array, Device
from .rows import WARP, independent_runs, interleaved, slices
from .source import Kernels

LAYOUT = Kernels("layout")
ROW = 33
PLANES = (4, 6, 8, 15)
# With these, tables have a row for every loss.
WHOLE_PLANES = 6
MOST_WARPS, PHASE_BLOCK, LAYOUT_BLOCK = 16, 256, 256
BUSY, MOST_BLOCKS, LEAST_LARGE = 32, 4, 2
_NEGATIVE = np.uint32(0x80000000)


def pack(device: Device, islands: Array, count: int, rows: Array, words: Array) -> None:
    """rows (I, 64, n) int8 into words (2 I, n) uint32, for the islands (count,) int32 that are listed."""
    n = words.shape[1]
    grid = -(-n // LAYOUT_BLOCK), 2 * count
    device.launch(LAYOUT, "pack_lanes", grid, LAYOUT_BLOCK, islands, rows, words, np.int64(n))


def unpack(device: Device, islands: Array, count: int, words: Array, rows: Array) -> None:
    """The inverse of `pack`."""
    n = words.shape[1]
    grid = -(-n // LAYOUT_BLOCK), 2 * count
    device.launch(LAYOUT, "unpack_lanes", grid, LAYOUT_BLOCK, islands, words, rows, np.int64(n))


def filling(device: Device, system: SpinSystem) -> int:
    """Islands that keep a device busy, by guess: `BUSY` warps to a multiprocessor, in `MOST_BLOCKS` blocks at most."""
    slices_ = -(-int(np.diff(independent_runs(system.indptr, system.indices)).max()) // WARP)
    if 4 * system.n > device.shared_bytes:
        # Every slice of a phase is a warp of its own.
        return max(LEAST_LARGE, -(-device.multiprocessors * BUSY // (2 * slices_)))
    blocks = max(1, min(MOST_BLOCKS, BUSY // min(MOST_WARPS, 1 + slices_)))
    return -(-device.multiprocessors * blocks // 2)


class DeviceLanes:
    """The rows of a problem on a GPU, and the sweeps over them."""

    def __init__(self, device: Device, lanes: Lanes, *, warps: int = MOST_WARPS, resident: bool = True) -> None:
        """warps: the most of a block; resident: whether spins may lie in shared memory."""
        self.device, self.resident = device, resident
        self.n = lanes.fields.size
        degrees = np.diff(lanes.indptr)
        spins = lanes.indices // np.uint32(LANES)
        bounds = independent_runs(lanes.indptr, spins)
        self.phases, numbers = slices(bounds, degrees)
        row_ends = np.repeat(lanes.middle - lanes.indptr[:-1], degrees)
        negative = np.arange(spins.size) - np.repeat(lanes.indptr[:-1], degrees) >= row_ends
        begins, entries = interleaved(
            numbers, lanes.indptr, 4 * spins | np.where(negative, _NEGATIVE, np.uint32(0)), 4 * np.arange(self.n), 4
        )
        at = np.where(numbers < 0, 0, numbers)
        fields = lanes.fields.astype(np.int32)[at]
        edges = degrees[at].astype(np.int32) + np.abs(fields)
        self.bound = int(lanes.bounds.max(initial=0))
        planes = next(p for p in PLANES if self.bound < 2**p)
        self.whole = planes <= WHOLE_PLANES
        self.kernels = Kernels("lanes", (f"PLANES={planes}",))
        self.warps = min(warps, 1 + int(np.diff(self.phases).max()))
        up = device.upload
        self._phases, self._slices, self._entries = up(self.phases), up(begins), up(entries)
        self._numbers, self._edges, self._fields = up(numbers), up(edges), up(fields)

    def levels(self, hottest: float) -> int:
        """Thresholds that a temperature calls for: beyond 12 T none is above 0."""
        return min(MAX_LEVELS, self.bound, math.ceil(12.000001 * hottest))

    def rows(self, levels: int) -> tuple[int, int]:
        """Where loss 0 stands in a table of thresholds, and how many rows that has."""
        return (self.bound, 2 * self.bound + 2) if self.whole else (0, levels + 2)

    def sweeps(
        self, words: Array, numbers: Array, firsts: Array, sweeps: NDArray[np.int32], temperatures: Array, hottest: float, key: int, flips: Array
    ) -> None:  # fmt: skip
        """Queue sweeps[k] sweeps of island k.

        words (2 I, n) uint32; numbers, firsts (I,) uint32: counter word, counter of the first sweep; temperatures (I, most, 64) float64, none above
        `hottest`; flips (I,) uint64: added to.
        """
        device, islands, most = self.device, sweeps.size, int(temperatures.shape[1])
        levels = self.levels(hottest)
        todo = device.upload(sweeps)
        lists = (self._slices, self._entries, self._numbers, self._edges, self._fields, numbers, firsts, todo)
        base, rows = self.rows(levels)
        shared = 4 * (self.n + 2 * rows * ROW)
        if self.resident and shared <= device.shared_bytes:
            device.launch(
                self.kernels, "lane_sweeps", 2 * islands, 32 * self.warps, self._phases, np.int32(self.phases.size - 1), *lists, temperatures,
                np.int32(most), words, np.int32(self.n), np.int32(base), np.int32(levels), np.int32(rows), np.uint64(key), flips, shared=shared,
            )  # fmt: skip
            return
        tables = device.empty((2 * islands, rows, ROW), np.uint32)
        lasts = device.empty(2 * islands, np.int32)
        for t in range(int(sweeps.max(initial=0))):
            device.launch(
                self.kernels, "lane_thresholds", 2 * islands, 32, todo, temperatures, np.int32(most), np.int32(t), np.int32(base), np.int32(levels), np.int32(rows), tables, lasts,
            )  # fmt: skip
            for begin, end in zip(self.phases[:-1].tolist(), self.phases[1:].tolist(), strict=True):
                grid = -(-(end - begin) // (PHASE_BLOCK // 32)), 2 * islands
                device.launch(
                    self.kernels, "lane_phase", grid, PHASE_BLOCK, np.int32(begin), np.int32(end), *lists, np.int32(t), tables, lasts, words, np.int32(self.n),
                    np.int32(base), np.int32(rows), np.uint64(key), flips,
                )  # fmt: skip
