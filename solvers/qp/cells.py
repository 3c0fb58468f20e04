"""`cells`: a primal-dual method whose variables and multipliers are the weights of FN-DAM cells.

    gradient        g = Px + q + A'y,   rows r = Ax - b      (the rows of G and A; y of a row of G at least 0)
    integrate       c_i <- c_i - tau_i g_i / resolution_i    c_j <- c_j + sigma_j (2 r+ - r)_j / resolution_j          [levels]
    fire            where |c| >= 1: a SET (c > 0) or RESET pulse of trunc(c) units, which are taken off c
    read            value = low + level resolution, by a converter of as many bits as the array has; changes of readings are sent to g and r

Without the cells this is the primal-dual method of Condat (J. Optim. Theory Appl. 158 (2013) 460) and Vu (2013): x+ = x - tau g within its bounds, then y. The integrator, one a cell, keeps
what pulses have not yet made up for, so the running means of the readings go where the ideal iterates go; one reading swings about them by a level or so. The ends of a cell's range
are its bounds, and at an end nothing is fired beyond it: that is the projection. Where there is no bound, a range doubles while its cell is held at the end.

A pulse does what the device makes of it. Cells are charged so that the run lasts a few of their time constants t0: a step falls as t0/(t + t0), and further with the pulses themselves, while the integrator
takes off what a fresh cell would have done: the learning rate falls as 1/t by itself. A weight decays by (1 + 2 V/k2) dt/(t + t0) an update: step and decay fall nearly together, so keep, the decay in units of a step, changes little. keep times the level's distance from the
middle of its range cancels the decay; uncancelled, it is a ridge term 1/2 (keep/tau_i) (x_i - middle_i)^2 of the objective. (Derived, for matched cells and weights far below V^2/k2.)

At the end the cells are programmed to the levels that are nearest to the means, and read. This use of FN-DAM's cells is ours; of the cells, see `fnanneal.fndam`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ...checks import integer, real
from ...energy.events import Events
from ...errors import InputError
from ...fndam.array import FNDAMArray
from ...fndam.device import Device
from ...fndam.timer import BREAKDOWN_FIELD
from ...problems.quadratic.program import QP, Vector
from ...qpresult import Residuals
from ..kernels.cells import cell_updates
from .bank import Bank
from .cell_system import System
from .method import Start, Step, Tolerance, method

BLOCK = 100
# Cells times blocks in one call of `advance`.
WORK = 4000
# Windows over which readings are averaged end at these shares of the budget; steps and ranges are tuned until the share after them.
WINDOWS, TUNED = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0), 0.5
# Ranges double where cells are held at an end in this share of a block, and halve where a window's mean uses less than this share of them.
AT_END, LITTLE = 0.8, 0.2
UNKNOWN = Residuals(
    primal=math.inf, dual=math.inf, gap=math.inf, sign=math.inf, primal_scale=1.0, dual_scale=1.0, gap_scale=1.0
)


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """The bank of cells, what their levels mean, their integrators [levels] and readings; and the means of the best complete window,
    by the residuals of what would be read out.

    `sums`, `squares`, `mean` and `jitter` (n + m,) are in units of the problem; `held` are the values programmed at the end.
    """

    bank: Bank
    low: Vector
    resolution: Vector
    rate: Vector
    omega: float
    carry: Vector
    index: NDArray[np.int64]
    gradient: Vector
    above: Vector
    sums: Vector
    squares: Vector
    mean: Vector
    jitter: Vector
    mean_low: Vector
    mean_resolution: Vector
    worst: float = math.inf
    last: Vector | None = None
    held: Vector | None = None
    missed: int = 0
    blocks: int = 0
    done: int = 0
    in_window: int = 0
    ranged: int = 0
    spikes: int = 0
    met: int = 0


@method("cells")
@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Variables and multipliers in FN-DAM cells, trained by pulses: finite resolution, steps that fall as 1/t.

    Attributes
    ----------
    weights
        The array of cells; None: 8 bits. Of it, ``hold_seconds`` pass once, after programming, and an update takes ``pulse_width`` and ``sweep_seconds``; ``scaling`` and
        ``reread_sweeps`` have no meaning here.
    updates
        Budget.
    time_constants
        How many time constants k0/k1 of its cells the run lasts: they are charged to the voltage that makes it so. 0: the device's own initial voltage.
    forgetting
        "cancelled": integrators make up for the decay of weights, as the nominal device has it. "kept": the decay is a ridge term, ``details["ridge"]``.
    readout
        "levels": what the cells can hold, each mean reading rounded to the nearest level. "mean": the means themselves, a digital average.
    """

    convex_only: ClassVar[bool] = True
    open_ended: ClassVar[bool] = False

    weights: FNDAMArray | None = None
    updates: int = 20_000
    time_constants: float = 2.0
    forgetting: Literal["cancelled", "kept"] = "cancelled"
    readout: Literal["levels", "mean"] = "levels"

    def __post_init__(self) -> None:
        if self.weights is not None and not isinstance(self.weights, FNDAMArray):
            raise InputError(f"weights must be an FNDAMArray, not {self.weights!r:.40}")
        object.__setattr__(self, "updates", integer(self.updates, "updates", 1, 2**40))
        object.__setattr__(self, "time_constants", real(self.time_constants, "time_constants", 0, 1e6))
        for what, known in (("forgetting", ("cancelled", "kept")), ("readout", ("levels", "mean"))):
            if getattr(self, what) not in known:
                raise InputError(f"unknown {what} {getattr(self, what)!r:.40}; there are: {', '.join(known)}")

    def settings(self) -> dict[str, Any]:
        """All of them, as plain numbers and texts."""
        own = {what: getattr(self, what) for what in ("updates", "time_constants", "forgetting", "readout")}
        return {"weights": (self.weights or FNDAMArray()).settings(), **own}

    def accepts(self, problem: QP) -> str | None:
        """Any convex problem; whether P is positive semidefinite is not looked at here."""
        if problem.binary is not None:
            return "cells holds continuous variables; it cannot keep binary ones at their bounds"
        return None

    @property
    def array(self) -> FNDAMArray:
        """The array, its device charged as `time_constants` says."""
        s = self.weights or FNDAMArray()
        device = s.device
        assert isinstance(device, Device)
        if self.time_constants == 0:
            return s
        t0 = self.updates * (s.pulse_width + s.sweep_seconds) / self.time_constants
        log_k0 = math.log(device.k1 * t0)
        if log_k0 <= 0 or device.k2 / log_k0 > BREAKDOWN_FIELD * device.oxide_thickness:
            raise InputError(
                f"cells: a time constant of {t0:.3g} s needs more than the oxide stands; give fewer time_constants or more updates"
            )
        return replace(s, device=replace(device, initial_voltage=device.k2 / log_k0))

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> System:
        """Matrices by rows and columns, and the scales of steps."""
        return System.of(problem)

    def warm_up(self, system: System) -> None:
        """Compile the kernel."""
        self._run(system, self.init(system, seed=0, start=None), 0)

    def init(self, system: System, *, seed: int, start: Start | None) -> State:
        """Ranges, and cells programmed to the start: what of each range is nearest to 0, where nothing is given."""
        p, s = system.problem, self.array
        value = np.clip(0.0, system.lb, system.ub)
        if start is not None:
            parts = (start.x, None if start.z is None else start.z[system.bounded], start.y)
            places = np.split(value, [p.n, p.n + system.inequalities])
            value = np.concatenate([old if new is None else new for old, new in zip(places, parts, strict=True)])
            value = np.clip(value, system.lb, system.ub)
        gradient, above = system.residuals(value)
        omega = system.first_omega(gradient, above)
        first = system.steps(omega) * np.abs(np.concatenate([gradient, above]))
        first = np.concatenate([_at_least_mean(first[: p.n]), _at_least_mean(first[p.n :])])
        low, high = system.ranges(np.maximum(first, 2 * np.abs(value - system.anchor)))
        resolution = (high - low) / (s.levels - 1)
        key = np.array([seed if s.seed is None else s.seed, 1], np.uint64)
        bank = Bank.programmed(s, _volts(s, value, low, resolution), np.random.Generator(np.random.Philox(key=key)))
        cells = value.size
        state = State(
            bank=bank,
            low=low,
            resolution=resolution,
            rate=np.zeros(cells),
            omega=omega,
            carry=np.zeros(cells),
            index=bank.levels(),
            gradient=gradient,
            above=above,
            sums=np.zeros(cells),
            squares=np.zeros(cells),
            mean=value,
            jitter=np.zeros(cells),
            mean_low=low,
            mean_resolution=resolution,
        )
        self._refresh(system, state)
        state.mean = low + resolution * state.index
        return state

    def advance(self, system: System, state: State, seconds_left: float) -> None:
        """Some blocks of updates, how many depends on the problem's size alone; at the end of the budget, the cells are programmed to their means."""
        for _ in range(max(1, WORK // state.low.size)):
            updates = min(BLOCK, self.updates - state.done)
            if updates <= 0:
                return
            held = self._run(system, state, updates)
            before = self._windows(state.done)
            state.blocks, state.done = state.blocks + 1, state.done + updates
            state.in_window += updates
            if self._windows(state.done) > before:
                self._close_window(system, state)
            if state.done == self.updates:
                self._consolidate(state)
                return
            unbounded = np.stack([np.isinf(system.lb), np.isinf(system.ub)])
            wanting = (unbounded & (held >= AT_END * updates)).any(axis=0)
            if wanting.any():
                self._rescale(system, state, wanting, 2.0)
            self._refresh(system, state)

    def _windows(self, updates: int) -> int:
        """How many windows have ended."""
        return int(np.searchsorted(WINDOWS, updates / self.updates, side="right"))

    def _run(self, system: System, state: State, updates: int) -> Any:
        """Updates; how often cells were held at either end of their ranges, (2, n + m)."""
        s, cells, bank = self.array, state.low.size, state.bank
        noise = np.zeros((0, 0))
        if s.read_noise > 0:
            noise = s.read_noise * bank.rng.standard_normal((updates, cells))
        sums, squares, held = np.zeros(cells), np.zeros(cells), np.zeros((2, cells), np.int64)
        middle, keep = 0.5 * (s.levels - 1), self._forgets(state) if self.forgetting == "cancelled" else 0.0
        spikes, met = cell_updates(
            system.P_rows, system.At_rows, system.A_rows, state.resolution, state.rate, keep, s.levels - 1, bank.most, s.full_scale, s.lsb,
            *bank.parameters(updates), bank.volts, state.carry, state.index, state.gradient, state.above,
            noise, updates, sums, squares, held, bank.pulses,
        )  # fmt: skip
        state.spikes, state.met = state.spikes + spikes, state.met + met
        # In the problem's units, since ranges may change within a window.
        centre = state.low + state.resolution * middle - system.anchor
        state.sums += centre * updates + state.resolution * sums
        state.squares += centre**2 * updates + state.resolution * (2 * centre * sums + state.resolution * squares)
        return held

    def _forgets(self, state: State) -> float:
        """What cancels the decay of weights, in levels an update and level, now."""
        s = self.array
        return state.bank.forgets(s.hold_seconds + state.done * (s.pulse_width + s.sweep_seconds))

    def _refresh(self, system: System, state: State) -> None:
        """Rates, and the gradient and rows by fresh products: sums of changes drift."""
        steps = system.steps(state.omega)
        state.rate = np.divide(steps, state.resolution, out=np.zeros_like(steps), where=state.resolution > 0)
        state.gradient, state.above = system.residuals(state.low + state.resolution * state.index)

    def _rescale(self, system: System, state: State, which: NDArray[np.bool_], factor: float) -> None:
        """Other ranges for some cells, which are programmed anew to the values that they hold."""
        s = self.array
        top = s.levels - 1
        value = state.low + state.resolution * state.index
        low, high = system.ranges(system.reach(state.resolution * top) * factor)
        state.low = np.where(which, low, state.low)
        state.resolution = np.where(which, (high - low) / top, state.resolution)
        state.carry[which] /= factor
        state.bank.move(_volts(s, value, state.low, state.resolution), which)
        state.index = np.where(which, state.bank.levels(), state.index)
        state.ranged += int(which.sum())

    def _close_window(self, system: System, state: State) -> None:
        """Take the window's means; while there is time, halve ranges that are hardly used, and balance the steps of x and y by how far the means went."""
        count, n = state.in_window, system.problem.n
        offset = state.sums / count
        jitter = np.sqrt(np.maximum(state.squares / count - offset**2, 0.0))
        mean = system.anchor + offset
        worst = self._worst(system, mean, state.low, state.resolution)
        if worst < state.worst:
            state.mean, state.jitter, state.worst = mean, jitter, worst
            state.mean_low, state.mean_resolution = state.low, state.resolution
        state.sums[:], state.squares[:], state.in_window = 0.0, 0.0, 0
        if state.done > TUNED * self.updates:
            return
        if state.last is not None and mean.size > n:
            moved = mean - state.last
            across = math.sqrt(float(moved[:n] ** 2 @ system.column_scale))
            up = math.sqrt(float(moved[n:] ** 2 @ (1 / system.row_scale)))
            if across > 0 and up > 0:
                state.omega *= min(max(math.sqrt(up / (across * state.omega)), 0.25), 4.0)
        state.last = mean
        reach = system.reach(state.resolution * (self.array.levels - 1))
        used = np.maximum(np.abs(offset), 4 * jitter)
        little = (used < LITTLE * reach) & (np.isinf(system.lb) | np.isinf(system.ub))
        if little.any():
            self._rescale(system, state, little, 0.5)

    def _worst(self, system: System, mean: Vector, low: Vector, resolution: Vector) -> float:
        """The largest residual of what would be read out."""
        p = system.problem
        if self.readout == "levels":
            point = system.point(low + resolution * _nearest(self.array, mean, low, resolution), np.zeros(mean.size))
        else:
            point = system.point(mean, 0.5 * resolution)
        return p.residuals(point.x, point.y, point.z, point.z_box).worst

    def _consolidate(self, state: State) -> None:
        """Program the cells to the levels that are nearest to the means."""
        s = self.array
        state.low, state.resolution = state.mean_low, state.mean_resolution
        nearest = _nearest(s, state.mean, state.mean_low, state.mean_resolution)
        state.bank.move(nearest.astype(np.float64) * s.lsb - s.full_scale, state.resolution > 0)
        state.index = np.where(state.resolution > 0, state.bank.levels(), 0)
        state.missed = int((state.index != nearest).sum())
        state.held = state.low + state.resolution * state.index

    def report(self, system: System, state: State) -> Step:
        """The point that the means make, and how well the cells hold it."""
        p, cells, s = system.problem, state.low.size, self.array
        nearest = state.mean_low + state.mean_resolution * _nearest(
            s, state.mean, state.mean_low, state.mean_resolution
        )
        levels = nearest if state.held is None else state.held
        points = {
            "levels": system.point(levels, np.zeros(cells)),
            "mean": system.point(state.mean, 0.5 * state.mean_resolution),
        }
        objective = {k: p.objective(point.x) for k, point in points.items()}
        judged = {k: p.residuals(point.x, point.y, point.z, point.z_box) for k, point in points.items()}
        # A reading is off by a rounding where it stands still, else by how far it swings about its mean.
        resolution = state.mean_resolution[: p.n]
        used = resolution > 0
        error = np.maximum(state.jitter[: p.n][used], resolution[used] / math.sqrt(12))
        bits = np.log2(resolution[used] * (s.levels - 1) / (math.sqrt(12) * error) + 1)
        details = {
            "readout": self.readout,
            "bits": s.bits,
            "effective_bits": float(bits.mean()) if used.any() else None,
            "resolution": resolution.tolist(),
            "resolution_multipliers": state.mean_resolution[p.n :].tolist(),
            "jitter_levels": float(np.sqrt(np.mean((state.jitter[: p.n][used] / resolution[used]) ** 2)))
            if used.any()
            else 0.0,
            "objective": objective,
            "excess": abs(objective["levels"] - objective["mean"]),
            "residuals": {k: {w: getattr(r, w) for w in ("primal", "dual", "gap", "sign")} for k, r in judged.items()},
            "cells": cells,
            "pulses": int(state.bank.pulses.sum()),
            "unprogrammed": state.bank.failures,
            "consolidated": state.held is not None,
            "missed": state.missed,
            "ranges_changed": state.ranged,
            "step_left": float(np.median(state.bank.step())),
            "common_mode": [s.device.initial_voltage, float(state.bank.volts.mean())],  # type: ignore[union-attr]
            "pulse_height": state.bank.height,
            "chip_seconds": state.done * (s.pulse_width + s.sweep_seconds),
        }
        if self.forgetting == "kept":
            details["ridge"] = (self._forgets(state) / system.steps(state.omega)[: p.n]).tolist()
            details["ridge_centre"] = (state.mean_low + 0.5 * (s.levels - 1) * state.mean_resolution)[: p.n].tolist()
        events = Events(
            spikes=state.spikes,
            synaptic_events=state.met,
            weight_pulses=int(state.bank.pulses.sum()),
            multiply_adds=2 * state.done * cells + (state.blocks + 1) * (p.P.nnz + 2 * system.A.nnz),
            bytes_moved=28 * state.met + 40 * state.done * cells,
        )
        return Step(
            point=points[self.readout],
            iterations=state.done,
            events=events,
            phase="pulses",
            finished=state.done >= self.updates,
            details=details,
            # The start is no answer of the cells, however good it is: at few bits x = 0 may have smaller residuals than all that they can hold.
            residuals=judged[self.readout] if math.isfinite(state.worst) else UNKNOWN,
        )


def _at_least_mean(v: Vector) -> Vector:
    """Each, or the mean where it is less; 1 where all are 0."""
    mean = float(v.mean()) if v.size else 0.0
    return np.maximum(v, mean) if mean > 0 else np.ones(v.size)


def _volts(array: FNDAMArray, value: Vector, low: Vector, resolution: Vector) -> Vector:
    """The weights that stand for values [V]."""
    level = np.divide(value - low, resolution, out=np.zeros_like(value), where=resolution > 0)
    return level * array.lsb - array.full_scale


def _nearest(array: FNDAMArray, mean: Vector, low: Vector, resolution: Vector) -> NDArray[np.int64]:
    """The levels that are nearest to mean values."""
    level = np.divide(mean - low, resolution, out=np.zeros_like(mean), where=resolution > 0)
    return np.clip(np.floor(level + 0.5), 0, array.levels - 1).astype(np.int64)
