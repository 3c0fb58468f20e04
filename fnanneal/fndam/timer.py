"""The Fowler-Nordheim cell as an annealing timer.

A floating node that leaks by Fowler-Nordheim tunnelling falls as

    V(t) = k2 / ln(k1 t + k0)

(derived from C dV/dt = -A alpha E^2 exp(-beta/E); Mehta et al., Nat. Commun. 13 (2022) 1670). Read as a temperature, this is the 1/log
cooling of simulated annealing theory (Hajek 1988), and with a small k1/k0 it is the schedule linear in 1/T that finite runs favour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from ..checks import positive
from ..errors import InputError
from .device import Device
from .tunneling import Mismatch

# SiO2 breaks down at about 10 MV/cm.
BREAKDOWN_FIELD = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Realisation:
    """What a schedule asks of a physical cell, for a run of so many seconds.

    Attributes
    ----------
    seconds
        The run, t from 0 to 1 (or to ``duration``).
    k0, k1
        Of the closed form, k1 in [1/s].
    gain
        Read-out T = gain V [energy / V].
    initial_voltage
        V(0) of a cell with this k0, k2/ln k0 [V].
    direct
        Whether the oxide stands that voltage: below 10 MV/cm. A schedule with k0 near 1, such as NeuroSA's, would need kilovolts.
    inverse_voltage
        V(0) of a cell whose time constant is the schedule's k0/k1 [V]; it realises the same schedule through the read-out
        1/T = inverse_gain/V + inverse_offset, exactly, since 1/V, too, is a constant plus ln(1 + k1 t/k0).
    inverse_gain, inverse_offset
        [V / energy], [1 / energy].
    """

    seconds: float
    k0: float
    k1: float
    gain: float
    initial_voltage: float
    direct: bool
    inverse_voltage: float
    inverse_gain: float
    inverse_offset: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FNTimer:
    """V(t) = k2 / ln(k1 t + k0), kept in the log domain: exp(k2/V) is about 1e18 in a real cell.

    Attributes
    ----------
    k2
        Scale of the voltage; read as a temperature, in units of energy.
    log_k0
        ln k0, so that V(0) = k2 / log_k0.
    log_ratio
        ln(k1/k0), with k1 per unit of t (a second, a step, or the whole run).

    Each is a number, or an array where cells differ (`mismatched`).
    """

    k2: Any
    log_k0: Any
    log_ratio: Any

    def __post_init__(self) -> None:
        fine = (
            np.all((np.asarray(x) > low) & (np.asarray(x) < math.inf))
            for x, low in ((self.k2, 0), (self.log_k0, 0), (self.log_ratio, -math.inf))
        )
        if not all(fine):
            raise InputError("an FN timer needs k2 > 0, k0 > 1 and k1 > 0, all finite")

    @classmethod
    def from_constants(cls, *, k2: float, k0_minus_1: float, k1: float) -> Self:
        """From the constants of the closed form; k0 - 1 is given by itself since it may be tiny.

        Raises
        ------
        InputError
            Unless all three are positive and finite.
        """
        if not (k2 > 0 and k0_minus_1 > 0 and k1 > 0):
            raise InputError("an FN timer needs k2 > 0, k0 > 1 and k1 > 0, all finite")
        log_k0 = math.log1p(k0_minus_1)
        return cls(k2=k2, log_k0=log_k0, log_ratio=math.log(k1) - log_k0)

    @classmethod
    def between(cls, hot: Any, cold: float, kappa: float) -> Self:
        """The timer with V(0) = hot and V(1) = cold.

        Parameters
        ----------
        hot, cold
            hot > cold > 0, in units of energy; an array of hot ends gives an array of timers.
        kappa
            The one knob left, k2 (1/cold - 1/hot) > 0: far below 1 makes 1/V linear in t; far above 1 is a plunge, then a 1/log tail.

        Raises
        ------
        InputError
            For values outside these ranges.
        """
        if not np.all((cold > 0) & (cold < np.asarray(hot)) & (np.asarray(hot) < math.inf)):
            raise InputError(f"a schedule needs hot > cold > 0 (got {hot} and {cold})")
        if not 0 < kappa < math.inf:
            raise InputError(f"kappa must be positive and finite (got {kappa})")
        k2 = kappa / (1 / cold - 1 / hot)
        log_expm1 = kappa + math.log(-math.expm1(-kappa))
        return cls(k2=k2, log_k0=k2 / hot, log_ratio=log_expm1)

    def mismatched(self, mismatch: float | Mismatch, shape: int | tuple[int, ...], seed: int) -> Self:
        """An array of cells, one a replica or a spin, that were meant to be this one.

        Parameters
        ----------
        mismatch
            Of the cells' parameters: an area scales k1; a capacitance scales k1 inversely; an oxide scales k2, and k1 inversely; ``initial`` is of V(0).
        shape
            Of the array.
        seed
            Names the chip.
        """
        return self.scaled(**Mismatch.of(mismatch).deviations(shape, np.random.Generator(np.random.Philox(seed))))

    def scaled(self, *, area: Any = 1.0, capacitance: Any = 1.0, oxide: Any = 1.0, initial: Any = 1.0) -> Self:
        """The timer of a cell whose parameters are those of this one's, times these factors."""
        log_k1 = self.log_ratio + self.log_k0 + np.log(area / (capacitance * oxide))
        log_k0 = self.log_k0 * oxide / initial
        return type(self)(k2=self.k2 * oxide, log_k0=log_k0, log_ratio=log_k1 - log_k0)

    def voltage(self, t: ArrayLike) -> NDArray[np.float64]:
        """V at times t >= 0, elementwise; of t's shape, broadcast with the cells'."""
        with np.errstate(divide="ignore"):
            log_t = np.log(np.asarray(t, np.float64))
        v: NDArray[np.float64] = self.k2 / (self.log_k0 + np.logaddexp(0.0, self.log_ratio + log_t))
        return v

    @property
    def k0_minus_1(self) -> Any:
        """k0 - 1, without cancellation."""
        return np.expm1(self.log_k0)

    @property
    def k1(self) -> Any:
        """k1, per unit of t."""
        return np.exp(self.log_ratio + self.log_k0)

    def realisation(self, device: Device, seconds: float, duration: float = 1.0) -> Realisation:
        """What this schedule would need of a cell of the device.

        Parameters
        ----------
        device
            Gives k1, k2 and the oxide.
        seconds
            How long the run takes on the chip.
        duration
            The run's length in units of t: 1, or a number of steps.

        Raises
        ------
        InputError
            Where the seconds are not positive, k0 or k1 too large for a number, or no voltage of the cell gives a time constant so short.
        """
        seconds = positive(seconds, "seconds")
        if self.log_k0 + max(self.log_ratio, 0) > 700:
            raise InputError(f"k0 = exp({self.log_k0:.4g}) or k1 is no number that a cell could have")
        log_t0 = math.log(seconds / duration) - self.log_ratio
        log_clock = math.log(device.k1) + log_t0
        if log_clock <= 0:
            raise InputError(
                f"no cell of device {device.name} falls so far in {seconds:g} s: its k1 is {device.k1:.3g}/s"
            )
        initial = device.k2 / self.log_k0
        inverse_gain = device.k2 / self.k2
        return Realisation(
            seconds=seconds,
            k0=float(np.exp(self.log_k0)),
            k1=float(self.k1) * duration / seconds,
            gain=self.k2 / device.k2,
            initial_voltage=initial,
            direct=initial < BREAKDOWN_FIELD * device.oxide_thickness,
            inverse_voltage=device.k2 / log_clock,
            inverse_gain=inverse_gain,
            inverse_offset=(self.log_k0 - log_clock) / self.k2,
        )


