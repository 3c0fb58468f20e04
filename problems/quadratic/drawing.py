"""Random sparse matrices in memory proportional to their entries: positions are drawn as gaps, never as a permutation or a dense array.

Random numbers come from NumPy's frozen `numpy.random.RandomState` stream: the same arguments give the same matrix for ever, up to the last bits of the
platform's logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...errors import InputError

Stream = np.random.RandomState
Vector = NDArray[np.float64]
MAX_ENTRIES = 10**8


def check_entries(count: float, what: str) -> None:
    """Refuse a matrix of more than 1e8 entries."""
    if count > MAX_ENTRIES:
        raise InputError(f"{what} would have {count:.3g} matrix entries: at most 1e8 are made")


def positions(total: int, density: float, stream: Stream) -> NDArray[np.int64]:
    """Sorted positions from 0 to total - 1, each taken with probability `density`, independently.

    The gaps between taken positions of a Bernoulli sequence are geometric: P(gap = k) = p (1 - p)^(k-1).
    """
    if density >= 1:
        return np.arange(total, dtype=np.int64)
    if density <= 0 or total == 0:
        return np.zeros(0, np.int64)
    pieces, last = [], -1
    while last < total:
        expected = density * (total - last)
        gaps = stream.geometric(density, size=int(expected + 4 * np.sqrt(expected) + 16)).astype(np.int64, copy=False)
        # Below 1e-16 or so the draw overflows.
        gaps[(gaps < 1) | (gaps > total)] = total + 1
        found = np.cumsum(gaps, out=gaps)
        found += last
        last = int(found[-1])
        pieces.append(found)
    pieces[-1] = pieces[-1][: np.searchsorted(pieces[-1], total)]
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def draw(rows: int, cols: int, density: float, stream: Stream, values: Callable[[int], Any] | None = None) -> Any:
    """A (rows, cols) CSR matrix whose entries are there with probability `density`, standard normal unless `values(count)` draws others."""
    at = positions(rows * cols, density, stream)
    indptr = np.searchsorted(at, np.arange(rows + 1, dtype=np.int64) * cols).astype(np.int32)
    indices = np.remainder(at, cols, out=at).astype(np.int32)
    del at
    data = stream.standard_normal(indices.size) if values is None else np.asarray(values(indices.size), np.float64)
    return _sorted(data, indices, indptr, (rows, cols))


def draw_upper(n: int, density: float, stream: Stream, values: Callable[[int], Any]) -> Any:
    """The upper triangle, with the diagonal, of an (n, n) matrix; as `draw`."""
    counts = np.arange(n, 0, -1, dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    at = positions(int(starts[-1]), density, stream)
    indptr = np.searchsorted(at, starts).astype(np.int32)
    at -= np.repeat(starts[:-1] - np.arange(n), np.diff(indptr))
    data = np.asarray(values(at.size), np.float64)
    return _sorted(data, at.astype(np.int32), indptr, (n, n))


def beside(matrix: Any, tails: Sequence[float], cols: int | None = None) -> Any:
    """[M, t1 I, t2 I, ...]: further columns, with one entry a row in each block, and perhaps empty columns up to `cols`."""
    m, n = matrix.shape
    extra = len(tails)
    indptr = matrix.indptr.astype(np.int64) + extra * np.arange(m + 1)
    data = np.empty(int(indptr[-1]))
    indices = np.empty(data.size, np.int32)
    own = np.ones(data.size, bool)
    for k, value in enumerate(tails):
        slots = indptr[1:] - extra + k
        data[slots], indices[slots], own[slots] = value, np.arange(m) + n + k * m, False
    data[own], indices[own] = matrix.data, matrix.indices
    return _sorted(data, indices, indptr.astype(np.int32), (m, n + extra * m if cols is None else cols))


def below(matrix: Any, row: Vector) -> Any:
    """M with one more, full row."""
    m, n = matrix.shape
    return _sorted(
        np.concatenate([matrix.data, row]),
        np.concatenate([matrix.indices, np.arange(n, dtype=np.int32)]),
        np.concatenate([matrix.indptr, matrix.indptr[-1:] + np.int32(n)]),
        (m + 1, n),
    )


def gram(matrix: Any, ridge: float) -> Any:
    """M M' + ridge I."""
    return sp.csr_array(matrix @ matrix.T + ridge * sp.eye_array(matrix.shape[0], format="csr"))


def _sorted(data: Vector, indices: NDArray[np.int32], indptr: NDArray[np.int32], shape: tuple[int, int]) -> Any:
    m = sp.csr_array((data, indices, indptr), shape=shape)
    m.has_canonical_format = True
    return m
