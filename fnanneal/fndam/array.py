"""Arrays of FN-DAM cells that hold a matrix or a vector of weights: program and verify, read, drift.

Weights are rounded to the nearest of 2**bits - 1 levels, evenly spaced from -full_scale to +full_scale volts with 0 among them (1 bit: the two ends alone). Which weight is
full scale is chosen so that the squares of the rounding errors are least: the largest one where all fit the levels, such as +1 and -1; less where a few large ones would leave the rest no levels, and those are
clipped then. Pulses and readings bring the cells to their levels (`programming`). Cells are simulated in pieces of `CHUNK`, each with random numbers of its own, so that threads do not
matter and mismatch need not be stored.

A matrix in a CuPy array gets cells on the GPU that holds it. Their mismatch and the noise of their readings are the CPU's, bit for bit: drawn on the host from the same generators, and uploaded. So are the targets,
which take nothing but correctly rounded operations. Voltages are the CPU's but for rounding, since CuPy's exp, log and expm1 may differ in their last bits; a cell gets another number of pulses only where a reading falls within that rounding of the tolerance
(and with `read_noise`, the readings that follow in its chunk get other noise then). On the host: a sample of `SAMPLE` numbers that choose the scale, sizes, and the report's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp

from ..checks import integer, positive, real
from ..errors import InputError
from .device import Device, load_device
from .library import beside, library, on_host
from .programming import Noise, by_one_pulse, by_verifying
from .tunneling import Array, Mismatch, Nodes

CHUNK = 2**15
# Chunks that a GPU simulates at once: 2 million cells.
GROUP = 64
RECORDED = 1000
# Scales that are tried, as shares of the largest weight, on so many weights at most.
SCALES, SAMPLE = np.geomspace(1.0, 0.05, 61), 100_000
_CELLS, _READS = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramReport:
    """What programming took and achieved. Errors are of the cells' own voltages, beside the rounded targets.

    Attributes
    ----------
    cells, pulses, most_pulses
        How many; pulses over all cells, and at one.
    failures
        Cells whose last reading was not within tolerance.
    rms_error, max_error
        In units of the matrix.
    rms_error_lsb, max_error_lsb
        In steps between levels.
    rounding_rms
        Of the targets beside the matrix itself, in its units.
    effective_bits
        log2(2 full scale / (sqrt(12) rms error) + 1): the resolution that an ideal rounding of this error would have; None where there is no error.
    seconds
        On the chip, all cells side by side.
    """

    cells: int
    pulses: int
    most_pulses: int
    failures: int
    rms_error: float
    max_error: float
    rms_error_lsb: float
    max_error_lsb: float
    rounding_rms: float
    effective_bits: float | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FNDAMArray:
    """The settings of an array; `program` makes one.

    Attributes
    ----------
    bits
        Resolution, 1 to 14.
    mismatch
        A `Mismatch`, or one relative sigma for all four of its parameters.
    read_noise
        Standard deviation of a reading [V]: of those that verify, and of the one that a solve takes.
    tolerance
        Distance from its target at which a cell is left alone, in steps between levels.
    full_scale
        The largest |V_reset - V_set| of a weight [V].
    scaling
        Which weight that is: "least-squares" as above, or "largest".
    max_pulses
        A cell gets at most so many.
    pulse_width, max_height
        [s], [V].
    fixed_height
        None: each pulse's height is computed. A height [V]: all pulses are alike, until the reading passes the target; no limit but 1e5, for a few cells.
    sweep_seconds
        How long a sweep takes on the chip [s]: the weights drift while a solve goes on, and are read again every `reread_sweeps`. 0: they stay.
    hold_seconds
        How long the array stands between programming and the solve [s].
    seed
        Names the chip, which has the same cells each time; None: the solve's seed.
    device
        A `Device`, or the name of one.
    """

    bits: int = 8
    mismatch: float | Mismatch = 0.0
    read_noise: float = 0.0
    tolerance: float = 0.25
    full_scale: float = 0.05
    scaling: Literal["least-squares", "largest"] = "least-squares"
    max_pulses: int = 20
    pulse_width: float = 1e-2
    max_height: float = 15.0
    fixed_height: float | None = None
    sweep_seconds: float = 0.0
    reread_sweeps: int = 100
    hold_seconds: float = 0.0
    seed: int | None = None
    device: Device | str = "sio2"

    def __post_init__(self) -> None:
        def put(what: str, value: Any) -> None:
            object.__setattr__(self, what, value)

        put("bits", integer(self.bits, "bits", 1, 14))
        put("mismatch", Mismatch.of(self.mismatch))
        put("max_pulses", integer(self.max_pulses, "max_pulses", 1, 1000))
        put("reread_sweeps", integer(self.reread_sweeps, "reread_sweeps", 1, 2**31))
        put("device", load_device(self.device))
        for what in ("tolerance", "full_scale", "pulse_width", "max_height"):
            put(what, positive(getattr(self, what), what))
        for what in ("read_noise", "sweep_seconds", "hold_seconds"):
            put(what, real(getattr(self, what), what, 0))
        if self.scaling not in ("least-squares", "largest"):
            raise InputError(f"unknown scaling {self.scaling!r:.40}; there are: least-squares, largest")
        if self.fixed_height is not None:
            put("fixed_height", positive(self.fixed_height, "fixed_height"))
        if self.seed is not None:
            put("seed", integer(self.seed, "seed", 0, 2**64 - 1))
        if self.full_scale > 0.2 * self.device.initial_voltage:  # type: ignore[union-attr]
            raise InputError(f"full_scale of {self.full_scale:g} V is more than a fifth of the initial voltage")

    def settings(self) -> dict[str, Any]:
        """Plain numbers and texts, all of them."""
        return asdict(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Back from `settings`."""
        return cls(**{**settings, "mismatch": Mismatch(**settings["mismatch"]), "device": Device(**settings["device"])})

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return 2 if self.bits == 1 else 2**self.bits - 1

    @property
    def lsb(self) -> float:
        """The step between levels [V]."""
        return 2 * self.full_scale / (self.levels - 1)

    def _rounded(self, volts: Array) -> Array:
        """The nearest levels [V]."""
        xp = library(volts)
        level = xp.rint((xp.clip(volts, -self.full_scale, self.full_scale) + self.full_scale) / self.lsb)
        return level * self.lsb - self.full_scale

    def _scale(self, values: Array) -> float:
        """The weight that is full scale; 1 where all are 0."""
        largest = _largest(values)
        if largest == 0 or self.scaling == "largest":
            return largest or 1.0
        # On the host: another order of summation could choose another scale.
        some = on_host(values[:: -(-values.size // SAMPLE)]) / largest
        errors = [
            float(np.mean((self._rounded(some * (self.full_scale / s)) * (s / self.full_scale) - some) ** 2))
            for s in SCALES
        ]
        # Scales come from the largest down; one must be better by more than rounding to be taken.
        best = next(k for k, e in enumerate(errors) if e <= min(errors) + 1e-24)
        return largest * float(SCALES[best])

    def program(self, matrix: Any, *, seed: int = 0, threads: int = 1) -> ProgrammedArray:
        """Program a matrix or vector into cells, one a number.

        Parameters
        ----------
        matrix
            Dense, of any shape, or SciPy sparse: then only its stored numbers have cells, and it stays sparse. A CuPy array: the cells are on its GPU.
        seed
            Used where the array has none of its own.
        threads
            To simulate with; the result does not depend on them. For cells on a GPU: to draw their random numbers.

        Raises
        ------
        InputError
            For anything that is no array of finite real numbers.
        """
        with beside(matrix):
            shaped, values = _unpacked(matrix)
            gain = self._scale(values) / self.full_scale
            targets = self._rounded(values / gain)
            if self.fixed_height is not None and values.size > RECORDED:
                raise InputError(f"fixed pulses are for at most {RECORDED} cells, and this matrix has {values.size}")
            xp = library(values)
            array = ProgrammedArray(
                settings=replace(self, seed=seed if self.seed is None else self.seed),
                shaped=shaped,
                gain=gain,
                targets=targets,
                rounding_rms=_rms(targets * gain - values),
                set_voltage=xp.empty(values.size),
                reset_voltage=xp.empty(values.size),
                pulses=xp.zeros(values.size, np.int32),
                failed=xp.zeros(values.size, np.bool_),
            )
            _in_pieces(partial(array.fill, threads=threads), values, threads)
        return array


def _unpacked(matrix: Any) -> tuple[Callable[[Array], Any], Array]:
    """How to put values (k,) back into the matrix's form, and the values."""
    if library(matrix) is not np:
        return (lambda new: new.reshape(matrix.shape)), _finite(matrix).ravel()
    if type(matrix).__module__.startswith("cupyx."):
        raise InputError("the matrix to program is sparse and CuPy's: program its .data")
    if sp.issparse(matrix):
        sparse: Any = matrix
        # COO has one order of its entries, whatever the format; a format without it comes back as CSR.
        coo = sparse.tocoo(copy=True)
        values = _finite(coo.data)
        back = sparse.format

        def shaped(new: Array) -> Any:
            return type(coo)((new, (coo.row, coo.col)), shape=coo.shape).asformat(back)

        return shaped, values
    try:
        a = np.asarray(matrix)
    except ValueError as e:
        raise InputError("the matrix to program must be an array of numbers") from e
    return (lambda new: new.reshape(a.shape)), _finite(a).ravel()


def _finite(a: Array) -> Array:
    if a.dtype.kind not in "biuf":
        raise InputError("the matrix to program must be an array of real numbers")
    values = a.astype(np.float64)
    if not library(values).isfinite(values).all():
        raise InputError("the matrix to program has numbers that are not finite")
    return values


def _rms(x: Array) -> float:
    return math.sqrt(float((x * x).mean())) if x.size else 0.0


def _largest(x: Array) -> float:
    return float(abs(x).max()) if x.size else 0.0


def _in_pieces(function: Callable[[range, slice], None], like: Array, threads: int) -> None:
    """Call function(chunks, cells) for all of an array's cells: for a chunk at a time, in threads; on a GPU for a group of them, in this thread, whose device it is."""
    per = 1 if library(like) is np else GROUP
    chunks = range(-(-like.size // CHUNK))
    groups = [chunks[k : k + per] for k in chunks[::per]]
    cells = [slice(g.start * CHUNK, min(like.size, g.stop * CHUNK)) for g in groups]
    if per == 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(function, groups, cells))
    else:
        list(map(function, groups, cells))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgrammedArray:
    """A programmed array. Its arrays are CuPy's where the matrix was, and so is what it answers.

    Attributes
    ----------
    settings
        The `FNDAMArray`, with its seed.
    gain
        Units of the matrix, a volt.
    targets, set_voltage, reset_voltage : (cells,)
        [V]; the voltages right after programming.
    pulses : (cells,) int32
    failed : (cells,) bool
    staircase
        Readings (pulses + 1, cells) [V] in the mode of fixed pulses.
    """

    settings: FNDAMArray
    shaped: Callable[[Array], Any]
    gain: float
    targets: Array
    rounding_rms: float
    set_voltage: Array
    reset_voltage: Array
    pulses: Array
    failed: Array
    staircase: list[Array] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.targets.size)

    def _generator(self, chunk: int, use: int, moment: float = 0.0) -> np.random.Generator:
        key = np.array([self.settings.seed, use << 48 | chunk], np.uint64)
        # The moment takes the counter's last word, which no stream of numbers reaches.
        counter = [0, 0, 0, int(np.float64(moment).view(np.uint64))]
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def _nodes(self, chunk: int, size: int) -> tuple[Nodes, Nodes]:
        """Set and reset nodes of a chunk's cells: the same each time."""
        s = self.settings
        assert isinstance(s.device, Device) and isinstance(s.mismatch, Mismatch)
        if not s.mismatch:
            return Nodes.of(s.device), Nodes.of(s.device)
        rng = self._generator(chunk, _CELLS)
        return Nodes.drawn(s.device, s.mismatch, size, rng), Nodes.drawn(s.device, s.mismatch, size, rng)

    def _sides(self, chunks: range, cells: slice, threads: int) -> tuple[Nodes, Nodes]:
        """Set and reset nodes of some chunks' cells, where the cells are."""
        size = cells.stop - cells.start
        if len(chunks) == 1 or not self.settings.mismatch:
            up, down = self._nodes(chunks.start, size)
            return (up.like(self.targets), down.like(self.targets)) if self.settings.mismatch else (up, down)
        with ThreadPoolExecutor(threads) as pool:
            drawn = list(pool.map(self._nodes, chunks, [min(CHUNK, size - k * CHUNK) for k in range(len(chunks))]))
        up, down = (Nodes.joined(side).like(self.targets) for side in zip(*drawn, strict=True))
        return up, down

    def fill(self, chunks: range, cells: slice, threads: int = 1) -> None:
        """Program the cells of some chunks."""
        targets = self.targets[cells]
        sides = self._sides(chunks, cells, threads)
        noise = Noise([self._generator(chunk, _READS) for chunk in chunks], CHUNK, library(targets))
        program = by_verifying if self.settings.fixed_height is None else by_one_pulse
        done = program(self.settings, targets, sides, noise)
        self.set_voltage[cells], self.reset_voltage[cells] = done.set_voltage, done.reset_voltage
        self.pulses[cells], self.failed[cells] = done.pulses, done.failed
        self.staircase.extend(done.staircase)

    def volts(self, seconds: float = 0.0, threads: int = 1) -> Array:
        """V_reset - V_set of each cell, so long after programming, without noise: (cells,) [V]."""
        with beside(self.targets):
            if seconds == 0:
                return self.reset_voltage - self.set_voltage
            seconds = positive(seconds, "seconds")
            out = library(self.targets).empty(self.cells)

            def rest(chunks: range, cells: slice) -> None:
                up, down = self._sides(chunks, cells, threads)
                fallen = up.loss(self.set_voltage[cells], seconds) - down.loss(self.reset_voltage[cells], seconds)
                out[cells] = self.reset_voltage[cells] - self.set_voltage[cells] + fallen

            _in_pieces(rest, self.targets, threads)
        return out

    def read(self, seconds: float = 0.0, *, noise: bool = True, threads: int = 1) -> Any:
        """The weights as they are read so long after programming, in the matrix's form and units; with one reading's noise, the same at the same moment."""
        volts = self.volts(seconds, threads)
        with beside(volts):
            if noise and self.settings.read_noise > 0:
                rng = self._generator(0, _READS + 1, seconds)
                drawn = library(volts).asarray(rng.standard_normal(self.cells))
                volts = volts + self.settings.read_noise * drawn
            return self.shaped(volts * self.gain)

    def report(self) -> ProgramReport:
        """What programming took and achieved."""
        with beside(self.targets):
            error = self.volts() - self.targets
            rms, largest = _rms(error), _largest(error)
            most = int(self.pulses.max()) if self.cells else 0
            pulses, failures = int(self.pulses.sum()), int(self.failed.sum())
        s = self.settings
        return ProgramReport(
            cells=self.cells,
            pulses=pulses,
            most_pulses=most,
            failures=failures,
            rms_error=rms * self.gain,
            max_error=largest * self.gain,
            rms_error_lsb=rms / s.lsb,
            max_error_lsb=largest / s.lsb,
            rounding_rms=self.rounding_rms,
            effective_bits=math.log2(2 * s.full_scale / (math.sqrt(12) * rms) + 1) if rms > 0 else None,
            seconds=most * s.pulse_width,
        )
