"""Arrays of FN-DAM cells that hold a matrix or a vector of weights: program and verify, read, drift.

Weights are rounded to the nearest of 2**bits - 1 levels, evenly spaced from -full_scale to +full_scale volts with 0 among them (1 bit: the two ends alone). Which weight is
full scale is chosen so that the squares of the rounding errors are least: the largest one where all fit the levels, such as +1 and -1; less where a few large ones would leave the rest no levels, and those are
clipped then. Pulses and readings bring the cells to their levels (`programming`). Cells are simulated in pieces of `CHUNK`, each with random numbers of its own, so that threads do not
matter and mismatch need not be stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import integer, positive, real
from ..errors import InputError
from .device import Device, load_device
from .programming import by_one_pulse, by_verifying
from .tunneling import Mismatch, Nodes

Floats = NDArray[np.float64]

CHUNK = 2**15
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

    def _rounded(self, volts: Floats) -> Floats:
        """The nearest levels [V]."""
        level = np.rint((np.clip(volts, -self.full_scale, self.full_scale) + self.full_scale) / self.lsb)
        out: Floats = level * self.lsb - self.full_scale
        return out

    def _scale(self, values: Floats) -> float:
        """The weight that is full scale; 1 where all are 0."""
        largest = float(np.abs(values).max(initial=0.0))
        if largest == 0 or self.scaling == "largest":
            return largest or 1.0
        some = values[:: -(-values.size // SAMPLE)] / largest
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
            Dense, of any shape, or SciPy sparse: then only its stored numbers have cells, and it stays sparse.
        seed
            Used where the array has none of its own.
        threads
            To simulate with; the result does not depend on them.

        Raises
        ------
        InputError
            For anything that is no array of finite real numbers.
        """
        shaped, values = _unpacked(matrix)
        gain = self._scale(values) / self.full_scale
        targets = self._rounded(values / gain)
        if self.fixed_height is not None and values.size > RECORDED:
            raise InputError(f"fixed pulses are for at most {RECORDED} cells, and this matrix has {values.size}")
        array = ProgrammedArray(
            settings=replace(self, seed=seed if self.seed is None else self.seed),
            shaped=shaped,
            gain=gain,
            targets=targets,
            rounding_rms=_rms(targets * gain - values),
            set_voltage=np.empty(values.size),
            reset_voltage=np.empty(values.size),
            pulses=np.zeros(values.size, np.int32),
            failed=np.zeros(values.size, np.bool_),
        )
        _in_chunks(array.fill, values.size, threads)
        return array


def _unpacked(matrix: Any) -> tuple[Callable[[Floats], Any], Floats]:
    """How to put values (k,) back into the matrix's form, and the values."""
    if sp.issparse(matrix):
        sparse: Any = matrix
        # COO has one order of its entries, whatever the format; a format without it comes back as CSR.
        coo = sparse.tocoo(copy=True)
        values = _finite(coo.data)
        back = sparse.format

        def shaped(new: Floats) -> Any:
            return type(coo)((new, (coo.row, coo.col)), shape=coo.shape).asformat(back)

        return shaped, values
    try:
        a = np.asarray(matrix)
    except ValueError as e:
        raise InputError("the matrix to program must be an array of numbers") from e
    return (lambda new: new.reshape(a.shape)), _finite(a).ravel()


def _finite(a: NDArray[Any]) -> Floats:
    if a.dtype.kind not in "biuf":
        raise InputError("the matrix to program must be an array of real numbers")
    values = a.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError("the matrix to program has numbers that are not finite")
    return values


def _rms(x: Floats) -> float:
    return math.sqrt(float(np.mean(x * x))) if x.size else 0.0


def _in_chunks(function: Callable[[int, slice], None], size: int, threads: int) -> None:
    count = -(-size // CHUNK)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda k: function(k, slice(k * CHUNK, min(size, (k + 1) * CHUNK))), range(count)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgrammedArray:
    """A programmed array.

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
    shaped: Callable[[Floats], Any]
    gain: float
    targets: Floats
    rounding_rms: float
    set_voltage: Floats
    reset_voltage: Floats
    pulses: NDArray[np.int32]
    failed: NDArray[np.bool_]
    staircase: list[Floats] = field(default_factory=list)

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

    def fill(self, chunk: int, cells: slice) -> None:
        """Program the cells of one chunk."""
        sides = self._nodes(chunk, cells.stop - cells.start)
        rng = self._generator(chunk, _READS)
        program = by_verifying if self.settings.fixed_height is None else by_one_pulse
        done = program(self.settings, self.targets[cells], sides, rng)
        self.set_voltage[cells], self.reset_voltage[cells] = done.set_voltage, done.reset_voltage
        self.pulses[cells], self.failed[cells] = done.pulses, done.failed
        self.staircase.extend(done.staircase)

    def volts(self, seconds: float = 0.0, threads: int = 1) -> Floats:
        """V_reset - V_set of each cell, so long after programming, without noise: (cells,) [V]."""
        if seconds == 0:
            return self.reset_voltage - self.set_voltage
        seconds = positive(seconds, "seconds")
        out = np.empty(self.cells)

        def rest(chunk: int, cells: slice) -> None:
            up, down = self._nodes(chunk, cells.stop - cells.start)
            fallen = up.loss(self.set_voltage[cells], seconds) - down.loss(self.reset_voltage[cells], seconds)
            out[cells] = self.reset_voltage[cells] - self.set_voltage[cells] + fallen

        _in_chunks(rest, self.cells, threads)
        return out

    def read(self, seconds: float = 0.0, *, noise: bool = True, threads: int = 1) -> Any:
        """The weights as they are read so long after programming, in the matrix's form and units; with one reading's noise, the same at the same moment."""
        volts = self.volts(seconds, threads)
        if noise and self.settings.read_noise > 0:
            rng = self._generator(0, _READS + 1, seconds)
            volts = volts + self.settings.read_noise * rng.standard_normal(self.cells)
        return self.shaped(volts * self.gain)

    def report(self) -> ProgramReport:
        """What programming took and achieved."""
        error = self.volts() - self.targets
        rms, largest = _rms(error), float(np.abs(error).max(initial=0.0))
        s = self.settings
        most = int(self.pulses.max(initial=0))
        return ProgramReport(
            cells=self.cells,
            pulses=int(self.pulses.sum()),
            most_pulses=most,
            failures=int(self.failed.sum()),
            rms_error=rms * self.gain,
            max_error=largest * self.gain,
            rms_error_lsb=rms / s.lsb,
            max_error_lsb=largest / s.lsb,
            rounding_rms=self.rounding_rms,
            effective_bits=math.log2(2 * s.full_scale / (math.sqrt(12) * rms) + 1) if rms > 0 else None,
            seconds=most * s.pulse_width,
        )
