"""Matrices of couplings on a GPU, and the chains that are annealed on them: a warp each, thousands at a time (`kernels/chain.cuh`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..populations.matrix import Bits, Matrix, Rows
from .device import Array, Device
from .source import Kernels

NAMES = {"int8": "int8", "int16": "short", "int32": "int", "float32": "float", "float64": "double"}
SPAN, WORDS = 256, 8
# Room for the rows of no couplings that fill up the last step of `bit_sweeps`; and as many places of the ring stand twice.
SPARE = 32
# A multiprocessor hides its latencies behind as many chains as find room there: fewer, and their fields do better in its caches.
LEAST_CHAINS = 8
WARPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a chain keeps while it is annealed: `Chain` of the kernels.

    Attributes
    ----------
    capacity
        Flips in its ring.
    far
        Whether its fields and its ring lie in global memory.
    shared
        Bytes of shared memory.
    """

    capacity: int
    far: bool
    shared: int

    @classmethod
    def of(cls, n: int, width: int, itemsize: int, most: int, *, far: bool | None = None) -> Room:
        """For n spins, with at most `most` bytes of shared memory a block; `far` decides itself by what is best."""
        capacity = 1 << (n + SPARE - 1).bit_length()
        always = 768 + (4 * WORDS + 8) * -(-n // SPAN)
        near = always + width * itemsize + 2 * (capacity + SPARE)
        if far is None:
            # A flip is 2 spin or 2 spin + 1, and 2 n is none.
            far = 2 * n >= 2**16 or LEAST_CHAINS * near > most
        return cls(capacity=capacity, far=far, shared=-(-(always if far else near) // 16) * 16)


def packed(states: Spins, width: int) -> NDArray[np.uint32]:
    """States (r, n) as words (r, width/32): bit i % 32 of word i // 32 is set where spin i is up."""
    up = np.zeros((states.shape[0], width), np.bool_)
    up[:, : states.shape[1]] = states > 0
    return np.packbits(up, axis=1, bitorder="little").view("<u4").astype(np.uint32)


def unpacked(words: NDArray[np.uint32], n: int) -> Spins:
    """The inverse of `packed`."""
    up = np.unpackbits(words.astype("<u4").view(np.uint8), axis=1, bitorder="little", count=n)
    out: Spins = 2 * up.view(np.int8) - np.int8(1)
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chains:
    """Chains on one matrix, and their kernel's arguments.

    Attributes
    ----------
    spins
        (chains, width/32) uint32: `packed` states.
    local
        (chains, width): their fields, of the matrix's kind, as on the CPU.
    flips
        (chains,) int64: so far.
    """

    device: Device
    kernels: Kernels
    kernel: str
    n: int
    width: int
    count: int
    room: Room
    warps: int
    before: tuple[Any, ...]
    sizes: tuple[Any, ...]
    after: tuple[Any, ...]
    reads: Array
    spins: Array
    local: Array
    flips: Array
    lists: Array

    @classmethod
    def of(
        cls, device: Device, matrix: Matrix, n: int, reads: NDArray[np.uint32], *, far: bool | None = None, warps: int = WARPS
    ) -> Chains:  # fmt: skip
        """One for each read, unset."""
        room = Room.of(n, matrix.width, matrix.kind.itemsize, device.shared_bytes, far=far)
        defines = (f"FIELD={NAMES[matrix.kind.name]}", f"FAR={int(room.far)}")
        bound = np.float32(0)
        if isinstance(matrix, Bits):
            rows, near, base = bit_rows(matrix, n)
            kernels, kernel = Kernels("bits", defines), "bit_sweeps"
            before: tuple[Any, ...] = (device.upload(rows), device.upload(near), device.upload(base))
            sizes: tuple[Any, ...] = (np.uint32(rows.shape[1]),)
            bound = np.float32(matrix.bound)
            after: tuple[Any, ...] = (np.int32(matrix.low), np.int32(matrix.step), bound)
        else:
            assert isinstance(matrix, Rows)
            kernels = Kernels("dense", (f"ROW={NAMES[matrix.rows.dtype.name]}", *defines))
            kernel = "dense_sweeps"
            before = (device.upload(matrix.rows), device.upload(matrix.external.astype(matrix.kind)))
            sizes, after = (), (np.float32(matrix.bound),)
        count = reads.size
        return cls(
            device=device,
            kernels=kernels,
            kernel=kernel,
            n=n,
            width=matrix.width,
            count=count,
            room=room,
            warps=max(1, min(warps, device.shared_bytes // room.shared)),
            before=before,
            sizes=sizes,
            after=after,
            reads=device.upload(reads),
            spins=device.zeros((count, matrix.width // 32), np.uint32),
            local=device.zeros((count, matrix.width), matrix.kind),
            flips=device.zeros(count, np.int64),
            lists=device.empty(count * (room.capacity + SPARE) if room.far else 1, np.uint32),
        )

    def sweeps(self, temperatures: Array, key: int, first: int) -> None:
        """Sweeps first, first + 1, ... of every chain, one for each temperature (sweeps,) float32."""
        # Of the states, no byte is read.
        self._launch(temperatures, self.device.empty(1, np.int8), int(temperatures.shape[0]), key, first)

    def begin(self, states: Array) -> None:
        """Begin at states (chains, n) int8: spins, and fields summed as on the CPU."""
        self._launch(self.device.empty(1, np.float32), states, None, 0, 0)

    def _launch(self, temperatures: Array, states: Array, sweeps: int | None, key: int, first: int) -> None:
        self.device.launch(
            self.kernels,
            self.kernel,
            -(-self.count // self.warps),
            32 * self.warps,
            *self.before,
            temperatures,
            self.reads,
            states,
            self.spins,
            self.local,
            self.lists,
            self.flips,
            np.int64(self.count),
            *self.sizes,
            np.int32(self.n),
            np.int32(self.width),
            np.int32(self.room.capacity),
            np.int32(self.room.shared),
            np.int32(sweeps or 0),
            np.int32(sweeps is None),
            *self.after,
            np.uint64(key),
            np.uint32(first % 2**32),
            shared=self.warps * self.room.shared,
        )


def bit_rows(matrix: Bits, n: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.int32]]:
    """The rows that `bit_sweeps` counts, (2 n + 1, stride); of each, the words of its own tile, (tiles SPAN, WORDS); the fields of all spins down."""
    words = np.ascontiguousarray(matrix.bits.reshape(n + 1, -1).astype("<u8")).view("<u4").astype(np.uint32)
    rows = np.zeros((2 * n + 1, words.shape[1]), np.uint32)
    np.invert(words[:n], out=rows[0 : 2 * n : 2])
    rows[1 : 2 * n : 2] = words[:n]
    tiles = -(-n // SPAN)
    near = np.zeros((tiles * SPAN, WORDS), np.uint32)
    each = np.arange(n)[:, None]
    near[:n] = words[each, WORDS * (each // SPAN) + np.arange(WORDS)]
    ones = np.unpackbits(words[:n].view(np.uint8), axis=1).sum(axis=1, dtype=np.int64)
    # May wrap: what the spins that are up add brings it back.
    base = (matrix.external.astype(np.int64) - matrix.low * n - matrix.step * ones).astype(np.int32)
    return rows, near, base


def chain_bytes(matrix: Matrix, n: int) -> int:
    """Bytes of one chain on a GPU, at most."""
    room = Room.of(n, matrix.width, matrix.kind.itemsize, 0)
    return matrix.width // 8 + matrix.width * matrix.kind.itemsize + 12 + 4 * (room.capacity + SPARE)


def matrix_bytes(matrix: Matrix, n: int) -> int:
    """Bytes of a matrix on a GPU."""
    return (2 if isinstance(matrix, Bits) else 1) * matrix.nbytes + (4 * WORDS + 8) * (n + SPAN)
