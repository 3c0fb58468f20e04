"""Compound moves of the lanes of integers on a GPU: `engines.Lanes.polish`, for many islands at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.compound import MOST_FOLLOWING, levels, stages
from ..kernels.vector import LANES
from ..populations.engines import Lanes
from .device import Array, Device
from .source import Kernels

KERNELS = Kernels("compound")
MOST_WARPS, LEVEL_BLOCK, SLOTS = 32, 256, 64
SLOT_BYTES = 4 * 32 * SLOTS
ASKED, FIRST, FOLLOWS = (np.uint32(1 << bit) for bit in (31, 30, 29))
FINISH = ASKED
# Estimates, in microseconds: to queue a launch; for a warp to ask a neighbour.
LAUNCH, ASK = 10.0, 0.2

Ints = NDArray[np.int64]


class CompoundMoves:
    """The rows of a problem on a GPU, and the moves in an order that does the same as one centre after another."""

    def __init__(self, device: Device, lanes: Lanes, *, warps: int = MOST_WARPS, resident: bool = True) -> None:
        """warps: the most of a block; resident: whether spins may lie in shared memory."""
        self.device = device
        self.n = lanes.fields.size
        self.shared = SLOT_BYTES + 8 * self.n
        self.resident = resident and self.shared <= device.shared_bytes
        entries = _entries(lanes)
        level, asked = np.empty(self.n, np.int32), entries & ASKED != 0
        stage = np.zeros(entries.size, np.int32)
        count = int(levels(lanes.indptr, lanes.indices, level))
        stages(lanes.indptr, lanes.indices, asked, stage)
        records = np.zeros((self.n, 4), np.uint32)
        records[:, 0] = lanes.indptr[:-1]
        records[:, 1] = lanes.middle - lanes.indptr[:-1] << 15 | np.diff(lanes.indptr)
        records[:, 2] = lanes.fields.astype(np.int32).view(np.uint32)
        tasks, self.steps = _tasks(lanes, entries, records, level, stage)
        # As many warps as tasks, but for a few crowded steps.
        sizes = np.diff(self.steps)
        self.warps = int(min(warps, np.sort(sizes)[sizes.size - 1 - sizes.size // 10]))
        # A level lasts as long as its slowest centre.
        self.bounds = np.concatenate([[0], np.cumsum(np.bincount(level, minlength=count))]).astype(np.int32)
        self.asked = np.zeros(count)
        np.maximum.at(self.asked, level, np.bincount(_rows(lanes)[asked], minlength=self.n))
        up = device.upload
        self._entries, self._fields, self._records = up(entries), up(lanes.fields.astype(np.int32)), up(records)
        self._tasks, self._steps = up(tasks), up(self.steps)
        self._centres = up(np.argsort(level, kind="stable").astype(np.uint32))

    def _by_group(self, islands: int) -> bool:
        """Whether to give each group a block of its own for all steps, or a launch to each level, which all multiprocessors share."""
        groups, processors = 2 * islands, self.device.multiprocessors
        turns = -(-np.diff(self.steps) // self.warps) * -(-groups // processors)
        shared = -(-np.diff(self.bounds) * groups // (processors * MOST_WARPS))
        return ASK * float(turns.sum()) <= ASK * float(shared @ (2 + self.asked)) + LAUNCH * self.asked.size

    def run(self, words: Array, islands: Array, count: int, flips: Array) -> None:
        """Queue one pass over the islands (count,) int32 that are listed, each at most once.

        words (2 I, n) uint32; flips (I,) uint64: added to, those taken back and the taking back included.
        """
        if count == 0:
            return
        device, n = self.device, np.int32(self.n)
        if self._by_group(count):
            # Scratch where the spins are: in shared memory, or a word a spin.
            before = device.empty(1 if self.resident else words.shape, np.uint32)
            device.launch(
                KERNELS, "compound_group", 2 * count, 32 * self.warps, words, before, self._entries, self._fields, self._tasks, self._steps,
                np.int32(self.steps.size - 1), n, islands, np.int32(self.resident), flips, shared=self.shared if self.resident else SLOT_BYTES,
            )  # fmt: skip
            return
        before = device.empty(words.shape, np.uint32)
        for begin, end in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            grid = -(-int(end - begin) * 32 // LEVEL_BLOCK), 2 * count
            device.launch(
                KERNELS, "compound_level", grid, LEVEL_BLOCK, words, before, self._entries, self._records, self._centres, begin, end, n,
                islands, flips,
            )  # fmt: skip


def _rows(lanes: Lanes) -> Ints:
    return np.repeat(np.arange(lanes.fields.size), np.diff(lanes.indptr))


def _entries(lanes: Lanes) -> NDArray[np.uint32]:
    """Neighbours with the marks that compound.cu describes."""
    row, spins = _rows(lanes), (lanes.indices // np.uint32(LANES)).astype(np.int64)
    follows = np.diff(lanes.indptr)[spins] <= MOST_FOLLOWING
    first = np.zeros(spins.size, bool)
    first[np.unique(row * lanes.fields.size + spins, return_index=True)[1]] = True
    # Asked again at once, a neighbour never follows: it has no gain left.
    again = np.zeros(spins.size, bool)
    again[1:] = (spins[1:] == spins[:-1]) & (row[1:] == row[:-1])
    out = spins.astype(np.uint32)
    for mark, where in ((ASKED, follows & ~again), (FIRST, follows & first), (FOLLOWS, follows)):
        out[where] |= mark
    return out


def _tasks(
    lanes: Lanes, entries: NDArray[np.uint32], records: NDArray[np.uint32], level: NDArray[Any], stage: NDArray[Any]
) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """What compound.cu's warps do, (t, 4), and the bounds of the steps: of each level, SLOTS centres at a time, the stages, and a last step that finishes."""
    n, row = lanes.fields.size, _rows(lanes)
    order = np.argsort(level, kind="stable")
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n) - np.searchsorted(level[order], level[order])
    slot = rank % SLOTS
    parts = -(-np.bincount(level) // SLOTS)
    part = (np.cumsum(parts) - parts)[level] + rank // SLOTS
    asked = np.flatnonzero(stage)
    depth = np.zeros(int(parts.sum()), np.int64)
    np.maximum.at(depth, part[row[asked]], stage[asked])
    begin = np.cumsum(depth + 1) - depth - 1
    step = np.concatenate([begin[part[row[asked]]] + stage[asked] - 1, (begin + depth)[part]])
    centre = np.concatenate([row[asked], np.arange(n)])
    spin = np.concatenate([lanes.indices[asked].astype(np.int64) // LANES, np.arange(n)])
    tasks = np.empty((step.size, 4), np.uint32)
    tasks[:, 0], tasks[:, 1] = records[spin, 0], records[spin, 1]
    tasks[: asked.size, 1] |= entries[asked] & FIRST
    tasks[asked.size :, 1] |= FINISH
    tasks[:, 2], tasks[:, 3] = slot[centre] << 26 | spin, centre
    by_step = np.argsort(step, kind="stable")
    steps = np.searchsorted(step[by_step], np.arange(int((depth + 1).sum()) + 1))
    return np.ascontiguousarray(tasks[by_step]), steps.astype(np.int32)
