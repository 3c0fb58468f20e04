"""`cells`: a primal-dual method whose variables and multipliers are the weights of FN-DAM cells.

    gradient        g = Px + q + A'y,   rows r = Ax - b      (the rows of G and A; y of a row of G at least 0)
    integrate       c_i <- c_i - tau_i g_i / resolution_i    c_j <- c_j + sigma_j (2 r+ - r)_j / resolution_j          [levels]
    fire            where |c| >= 1: a SET (c > 0) or RESET pulse of trunc(c) units, which are taken off c
    read            x_i = low_i + level_i resolution_i, by a converter of as many bits as the array has; changes of readings are sent to g and r

Without the cells this is the primal-dual hybrid gradient method of Condat (J. Optim. Theory Appl. 158 (2013) 460) and Vu (2013), x+ = x - tau g within its bounds, then y, with
diagonal steps 1/tau_i = rho (P_ii + omega sum_j A_ji^2 s_j), sigma_j = omega s_j, s_j = 1/|A_j|^2, where rho makes them safe. A neuron a cell keeps what its pulses have not yet made up for (error feedback), so
the readings' running means go where the ideal iterates go; one reading is within a level or two of them. Both ends of a cell's range are where its bounds are, and
a reading at its end fires no pulse beyond it: that is the projection. A variable without a bound has a range that doubles where it is held at its end so.

What the cell makes of a pulse is the device's affair: it wears off as 1/(n + n0) with the pulses and as 1/(t + t0) with time, the integrator takes off what a fresh cell would have
done, and so the learning rate falls as 1/t; weights decay towards the middle of their range between pulses. This use of FN-DAM's cells is ours; of the cells, see `fnanneal.fndam`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...checks import integer, real
from ...energy.events import Events
from ...errors import InputError
from ...fndam.array import FNDAMArray
from ...fndam.device import Device
from ...fndam.timer import BREAKDOWN_FIELD
from ...problems.quadratic.program import QP, Vector, canonical
from ..kernels.cells import cell_updates
from .bank import Bank, most_units, node_arrays
from .method import Point, Start, Step, Tolerance, method

BLOCK = 100
# Windows over which readings are averaged end at these shares of the budget.
WINDOWS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
# Ranges double where cells are held at an end in this share of a block, and halve where a window's mean uses less than this share of them.
AT_END, LITTLE = 0.8, 0.2
SAFETY = 1.1
MOSTLY = 4
ADAPT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System:
    """A problem's matrices as the kernel wants them; cells are the n variables, then the m rows (those of G with finite sides, then A)."""

    problem: QP
    A: Any
    b: Vector
    bounded: NDArray[np.bool_]
    inequalities: int
    P_rows: Any
    At_rows: Any
    A_rows: Any
    row_scale: Vector
    column_scale: Vector
    lb: Vector
    ub: Vector


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """The bank of cells, their ranges, integrators and readings; `mean` (n + m,) [levels] is of the last complete window of blocks."""

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
    last: Vector | None = None
    blocks: int = 0
    done: int = 0
    averaged: int = 0
    in_window: int = 0
    ranged: int = 0
    spikes: int = 0
    met: int = 0


