"""Sparse matrices on a GPU, as `kernels/csr.cuh` multiplies by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .device import Array, Device

Vector = NDArray[np.float64]

# Entries of a long row that a warp sums, and entries a lane that make a row a long one.
CHUNK, LONG = 1024, 64


def lanes_for(entries: int, rows: int) -> int:
    """Lanes that share a row: about half its mean length, a power of two."""
    mean = entries / max(rows, 1)
    lanes = 1
    while lanes < 32 and 2 * lanes < mean:
        lanes *= 2
    return lanes


def rows_in_chunks(start: NDArray[Any], lanes: int) -> tuple[NDArray[Any], ...]:
    """Long rows: which, where the chunks of each begin, and where each chunk begins and ends."""
    lengths = np.diff(start)
    far = np.flatnonzero(lengths > LONG * lanes)
    counts = -(-lengths[far] // CHUNK)
    chunk = np.concatenate([[0], np.cumsum(counts)])
    which = np.repeat(far, counts)
    begin = start[which] + CHUNK * (np.arange(which.size) - np.repeat(chunk[:-1], counts))
    return far, chunk, begin, np.minimum(begin + CHUNK, start[which + 1])


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A pattern on the device, with one or several rows of values."""

    ints: Array
    values: Array
    lanes: int
    longs: int
    chunks: int
    step: int

    @classmethod
    def upload(
        cls, device: Device, start: NDArray[Any], index: NDArray[Any], values: Vector, lanes: int | None = None
    ) -> Sparse:
        """values: (1 or B, nnz)."""
        lanes = lanes_for(index.size, start.size - 1) if lanes is None else lanes
        far, chunk, begin, end = rows_in_chunks(start, lanes)
        cuts = [far, chunk, begin, end] if far.size else [np.zeros(1)]
        ints = np.concatenate([v.astype(np.int32) for v in (start, *cuts, index)])
        # A device has no arrays of nothing.
        held = values if values.size else np.zeros((1, 1))
        step = index.size if values.shape[0] > 1 else 0
        return cls(device.upload(ints), device.upload(held), lanes, int(far.size), int(chunk[-1]), step)

    @property
    def args(self) -> tuple[Any, ...]:
        return self.ints, self.values, np.int64(self.step)

    @property
    def shape_args(self) -> tuple[Any, ...]:
        return np.int32(self.lanes), np.int32(self.longs)


def places_of_columns(A: Any) -> tuple[Any, NDArray[np.int64]]:
    """The pattern of A', and where in A's values each of its entries is."""
    numbered = sp.csr_array((np.arange(1.0, A.nnz + 1), A.indices, A.indptr), shape=A.shape).T.tocsr()
    return numbered, numbered.data.astype(np.int64) - 1
