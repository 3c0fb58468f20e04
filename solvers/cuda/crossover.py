"""Partition crossover on a GPU: `kernels.crossover` for the lineages of many islands at once, bit for bit.

    all lineages, each in a block: cross with the own parent, and with a partner that is not a lower lineage
    level by level, for those whose partner is one: cross with what that one has become
    what is no worse than its parent takes its place

States stay on the GPU, in the order rows, parents (islands, lineages, n) int8; values are the host's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..kernels.crossover import pairings
from ..system import SpinSystem
from .device import Array, Device
from .source import Kernels

HUB = 512
# What one launch may take for blocks whose states are too large for shared memory.
SCRATCH = 2**31
# Threads of a multiprocessor, as its registers allow.
THREADS = 1024


class Placement(NamedTuple):
    """How states are crossed: by how many blocks of how many threads, each with how many bytes of shared memory.

    words, gains: elements of scratch for all blocks, 0 where these are in shared memory.
    """

    kernels: Kernels
    blocks: int
    block: int
    shared: int
    words: int
    gains: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A system on a GPU, in exact integers, and how its rows are shared out among threads.

    hubs: rows of more than `hub` entries, which are a whole block's work; the others are that of `lanes` threads each. block: threads of one,
    0 for what suits the size; shared: bytes of its state that may lie in shared memory.
    """

    device: Device
    number: type[np.int32 | np.int64]
    n: int
    entries: int
    indptr: Array
    indices: Array
    weights: Array
    fields: Array
    hubs: Array
    hub_count: int
    hub: int
    lanes: int
    block: int
    shared: int
    half: float
    symmetric: bool

    @classmethod
    def of(
        cls, device: Device, system: SpinSystem, *, hub: int = HUB, block: int = 0, shared: int | None = None
    ) -> Self:
        """Uploaded; tests choose what else the size does."""
        weights, fields, quantum = system.exact
        n, degrees = system.n, np.diff(system.indptr)
        hubs = np.flatnonzero(degrees > hub).astype(np.uint32)
        # Gains are sums of rows: where those of all magnitudes fit in 32 bits, so do they.
        narrow = system.integral and sum(float(np.abs(a).sum(dtype=np.float64)) for a in (weights, fields)) < 2**31
        number = np.int32 if narrow else np.int64
        return cls(
            device=device,
            number=number,
            n=n,
            entries=system.indices.size,
            indptr=device.upload(system.indptr),
            indices=device.upload(_some(system.indices)),
            weights=device.upload(_some(weights.astype(number, copy=False))),
            fields=device.upload(fields.astype(number, copy=False)),
            hubs=device.upload(_some(hubs)),
            hub_count=hubs.size,
            hub=hub,
            lanes=_power(system.indices.size / n / 4, 1, 32),
            block=block,
            shared=device.shared_bytes if shared is None else shared,
            half=quantum / 2,
            symmetric=not system.fields.any(),
        )

    def kernels(self, *, scratch: bool = False) -> Kernels:
        """The kernels for these numbers, and for states in shared memory or not."""
        return Kernels(
            "crossover", (f"NUMBER={'int' if self.number == np.int32 else 'int64'}", f"SCRATCH={int(scratch)}")
        )

    def arguments(self) -> tuple[Array, ...]:
        """What each kernel begins with."""
        return (
            self.indptr, self.indices, self.weights, self.fields, self.hubs, np.uint32(self.hub_count), np.uint32(self.hub),
            np.uint32(self.lanes), np.uint32(self.n),
        )  # fmt: skip

    def place(self, jobs: int) -> Placement:
        """Where words and gains of so many states are while they are crossed."""
        n, size = self.n, np.dtype(self.number).itemsize
        words = -(-4 * n // 16) * 16
        # Where there are few blocks, they may be large: the fewer spins a thread has, the sooner a block is done.
        few = jobs * n < 8 * THREADS * self.device.multiprocessors
        wide = self.block or _power(n / (2 if few else 8), 64, 1024)
        # More than one block should fit into a multiprocessor.
        if 2 * (words + n * size) <= self.shared:
            return Placement(self.kernels(), jobs, wide, words + n * size, 0, 0)
        scratch = words > self.shared
        block = min(wide, 512) if scratch else wide
        side_by_side = max(1, THREADS // block if scratch else min(THREADS // block, self.shared // words))
        room = min(SCRATCH, self.device.free_bytes() // 2) // (n * (size + 4 * scratch))
        blocks = max(1, min(jobs, room, side_by_side * self.device.multiprocessors))
        shared = 0 if scratch else words
        return Placement(self.kernels(scratch=scratch), blocks, block, shared, blocks * n if scratch else 0, blocks * n)


class Crossed(NamedTuple):
    """Of k islands: values, gains (k, lineages); counts (k, 3), as `step_lineages` adds them."""

    values: NDArray[np.float64]
    gains: NDArray[np.float64]
    counts: NDArray[np.int64]


def cross(
    graph: Graph,
    rows: Array,
    parents: Array,
    values: NDArray[np.float64],
    *,
    places: NDArray[np.int64],
    islands: NDArray[np.int64],
    steps: NDArray[np.int64],
    shares: NDArray[np.float64],
    key: int,
) -> Crossed:
    """`step_lineages` on k islands.

    Parameters
    ----------
    rows, parents : (i, lineages, n) int8
        On the GPU: re-annealed states, and those that they came from; both changed.
    values : (k, lineages)
        Of the k islands' parents.
    places, islands, steps, shares : (k,)
        Where each is in rows and parents; its number and step in the random counters; how often a lineage has a partner.
    key
        Of all random numbers.
    """
    device, count, reads = graph.device, islands.size, values.shape[1]
    jobs = count * reads
    partners, levels = np.empty((count, reads), np.int32), np.empty((count, reads), np.int32)
    limits = np.array([np.uint32(share * 2**32) for share in shares.tolist()], np.uint32)
    pairings(np.uint64(key), islands, steps, limits, partners, levels)
    flat = levels.ravel()
    order = np.argsort(flat, kind="stable").astype(np.int32)
    bounds = np.cumsum(np.bincount(flat))
    place = graph.place(jobs)
    about = device.upload(np.stack([places, islands, steps], axis=1).astype(np.uint32))
    listed, held, chosen = device.upload(order), device.upload(values), device.upload(partners)
    words, gains = device.empty(max(place.words, 1), np.uint32), device.empty(max(place.gains, 1), graph.number)
    results, kept = device.zeros(2 * jobs + 2 * count, np.int64), device.empty(jobs, np.uint8)
    tallies = results[2 * jobs :].view(np.uint64)
    for level, end in enumerate(bounds.tolist()):
        first = level == 0
        begin = 0 if first else int(bounds[level - 1])
        size = jobs if first else end - begin
        device.launch(
            place.kernels, "cross", min(place.blocks, size), place.block, *graph.arguments(), rows, parents, held, about, chosen,
            listed[begin:], np.uint32(size), np.uint32(reads), np.int32(first), np.int32(graph.symmetric), np.uint64(key),
            np.float64(graph.half), np.int32(place.gains == 0), words, gains, results[:jobs], results[jobs : 2 * jobs], kept, tallies,
            shared=place.shared,
        )  # fmt: skip
    slices = min(-(-graph.n // 2048), 1024)
    device.launch(
        place.kernels, "keep", (slices, min(jobs, 65535)), 256, rows, parents, about, kept, np.uint32(jobs), np.uint32(reads),
        np.uint32(graph.n),
    )  # fmt: skip
    found = device.download(results)
    own, last = (found[k * jobs : (k + 1) * jobs].reshape(count, reads) * graph.half for k in range(2))
    counts = np.empty((count, 3), np.int64)
    counts[:, 0] = (1 + graph.symmetric) * (reads + np.count_nonzero(partners >= 0, axis=1))
    counts[:, 1:] = found[2 * jobs :].reshape(count, 2)
    counts[:, 2] += counts[:, 0] * graph.n + 2 * reads * (graph.n + graph.entries)
    return Crossed(np.where(last >= values, last, values), own - values, counts)


def values_of(graph: Graph, rows: Array) -> NDArray[np.float64]:
    """`kernels.crossover.values_of` of rows (..., n) on the GPU."""
    states = rows.size // graph.n
    twice = graph.device.empty(max(states, 1), np.int64)
    if states:
        graph.device.launch(
            graph.kernels(),
            "twice_values",
            states,
            graph.block or 256,
            *graph.arguments(),
            rows,
            np.uint32(states),
            twice,
        )
    found: NDArray[np.float64] = (graph.device.download(twice)[:states] * graph.half).reshape(rows.shape[:-1])
    return found


def _some(a: NDArray[np.generic]) -> NDArray[np.generic]:
    """At least one entry: there are no empty arrays on a GPU."""
    return a if a.size else np.zeros(1, a.dtype)


def _power(x: float, low: int, high: int) -> int:
    """The least power of two from x on, between two others."""
    return min(max(1 << int(np.ceil(np.log2(max(x, 1)))), low), high)
