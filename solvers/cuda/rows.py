"""Sparse rows as GPU kernels read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WARP = 32


def independent_runs(indptr: NDArray[Any], indices: NDArray[Any]) -> NDArray[np.int64]:
    """Bounds (k + 1,), 0 to n, of the longest runs of consecutive spins without an edge among them: each may be decided all at once.

    Where spins are numbered colour by colour these are the colours, or longer. `indices` are spins, in rows that need not be sorted.
    """
    n = indptr.size - 1
    row = np.repeat(np.arange(n), np.diff(indptr))
    below = indices < row
    # The greatest neighbour below each spin: a run that holds both is over.
    latest = np.full(n, -1, np.int64)
    np.maximum.at(latest, row[below], indices[below].astype(np.int64))
    bounds, begin = [0], 0
    span = 1024
    while begin < n:
        end = min(begin + span, n)
        ends = np.flatnonzero(latest[begin:end] >= begin)
        if ends.size:
            begin += int(ends[0])
            bounds.append(begin)
        elif end == n:
            begin = n
            bounds.append(n)
        else:
            span *= 2
    return np.array(bounds, np.int64)


def slices(bounds: NDArray[np.int64], degrees: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Spins in slices of a warp each, none of them in two runs, and of like degrees: (phases, numbers).

    phases (k + 1,): the slices of each run; numbers (WARP s,): the spin of each place, -1 for none.
    """
    run = np.repeat(np.arange(bounds.size - 1), np.diff(bounds))
    order = np.lexsort((-degrees.astype(np.int64), run))
    each = -(-np.diff(bounds) // WARP)
    phases = np.concatenate([[0], np.cumsum(each)])
    numbers = np.full(int(phases[-1]) * WARP, -1, np.int32)
    numbers[WARP * phases[run] + np.arange(run.size) - bounds[run]] = order
    return phases.astype(np.int32), numbers


def interleaved(
    numbers: NDArray[np.int32], indptr: NDArray[Any], entries: NDArray[Any], own: NDArray[Any], multiple: int
) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Rows of entries, (e,) uint32, side by side in their slices, `multiple` of a row at a time: (begins, out).

    Entries multiple k + j of the spin at place p of slice s are out[multiple (begins[s] + WARP k + p) + j]; what is left over in a slice is entry `own` of the spin itself.
    """
    degrees = np.diff(indptr)
    at = np.where(numbers < 0, 0, numbers)
    width = np.where(numbers < 0, 0, degrees[at]).reshape(-1, WARP).max(axis=1)
    width = -(-width // multiple)
    begins = np.concatenate([[0], np.cumsum(width * WARP)])
    slot = np.repeat(np.arange(width.size), width * WARP)
    place = WARP * slot + (np.arange(int(begins[-1])) - begins[slot]) % WARP
    out = np.repeat(own[at[place]].astype(np.uint32), multiple)
    where = np.empty(degrees.size, np.int64)
    where[numbers[numbers >= 0]] = np.flatnonzero(numbers >= 0)
    row = np.repeat(np.arange(degrees.size), degrees)
    k = np.arange(row.size) - np.repeat(indptr[:-1], degrees)
    out[multiple * (begins[where[row] // WARP] + WARP * (k // multiple) + where[row] % WARP) + k % multiple] = entries
    return begins.astype(np.int32), out
