"""The differential cell: an analog weight, and its reading as stochastic approximation."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fnanneal.errors import InputError
from fnanneal.fndam import DifferentialCell, Mismatch, load_device, retention

SIO2 = load_device("sio2")
T0 = SIO2.time_constant
CELL = DifferentialCell.of(SIO2)


def of_weight(volts: float) -> DifferentialCell:
    return replace(CELL, set_voltage=CELL.set_voltage - volts / 2, reset_voltage=CELL.reset_voltage + volts / 2)


def test_set_raises_and_reset_lowers() -> None:
    assert CELL.weight == 0 and CELL.common == 7.5
    up, down = CELL.set(8.0, 1e-3), CELL.reset(8.0, 1e-3)
    assert up.weight == -down.weight == pytest.approx(1.237e-3, rel=1e-3)
    assert up.set_voltage < up.reset_voltage and down.reset_voltage < down.set_voltage
    # The node that is not pulsed rests meanwhile.
    assert up.reset_voltage == CELL.rest(1e-3).reset_voltage
    assert CELL.plasticity(8.0, 1e-3) == pytest.approx(up.weight, rel=1e-9)
    # The common mode is a clock: it only falls.
    assert up.common < CELL.common and CELL.rest(1.0).common < CELL.common


@pytest.mark.parametrize("weight", [1e-4, 1e-3, -5e-3])
def test_weights_decay_by_the_specified_law(weight: float) -> None:
    t = np.geomspace(1e-3 * T0, 1e3 * T0, 25)
    held = of_weight(weight).rest(t)
    law = (held.common / 7.5) ** 2 / (1 + t / T0)
    assert held.weight / weight == pytest.approx(law, rel=2e-3 if abs(weight) <= 1e-3 else 1e-2)


def test_decay_goes_as_one_over_time() -> None:
    t = np.array([30.0, 300.0]) * T0
    ratio = of_weight(1e-4).rest(t).weight
    slope = math.log(ratio[1] / ratio[0]) / math.log(10)
    assert slope == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize(("rise", "exponent"), [(0.1, 0.97), (0.5, 0.88), (1.0, 0.78), (2.0, 0.62)])
def test_steps_fall_by_the_specified_exponent(rise: float, exponent: float) -> None:
    # (t + t0)^-(V/(V+dV))^2, V being the voltage by then, as far as the exponential goes; the square before it in the tunnelling law
    # adds 2 (V+dV)/k2 of that, some 5 %. At 7.5 V the exponents are those of the specification.
    assert (7.5 / (7.5 + rise)) ** 2 == pytest.approx(exponent, abs=0.006)
    height, width = rise / SIO2.coupling, 1e-6
    for t in (0.3 * T0, 30 * T0):
        early, late = CELL.rest(t), CELL.rest(t * 1.001)
        steps = [c.set_nodes.loss(c.set_voltage, width, height) for c in (early, late)]
        slope = math.log(steps[1] / steps[0]) / math.log((T0 + 1.001 * t) / (T0 + t))
        v = float(early.set_voltage)
        assert -slope == pytest.approx((v / (v + rise)) ** 2 * (1 + 2 * (v + rise) / SIO2.k2), rel=2e-3)


def test_a_compensated_width_makes_steps_fall_as_exactly_one_over_time() -> None:
    t = np.array([0.0, 0.1, 1.0, 10.0, 1000.0]) * T0
    rested = CELL.rest(t)
    for height in (4.0, 8.0):
        width = rested.compensated_width(1e-4, height, t)
        assert rested.set_nodes.loss(rested.set_voltage, width, height) == pytest.approx(1e-4 * T0 / (T0 + t), rel=1e-9)
        assert np.all(np.diff(width) < 0) or np.all(np.diff(width) > 0)


def test_the_cell_averages_what_it_is_fed() -> None:
    # Steps of 1/(n + n0) and a decay to match: w_n is the running mean of its inputs, as Robbins and Monro would have it. One pulse after each
    # tenth of t0, SET or RESET by the sign of a coin that lands up 70 % of the time.
    rng = np.random.default_rng(4)
    dt, cell, fed = T0 / 10, CELL, []
    step = 1e-4
    for n in range(400):
        up = rng.random() < 0.7
        fed.append(1 if up else -1)
        width = cell.compensated_width(step, 3.0, n * dt)
        pulsed = cell.set(3.0, width) if up else cell.reset(3.0, width)
        cell = pulsed.rest(dt)
    n0 = T0 / dt
    mean = sum(fed) / (len(fed) + n0)
    # The decay is that of 1/(t + t0) times (V/V0)^2, the common mode's slow fall.
    expected = step * n0 * mean
    assert cell.weight == pytest.approx(expected, rel=0.25)
    assert cell.weight > 0.5 * expected


def test_arrays_of_cells_are_cells() -> None:
    rng = np.random.default_rng(1)
    cells = DifferentialCell.drawn(SIO2, Mismatch.of(0.02), (5,), rng)
    after = cells.set(8.0, 1e-3).rest(100.0).reset(6.0, 1e-2)
    for k in range(5):

        def one(nodes, k=k):
            return type(nodes)(
                **{a: float(getattr(nodes, a)[k]) for a in ("k2", "log_k1", "coupling", "initial_voltage")}
            )

        single = DifferentialCell(
            set_nodes=one(cells.set_nodes), reset_nodes=one(cells.reset_nodes), set_voltage=float(cells.set_voltage[k]), reset_voltage=float(cells.reset_voltage[k])
        ).set(8.0, 1e-3).rest(100.0).reset(6.0, 1e-2)  # fmt: skip
        assert after.weight[k] == pytest.approx(single.weight, rel=1e-12)


@pytest.mark.parametrize("bits", [2, 5, 8, 14])
def test_retention_is_when_half_a_step_is_lost(bits: int) -> None:
    seconds = retention(SIO2, bits)
    half = 0.05 / (2**bits - 2)
    assert 0.05 - of_weight(0.05).rest(seconds).weight == pytest.approx(half, rel=1e-6)


def test_fewer_bits_last_longer() -> None:
    times = [retention(SIO2, bits) for bits in range(1, 15)]
    assert times[0] == math.inf and all(a > b for a, b in pairwise(times))
    for bad in (0, 15, 2.5):
        with pytest.raises(InputError, match="bits must be an integer from 1 to 14"):
            retention(SIO2, bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="full_scale must be positive"):
        retention(SIO2, 8, -1.0)
