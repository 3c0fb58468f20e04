"""Tunnelling nodes: an Ising machine's clock and memory, one law.

    C_T dV/dt = -A alpha (V/t_ox)^2 exp(-beta t_ox/V) + C_c dv_in/dt

    at rest          V(t) = k2 / ln(k1 t + k0),   k0 = exp(k2/V0),   k1 = A alpha beta / (C_T t_ox),   k2 = beta t_ox
    under a pulse    the node rises by dV = (C_c/C_T) v_in, tunnels for the pulse's width, and falls back by dV
    so it loses      k2 e / (L (L + e)),   L = k2/(V + dV),   e = ln(1 + k1 width exp(-L))

Exact (derived from the law; Mehta et al., Nat. Commun. 13 (2022) 1670 give the closed form). k2/V is about 40 and k0 about 1e18, so everything is kept
in logarithms, and what a node loses is computed by itself, never as a difference of voltages.

Arrays may be NumPy's or of any library that takes part in NumPy's ufunc protocol (CuPy), float64 or float32; results are of the same kind. Parameters and
voltages must be of one library: `Nodes.drawn(..., like=array)`. In float32 a voltage is resolved to 5e-7 V: steps are exact to 1e-5, sums of small ones are not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..checks import real
from .device import Device
from .library import beside, library

Array = Any  # float, or an array that takes part in NumPy's ufunc protocol

NEWTON = 4


def _log(x: Array) -> Array:
    """ln x, -inf at 0; a plain number stays one, so that float32 beside it stays float32."""
    if isinstance(x, float | int):
        return math.log(x) if x > 0 else -math.inf
    with np.errstate(divide="ignore"):
        return np.log(x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """How much cells differ: relative standard deviations of their parameters, each cell's drawn as exp(sigma z), z normal.

    An area's deviation scales k1; a capacitance's scales k1 and the coupled step, inversely; an oxide's scales k2, and k1 inversely;
    ``initial`` is of V0.
    """

    area: float = 0.0
    capacitance: float = 0.0
    oxide: float = 0.0
    initial: float = 0.0

    def __post_init__(self) -> None:
        for what in self.__slots__:
            object.__setattr__(self, what, real(getattr(self, what), f"mismatch: {what}", 0, 0.5))

    @classmethod
    def of(cls, sigma: float | Mismatch) -> Mismatch:
        """The same sigma for all four, or what is a `Mismatch` already."""
        if isinstance(sigma, Mismatch):
            return sigma
        return cls(**dict.fromkeys(cls.__slots__, real(sigma, "mismatch", 0, 0.5)))

    def __bool__(self) -> bool:
        return any(getattr(self, what) > 0 for what in self.__slots__)

    def deviations(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Factors of the four parameters, each of `shape`."""
        return {what: np.exp(getattr(self, what) * rng.standard_normal(shape)) for what in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodes:
    """One node, or an array of them: each attribute is a number, or an array that broadcasts with the voltages.

    Attributes
    ----------
    k2
        [V].
    log_k1
        ln k1, k1 in [1/s].
    coupling
        C_c / C_T.
    initial_voltage
        V0 [V].
    """

    k2: Array
    log_k1: Array
    coupling: Array
    initial_voltage: Array

    @classmethod
    def of(cls, device: Device) -> Self:
        """One node of the device's own parameters."""
        return cls(
            k2=device.k2,
            log_k1=math.log(device.k1),
            coupling=device.coupling,
            initial_voltage=device.initial_voltage,
        )

    @classmethod
    def drawn(
        cls,
        device: Device,
        mismatch: Mismatch,
        shape: int | tuple[int, ...],
        rng: np.random.Generator,
        like: Array = None,
    ) -> Self:
        """Nodes of `shape` that differ as `mismatch` says; in arrays of CuPy, uploaded, where `like` is one."""
        d = mismatch.deviations(shape, rng)
        nodes = cls(
            k2=device.k2 * d["oxide"],
            log_k1=np.log(device.k1 * d["area"] / (d["capacitance"] * d["oxide"])),
            coupling=device.coupling / d["capacitance"],
            initial_voltage=device.initial_voltage * d["initial"],
        )
        return nodes.like(like)

    @classmethod
    def joined(cls, parts: Sequence[Nodes]) -> Self:
        """One array of nodes after another."""
        return cls(**{what: np.concatenate([getattr(p, what) for p in parts]) for what in cls.__slots__})

    def like(self, array: Array) -> Self:
        """The same nodes, uploaded to the GPU where `array` is one of CuPy."""
        with beside(array):
            xp = library(array)
            return (
                self
                if xp is np
                else replace(self, **{what: xp.asarray(getattr(self, what)) for what in self.__slots__})
            )

    def of_some(self, which: Array) -> Nodes:
        """Some of an array of nodes, by their numbers."""
        return Nodes(
            k2=self.k2[which],
            log_k1=self.log_k1[which],
            coupling=self.coupling[which],
            initial_voltage=self.initial_voltage[which],
        )

    def voltage(self, seconds: Array) -> Array:
        """V at times since the start, with no input [V]: k2 / ln(k1 t + k0)."""
        return self._at(self.initial_voltage, seconds)

    def _at(self, voltage: Array, seconds: Array) -> Array:
        log_k0 = self.k2 / voltage
        return self.k2 / (log_k0 + self._fall(log_k0, seconds))

    def _fall(self, inverse: Array, seconds: Array) -> Array:
        """e of the module's docstring, at L = `inverse`."""
        # A sum in the exponent: neither exp(L) nor k1 t by itself need fit in a float.
        return np.logaddexp(0.0, self.log_k1 + _log(seconds) - inverse)

    def loss(self, voltage: Array, seconds: Array, height: Array = 0.0) -> Array:
        """What nodes at `voltage` lose in `seconds` under an input of `height` [V], beyond rising and falling with it [V]."""
        inverse = self.k2 / (voltage + self.coupling * height)
        fall = self._fall(inverse, seconds)
        return self.k2 * fall / (inverse * (inverse + fall))

    def pulse(self, voltage: Array, height: Array, width: Array) -> Array:
        """V after a pulse of `height` [V] and `width` [s]; a height of 0 is rest."""
        return voltage - self.loss(voltage, width, height)

    def respond(self, voltage: Array, heights: Sequence[Array], seconds: Sequence[Array]) -> list[Array]:
        """V at the end of each step of a piecewise constant input, the input's own share left out: one array a step."""
        out = []
        for height, width in zip(heights, seconds, strict=True):
            voltage = self.pulse(voltage, height, width)
            out.append(voltage)
        return out

    def width_for(self, loss: Array, voltage: Array, height: Array) -> Array:
        """The width [s] at which a pulse of `height` takes just `loss` from nodes at `voltage`; the inverse of `loss`, exact."""
        raised = voltage + self.coupling * height
        inverse = self.k2 / raised
        fall = self.k2 * loss / (raised * (raised - loss))
        return np.exp(inverse - self.log_k1) * np.expm1(fall)

    def height_for(self, loss: Array, voltage: Array, width: Array) -> Array:
        """The height [V] at which a pulse of `width` takes just `loss` from nodes at `voltage`, by Newton's method; below 0 where rest takes more."""
        return self.height_from_log(loss, voltage, self.log_k1 + _log(width))

    def height_from_log(self, loss: Array, voltage: Array, log_product: Array, iterations: int = NEWTON) -> Array:
        """`height_for`, with `log_product` = ln(k1 width)."""
        # Solves L + ln(exp(e) - 1) = ln(k1 width), e = loss L^2 / (k2 - loss L). L is 20 to 40, and the slope is 1 + 2/L and a little.
        inverse = self.k2 / (voltage + 0.4 * voltage)
        # A node cannot lose more than it has: beyond this there is no solution, and the answer is as low a height as no node wants.
        most = 0.5 * self.k2 / loss
        for _ in range(iterations):
            inverse = np.minimum(np.maximum(inverse, 1.0), most)
            rest = self.k2 - loss * inverse
            fall = loss * inverse * inverse / rest
            slope = 1 - loss * inverse * (self.k2 + rest) / (rest * rest * np.expm1(-fall))
            inverse = inverse - (inverse + np.log(np.expm1(fall)) - log_product) / slope
        return (self.k2 / np.maximum(inverse, 1.0) - voltage) / self.coupling

    def time_constant(self, voltage: Array) -> Array:
        """t0 = exp(k2/V)/k1 [s] of nodes at `voltage`: from there on they fall as 1/log(1 + t/t0), and their steps as 1/(t + t0)."""
        return np.exp(self.k2 / voltage - self.log_k1)
