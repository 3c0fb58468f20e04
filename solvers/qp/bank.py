"""A bank of differential cells that a method writes by pulses and reads through converters.

    value = low + level x resolution,   level = round((w + noise + F)/lsb) in 0..levels - 1,   w = V_reset - V_set,   F: full scale
    a pulse of k units                  lasts k times as long as the one that makes one level's step in a fresh nominal cell, at the same height

The cells are those of `FNDAMArray`: its mismatch, noise, device, full scale and bits. They are programmed once (`by_verifying`), then trimmed: pulses of known length are
given, what they do is read, and each node's unit is set so that it does what a nominal node's would; as a chip is trimmed once, without converters. From then on a pulse is what the
node makes of it, which falls as 1/t with the pulses and the seconds that it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...fndam.array import FNDAMArray
from ...fndam.device import Device
from ...fndam.programming import by_verifying
from ...fndam.tunneling import Mismatch, Nodes
from ...problems.quadratic.program import Vector

TRIMS, PASSES = 3, 60
# The longest pulse makes this part of the range.
MOST = 8
GROW, SHRINK = 1.5, 0.3
ABOVE_NOISE = 4.0


@dataclass(slots=True, kw_only=True, eq=False)
class Bank:
    """Cells; arrays of nodes are (2, cells), set nodes first.

    Attributes
    ----------
    nodes
        Their parameters.
    height
        Of all pulses [V].
    unit
        What one unit lasts [s].
    most
        Units of the longest pulse.
    volts
        [V].
    pulses : (cells,)
        Since the start, programming included.
    failures
        Cells that could not be programmed at the start.
    """

    array: FNDAMArray
    nodes: Nodes
    height: float
    unit: Vector
    most: int
    volts: Vector
    pulses: NDArray[np.int64]
    failures: int
    rng: np.random.Generator

    @classmethod
    def programmed(cls, array: FNDAMArray, targets: Vector, rng: np.random.Generator) -> Bank:
        """Cells of weights `targets` (cells,) [V], trimmed.

        Raises
        ------
        InputError
            Where a pulse of one level would have to be higher than the array's highest.
        """
        device, mismatch, size = array.device, array.mismatch, targets.size
        assert isinstance(device, Device) and isinstance(mismatch, Mismatch)
        most = max(1, array.levels // MOST)
        nominal, unit = Nodes.of(device), array.pulse_width / most
        height = array.fixed_height or float(nominal.height_for(array.lsb, device.initial_voltage, unit))
        if not 0 < height <= array.max_height:
            raise InputError(
                f"cells: steps of {array.bits} bits in pulses of {array.pulse_width:g} s need {height:.3g} V; the array allows {array.max_height:g} V"
            )
        pair = (Nodes.drawn(device, mismatch, size, rng), Nodes.drawn(device, mismatch, size, rng))
        done = by_verifying(array, targets, pair, rng)
        nodes = Nodes(**{what: np.stack([getattr(side, what) for side in pair]) for what in Nodes.__slots__})
        bank = cls(
            array=array,
            nodes=nodes,
            height=height,
            unit=np.full((2, size), unit),
            most=most,
            volts=np.stack([done.set_voltage, done.reset_voltage]),
            pulses=done.pulses.astype(np.int64),
            failures=int(done.failed.sum()),
            rng=rng,
        )
        if mismatch:
            bank._trim()
            bank.move(targets, np.ones(size, np.bool_))
        if array.hold_seconds > 0:
            bank.rest(array.hold_seconds)
        return bank

    def weights(self) -> Vector:
        """V_reset - V_set [V]."""
        w: Vector = self.volts[1] - self.volts[0]
        return w

    def levels(self) -> NDArray[np.int64]:
        """One reading of each."""
        w = self._read()
        level = np.floor((w + self.array.full_scale) / self.array.lsb + 0.5)
        out: NDArray[np.int64] = np.clip(level, 0, self.array.levels - 1).astype(np.int64)
        return out

    def rest(self, seconds: float) -> None:
        """Leave all alone for so long: common modes fall, and weights decay."""
        self.volts -= self.nodes.loss(self.volts, seconds)

    def move(self, targets: Vector, which: NDArray[np.bool_]) -> None:
        """Pulses and readings, until those cells are within the array's tolerance of their targets (cells,) [V], or `PASSES` pulses later.

        Pulses grow while they go the same way, for cells that are worn, and shrink where they went too far.
        """
        tolerance, boost = self.array.tolerance * self.array.lsb, np.ones(targets.size)
        before = np.zeros(targets.size)
        for _ in range(PASSES):
            error = targets - self._read()
            active = which & (np.abs(error) > tolerance)
            if not active.any():
                break
            boost *= np.where(before * error > 0, GROW, np.where(before * error < 0, SHRINK, 1.0))
            self._pulse(np.where(active, boost * error / self.array.lsb, 0.0))
            before = error

    def step(self) -> Vector:
        """What a pulse of one unit makes of each cell now, the mean of both sides, beside a fresh nominal cell: 1/t at work."""
        now = self.nodes.loss(self.volts, self.unit, self.height)
        out: Vector = now.mean(axis=0) / self.array.lsb
        return out

    def forgets(self, seconds: float) -> float:
        """The share of a weight that decays in an update so long after the start, beside what a unit makes by then, both as the nominal device has them.

        -d ln w/dt = (1 + 2 V/k2)/(t + t0), from the cell's law; a unit's step falls as nearly 1/(t + t0) too, and so this changes little.
        """
        s, device = self.array, self.array.device
        assert isinstance(device, Device)
        nominal = Nodes.of(device)
        voltage = nominal.voltage(seconds)
        step = float(nominal.loss(voltage, s.pulse_width / self.most, self.height)) / s.lsb
        share = (
            (s.pulse_width + s.sweep_seconds) * (1 + 2 * float(voltage) / device.k2) / (seconds + device.time_constant)
        )
        return share / step

    def parameters(self, updates: int) -> tuple[Vector, Vector, Vector, Vector, Vector]:
        """k2, k1, what a pulse raises, a unit, and what an update's rest takes, each (2, cells), for so many updates from now."""
        shape, n, s = self.volts.shape, self.nodes, self.array
        seconds = s.pulse_width + s.sweep_seconds
        # The exact loss of a block's rest, in equal parts: a rest of its own for each update would double the time.
        rest = n.loss(self.volts, max(updates, 1) * seconds) / max(updates, 1)
        k2, k1, rise = (
            np.ascontiguousarray(np.broadcast_to(v, shape)) for v in (n.k2, np.exp(n.log_k1), n.coupling * self.height)
        )
        return k2, k1, rise, self.unit, rest

    def _read(self) -> Vector:
        w = self.weights()
        if self.array.read_noise > 0:
            w = w + self.array.read_noise * self.rng.standard_normal(w.size)
        return w

    def _pulse(self, units: Vector) -> None:
        for side, amount in ((0, np.maximum(units, 0)), (1, np.maximum(-units, 0))):
            nodes = Nodes(**{what: getattr(self.nodes, what)[side] for what in Nodes.__slots__})
            self.volts[side] -= np.where(
                amount > 0, nodes.loss(self.volts[side], self.unit[side] * amount, self.height), 0.0
            )
        self.pulses += units != 0

    def _trim(self) -> None:
        wanted = self.most * self.array.lsb
        floor = ABOVE_NOISE * self.array.read_noise
        for _ in range(TRIMS):
            for side, units in ((0, self.most), (1, -self.most)):
                before = self._read()
                self._pulse(np.full(before.size, float(units)))
                did = np.maximum(np.abs(self._read() - before), max(floor, 1e-3 * wanted))
                self.unit[side] *= np.clip(wanted / did, 0.02, 50.0)
