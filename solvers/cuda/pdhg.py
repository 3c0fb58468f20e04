"""Accelerated PDHG on a GPU (`kernels/pdhg.cu`, `qp.accelerated`): two launches a step, and a few sums that come back at a check."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...energy.events import Events
from ...errors import InputError
from ...qpresult import Residuals
from ..qp.accelerated import Pace, events_of
from ..qp.form import Form, PrimalDual
from ..qp.norms import Norms
from ..qp.scaling import Scaling
from .csr import Sparse, Vector, lanes_for, places_of_columns
from .device import Array, Device
from .source import Kernels

KERNELS = Kernels("pdhg")
# As in pdhg.cu.
OF_COLUMNS = (
    "COST", "LOW", "HIGH", "SCALE", "X", "BEFORE", "X_MEAN", "X0", "MIDDLE", "OTHER", "AHEAD", "PX", "T", "Z",
)  # fmt: skip
OF_ROWS = ("ROW_LOW", "ROW_HIGH", "ROW_SCALE", "Y", "Y_MEAN", "Y0", "ACTIVITY")
VECTORS = {name: k for k, name in enumerate((*OF_COLUMNS, *OF_ROWS))}
SUMS = (
    "DUAL_SQUARE", "DXDX", "XPX", "CX", "BOX", "DUAL", "DUAL_SCALE",
    "PRIMAL_SQUARE", "DYDY", "SIDES", "PRIMAL", "PRIMAL_SCALE",
)  # fmt: skip
OF_VARIABLES = 7
TILE = 256
BLOCK, TOTALS_BLOCK, BLOCKS_EACH = 256, 512, 16


def bytes_needed(n: int, m: int, P: int, A: int) -> int:
    """On the device."""
    tiles = OF_VARIABLES * (n // TILE + 1) + (len(SUMS) - OF_VARIABLES) * (m // TILE + 1)
    return 8 * (len(OF_COLUMNS) * n + len(OF_ROWS) * m + tiles) + 12 * (P + 2 * A) + 4 * (2 * n + m)


class CudaAccelerated:
    """`Accelerated` on a GPU: one run on a scaled form."""

    def __init__(
        self, device: Device, form: Form, norms: Norms, scaling: Scaling, start: PrimalDual | None, check: int, *, block: int = BLOCK
    ) -> None:  # fmt: skip
        f = self.form = form
        self.device, self.check, self.block = device, check, block
        self.pace = Pace(form, norms)
        needed, free = bytes_needed(f.n, f.m, f.P.nnz, f.A.nnz), device.free_bytes()
        if needed > free:
            raise InputError(
                f"the GPU has {free / 2**30:.2f} GiB free, and this takes {needed / 2**30:.2f} GiB: use backend=cpu"
            )
        columns, order = places_of_columns(f.A)
        # A thread sums its parts of the rows of P and of A' together.
        lanes = lanes_for(f.P.nnz + f.A.nnz, f.n)
        self.P = Sparse.upload(device, f.P.indptr, f.P.indices, f.P.data[None], lanes)
        self.A = Sparse.upload(device, f.A.indptr, f.A.indices, f.A.data[None])
        self.At = Sparse.upload(device, columns.indptr, columns.indices, f.A.data[None, order], lanes)
        self.chunks = {id(M): device.empty(max(M.chunks, 1), np.float64) for M in (self.P, self.A, self.At)}
        self.work = device.zeros(len(OF_COLUMNS) * f.n + len(OF_ROWS) * f.m, np.float64)
        tiles = OF_VARIABLES * -(-f.n // TILE) + (len(SUMS) - OF_VARIABLES) * -(-f.m // TILE)
        self.tiles, self.sums = device.empty(tiles, np.float64), device.empty(len(SUMS), np.float64)
        x = np.clip(np.zeros(f.n) if start is None else start.x, f.l, f.u)
        y = np.zeros(f.m) if start is None else start.y
        given = {
            "COST": f.c, "LOW": f.l, "HIGH": f.u, "SCALE": scaling.D, "ROW_LOW": f.AL, "ROW_HIGH": f.AU, "ROW_SCALE": scaling.E,
            "X_MEAN": x, "Y_MEAN": y,
        }  # fmt: skip
        for name, values in given.items():
            if values.size:
                device.write(self._part(name), values)
        self._anchor()

    @property
    def iterations(self) -> int:
        """Steps so far."""
        return self.pace.iterations

    def _part(self, name: str) -> Array:
        k, columns, n, m = VECTORS[name], len(OF_COLUMNS), self.form.n, self.form.m
        begin = k * n if k < columns else columns * n + (k - columns) * m
        return self.work[begin : begin + (n if k < columns else m)]

    def _anchor(self) -> None:
        """The means become the state and the anchor."""
        for to, source in (("X", "X_MEAN"), ("BEFORE", "X_MEAN"), ("X0", "X_MEAN"), ("Y", "Y_MEAN"), ("Y0", "Y_MEAN")):
            if self.form.m or source == "X_MEAN":
                self.device.copy(self._part(to), self._part(source))

    def advance(self) -> Residuals:
        """To the next check, or the end of the inner loop; and about what the residuals are there."""
        for steps, first, tau, eta in self.pace.pieces(self.check):
            self._steps(steps, first, tau, eta)
        self._product(self.P, self.form.n, "X_MEAN", "PX")
        self._product(self.At, self.form.n, "Y_MEAN", "T")
        if self.form.m:
            self._product(self.A, self.form.m, "X_MEAN", "ACTIVITY")
        sizes = np.int64(self.form.n), np.int64(self.form.m)
        tiles = max(self.form.n, self.form.m) // TILE + 1
        self.device.launch(KERNELS, "pdhg_tiles", self._grid(32 * tiles), self.block, self.work, self.tiles, *sizes)
        block = min(TOTALS_BLOCK, 2 * self.block)
        self.device.launch(KERNELS, "pdhg_totals", 1, block, self.tiles, self.sums, *sizes)
        s = dict(zip(SUMS, self.device.download(self.sums).tolist(), strict=True))
        gap = abs(s["XPX"] + s["CX"] - s["BOX"] - s["SIDES"])
        norms = (math.sqrt(s[name]) for name in ("PRIMAL_SQUARE", "DUAL_SQUARE", "DXDX", "DYDY"))
        primal, dual, dx, dy = norms
        if self.pace.ends(self.pace.size(primal, dual, gap), dx, dy):
            self._anchor()
        scale = max(abs(s[name]) for name in ("XPX", "CX", "BOX", "SIDES"))
        found = s["PRIMAL"], s["DUAL"], gap, s["PRIMAL_SCALE"], s["DUAL_SCALE"], scale
        a, b, c, d, e, g = (math.inf if math.isnan(v) else v for v in found)
        return Residuals(primal=a, dual=b, gap=c, sign=0.0, primal_scale=d, dual_scale=e, gap_scale=g)

    def point(self) -> PrimalDual:
        """The means at the last check, with the multipliers of the bounds."""
        return PrimalDual(self._vector("X_MEAN"), self._vector("Y_MEAN"), self._vector("Z"))

    def difference(self) -> PrimalDual:
        """Means minus their start."""
        dx, dy = self._vector("X_MEAN") - self._vector("X0"), self._vector("Y_MEAN") - self._vector("Y0")
        return PrimalDual(dx, dy, -(self.form.A.T @ dy))

    def events(self) -> Events:
        """A is read twice a step."""
        return events_of(self.form, self.iterations, reads=2)

    def _vector(self, name: str) -> Vector:
        return self.device.download(self._part(name)) if self._part(name).size else np.zeros(0)

    def _steps(self, steps: int, first: int, tau: float, eta: float) -> None:
        n, m = self.form.n, self.form.m
        P, A, At = self.P, self.A, self.At
        sizes = np.int64(n), np.int64(m)
        rows = self.work, self.chunks[id(A)], *sizes, A.ints, A.values, np.int32(A.lanes), np.int32(A.longs)
        columns = (
            self.work, self.chunks[id(P)], self.chunks[id(At)], *sizes, P.ints, P.values, np.int32(P.longs),
            At.ints, At.values, np.int32(At.longs), np.int32(P.lanes),
        )  # fmt: skip
        launch = self.device.launch
        grid_of_rows, grid_of_columns = self._grid(m * A.lanes), self._grid(n * P.lanes)
        launch(KERNELS, "pdhg_ahead", self._grid(n), self.block, self.work, *sizes, np.int64(first))
        for k in range(first, first + steps):
            step = np.int64(k)
            if m:
                self._far(A, m, "AHEAD")
                launch(KERNELS, "pdhg_rows", grid_of_rows, self.block, *rows, step, np.float64(tau))
            self._far(P, n, "OTHER" if k & 1 else "MIDDLE")
            self._far(At, n, "Y")
            more = np.int32(k + 1 < first + steps)
            launch(KERNELS, "pdhg_columns", grid_of_columns, self.block, *columns, step, np.float64(eta), more)

    def _grid(self, threads: int) -> int:
        return min(max(-(-threads // self.block), 1), BLOCKS_EACH * self.device.multiprocessors)

    def _far(self, M: Sparse, rows: int, of: str) -> None:
        if M.longs:
            self._launch_on(M, "pdhg_far", 32 * M.chunks, rows, of)

    def _product(self, M: Sparse, rows: int, of: str, to: str) -> None:
        self._far(M, rows, of)
        self._launch_on(M, "pdhg_product", rows * M.lanes, rows, of, to)

    def _launch_on(self, M: Sparse, name: str, threads: int, rows: int, *vectors: str) -> None:
        which: tuple[Any, ...] = tuple(np.int32(VECTORS[v]) for v in vectors)
        sizes = np.int64(self.form.n), np.int64(self.form.m)
        shape = np.int64(rows), np.int32(M.lanes), np.int32(M.longs)
        args = (self.work, self.chunks[id(M)], *sizes, M.ints, M.values, *shape, *which)
        self.device.launch(KERNELS, name, self._grid(threads), self.block, *args)