NEUROSA = FNTimer.from_constants(k2=0.3125, k0_minus_1=1 / 8e4, k1=0.002 / 8e4)
"""NeuroSA's schedule, t in steps: T(n) = 0.3125 / ln(1 + (1 + 0.002 n)/8e4) (Chen et al., Nat. Commun. 16 (2025))."""


def time_constants(kappa: float) -> float:
    """How many time constants k0/k1 the run of a timer lasts that `FNTimer.between` makes with this knob; e^kappa - 1, and 1e300 at most."""
    return min(math.expm1(min(kappa, 700.0)), 1e300)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFit:
    """A timer fitted to readings, and the rms of what is left [V]."""

    timer: FNTimer
    rms: float

    @property
    def time_constant(self) -> float:
        """t0 = k0/k1, in the readings' unit of time."""
        return float(np.exp(-self.timer.log_ratio))


def fit_timer(t: ArrayLike, volts: ArrayLike) -> TimerFit:
    """Fit V(t) = k2 / (ln k0 + ln(1 + t/t0)) to readings, by least squares.

    For a given t0 the law is linear, 1/V = a + b ln(1 + t/t0) with b = 1/k2 and a = ln(k0)/k2; t0 is found by a search over its logarithm.

    Parameters
    ----------
    t, volts : (m,)
        At least four readings, t not all equal.

    Raises
    ------
    InputError
        For fewer, for voltages that are not positive, and where nothing has fallen beyond the readings' own scatter.
    """
    x, v = np.asarray(t, np.float64), np.asarray(volts, np.float64)
    if x.shape != v.shape or x.ndim != 1 or x.size < 4 or not (v > 0).all() or not np.ptp(x) > 0 or not (x >= 0).all():
        raise InputError("a fit needs at least four readings above 0 V, at times that differ")
    weight = v * v  # of 1/V, so that errors count in volts

    def solve(log_t0: float) -> tuple[float, NDArray[np.float64]]:
        basis = np.stack([np.ones_like(x), np.log1p(x * math.exp(-log_t0))], axis=1)
        # Centred: where t << t0 the second column is tiny, and where t >> t0 the two are nearly parallel.
        scale = np.abs(basis).max(axis=0)
        coefficients = np.linalg.lstsq(basis / scale * weight[:, None], weight / v, rcond=None)[0] / scale
        with np.errstate(divide="ignore"):
            fitted = 1 / (basis @ coefficients)
        return float(np.mean((fitted - v) ** 2)), coefficients

    positive_times = x[x > 0]
    low, high = math.log(positive_times.min()) - 7, math.log(positive_times.max()) + 7
    grid = np.linspace(low, high, 200)
    best = grid[int(np.argmin([solve(g)[0] for g in grid]))]
    step = grid[1] - grid[0]
    found = minimize_scalar(
        lambda g: solve(g)[0], bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-9}
    )
    log_t0 = float(found.x)
    error, (a, b) = solve(log_t0)
    if not (a > 0 and b > 0 and error < 0.25 * float(np.var(v)) and float(np.ptp(v)) > 1e-9 * float(v.max())):
        raise InputError("no timer fits these readings: nothing has fallen beyond their scatter")
    return TimerFit(timer=FNTimer(k2=1 / b, log_k0=a / b, log_ratio=-log_t0), rms=math.sqrt(error))
