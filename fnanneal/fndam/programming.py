"""How cells are brought to their targets: pulses and readings, cell by cell, all cells side by side.

    read w = V_reset - V_set (+ noise);  where |target - w| is within tolerance, done;  else one pulse to the node that must fall,
    its height by the device model for a loss of |target - w|, corrected by what this node's last pulses did beside what was asked of them

until `max_pulses`. The controller knows the device's nominal parameters and the readings; a cell's own parameters, which differ, it does not. While one node is
pulsed the other one rests; what it loses in that time, below 1e-8 V for a fresh cell, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .device import Device
from .library import library, on_host
from .tunneling import Array, Nodes

if TYPE_CHECKING:
    from .array import FNDAMArray

MOST_FIXED = 100_000
# A node's first pulse aims at no more than this [V]; the next ones, when its own strength is known, at no more than that.
FIRST_LOST, MOST_LOST = np.float64(0.05), np.float64(0.5)
# What a pulse did beside what was asked of it is believed up to this factor, and heard where it stands so many sigmas above the noise.
BELIEF, ABOVE_NOISE = 50.0, 4.0
# No node is believed to be below this share of its initial voltage.
LOWEST = 0.2
NEWTON = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programmed:
    """Voltages [V], pulses and failures of cells (k,); readings after each pulse, where they were asked for."""

    set_voltage: Array
    reset_voltage: Array
    pulses: Array
    failed: Array
    staircase: list[Array]


class Noise:
    """Standard normal numbers for cells that lie in chunks of `chunk`, each with a generator of its own; drawn on the host, whatever the library `xp`."""

    def __init__(self, generators: Sequence[np.random.Generator], chunk: int, xp: Any) -> None:
        self._generators, self._chunk, self._xp = generators, chunk, xp

    def of(self, cells: Array) -> Array:
        """One for each of these cells, which are in order: (k,)."""
        if len(self._generators) == 1:
            return self._xp.asarray(self._generators[0].standard_normal(cells.size))
        ends = self._chunk * self._xp.arange(len(self._generators) + 1)
        counts = np.diff(on_host(self._xp.searchsorted(cells, ends)))
        drawn = [rng.standard_normal(k) for rng, k in zip(self._generators, counts.tolist(), strict=True)]
        return self._xp.asarray(np.concatenate(drawn))


Random = np.random.Generator | Noise


class _Cells:
    """Cells under programming: node 2 c is the set node of cell c, node 2 c + 1 its reset node."""

    def __init__(self, settings: FNDAMArray, target: Array, sides: tuple[Nodes, Nodes], noise: Random) -> None:
        xp, size = library(target), target.size
        self.settings, self.noise = settings, noise if isinstance(noise, Noise) else Noise([noise], size, xp)
        self._matched = isinstance(sides[0].k2, float)
        self._nodes = sides[0] if self._matched else _alternating(*sides, xp)
        self.voltage = (
            xp.full(2 * size, self._nodes.initial_voltage) if self._matched else self._nodes.initial_voltage.copy()
        )
        self.pulses = xp.zeros(size, np.int32)

    def read(self, cells: Array) -> Array:
        """A reading of each [V]."""
        reading = self.voltage[2 * cells + 1] - self.voltage[2 * cells]
        if self.settings.read_noise > 0:
            reading += self.settings.read_noise * self.noise.of(cells)
        return reading

    def pulse(self, cells: Array, nodes: Array, height: Array) -> None:
        """One pulse to one node of each cell."""
        its = self._nodes if self._matched else self._nodes.of_some(nodes)
        self.voltage[nodes] -= its.loss(self.voltage[nodes], self.settings.pulse_width, height)
        self.pulses[cells] += 1

    def done(self, failed: Array, staircase: list[Array]) -> Programmed:
        return Programmed(
            set_voltage=self.voltage[0::2],
            reset_voltage=self.voltage[1::2],
            pulses=self.pulses,
            failed=failed,
            staircase=staircase,
        )


def _alternating(up: Nodes, down: Nodes, xp: Any) -> Nodes:
    def both(what: str) -> Array:
        return xp.stack([getattr(up, what), getattr(down, what)], axis=1).ravel()

    return Nodes(
        k2=both("k2"), log_k1=both("log_k1"), coupling=both("coupling"), initial_voltage=both("initial_voltage")
    )


def by_verifying(settings: FNDAMArray, target: Array, sides: tuple[Nodes, Nodes], noise: Random) -> Programmed:
    """Pulses of computed heights, at most ``max_pulses`` a cell; target (k,) [V]."""
    device = settings.device
    assert isinstance(device, Device)
    xp = library(target)
    cells, model = _Cells(settings, target, sides, noise), Nodes.of(device)
    log_product = model.log_k1 + math.log(settings.pulse_width)
    tolerance, floor = settings.tolerance * settings.lsb, ABOVE_NOISE * settings.read_noise
    # What the controller believes of each node: its voltage, and the logarithm of its pulses' effect beside the model's.
    belief = xp.full(2 * target.size, device.initial_voltage)
    learnt, known = xp.zeros(2 * target.size), xp.zeros(2 * target.size, np.bool_)
    active = xp.arange(target.size)
    reading = cells.read(active)
    for _ in range(settings.max_pulses):
        error = target[active] - reading
        keep = xp.abs(error) > tolerance
        active, error, reading = active[keep], error[keep], reading[keep]
        if not active.size:
            break
        node = 2 * active + (error < 0)
        before = belief[node]
        wanted = xp.minimum(xp.abs(error), xp.where(known[node], MOST_LOST, FIRST_LOST))
        height = model.height_from_log(wanted, before, log_product + learnt[node], NEWTON)
        inside = (height > 0) & (height < settings.max_height)
        if not inside.all():
            height = xp.clip(height, 0, settings.max_height)
            possible = model.loss(before, settings.pulse_width * xp.exp(learnt[node]), height)
            wanted = xp.where(inside, wanted, possible)
        cells.pulse(active, node, height)
        new = cells.read(active)
        # What is lost in the noise is at most the noise: a pulse that should have been heard and was not is a weak one.
        lost = xp.maximum(xp.abs(new - reading), floor)
        heard = xp.maximum(lost, wanted) > floor
        learnt[node] += xp.where(heard, xp.log(xp.clip(lost / wanted, 1 / BELIEF, BELIEF)), 0.0)
        known[node] |= heard
        belief[node] = xp.maximum(before - xp.where(heard, lost, wanted), LOWEST * device.initial_voltage)
        reading = new
    failed = xp.zeros(target.size, np.bool_)
    failed[active] = xp.abs(target[active] - reading) > tolerance
    return cells.done(failed, [])


def by_one_pulse(settings: FNDAMArray, target: Array, sides: tuple[Nodes, Nodes], noise: Random) -> Programmed:
    """The same pulse again and again, to the side that is behind at first, until the reading has passed the target: a staircase."""
    cells = _Cells(settings, target, sides, noise)
    everyone = library(target).arange(target.size)
    reading = cells.read(everyone)
    tolerance = settings.tolerance * settings.lsb
    down = target < reading
    active = everyone[abs(target - reading) > tolerance]
    staircase = [reading]
    while active.size and len(staircase) <= MOST_FIXED:
        cells.pulse(active, 2 * active + down[active], settings.fixed_height)
        reading = reading.copy()
        reading[active] = cells.read(active)
        staircase.append(reading)
        passed = (reading[active] <= target[active]) == down[active]
        active = active[~passed]
    return cells.done(abs(target - reading) > tolerance, staircase)
