"""The lanes of floats on a GPU: `engines.RealLanes`, for many islands at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.vector import LANES
from ..populations.engines import RealLanes
from .device import Array, Device
from .rows import independent_runs
from .source import Kernels

KERNELS = Kernels("real_lanes")
PARTS, MOST_THREADS, PHASE_BLOCK = 4, 1024, 256
# Estimates, in microseconds: to queue a launch; for one group's test of a spin on a multiprocessor, and for an edge of it.
LAUNCH, TEST, EDGE = 10.0, 0.009, 0.0007


class DeviceRealLanes:
    """The rows of a problem on a GPU, and the sweeps over them."""

    def __init__(self, device: Device, lanes: RealLanes, *, threads: int = MOST_THREADS, resident: bool = True) -> None:
        """threads: the most of a block; resident: whether spins may lie in shared memory."""
        self.device, self.resident = device, resident
        self.n = lanes.totals.size
        spins = lanes.indices // np.uint32(LANES)
        self.bounds = independent_runs(lanes.indptr, spins).astype(np.int32)
        sizes, degrees = np.diff(self.bounds), np.diff(lanes.indptr)
        # Rows of like length side by side.
        order = np.lexsort((-degrees, np.repeat(np.arange(sizes.size), sizes)))
        needed = PARTS * int(sizes.max())
        each = -(-needed // -(-needed // threads))
        self.threads = -(-each // 32) * 32
        self.work = TEST * self.n + EDGE * spins.size
        edges = np.empty((spins.size, 2), np.uint32)
        edges[:, 0], edges[:, 1] = spins * np.uint32(PARTS), lanes.doubled.view(np.uint32)
        up = device.upload
        self._rows = up(lanes.indptr), up(edges), up(lanes.totals), up(order.astype(np.int32))
        self._bounds = up(self.bounds)

    def _by_group(self, islands: int) -> bool:
        """Whether to give each group a block of its own for all sweeps, or a launch to each phase, which all multiprocessors share."""
        if not self.resident or 4 * self.n > self.device.shared_bytes:
            return False
        groups, processors = 2 * islands, self.device.multiprocessors
        spread = LAUNCH * (self.bounds.size - 1) + self.work * groups / processors
        return self.work * -(-groups // processors) <= spread

    def sweeps(
        self, words: Array, numbers: Array, firsts: Array, sweeps: NDArray[np.int32], temperatures: Array, key: int, flips: Array
    ) -> None:  # fmt: skip
        """Queue sweeps[k] sweeps of island k.

        words (2 I, n) uint32; numbers, firsts (I,) uint32: counter word, counter of the first sweep; temperatures (I, most, 64) float32;
        flips (I,) uint64: added to.
        """
        device, islands, most = self.device, sweeps.size, int(temperatures.shape[1])
        ends = (
            np.int32(self.n), numbers, firsts, device.upload(sweeps), temperatures, np.int32(most), flips, np.uint64(key),
        )  # fmt: skip
        if self._by_group(islands):
            phases = np.int32(self.bounds.size - 1)
            device.launch(
                KERNELS, "real_sweeps", 2 * islands, self.threads, words, *self._rows, self._bounds, phases, *ends, shared=4 * self.n
            )  # fmt: skip
            return
        for step in range(int(sweeps.max(initial=0))):
            for begin, end in zip(self.bounds[:-1], self.bounds[1:], strict=True):
                grid = -(-PARTS * int(end - begin) // PHASE_BLOCK), 2 * islands
                device.launch(
                    KERNELS, "real_phase", grid, PHASE_BLOCK, words, *self._rows, begin, end, np.int32(step), *ends
                )
