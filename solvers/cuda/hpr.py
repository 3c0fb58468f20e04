"""HPR-QP on a GPU (`kernels/hpr.cu`, `qp.halpern`), for one program or for many of one shape.

Own kernels, not cupyx's products: each row's product goes straight into the clips and averages that wait for it, and the tests run them on a CPU. P is read twice a step and
A and A' once: the CPU's one reading would take atomic sums, whose order is chance. Nothing is awaited between two checks; at one, a few sums a program come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...errors import InputError
from ..qp.form import PrimalDual
from ..qp.norms import DIAGONAL, GENERAL, ZERO
from .csr import Sparse, places_of_columns
from .device import Device
from .source import Kernels

Vector = NDArray[np.float64]

KERNELS = Kernels("hpr")
# As in hpr.cuh.
OF_COLUMNS = (
    "COST", "LOW", "HIGH", "CURVATURE", "SCALE", "X", "W", "T", "X0", "W0", "T0", "XB", "ZR", "TB", "WB", "PX", "PW", "PT", "V",
    "DW", "DT", "PDW", "PDT",
)  # fmt: skip
OF_ROWS = ("ROW_LOW", "ROW_HIGH", "ROW_SCALE", "Y", "Y0", "YB", "PY", "ACTIVITY")
VECTORS = {name: k for k, name in enumerate((*OF_COLUMNS, *OF_ROWS))}
SUMS = (
    "DXDX", "DTDX", "PDWDX", "PDWDT", "PDWDW", "CURVED", "XPX", "CX", "BOX", "DUAL", "DUAL_SCALE",
    "DYDY", "SIDES", "PRIMAL", "PRIMAL_SCALE",
)  # fmt: skip
SUMS_OF_COLUMNS = 11
STATE = (
    "SIGMA", "LAM_A", "LAM_P", "INNER", "ITERATIONS", "DUE", "MERIT", "LAST", "PREVIOUS", "BEST", "BEST_SIGMA",
)  # fmt: skip
SCALARS = {name: k for k, name in enumerate((*STATE, *SUMS))}
RESTARTING, FIRST, CHECKING = range(3)
TILE = 256
GRID = np.logspace(-12, 12, 481)

BLOCK, LEAST_BLOCK, TOTALS_BLOCK = 256, 64, 512
# Blocks a multiprocessor that a launch is cut into at most.
BLOCKS_EACH = 16
# Numbers read a step up to which one block does a program's steps as fast as launches for each stage follow one another; the more where programs fill the GPU.
WHOLE, WHOLE_OF_MANY = 2**17, 2**19
# Shared memory for a block's vectors: three blocks share an H100's multiprocessor.
HELD_BYTES = 72 * 1024


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """Scaled programs of one shape: patterns that all share, values and vectors with a row for each program, or one row for all where the matrices are the same."""

    P: Any
    A: Any
    P_values: Vector
    A_values: Vector
    c: Vector
    AL: Vector
    AU: Vector
    l: Vector
    u: Vector
    D: Vector
    E: Vector
    lam_A: Vector
    lam_P: Vector
    sigma: Vector
    x: Vector
    y: Vector

    @property
    def kind(self) -> int:
        """Of P, by its pattern."""
        if not self.P.nnz:
            return ZERO
        rows = np.repeat(np.arange(self.P.shape[0]), np.diff(self.P.indptr))
        return DIAGONAL if bool((rows == self.P.indices).all()) else GENERAL


def bytes_needed(n: int, m: int, P: int, A: int, count: int = 1, *, own: bool = True) -> int:
    """On the device: vectors for each of `count` programs, matrices for each if they have their own."""
    room = SUMS_OF_COLUMNS * (n // TILE + 1) + (len(SUMS) - SUMS_OF_COLUMNS) * (m // TILE + 1) + GRID.size
    vectors = 8 * (len(OF_COLUMNS) * n + len(OF_ROWS) * m + room)
    return count * vectors + 4 * (P + 2 * A + 2 * n + m) + 8 * (P + 2 * A) * (count if own else 1)


class Programs:
    """Programs of one shape on a device, with the state of each.

    Attributes
    ----------
    scalars : (B, ...)
        As they were at the last check.
    """

    def __init__(
        self, device: Device, shape: Shape, check: int, *, block: int = BLOCK, whole: bool | None = None
    ) -> None:
        s, self.device, self.check = shape, device, check
        self.count, self.n = s.c.shape
        self.m = s.AL.shape[1]
        self.kind = s.kind
        own = max(s.P_values.shape[0], s.A_values.shape[0]) > 1
        needed = bytes_needed(self.n, self.m, s.P.nnz, s.A.nnz, self.count, own=own)
        if needed > device.free_bytes():
            raise InputError(
                f"the GPU has {device.free_bytes() / 2**30:.2f} GiB free, and this takes {needed / 2**30:.2f} GiB: use backend=cpu"
            )
        columns, order = places_of_columns(s.A)
        self.P = Sparse.upload(device, s.P.indptr, s.P.indices, s.P_values)
        self.A = Sparse.upload(device, s.A.indptr, s.A.indices, s.A_values)
        self.At = Sparse.upload(device, columns.indptr, columns.indices, s.A_values[:, order])
        self.work = device.zeros((self.count, len(OF_COLUMNS) * self.n + len(OF_ROWS) * self.m), np.float64)
        self._write(s)
        self.scalars = self._scalars(s)
        self.state = device.upload(self.scalars)
        tiles = SUMS_OF_COLUMNS * -(-self.n // TILE) + (len(SUMS) - SUMS_OF_COLUMNS) * -(-self.m // TILE)
        room = tiles + GRID.size + max(self.P.chunks, self.A.chunks, self.At.chunks)
        self.room = device.empty((self.count, room), np.float64)
        self.grid = device.upload(GRID)
        self.choose(np.arange(self.count))
        self.block = block
        touched = 2 * (s.P.nnz * (self.kind == GENERAL) + s.A.nnz) + 16 * self.n + 4 * self.m
        many = self.count >= device.multiprocessors
        self.whole = touched <= (WHOLE_OF_MANY if many else WHOLE) if whole is None else whole
        held = 8 * self.work.shape[1]
        self.held = held if held <= min(device.shared_bytes, HELD_BYTES) else 0

    def _write(self, s: Shape) -> None:
        products: Any = [_product(s.A, _row(s.A_values, k), s.y[k]) for k in range(self.count)]
        diagonals = [_diagonal(s.P, v) for v in s.P_values] if self.kind == DIAGONAL else [np.zeros(self.n)]
        curvature, Aty = np.array(diagonals), np.array(products)
        given = {
            "COST": s.c, "LOW": s.l, "HIGH": s.u, "CURVATURE": curvature, "SCALE": s.D, "ROW_LOW": s.AL, "ROW_HIGH": s.AU, "ROW_SCALE": s.E,
            "X": s.x, "X0": s.x, "W": s.x, "W0": s.x, "Y": s.y, "Y0": s.y, "T": Aty, "T0": Aty,
        }  # fmt: skip
        for name, values in given.items():
            begin, end = self._where(name)
            if end > begin:
                self.device.write(self.work[:, begin:end], np.broadcast_to(values, (self.count, end - begin)))

    def _scalars(self, s: Shape) -> Vector:
        out = np.zeros((self.count, len(SCALARS)))
        first = {"SIGMA": s.sigma, "BEST_SIGMA": s.sigma, "LAM_A": s.lam_A, "LAM_P": s.lam_P}
        for name, value in (first | dict.fromkeys(("LAST", "PREVIOUS", "BEST"), np.inf)).items():
            out[:, SCALARS[name]] = value
        return out

    def _where(self, name: str) -> tuple[int, int]:
        k, columns = VECTORS[name], len(OF_COLUMNS)
        if k < columns:
            return k * self.n, (k + 1) * self.n
        begin = columns * self.n + (k - columns) * self.m
        return begin, begin + self.m

    def choose(self, which: NDArray[Any]) -> None:
        """Go on with these programs alone."""
        self.active = self.device.upload(which.astype(np.int32))
        self.which, self.running = which, int(which.size)
        room, sizes = np.int64(self.room.shape[1]), (np.int64(self.n), np.int64(self.m))
        self.common = self.active, self.work, self.state, self.room, room, *sizes, np.int32(self.kind)

    def advance(self) -> None:
        """To the next check."""
        steps = self.check
        if self.scalar("DUE")[self.which].any():
            self._sums(RESTARTING, 0)
            if self.kind == DIAGONAL:
                self._launch("hpr_curve", GRID.size * 32, self.grid)
            self._launch("hpr_choose", 32, self.grid, block=32)
            self._launch("hpr_move", max(self.n, self.m))
            self._steps(1)
            self._sums(FIRST, 1)
            steps -= 1
        self._steps(steps)
        self._sums(CHECKING, steps)
        self.scalars = self.device.download(self.state)

    def scalar(self, name: str) -> Vector:
        """Of each program, at the last check."""
        return self.scalars[:, SCALARS[name]]

    def vectors(self, name: str, which: int | None = None) -> Vector:
        """(B, n or m), or one program's."""
        begin, end = self._where(name)
        if which is not None:
            return self.device.download(self.work[which, begin:end])
        return self.device.download(self.work[:, begin:end])

    def point(self, k: int) -> PrimalDual:
        """A program's bar point."""
        sigma = float(self.scalars[k, SCALARS["SIGMA"]])
        x, zr, y = (self.vectors(name, k) for name in ("XB", "ZR", "YB"))
        return PrimalDual(x, y, (x - zr) / sigma)

    def points(self) -> tuple[Vector, Vector, Vector]:
        """The bar points of all: x, y, z."""
        x, zr, y = (self.vectors(name) for name in ("XB", "ZR", "YB"))
        return x, y, (x - zr) / self.scalar("SIGMA")[:, None]

    def difference(self, k: int) -> PrimalDual:
        """A program's bar point minus its anchor."""
        x, x0, y, y0, t, t0 = (self.vectors(name, k) for name in ("XB", "X0", "YB", "Y0", "TB", "T0"))
        return PrimalDual(x - x0, y - y0, t0 - t)

    def _launch(self, name: str, threads: int, *args: Any, block: int | None = None) -> None:
        """A kernel of `threads` threads a program, or so."""
        block = self.block if block is None else block
        grid = min(max(-(-threads // block), 1), BLOCKS_EACH * self.device.multiprocessors)
        self.device.launch(KERNELS, name, (grid, self.running), block, *self.common, *args)

    def _far(self, M: Sparse, rows: int, of: str, mode: int) -> None:
        if M.longs:
            restarting, which = np.int32(mode == RESTARTING), np.int32(VECTORS[of])
            self._launch("hpr_far", 32 * M.chunks, restarting, *M.args, np.int64(rows), *M.shape_args, which)

    def _product(self, M: Sparse, rows: int, of: str, to: str, mode: int) -> None:
        self._far(M, rows, of, mode)
        which = np.int32(VECTORS[of]), np.int32(VECTORS[to])
        restarting = np.int32(mode == RESTARTING)
        self._launch("hpr_product", rows * M.lanes, restarting, *M.args, np.int64(rows), *M.shape_args, *which)

    def _sums(self, mode: int, steps: int) -> None:
        restarting, full = np.int32(mode == RESTARTING), np.int32(mode == CHECKING)
        self._launch("hpr_differences", self.n, restarting)
        if self.kind == GENERAL:
            self._product(self.P, self.n, "DW", "PDW", mode)
            self._product(self.P, self.n, "DT", "PDT", mode)
            if full:
                self._product(self.P, self.n, "XB", "V", mode)
        if full and self.m:
            self._product(self.A, self.m, "XB", "ACTIVITY", mode)
        self._launch("hpr_tiles", max(self.n, self.m) * 32 // TILE + 32, restarting, full)
        block = min(TOTALS_BLOCK, 2 * self.block)
        self._launch("hpr_totals", 1, np.int32(mode), np.int32(steps), np.int32(self.check), block=block)

    def _steps(self, steps: int) -> None:
        if not steps:
            return
        if self.whole:
            self._steps_whole(steps)
            return
        P, A, At = (M.args + M.shape_args for M in (self.P, self.A, self.At))
        general = self.kind == GENERAL
        for k in range(steps):
            step, keep = np.int32(k), np.int32(k == steps - 1)
            if general or k == 0:
                if general:
                    self._far(self.P, self.n, "W", CHECKING)
                self._launch("hpr_primal", self.n * (self.P.lanes if general else 1), *P, step, keep)
            if general:
                self._far(self.P, self.n, "WB", CHECKING)
                self._launch("hpr_inner", self.n * self.P.lanes, *P)
            if self.m:
                self._far(self.A, self.m, "V", CHECKING)
                self._launch("hpr_rows", self.m * self.A.lanes, *A, step, keep)
            self._far(self.At, self.n, "YB", CHECKING)
            more, keep_next = np.int32(k < steps - 1), np.int32(k == steps - 2)
            self._launch("hpr_columns", self.n * self.At.lanes, *At, step, keep, more, keep_next)

    def _steps_whole(self, steps: int) -> None:
        widest = max(self.n * self.P.lanes * (self.kind == GENERAL), self.m * self.A.lanes, self.n * self.At.lanes)
        block = LEAST_BLOCK
        while block < min(widest, self.block):
            block *= 2
        matrices = [a for M in (self.P, self.A, self.At) for a in (*M.args, *M.shape_args)]
        held = np.int32(self.held > 0)
        numbers = np.int32(0), np.int32(steps), held
        args = (*self.common, *matrices, *numbers)
        self.device.launch(KERNELS, "hpr_steps", self.running, block, *args, shared=self.held)


def _row(values: Vector, k: int) -> Vector:
    row: Vector = values[k if values.shape[0] > 1 else 0]
    return row


def _product(pattern: Any, values: Vector, y: Vector) -> Vector:
    if not y.any():
        return np.zeros(pattern.shape[1])
    matrix = sp.csr_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)
    return np.asarray(matrix.T @ y)


def _diagonal(pattern: Any, values: Vector) -> Vector:
    out = np.zeros(pattern.shape[0])
    out[pattern.indices] = values
    return out
