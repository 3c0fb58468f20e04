"""The differential cell: an analog weight in two tunnelling nodes.

    weight  w = V_reset - V_set [V];   a SET pulse lowers V_set, so raises w;   a RESET pulse lowers V_reset, so lowers w

Both nodes leak all the time: what they have in common is a clock, their difference a memory. For matched nodes and |w| << V^2/k2 it decays as

    w(t)/w(0) = (V(t)/V(0))^2 k0/(k0 + k1 t),   about 1/(1 + t/t0),   t0 = k0/k1,

and the step that one pulse makes falls with it: nearly as 1/(t + t0) for dV << V, in general as (t + t0)^-p, p = (V/(V+dV))^2 (1 + 2 (V+dV)/k2),
where the last factor, some 5 %, comes of the square in the tunnelling law. So the cell computes
w <- (1 - a_n) w + b_n u_n with a_n and b_n about 1/(n + n0): stochastic approximation (Robbins and Monro 1951), its step sizes and its forgetting
built in. Source: Mehta et al., Nat. Commun. 13 (2022) 1670, and Rahman, Bose, Chakrabartty, Front. Neurosci. 16 (2023) 1050585; the formulae are derived.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ..checks import integer, positive
from .device import Device
from .library import beside, library
from .tunneling import Array, Mismatch, Nodes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DifferentialCell:
    """One cell, or an array of them, NumPy's or CuPy's. Immutable: each operation gives the cell afterwards.

    Attributes
    ----------
    set_nodes, reset_nodes
        The parameters of both sides.
    set_voltage, reset_voltage
        Their voltages [V].
    """

    set_nodes: Nodes
    reset_nodes: Nodes
    set_voltage: Array
    reset_voltage: Array

    @classmethod
    def of(cls, device: Device, shape: tuple[int, ...] = (), like: Array = None) -> Self:
        """Cells of weight 0 at the device's initial voltage, all alike; on the GPU where `like` is an array of CuPy."""
        nodes = Nodes.of(device)
        with beside(like):
            start = library(like).full(shape, device.initial_voltage)
        return cls(set_nodes=nodes, reset_nodes=nodes, set_voltage=start, reset_voltage=start.copy())

    @classmethod
    def drawn(
        cls, device: Device, mismatch: Mismatch, shape: tuple[int, ...], rng: np.random.Generator, like: Array = None
    ) -> Self:
        """Cells whose two nodes differ as `mismatch` says; the same numbers, uploaded, where `like` is an array of CuPy."""
        up, down = (Nodes.drawn(device, mismatch, shape, rng, like) for _ in range(2))
        return cls(set_nodes=up, reset_nodes=down, set_voltage=up.initial_voltage, reset_voltage=down.initial_voltage)

    @property
    def weight(self) -> Array:
        """V_reset - V_set [V]."""
        return self.reset_voltage - self.set_voltage

    @property
    def common(self) -> Array:
        """The mean of both voltages [V]: the cell's clock."""
        return 0.5 * (self.reset_voltage + self.set_voltage)

    def rest(self, seconds: Array) -> Self:
        """After so long without a pulse."""
        return self._after(0.0, 0.0, seconds)

    def set(self, height: Array, width: Array) -> Self:
        """After a SET pulse of `height` [V] and `width` [s]; the other node rests."""
        return self._after(height, 0.0, width)

    def reset(self, height: Array, width: Array) -> Self:
        """After a RESET pulse; the other node rests."""
        return self._after(0.0, height, width)

    def _after(self, set_height: Array, reset_height: Array, seconds: Array) -> Self:
        return replace(
            self,
            set_voltage=self.set_nodes.pulse(self.set_voltage, set_height, seconds),
            reset_voltage=self.reset_nodes.pulse(self.reset_voltage, reset_height, seconds),
        )

    def plasticity(self, height: Array, width: Array) -> Array:
        """How much more a SET pulse would raise the weight now than rest as long would [V]."""
        under = self.set_nodes.loss(self.set_voltage, width, height)
        return under - self.set_nodes.loss(self.set_voltage, width)

    def compensated_width(self, step: Any, height: Array, elapsed: Array) -> Array:
        """The width [s] that makes SET pulses of `height` step by exactly step t0/(t0 + t), whatever the height.

        Parameters
        ----------
        step
            The step at time 0 [V].
        height
            [V].
        elapsed
            t, the seconds since the set node stood at its initial voltage without pulses.
        """
        t0 = self.set_nodes.time_constant(self.set_nodes.initial_voltage)
        return self.set_nodes.width_for(step * t0 / (t0 + elapsed), self.set_voltage, height)


def retention(device: Device, bits: int, full_scale: float = 0.05) -> float:
    """How long a full-scale weight [V] stays within half a step between levels of where it was [s], by bisection on the exact law.

    Raises
    ------
    InputError
        Unless bits are 1 to 14 and the scale is positive.
    """
    levels = 2 if integer(bits, "bits", 1, 14) == 1 else 2**bits - 1
    half = positive(full_scale, "full_scale") / (levels - 1)
    up, down = device.initial_voltage - full_scale / 2, device.initial_voltage + full_scale / 2
    nodes = Nodes.of(device)

    def lost(log_seconds: float) -> float:
        seconds = math.exp(log_seconds)
        return float(nodes.loss(down, seconds) - nodes.loss(up, seconds))

    low, high = math.log(device.time_constant) - 40, math.log(device.time_constant) + 600
    if lost(high) < half:
        return math.inf
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if lost(middle) < half else (low, middle)
    return math.exp(high)
