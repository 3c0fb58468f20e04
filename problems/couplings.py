"""Pair weights: the sparse symmetric structure that every model stands on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import integer
from ..errors import InputError

Weights = NDArray[Any]  # int64 or float64
MAX_SPINS = 2**31 - 1
MAX_INT_SUM = 2**60


def frozen(a: NDArray[Any]) -> NDArray[Any]:
    """The same array, read-only."""
    a.flags.writeable = False
    return a


def as_weights(values: ArrayLike, what: str = "weight") -> Weights:
    """Numbers as int64 where every one is an integer, else as float64.

    Parameters
    ----------
    values : (k,)
        Any real numbers. Floats that are all integers below 2**53 become integers.
    what
        Their name in an error.

    Returns
    -------
    (k,) int64 or float64

    Raises
    ------
    InputError
        For NaN, infinities, complex numbers, things that are no numbers, and sums that would not fit.
    """
    if isinstance(values, list | tuple):
        # Beside a float, NumPy would round a large integer without a word.
        huge = [x for x in values if isinstance(x, int | np.integer) and abs(int(x)) >= 2**53]
        if huge and not all(isinstance(x, int | np.integer) for x in values):
            raise InputError(f"{what} too large: {huge[0]} beside real numbers would be rounded")
    try:
        a = np.asarray(values, object if isinstance(values, list | tuple) and huge else None)
    except ValueError as e:
        raise InputError(f"{what}s are not a flat list of numbers") from e
    if a.size == 0:
        return np.zeros(a.shape, np.int64)
    if a.dtype == object:
        try:
            if all(isinstance(x, int | np.integer) for x in a.ravel().tolist()):
                largest = max(a.ravel().tolist(), key=abs)
                if abs(largest) >= 2**63:
                    raise InputError(f"{what} too large: {largest} does not fit in 64 bits")
                a = a.astype(np.int64)
            else:
                a = a.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as e:
            raise InputError(f"{what} is not a number: {e}") from e
    if a.dtype.kind == "b" or a.dtype.kind in "iu":
        if a.dtype.kind == "u" and int(a.max()) > np.iinfo(np.int64).max:
            raise InputError(f"{what} too large: {int(a.max())} does not fit in 64 bits")
        out = a.astype(np.int64)
    elif a.dtype.kind == "f":
        x = a.astype(np.float64)
        bad = ~np.isfinite(x)
        if bad.any():
            k = int(np.argmax(bad.ravel()))
            raise InputError(f"{what} {k} is {x.ravel()[k]}: every {what} must be finite")
        if not (np.all(x == np.rint(x)) and float(np.abs(x).max()) < 2**53):
            with np.errstate(over="ignore"):
                total = np.abs(x).sum()
            if not np.isfinite(4 * total):
                raise InputError(f"{what}s too large: their sum overflows")
            return x
        out = x.astype(np.int64)
    else:
        raise InputError(f"{what} is not a real number (got {a.dtype})")
    if float(np.abs(out.astype(np.float64)).sum()) >= MAX_INT_SUM:
        raise InputError(f"{what}s too large: the sum of their magnitudes must stay below 2**60")
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Couplings:
    """Distinct unordered pairs of {0..n-1}, each with a weight, in the order in which they first came.

    Attributes
    ----------
    n
        Number of vertices (spins).
    rows, cols : (m,) int32
        Ends of each pair, as given (a reader's file is written back in its own order and orientation).
    weights : (m,) int64 or float64
        int64 where all are integers.
    """

    n: int
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]
    weights: Weights
    _cache: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def build(cls, n: int, rows: ArrayLike, cols: ArrayLike, weights: ArrayLike) -> tuple[Couplings, Weights]:
        """Check, merge and freeze.

        Duplicates, in either orientation, add up at the place of the first. Loops are taken out.

        Parameters
        ----------
        n
            Number of vertices, at least 1.
        rows, cols : (k,)
            Integers in [0, n).
        weights : (k,)
            Real numbers.

        Returns
        -------
        Couplings
        (n,) int64 or float64
            The loops' weights, added up by vertex.

        Raises
        ------
        InputError
            For n < 1, indices out of range, lengths that differ, weights that are not finite or too large.
        """
        if isinstance(n, int) and n < 1:
            raise InputError("the problem is empty: it has no variables")
        n = integer(n, "the number of variables", 1, MAX_SPINS)
        try:
            r, c = np.asarray(rows), np.asarray(cols)
        except ValueError as e:
            raise InputError("rows and columns must be flat lists of integers") from e
        w = as_weights(weights)
        if not (r.shape == c.shape == w.shape and r.ndim == 1):
            raise InputError(f"rows, columns and weights differ in shape: {r.shape}, {c.shape}, {w.shape}")
        if r.size == 0:
            r = c = np.zeros(0, np.int32)
        for a in (r, c):
            if a.dtype.kind not in "iu":
                raise InputError("vertex indices must be integers")
            if a.size and (int(a.min()) < 0 or int(a.max()) >= n):
                bad = int(a.min()) if int(a.min()) < 0 else int(a.max())
                raise InputError(f"vertex index {bad} is out of range for {n} variables (0 to {n - 1})")
        r, c = r.astype(np.int32), c.astype(np.int32)
        loops: Weights = np.zeros(n, w.dtype)
        loop = r == c
        if loop.any():
            np.add.at(loops, r[loop], w[loop])
            r, c, w = r[~loop], c[~loop], w[~loop]
        key = np.minimum(r, c).astype(np.int64) * n + np.maximum(r, c)
        if key.size and not np.all(key[1:] > key[:-1]):
            distinct, first, inverse = np.unique(key, return_index=True, return_inverse=True)
            if distinct.size < key.size:
                place = np.empty(distinct.size, np.int64)
                order = np.argsort(first)
                place[order] = np.arange(distinct.size)
                total = np.zeros(distinct.size, w.dtype)
                np.add.at(total, place[inverse], w)
                keep = first[order]
                r, c, w = r[keep], c[keep], total
        if w.dtype == np.float64:
            w = as_weights(w)
        return cls(n=n, rows=frozen(r), cols=frozen(c), weights=frozen(w)), loops

    @property
    def m(self) -> int:
        """Number of pairs."""
        return int(self.rows.size)

    @property
    def integral(self) -> bool:
        """Whether every weight is an integer."""
        return bool(self.weights.dtype == np.int64)

    def replace_weights(self, weights: ArrayLike) -> Couplings:
        """The same pairs with other weights, (m,)."""
        return Couplings(n=self.n, rows=self.rows, cols=self.cols, weights=frozen(as_weights(weights)))

    def csr(self) -> tuple[NDArray[np.int64], NDArray[np.int32], Weights]:
        """Both directions as compressed rows: (indptr (n+1,), indices (2m,) sorted in each row, weights (2m,))."""
        if "csr" not in self._cache:
            key = np.concatenate([self.rows, self.cols]).astype(np.int64)
            key *= self.n
            key += np.concatenate([self.cols, self.rows])
            order = np.argsort(key, kind="stable")
            indices = (key[order] % self.n).astype(np.int32)
            del key
            degree = np.bincount(self.rows, minlength=self.n) + np.bincount(self.cols, minlength=self.n)
            indptr = np.zeros(self.n + 1, np.int64)
            np.cumsum(degree, out=indptr[1:])
            weights = np.concatenate([self.weights, self.weights])[order]
            self._cache["csr"] = tuple(frozen(a) for a in (indptr, indices, weights))
        return self._cache["csr"]  # type: ignore[no-any-return]

    def sha256(self) -> str:
        """Digest of the content: n and the pairs of non-zero weight, whatever their order and orientation."""
        if "sha256" not in self._cache:
            lo, hi = np.minimum(self.rows, self.cols), np.maximum(self.rows, self.cols)
            key = lo.astype(np.int64) * self.n + hi
            if not np.all(key[1:] > key[:-1]):
                order = np.argsort(key)
                key, weights = key[order], self.weights[order]
            else:
                weights = self.weights
            keep = weights != 0
            h = hashlib.sha256(f"fnanneal couplings {self.n} {weights.dtype}\n".encode())
            h.update(key[keep].astype("<i8").tobytes())
            h.update(weights[keep].astype(weights.dtype.newbyteorder("<")).tobytes())
            self._cache["sha256"] = h.hexdigest()
        return self._cache["sha256"]  # type: ignore[no-any-return]
