"""The Fowler-Nordheim timer: its closed form against its differential equation, and NeuroSA's published values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from fnanneal.errors import InputError
from fnanneal.fndam import FNTimer, Mismatch, Nodes, load_device
from fnanneal.fndam.timer import NEUROSA

KAPPAS = [1e-6, 1e-3, 0.1, 1.0, 10.0, 100.0, 1e3]


@pytest.mark.parametrize(
    ("k2", "log_k0", "log_ratio"),
    [
        (0.3125, 1.25e-5, -17.5),  # a schedule in steps
        (150.0, 20.0, -3.0),  # volts: V(0) = 7.5, as a floating gate is programmed
        (1.0, 0.5, 1.0),
        (40.0, 45.0, 0.0),  # k0 is 3e19: only its logarithm enters
    ],
)
def test_the_closed_form_solves_the_differential_equation(k2: float, log_k0: float, log_ratio: float) -> None:
    # V = k2 / ln(k1 t + k0) has dV/dt = -(k1 V^2 / k2) exp(-k2 / V). With x = ln(1 + t k1/k0), so that t spans many decades,
    # dt = (k0/k1) exp(x) dx, and k0 = exp(log_k0): dV/dx = -(V^2 / k2) exp(x + log_k0 - k2/V).
    def slope(x: float, v: Any) -> Any:
        return -(v**2 / k2) * np.exp(x + log_k0 - k2 / v)

    timer = FNTimer(k2=k2, log_k0=log_k0, log_ratio=log_ratio)
    x = np.linspace(0, 30, 61)
    t = np.expm1(x) * math.exp(-log_ratio)
    assert t[-1] / t[1] > 1e12
    numeric = solve_ivp(slope, (0, 30), [k2 / log_k0], t_eval=x, rtol=1e-10, atol=1e-12 * k2 / log_k0, method="LSODA")
    assert numeric.success
    assert timer.voltage(t) == pytest.approx(numeric.y[0], rel=1e-6)


def test_plain_time_gives_the_same() -> None:
    timer = FNTimer.from_constants(k2=2.0, k0_minus_1=0.5, k1=0.3)

    def slope(t: float, v: Any) -> Any:
        return -(timer.k1 * v**2 / timer.k2) * np.exp(-timer.k2 / v)

    t = np.linspace(0, 1000, 50)
    numeric = solve_ivp(slope, (0, 1000), timer.voltage([0.0]), t_eval=t, rtol=1e-9, atol=1e-12)
    assert timer.voltage(t) == pytest.approx(numeric.y[0], rel=1e-6)
    assert timer.voltage(t) == pytest.approx(2.0 / np.log(1.5 + 0.3 * t), rel=1e-13)


def test_constants_come_back() -> None:
    timer = FNTimer.from_constants(k2=0.7, k0_minus_1=1e-9, k1=3e-12)
    assert (timer.k2, timer.k0_minus_1, timer.k1) == pytest.approx((0.7, 1e-9, 3e-12), rel=1e-12)


def test_voltage_keeps_the_shape_of_time() -> None:
    assert NEUROSA.voltage(5).shape == ()
    assert NEUROSA.voltage([0, 1, 2]).shape == (3,)
    assert NEUROSA.voltage(np.zeros((2, 0, 4))).shape == (2, 0, 4)
    assert NEUROSA.voltage(0) == pytest.approx(25000, rel=1e-4)
    assert NEUROSA.voltage(np.inf) == 0


@pytest.mark.parametrize(
    ("step", "temperature", "digits"), [(0, 25000, 1), (10**6, 12.6, 0.05), (10**7, 1.40, 0.005), (5 * 10**7, 0.385, 5e-4), (10**8, 0.249, 5e-4)]
)  # fmt: skip
def test_neurosa_has_the_published_temperatures(step: int, temperature: float, digits: float) -> None:
    assert abs(NEUROSA.voltage(step) - temperature) <= digits
    assert NEUROSA.voltage(step) == pytest.approx(0.3125 / math.log1p((1 + 0.002 * step) / 8e4), rel=1e-12)


@pytest.mark.parametrize("kappa", KAPPAS)
@pytest.mark.parametrize(("hot", "cold"), [(10.0, 0.1), (1.0, 1 - 1e-9), (1e6, 1e-6), (3e-300, 1e-300), (1e300, 1e290)])
def test_between_hits_both_ends_and_falls(hot: float, cold: float, kappa: float) -> None:
    timer = FNTimer.between(hot, cold, kappa)
    v = timer.voltage(np.linspace(0, 1, 1001))
    assert v[0] == pytest.approx(hot, rel=1e-9)
    assert v[-1] == pytest.approx(cold, rel=1e-9)
    assert np.all(np.diff(v) <= 0)
    # Strictly, as far as the range of values lets two neighbours differ.
    assert np.all(np.diff(v)[::100] < 0) or cold > 0.9 * hot
    assert timer.k2 * (1 / cold - 1 / hot) == pytest.approx(kappa, rel=1e-6)


@given(
    st.floats(1e-6, 1e3),
    st.floats(1e-9, 1e9),
    st.floats(1.001, 1e9),
)
def test_between_for_any_range(kappa: float, cold: float, ratio: float) -> None:
    v = FNTimer.between(cold * ratio, cold, kappa).voltage([0, 0.25, 0.5, 0.75, 1])
    assert v[0] == pytest.approx(cold * ratio, rel=1e-9)
    assert v[-1] == pytest.approx(cold, rel=1e-9)
    assert np.all(np.diff(v) <= 0)


def test_a_small_kappa_is_linear_in_the_inverse_and_a_large_one_plunges() -> None:
    t = np.linspace(0, 1, 101)
    linear = 1 / FNTimer.between(5.0, 0.2, 1e-6).voltage(t)
    assert linear == pytest.approx(0.2 + (5 - 0.2) * t, rel=1e-5)
    slow, fast = (1 / FNTimer.between(5.0, 0.2, k).voltage(0.01) for k in (0.1, 100.0))
    assert slow == pytest.approx(0.2 + 4.8 * math.log1p(0.01 * math.expm1(0.1)) / 0.1, rel=1e-9)
    # exp(100) is so large that 95 % of the way is done in the first hundredth of the time.
    assert fast == pytest.approx(0.2 + 4.8 * (100 + math.log(0.01)) / 100, rel=1e-9)


BAD = [0.0, -1.0, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("bad", BAD)
def test_refusals(bad: float) -> None:
    for wrong in ({"k2": bad}, {"k0_minus_1": bad}, {"k1": bad}):
        with pytest.raises(InputError, match="FN timer needs"):
            FNTimer.from_constants(**{"k2": 1.0, "k0_minus_1": 1.0, "k1": 1.0, **wrong})
    for wrong in ({"k2": bad}, {"log_k0": bad}):
        with pytest.raises(InputError, match="FN timer needs"):
            FNTimer(**{"k2": 1.0, "log_k0": 1.0, "log_ratio": 0.0, **wrong})
    with pytest.raises(InputError, match="hot > cold > 0"):
        FNTimer.between(bad, 1.0, 1.0)
    with pytest.raises(InputError, match="hot > cold > 0"):
        FNTimer.between(2.0, bad, 1.0)
    with pytest.raises(InputError, match="kappa must be positive"):
        FNTimer.between(2.0, 1.0, bad)


def test_refusals_of_order_and_of_infinite_ratios() -> None:
    for hot, cold in ((1.0, 1.0), (1.0, 2.0)):
        with pytest.raises(InputError, match="hot > cold > 0"):
            FNTimer.between(hot, cold, 1.0)
    for log_ratio in (math.nan, math.inf, -math.inf):
        with pytest.raises(InputError, match="FN timer needs"):
            FNTimer(k2=1.0, log_k0=1.0, log_ratio=log_ratio)


@pytest.mark.parametrize(
    ("timer", "duration"),
    [(NEUROSA, 1e8), (FNTimer.between(3.0, 0.4, 0.1), 1.0), (FNTimer.between(2.0, 0.1, 20.0), 1.0)],
)
@pytest.mark.parametrize("seconds", [1e-3, 1.0, 3600.0])
def test_a_real_cell_reads_out_the_schedule(timer: FNTimer, duration: float, seconds: float) -> None:
    device = load_device("sio2")
    r = timer.realisation(device, seconds, duration)
    x = np.linspace(0, 1, 101)
    wanted = timer.voltage(x * duration)
    # The cell of the device itself, from the voltage that is asked for, read through 1/T = gain/V + offset.
    cell = replace(Nodes.of(device), initial_voltage=r.inverse_voltage)
    assert 1 / (r.inverse_gain / cell.voltage(x * seconds) + r.inverse_offset) == pytest.approx(wanted, rel=1e-9)
    # The closed form with k0 and k1 in seconds, read through T = gain V, with the device's k2.
    direct = device.k2 / (math.log(r.k0) + np.log1p(r.k1 / r.k0 * x * seconds))
    assert r.gain * direct == pytest.approx(wanted, rel=1e-6)
    assert r.initial_voltage == pytest.approx(device.k2 / math.log(r.k0), rel=1e-6)
    assert r.direct == (r.initial_voltage / device.oxide_thickness < 1e9)


def test_refusals_of_realisations() -> None:
    device = load_device("sio2")
    for bad in BAD:
        with pytest.raises(InputError, match="seconds must be positive"):
            NEUROSA.realisation(device, bad)
    with pytest.raises(InputError, match="no number that a cell could have"):
        FNTimer.between(3.0, 0.4, 1e4).realisation(device, 1.0)
    with pytest.raises(InputError, match="no cell of device sio2 falls so far"):
        NEUROSA.realisation(device, 1e-18, 1e8)


def test_an_array_of_timers() -> None:
    cells = NEUROSA.mismatched(Mismatch(area=0.1, capacitance=0.05, oxide=0.02, initial=0.03), (3, 4), seed=7)
    again = NEUROSA.mismatched(Mismatch(area=0.1, capacitance=0.05, oxide=0.02, initial=0.03), (3, 4), seed=7)
    v = cells.voltage(1e7)
    assert v.shape == (3, 4) and np.array_equal(v, again.voltage(1e7)) and len(np.unique(v)) == 12
    assert np.array_equal(NEUROSA.mismatched(0.0, 5, seed=1).voltage(1e7), np.full(5, NEUROSA.voltage(1e7)))
    for i in range(3):
        for j in range(4):
            one = FNTimer(
                k2=float(cells.k2[i, j]), log_k0=float(cells.log_k0[i, j]), log_ratio=float(cells.log_ratio[i, j])
            )
            assert v[i, j] == pytest.approx(one.voltage(1e7), rel=1e-12)


@pytest.mark.parametrize("factors", [{"area": 1.1}, {"capacitance": 0.9}, {"oxide": 1.02}, {"initial": 0.97}])
def test_a_scaled_timer_is_that_of_the_scaled_cell(factors: dict[str, float]) -> None:
    device = load_device("sio2")
    whole = FNTimer(k2=device.k2, log_k0=device.log_k0, log_ratio=math.log(device.k1) - device.log_k0)
    f = {"area": 1.0, "capacitance": 1.0, "oxide": 1.0, "initial": 1.0} | factors
    k1 = device.k1 * f["area"] / (f["capacitance"] * f["oxide"])
    node = Nodes(
        k2=device.k2 * f["oxide"],
        log_k1=math.log(k1),
        coupling=0.5,
        initial_voltage=device.initial_voltage * f["initial"],
    )
    t = np.geomspace(1, 1e10, 20)
    assert whole.scaled(**factors).voltage(t) == pytest.approx(node.voltage(t), rel=1e-12)
