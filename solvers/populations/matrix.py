"""The couplings of a dense problem as its kernels read them: a row of numbers a spin, or a row of bits where only two values occur.

The kinds are the narrowest that the instance's own bounds allow, so that no field can overflow: a field never exceeds its row's sum of magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..kernels.bits import bit_sweeps, pack_couplings
from ..kernels.blocks import BLOCK, WORDS
from ..kernels.dense import dense_sweeps
from ..system import SpinSystem

DENSE, DENSE_BYTES = 0.05, 2**29
# Beyond this a matrix is not near the processor.
FAR_BYTES = 2**22


class Matrix(Protocol):
    """A dense matrix of couplings, and the local fields (width,) of type `kind` that its kernels keep; `shift` s_i is in them beside s_i's field."""

    @property
    def kind(self) -> np.dtype[Any]: ...
    @property
    def width(self) -> int: ...
    @property
    def shift(self) -> int: ...
    @property
    def coupling_bytes(self) -> float: ...
    @property
    def nbytes(self) -> int: ...
    def sweeps(
        self,
        temperatures: NDArray[np.float32],
        spins: Spins,
        local: NDArray[Any],
        counts: NDArray[np.int64],
        key: int,
        read: int,
        first: int,
        *,
        fresh: bool = False,
    ) -> None:
        """Anneal one state (n,) in place; `fresh` says that `local` does not belong to it yet."""


def narrowest(bound: float) -> np.dtype[Any]:
    """The narrowest signed integers that hold -bound to bound."""
    return np.dtype(np.int8 if bound <= 127 else np.int16 if bound <= 32767 else np.int32)


def padded(n: int, multiple: int) -> int:
    """n, rounded up."""
    return -(-n // multiple) * multiple


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Couplings of any kind; the arrays are `dense_sweeps`'s."""

    rows: NDArray[Any]
    external: NDArray[Any]
    bound: float
    kind: np.dtype[Any]
    width: int
    shift: int = 0

    @property
    def coupling_bytes(self) -> float:
        return float(self.rows.itemsize)

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes

    @classmethod
    def of(cls, system: SpinSystem) -> Rows | None:
        """None where the rows would not fit the memory that is meant for them."""
        n, width = system.n, padded(system.n, BLOCK)
        kind = narrow = system.weights.dtype
        if not system.integral and n * width * 8 > FAR_BYTES and np.any(system.weights != np.rint(system.weights)):
            # Read from far away at every flip, rows take half the time if they are half as wide. Large integers keep their last digits, which may decide.
            narrow = np.dtype(np.float32)
        if system.integral:
            kind, narrow = narrowest(system.largest), narrowest(float(np.abs(system.weights).max(initial=0)))
        if n * width * narrow.itemsize > DENSE_BYTES:
            return None
        rows = np.zeros((n, width), narrow)
        rows[np.repeat(np.arange(n), np.diff(system.indptr)), system.indices] = system.weights
        bound = system.largest if system.integral else -1.0
        return cls(rows=rows.ravel(), external=system.fields, bound=bound, kind=kind, width=width)

    def sweeps(
        self, temperatures: NDArray[np.float32], spins: Spins, local: NDArray[Any], counts: NDArray[np.int64], key: int, read: int,
        first: int, *, fresh: bool = False,
    ) -> None:  # fmt: skip
        dense_sweeps(
            self.rows, self.external, fresh, temperatures, self.bound, spins, local, counts, np.uint64(key), read, first
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bits:
    """Integer couplings of two values, `low` and `low + step`, the missing ones being 0; the arrays are `bit_sweeps`'s."""

    bits: NDArray[np.uint64]
    own: NDArray[np.uint64]
    external: NDArray[Any]
    low: int
    step: int
    bound: float
    kind: np.dtype[Any]
    width: int

    @property
    def shift(self) -> int:
        return self.low

    @property
    def coupling_bytes(self) -> float:
        return 1 / 8

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes

    @classmethod
    def of(cls, system: SpinSystem) -> Bits | None:
        """None where there are more than two values, or the bits would not fit the memory that is meant for them."""
        n, width, stride = system.n, padded(system.n, BLOCK), padded(system.n, BLOCK * WORDS) // BLOCK
        if not system.integral or (n + 1) * stride * 8 > DENSE_BYTES:
            return None
        weights = system.weights
        least, most = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
        values = {least, most} | ({0} if weights.size < n * (n - 1) else set())
        if len(values) > 2 or not np.all((weights == least) | (weights == most)):
            return None
        if len(values) < 2:
            values |= {0}
        low = min(values, key=lambda v: (abs(v), v))
        step = sum(values) - 2 * low
        bits = np.zeros((n + 1, stride), np.uint64)
        pack_couplings(system.indptr, system.indices, weights, low, bits)
        own = np.zeros(width, np.uint64)
        own[:n] = bits[np.arange(n), np.arange(n) // BLOCK]
        kind = narrowest(system.largest + abs(low))
        return cls(
            bits=bits.ravel(), own=own, external=system.fields, low=low, step=step, bound=system.largest, kind=kind, width=width
        )  # fmt: skip

    def sweeps(
        self, temperatures: NDArray[np.float32], spins: Spins, local: NDArray[Any], counts: NDArray[np.int64], key: int, read: int,
        first: int, *, fresh: bool = False,
    ) -> None:  # fmt: skip
        bit_sweeps(
            self.bits, self.own, self.low, self.step, self.external, fresh, temperatures, self.bound, spins, local, counts, np.uint64(key),
            read, first,
        )  # fmt: skip


def matrix_of(system: SpinSystem) -> Matrix | None:
    """The form that the instance calls for; None where it is sparse, with fewer than a twentieth of all pairs, or too large."""
    if system.indices.size < DENSE * system.n**2:
        return None
    return Bits.of(system) or Rows.of(system)