@method("cells")
@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Settings.

    Attributes
    ----------
    weights
        The array of cells: bits, mismatch, read noise, full scale, pulses and device are used, and ``hold_seconds`` (once, after programming) and
        ``sweep_seconds`` (an update takes a pulse's width and so long). None: 8 bits.
    updates
        Budget.
    time_constants
        How many time constants k0/k1 of its cells a run of so many updates lasts: they are charged to the voltage that makes it so, and steps end at about
        1/(1 + this) of the first. 0: the device's own initial voltage.
    forgetting
        "cancelled": integrators make up for the decay of weights, as the nominal device has it. "kept": the decay is a ridge term, `details["ridge"]`.
    readout
        "levels": the answer is what the cells can hold, each mean reading rounded to the nearest level. "mean": the means themselves, a digital average.
    """

    weights: FNDAMArray | None = None
    updates: int = 20_000
    time_constants: float = 2.0
    forgetting: Literal["cancelled", "kept"] = "cancelled"
    readout: Literal["levels", "mean"] = "levels"

    def __post_init__(self) -> None:
        if self.weights is not None and not isinstance(self.weights, FNDAMArray):
            raise InputError(f"weights must be an FNDAMArray, not {self.weights!r:.40}")
        object.__setattr__(self, "weights", self.weights or FNDAMArray())
        object.__setattr__(self, "updates", integer(self.updates, "updates", 1, 2**40))
        object.__setattr__(self, "time_constants", real(self.time_constants, "time_constants", 0, 1e6))
        if self.forgetting not in ("cancelled", "kept"):
            raise InputError(f"unknown forgetting {self.forgetting!r:.40}; there are: cancelled, kept")
        if self.readout not in ("levels", "mean"):
            raise InputError(f"unknown readout {self.readout!r:.40}; there are: levels, mean")

    @property
    def array(self) -> FNDAMArray:
        """The array, its device charged as `time_constants` says."""
        assert self.weights is not None
        device = self.weights.device
        assert isinstance(device, Device)
        if self.time_constants == 0:
            return self.weights
        seconds = self.updates * (self.weights.pulse_width + self.weights.sweep_seconds)
        log_k0 = (
            math.log(device.k1 * seconds / self.time_constants) if seconds * device.k1 > self.time_constants else 0.0
        )
        if log_k0 <= 0 or device.k2 / log_k0 > BREAKDOWN_FIELD * device.oxide_thickness:
            raise InputError(
                f"cells: no charge makes the cells' time constant {seconds / self.time_constants:.3g} s; give fewer time_constants or more updates"
            )
        # The thermal factor belongs to the field at the device's own voltage, and so does k1.
        return replace(self.weights, device=replace(device, initial_voltage=device.k2 / log_k0))

    def forgetfulness(self, array: FNDAMArray) -> float:
        """The share of a weight that an update's time takes at first; beside the steps, which fall as it does, it stays the same."""
        device = array.device
        assert isinstance(device, Device)
        update = array.pulse_width + array.sweep_seconds
        return update / device.time_constant * (1 + 2 * device.initial_voltage / device.k2)

    def settings(self) -> dict[str, Any]:
        """All of them, as plain numbers and texts."""
        return {**asdict(self), "weights": self.weights.settings() if self.weights else None}

    def accepts(self, problem: QP) -> str | None:
        """Any convex problem; that P is positive semidefinite is not checked here."""
        if problem.binary is not None:
            return "cells holds continuous variables; it cannot keep binary ones at their bounds"
        return None

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> System:
        """Matrices by rows and columns, and the scales of steps."""
        bounded = np.isfinite(problem.h)
        A = canonical(sp.vstack([problem.G[bounded], problem.A], format="csr"))
        squares = A.multiply(A)
        norms = np.asarray(squares.sum(axis=1)).ravel()
        row_scale = 1 / np.where(norms > 0, norms, 1.0)
        inequalities = int(bounded.sum())
        rows = A.shape[0]
        inf = np.full(rows, np.inf)
        return System(
            problem=problem,
            A=A,
            b=np.concatenate([problem.h[bounded], problem.b]),
            bounded=bounded,
            inequalities=inequalities,
            P_rows=_rows(problem.P),
            At_rows=_rows(canonical(A.T)),
            A_rows=_rows(A),
            row_scale=row_scale,
            column_scale=np.asarray(squares.T @ row_scale).ravel(),
            lb=np.concatenate([problem.lb, np.where(np.arange(rows) < inequalities, 0.0, -inf)]),
            ub=np.concatenate([problem.ub, inf]),
        )

    def warm_up(self, system: System) -> None:
        """Compile the kernel."""
        state = self.init(system, seed=0, start=None)
        self._run(system, state, 0)

    def init(self, system: System, *, seed: int, start: Start | None) -> State:
        """Ranges, and cells programmed to the start: the point of each range that is nearest to 0, where nothing is given."""
        p, s = system.problem, self.array
        value = np.clip(0.0, system.lb, system.ub)
        if start is not None:
            value[: p.n] = value[: p.n] if start.x is None else np.clip(start.x, p.lb, p.ub)
            if start.y is not None and start.z is not None:
                value[p.n :] = np.clip(np.concatenate([start.z[system.bounded], start.y]), system.lb[p.n :], np.inf)
        gradient, above = _residuals(system, value)
        omega = _first_omega(system, gradient, above)
        tau, sigma = _steps(system, omega)
        first = np.concatenate([_at_least_mean(tau * np.abs(gradient)), _at_least_mean(sigma * np.abs(above))])
        low, high = _ranges(system.lb, system.ub, np.maximum(first, 2 * np.abs(value - _anchor(system))))
        seed = s.seed if s.seed is not None else seed
        rng = np.random.Generator(np.random.Philox(key=np.array([seed, 1], np.uint64)))
        resolution = (high - low) / (s.levels - 1)
        bank = Bank.programmed(s, _volts(s, value, low, resolution), rng)
        n = value.size
        state = State(
            bank=bank,
            low=low,
            resolution=resolution,
            rate=np.zeros(n),
            omega=omega,
            carry=np.zeros(n),
            index=bank.levels(),
            gradient=np.zeros(p.n),
            above=np.zeros(n - p.n),
            sums=np.zeros(n),
            squares=np.zeros(n),
            mean=np.zeros(n),
            jitter=np.zeros(n),
            mean_low=low.copy(),
            mean_resolution=resolution.copy(),
        )
        self._refresh(system, state)
        state.mean[:] = state.index
        return state

    def advance(self, system: System, state: State, seconds_left: float) -> None:
        """One block of updates, and what is done between blocks."""
        updates = min(BLOCK, self.updates - state.done)
        if updates <= 0:
            return
        held = self._run(system, state, updates)
        state.blocks, state.done = state.blocks + 1, state.done + updates
        state.in_window += updates
        if self._window(state.done) > self._window(state.done - updates):
            self._close_window(system, state)
        self._range(system, state, held, updates)
        self._refresh(system, state)

    def _window(self, updates: int) -> int:
        """How many windows have ended."""
        return int(np.searchsorted(WINDOWS, updates / self.updates, side="right"))

    def _run(self, system: System, state: State, updates: int) -> Any:
        s, cells = self.array, state.low.size
        noise = np.zeros((0, 0))
        if s.read_noise > 0:
            noise = s.read_noise * state.bank.rng.standard_normal((updates, cells))
        ends, sums, squares = np.zeros((2, cells), np.int64), np.zeros(cells), np.zeros(cells)
        keep = self.forgetfulness(s) if self.forgetting == "cancelled" else 0.0
        k2, k1, rise, unit, volts = node_arrays(state.bank)
        # A block's rest, exact for cells that get no pulses, in equal parts.
        rest = state.bank.nodes.loss(volts, max(updates, 1) * (s.pulse_width + s.sweep_seconds)) / max(updates, 1)
        spikes, met = cell_updates(
            system.P_rows, system.At_rows, system.A_rows, state.resolution, state.rate, keep, s.levels - 1, most_units(s), s.full_scale, s.lsb,
            k2, k1, rise, unit, rest, volts, state.carry, state.index, state.gradient, state.above,
            noise, updates, sums, squares, ends, state.bank.pulses,
        )  # fmt: skip
        state.spikes, state.met = state.spikes + spikes, state.met + met
        # In units of the problem, since ranges may change within a window; about the middle, so that squares lose nothing.
        offset = state.low + state.resolution * 0.5 * (s.levels - 1) - _anchor(system)
        centred = sums - 0.5 * (s.levels - 1) * updates
        state.sums += offset * updates + state.resolution * centred
        return ends

    def _refresh(self, system: System, state: State) -> None:
        """Rates, and the gradient and rows by fresh products: sums of changes drift."""
        tau, sigma = _steps(system, state.omega)
        steps = np.concatenate([tau, sigma])
        state.rate = np.divide(steps, state.resolution, out=np.zeros_like(steps), where=state.resolution > 0)
        state.gradient, state.above = _residuals(system, state.low + state.resolution * state.index)

    def _range(self, system: System, state: State, ends: Any, updates: int) -> bool:
        """Double the ranges of cells that are held at an end that is no bound; whether there were any."""
        open_low, open_high = np.isinf(system.lb), np.isinf(system.ub)
        wanting = (open_low & (ends[0] >= AT_END * updates)) | (open_high & (ends[1] >= AT_END * updates))
        if wanting.any():
            self._rescale(system, state, wanting, 2.0)
        return bool(wanting.any())

    def _rescale(self, system: System, state: State, which: NDArray[np.bool_], factor: float) -> None:
        """Other ranges for some cells, which are programmed anew to the values that they hold."""
        top = self.array.levels - 1
        value = state.low + state.resolution * state.index
        low, high = _ranges(system.lb, system.ub, _reach(system, state.resolution * top) * factor)
        state.low, high = np.where(which, low, state.low), np.where(which, high, state.low + state.resolution * top)
        state.resolution = (high - state.low) / top
        state.carry[which] /= factor
        state.bank.move(_volts(self.array, value, state.low, state.resolution), which)
        state.index = np.where(which, state.bank.levels(), state.index)
        state.ranged += int(which.sum())

    def _close_window(self, system: System, state: State) -> None:
        """Take the window's means; halve ranges that are hardly used; balance the steps of x and y by how far the means went."""
        count = state.in_window
        mean = state.sums / count
        state.jitter = np.sqrt(np.maximum(state.squares / count - mean**2, 0.0))
        state.mean, state.mean_low, state.mean_resolution = mean, state.low.copy(), state.resolution.copy()
        state.sums[:], state.squares[:] = 0.0, 0.0
        state.averaged, state.in_window = count, 0
        value = state.low + state.resolution * mean
        if state.done <= ADAPT * self.updates:
            n = system.problem.n
            if state.last is not None and value.size > n:
                dx, dy = value[:n] - state.last[:n], value[n:] - state.last[n:]
                across = np.sqrt(float(dx**2 @ system.column_scale))
                up = np.sqrt(float(dy**2 @ (1 / system.row_scale)))
                if across > 0 and up > 0:
                    state.omega *= float(np.clip(np.sqrt(up / (across * state.omega)), 0.25, 4.0))
            reach = _reach(system, state.resolution * (self.array.levels - 1))
            used = np.maximum(np.abs(value - _anchor(system)), 4 * state.resolution * state.jitter)
            little = (used < LITTLE * reach) & (reach > 0) & (np.isinf(system.lb) | np.isinf(system.ub))
            if little.any():
                self._rescale(system, state, little, 0.5)
        state.last = value

    def report(self, system: System, state: State) -> Step:
        """The point that the means make, and how well the cells held it."""
        top = self.array.levels - 1
        rounded = np.clip(np.floor(state.mean + 0.5), 0, top)
        exact = state.mean_low + state.mean_resolution * state.mean
        points = {
            "levels": _point(system, state.mean_low + state.mean_resolution * rounded),
            "mean": _point(system, np.clip(exact, system.lb, system.ub)),
        }
        p, n, updates = system.problem, system.problem.n, state.done
        cells = state.low.size
        events = Events(
            spikes=state.spikes,
            synaptic_events=state.met,
            weight_pulses=int(state.bank.pulses.sum()),
            multiply_adds=2 * updates * cells + (state.blocks + 1) * (p.P.nnz + 2 * system.A.nnz),
            bytes_moved=28 * state.met + 40 * updates * cells,
        )
        return Step(
            point=points[self.readout],
            iterations=updates,
            events=events,
            phase="pulses",
            finished=updates >= self.updates,
            details=self._details(system, state, points, n),
        )

    def _details(self, system: System, state: State, points: dict[str, Point], n: int) -> dict[str, Any]:
        s, p = self.array, system.problem
        top = s.levels - 1
        # What a reading is off by: a rounding where it stands still, else how far it swings about its mean.
        error = np.sqrt(np.maximum(state.jitter**2, 1 / 12))
        step = state.bank.step()
        objectives = {k: p.objective(point.x) for k, point in points.items()}
        residuals = {}
        for k, point in points.items():
            r = p.residuals(point.x, point.y, point.z, point.z_box)
            residuals[k] = {"primal": r.primal, "dual": r.dual, "gap": r.gap, "sign": r.sign}
        return {
            "readout": self.readout,
            "bits": s.bits,
            "resolution": [float(v) for v in state.mean_resolution[:n]],
            "resolution_multipliers": [float(v) for v in state.mean_resolution[n:]],
            "jitter_levels": float(np.sqrt(np.mean(state.jitter[:n] ** 2))),
            "effective_bits": float(np.mean(np.log2(top / (np.sqrt(12) * error[:n]) + 1))),
            "objective": objectives,
            "excess": objectives["levels"] - objectives["mean"],
            "residuals": residuals,
            "cells": int(state.low.size),
            "pulses": int(state.bank.pulses.sum()),
            "failures": state.bank.failures,
            "step_left": float(np.median(step)),
            "common_mode_volts": float(state.bank.volts.mean()),
            "pulse_height_volts": state.bank.height,
            "ranged": state.ranged,
            "chip_seconds": state.done * (s.pulse_width + s.sweep_seconds),
        }


def _rows(matrix: Any) -> tuple[Any, Any]:
    """A matrix for the kernel: CSR, and in full where few of its entries are 0."""
    full = matrix.nnz * MOSTLY >= matrix.shape[0] * matrix.shape[1]
    return (matrix.indptr, matrix.indices, matrix.data), matrix.toarray() if full else np.zeros((0, 0))


def _residuals(system: System, value: Vector) -> tuple[Vector, Vector]:
    """Px + q + A'y and Ax - b."""
    p = system.problem
    x, y = value[: p.n], value[p.n :]
    return p.P @ x + p.q + system.A.T @ y, system.A @ x - system.b


def _first_omega(system: System, gradient: Vector, above: Vector) -> float:
    """Multipliers' size beside the variables', from the first residuals; a tenth, since too large a one was found to be worse than too small a one."""
    used = system.column_scale > 0
    force = float((gradient[used] ** 2) @ (1 / system.column_scale[used]))
    away = float(above**2 @ system.row_scale)
    return 0.1 * float(np.sqrt(force / away)) if force > 0 and away > 0 else 1.0


def _steps(system: System, omega: float) -> tuple[Vector, Vector]:
    """tau and sigma of the module's docstring; rho by power iterations, with a margin."""
    P, A = system.problem.P, system.A
    sigma = omega * system.row_scale
    diagonal = P.diagonal() + omega * system.column_scale
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    v = np.random.Generator(np.random.Philox(1)).uniform(0.5, 1.0, scale.size)
    rho = 1.0
    for _ in range(30):
        v /= np.linalg.norm(v)
        u = scale * v
        v = scale * (P @ u + A.T @ (sigma * (A @ u)))
        rho = float(np.linalg.norm(v))
        if rho == 0:
            break
    return scale**2 / max(SAFETY * rho, 1.0), sigma


def _at_least_mean(v: Vector) -> Vector:
    """Each, or the mean where it is less; 1 where all are 0."""
    mean = float(v.mean()) if v.size else 0.0
    return np.maximum(v, mean) if mean > 0 else np.ones(v.size)


def _anchor(system: System) -> Vector:
    """Where ranges without two bounds begin: at the bound, or around 0."""
    return np.where(np.isfinite(system.lb), system.lb, np.where(np.isfinite(system.ub), system.ub, 0.0))


def _ranges(lb: Vector, ub: Vector, reach: Vector) -> tuple[Vector, Vector]:
    """Both ends: bounds, where there are, else so far from the bound on the other side, or from 0."""
    low, high = np.isfinite(lb), np.isfinite(ub)
    down = np.where(low, lb, np.where(high, ub - reach, -reach))
    up = np.where(high, ub, np.where(low, lb + reach, reach))
    return down, up


def _reach(system: System, length: Vector) -> Vector:
    """What `_ranges` made a range of this length from."""
    return np.where(np.isfinite(system.lb) | np.isfinite(system.ub), length, 0.5 * length)


def _volts(array: FNDAMArray, value: Vector, low: Vector, resolution: Vector) -> Vector:
    """The weights that stand for values [V]."""
    level = np.divide(value - low, resolution, out=np.zeros_like(value), where=resolution > 0)
    return level * array.lsb - array.full_scale


def _point(system: System, value: Vector) -> Point:
    """A point from values; what is left of the gradient is the bound's, where the variable is at one, or has two: whichever leaves less."""
    p = system.problem
    x, y = value[: p.n], value[p.n + system.inequalities :]
    z = np.zeros(p.h.size)
    z[system.bounded] = value[p.n : p.n + system.inequalities]
    g = p.P @ x + p.q + p.A.T @ y + p.G.T @ z
    at_bound = ((x <= p.lb) & (g > 0)) | ((x >= p.ub) & (g < 0))
    both = np.isfinite(p.lb) & np.isfinite(p.ub)
    points = [Point(x=x, y=y, z=z, z_box=np.where(held, -g, 0.0)) for held in (at_bound, at_bound | both)]
    return min(points, key=lambda a: p.residuals(a.x, a.y, a.z, a.z_box).worst)
