"""Tunnelling nodes against their differential equation, and the device's parameters."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from fnanneal.errors import FormatError, InputError
from fnanneal.fndam import Device, Mismatch, Nodes, devices, load_device
from fnanneal.fndam.device import BOLTZMANN, CHARGE

SIO2 = load_device("sio2")
NODE = Nodes.of(SIO2)


def current(device: Device, voltage: Any) -> Any:
    """A alpha E^2 exp(-beta/E) [A], as it stands in the books; alpha at the reference temperature."""
    field = voltage / device.oxide_thickness
    return device.area * device.alpha * field**2 * np.exp(-device.beta / field)


def integrated(device: Device, start: float, raised: float, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a node at `start` has lost at each time under a constant input that raises it: C_T dV/dt = -J A, integrated over ln t.

    The loss itself is integrated, not the voltage, so that its first decades have digits, too.
    """

    def slope(log_t: float, lost: Any) -> Any:
        return math.exp(log_t) * current(device, start + raised - lost) / device.capacitance

    first = seconds[0] * 1e-6
    begin = first * current(device, start + raised) / device.capacitance
    out = solve_ivp(
        slope, (math.log(first), math.log(seconds[-1])), [begin], t_eval=np.log(seconds), method="DOP853", rtol=1e-12, atol=1e-30
    )  # fmt: skip
    assert out.success
    lost: NDArray[np.float64] = out.y[0]
    return lost


@pytest.mark.parametrize("initial", [6.5, 7.5, 8.5])
@pytest.mark.parametrize("raised", [0.0, 0.5, 2.0])
def test_the_closed_form_solves_the_equation_over_twelve_decades(initial: float, raised: float) -> None:
    device = replace(SIO2, initial_voltage=initial)
    node = Nodes.of(device)
    seconds = np.geomspace(1e-3, 1e9, 49)
    lost = integrated(device, initial, raised, seconds)
    height = raised / device.coupling
    assert node.loss(initial, seconds, height) == pytest.approx(lost, rel=1e-9)
    assert node.pulse(initial, height, seconds) == pytest.approx(initial - lost, rel=1e-9)
    if not raised:
        assert node.voltage(seconds) == pytest.approx(initial - lost, rel=1e-9)
        assert node.voltage(seconds) == pytest.approx(
            device.k2 / np.log(device.k1 * seconds + math.exp(device.log_k0)), rel=1e-12
        )


def test_an_input_that_changes_is_a_chain_of_pulses() -> None:
    heights, widths = [0.0, 3.0, -1.0, 8.0, 0.0], [10.0, 1e-2, 5.0, 1e-3, 1e4]
    followed, expected = SIO2.initial_voltage, []
    for height, width in zip(heights, widths, strict=True):
        followed -= integrated(SIO2, followed, SIO2.coupling * height, np.array([width]))[0]
        expected.append(followed)
    assert NODE.respond(SIO2.initial_voltage, heights, widths) == pytest.approx(expected, rel=1e-9)


def test_the_specified_amplification_of_a_pulse() -> None:
    # Compared with rest: ((V+dV)/V)^2 exp(k2 dV/(V(V+dV))); 15, 171, 1.0e4 and 2.8e5 at 7.5 V.
    v, width = 7.5, 1e-9
    for rise, times in ((0.5, 15), (1.0, 171), (2.0, 1.0e4), (3.0, 2.8e5)):
        ratio = NODE.loss(v, width, rise / SIO2.coupling) / NODE.loss(v, width)
        assert ratio == pytest.approx(times, rel=0.04)
        assert ratio == pytest.approx(((v + rise) / v) ** 2 * math.exp(SIO2.k2 * rise / (v * (v + rise))), rel=1e-3)


@given(st.floats(5.0, 10.0), st.floats(0.0, 12.0), st.floats(-9, 6), st.floats(-9, 6))
def test_losses_add_up_and_grow(voltage: float, height: float, first: float, second: float) -> None:
    a, b = 10**first, 10**second
    one = NODE.loss(voltage, a, height)
    two = NODE.loss(voltage - one, b, height)
    # Two pulses of one height, without a pause, are one pulse: the node stays raised in between.
    assert one + two == pytest.approx(NODE.loss(voltage, a + b, height), rel=1e-9)
    assert 0 < one < voltage + SIO2.coupling * height
    assert NODE.loss(voltage, a, height + 0.1) > one


@given(st.floats(-6, -0.5), st.floats(6.0, 9.0), st.floats(-5, 0))
def test_height_and_width_invert_the_loss(log_loss: float, voltage: float, log_width: float) -> None:
    loss, width = 10**log_loss, 10**log_width
    height = NODE.height_for(loss, voltage, width)
    if height > -5:  # below that, the node would be pushed so far down that nothing tunnels
        assert NODE.loss(voltage, width, height) == pytest.approx(loss, rel=1e-6)
    assert NODE.width_for(loss, voltage, 6.0) > 0
    assert NODE.loss(voltage, NODE.width_for(loss, voltage, 6.0), 6.0) == pytest.approx(loss, rel=1e-9)


def test_no_time_takes_nothing_and_extremes_are_numbers() -> None:
    assert NODE.loss(7.5, 0.0, 5.0) == 0
    assert NODE.voltage(0.0) == 7.5
    far = NODE.voltage(np.array([1e30, 1e300]))
    assert np.all(np.isfinite(far)) and far[0] > far[1] > 0
    # k1 t overflows no float: sums are taken in the exponent.
    assert NODE.loss(7.5, 1e300, 5.0) == pytest.approx(10 - SIO2.k2 / (math.log(SIO2.k1) + math.log(1e300)), rel=1e-12)


class Foreign(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of another library, as CuPy's are: it takes part in NumPy's ufuncs, and cannot be turned into a NumPy array by accident."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        assert method == "__call__" and not kwargs
        for x in inputs:
            assert not isinstance(x, np.ndarray), "a foreign array meets a NumPy array"
        return Foreign(ufunc(*(x.values if isinstance(x, Foreign) else x for x in inputs)))


def test_arrays_of_another_library_stay_there() -> None:
    v, height, width = np.array([6.0, 7.5, 8.2]), np.array([0.0, 4.0, 9.0]), np.array([1.0, 1e-2, 1e-4])
    ours = (
        NODE.loss(v, width, height),
        NODE.voltage(width),
        NODE.width_for(1e-3, v, height),
        NODE.height_for(1e-3, v, width),
    )
    a, b, c = Foreign(v), Foreign(height), Foreign(width)
    theirs = (NODE.loss(a, c, b), NODE.voltage(c), NODE.width_for(1e-3, a, b), NODE.height_for(1e-3, a, c))
    for mine, other in zip(ours, theirs, strict=True):
        assert isinstance(other, Foreign) and np.array_equal(other.values, mine)


def test_float32_stays_float32_and_is_close() -> None:
    rng = np.random.default_rng(1)
    v, height, width = rng.uniform(6, 9, 500), rng.uniform(0, 12, 500), 10 ** rng.uniform(-6, 3, 500)
    single = NODE.loss(v.astype(np.float32), width.astype(np.float32), height.astype(np.float32))
    assert single.dtype == np.float32
    same = (x.astype(np.float32).astype(np.float64) for x in (v, width, height))
    assert single.astype(np.float64) == pytest.approx(NODE.loss(*same), rel=2e-5)
    assert NODE.pulse(v.astype(np.float32), 3.0, 1e-3).dtype == np.float32
    assert NODE.voltage(width.astype(np.float32)).dtype == np.float32
    assert NODE.height_for(np.float32(1e-3), v.astype(np.float32), 1e-3).dtype == np.float32


def test_cells_have_parameters_of_their_own() -> None:
    rng = np.random.default_rng(3)
    nodes = Nodes.drawn(SIO2, Mismatch(area=0.1, capacitance=0.05, oxide=0.02, initial=0.01), (4, 3), rng)
    each = nodes.loss(nodes.initial_voltage, 1e-3, 6.0)
    assert each.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            one = Nodes(**{k: float(getattr(nodes, k)[i, j]) for k in ("k2", "log_k1", "coupling", "initial_voltage")})
            assert each[i, j] == pytest.approx(one.loss(one.initial_voltage, 1e-3, 6.0), rel=1e-12)


@pytest.mark.parametrize(
    ("which", "attribute", "power"),
    [("area", "k1", 1), ("capacitance", "k1", -1), ("capacitance", "coupling", -1), ("oxide", "k2", 1), ("oxide", "k1", -1), ("initial", "initial_voltage", 1)],
)  # fmt: skip
def test_a_deviation_is_that_of_the_parameter(which: str, attribute: str, power: int) -> None:
    # A device whose area is 1.2 times as large is a cell with a deviation of 1.2, and so on.
    name = {"area": "area", "capacitance": "capacitance", "oxide": "oxide_thickness", "initial": "initial_voltage"}[
        which
    ]
    # The thermal factor is taken at the nominal field; without it a change of the field has no second effect.
    cold = replace(SIO2, temperature=1e-3, reference_temperature=1e-3)
    changed = replace(cold, **{name: 1.2 * getattr(cold, name)})
    assert getattr(changed, attribute) / getattr(cold, attribute) == pytest.approx(1.2**power, rel=1e-9)
    rng = np.random.default_rng(5)
    factor = Mismatch(**{which: 0.1}).deviations(1, np.random.default_rng(5))[which]
    drawn = Nodes.drawn(cold, Mismatch(**{which: 0.1}), 1, rng)
    value = np.exp(drawn.log_k1) if attribute == "k1" else getattr(drawn, attribute)
    assert value / getattr(cold, attribute) == pytest.approx(factor**power, rel=1e-9)


def test_the_specified_effect_of_the_oxide() -> None:
    # 1 % of t_ox, V0 fixed: +0.013 % of V at 1e4 s, +0.57 % at 1e6 s, +1.02 % at 1e9 s.
    thick = Nodes(k2=SIO2.k2 * 1.01, log_k1=math.log(SIO2.k1 / 1.01), coupling=0.5, initial_voltage=7.5)
    for seconds, percent, digits in ((1e4, 0.013, 1e-3), (1e6, 0.57, 1e-2), (1e9, 1.02, 1e-2)):
        assert 100 * (thick.voltage(seconds) / NODE.voltage(seconds) - 1) == pytest.approx(percent, abs=digits)


def test_mismatch_is_what_it_says() -> None:
    drawn = Mismatch(area=0.03, capacitance=0.0, oxide=0.01, initial=0.02).deviations(200_000, np.random.default_rng(0))
    for which, sigma in (("area", 0.03), ("capacitance", 0.0), ("oxide", 0.01), ("initial", 0.02)):
        assert np.std(np.log(drawn[which])) == pytest.approx(sigma, rel=0.01)
    assert (
        not Mismatch()
        and Mismatch(oxide=1e-9)
        and Mismatch.of(0.1) == Mismatch(area=0.1, capacitance=0.1, oxide=0.1, initial=0.1)
    )
    for bad in (-0.1, math.nan, math.inf, 0.6, "a", True):
        with pytest.raises(InputError, match="mismatch"):
            Mismatch.of(bad)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="mismatch: oxide"):
            Mismatch(oxide=bad)  # type: ignore[arg-type]


def test_the_illustrative_device() -> None:
    assert SIO2.status == "illustrative" and "not a measured chip" in SIO2.source
    assert SIO2.k2 == pytest.approx(312.0) and SIO2.k1 == pytest.approx(1.77e12, rel=2e-3)
    assert SIO2.time_constant == pytest.approx(6.6e5, rel=5e-3)
    assert replace(SIO2, initial_voltage=8.5).time_constant == pytest.approx(4.9e3, rel=1e-2)
    # E = C_in v^2 / 2, C_in = C_c (C_T - C_c)/C_T: 250 fF here.
    assert SIO2.pulse_energy(2.0) == pytest.approx(0.5 * 250e-15 * 4)


def test_temperature_speeds_tunnelling_up() -> None:
    def factor(kelvin: float) -> float:
        c = 1.5 * SIO2.beta / (CHARGE * SIO2.barrier * SIO2.initial_voltage / SIO2.oxide_thickness)
        x = math.pi * c * BOLTZMANN * kelvin
        return x / math.sin(x)

    for kelvin in (4.0, 250.0, 350.0, 400.0):
        warm = replace(SIO2, temperature=kelvin)
        assert warm.k1 / SIO2.k1 == pytest.approx(factor(kelvin) / factor(300.0), rel=1e-12)
    assert replace(SIO2, temperature=350.0).k1 > SIO2.k1 > replace(SIO2, temperature=250.0).k1
    with pytest.raises(InputError, match="emits thermally"):
        replace(SIO2, temperature=700.0)


def written(path: Path, **changed: Any) -> Path:
    """A device file like the shipped one, with some keys changed; None leaves one out."""
    table: dict[str, Any] = {
        "status": "measured", "source": "our lab", "alpha_A_per_V2": 1e-6, "beta_V_per_cm": 2.5e8, "barrier_eV": 3.1, "oxide_thickness_nm": 10,
        "area_um2": 2.0, "capacitance_fF": 800.0, "coupling_capacitance_fF": 200.0, "initial_voltage_V": 6.0, "temperature_K": 320.0,
        "reference_temperature_K": 300.0, **changed,
    }  # fmt: skip
    lines = [f"{k} = {v!r}".replace("'", '"') for k, v in table.items() if v is not None]
    path.write_text("[mine]\n" + "\n".join(lines) + "\n")
    return path


def test_a_users_device(tmp_path: Path) -> None:
    mine = load_device(written(tmp_path / "d.toml"))
    assert asdict(mine) == {
        "name": "mine", "status": "measured", "source": "our lab", "alpha": 1e-6, "beta": 2.5e10, "barrier": 3.1, "oxide_thickness": pytest.approx(1e-8),
        "area": pytest.approx(2e-12), "capacitance": pytest.approx(8e-13), "coupling_capacitance": pytest.approx(2e-13), "initial_voltage": 6.0,
        "temperature": 320.0, "reference_temperature": 300.0,
    }  # fmt: skip
    assert load_device(mine) is mine and devices()["sio2"] == SIO2
    both = tmp_path / "two.toml"
    both.write_text((tmp_path / "d.toml").read_text() + (tmp_path / "d.toml").read_text().replace("[mine]", "[other]"))
    assert load_device(f"{both}#other").name == "other"
    with pytest.raises(FormatError, match=r"two\.toml#NAME: mine, other"):
        load_device(both)
    with pytest.raises(FormatError, match="no device 'third'"):
        load_device(f"{both}#third")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"area_um2": None}, "missing key area_um2"),
        ({"area_um2": -1.0}, "area_um2 must be positive"),
        ({"area_um2": "large"}, "area_um2 must be positive"),
        ({"area_um2": float("nan")}, "area_um2 must be positive"),
        ({"nonsense": 1}, "unknown key nonsense"),
        ({"status": "guessed"}, "status must be one of"),
        ({"source": ""}, "source must be a text"),
        ({"coupling_capacitance_fF": 900.0}, "below the total capacitance"),
        ({"oxide_thickness_nm": 1000.0}, "cells have 1 to 600"),
        ({"temperature_K": 2000.0}, "emits thermally"),
    ],
)
def test_bad_devices(tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    path = written(tmp_path / "d.toml", **changed)
    with pytest.raises(FormatError, match=says) as e:
        load_device(path)
    assert str(e.value).startswith(str(path)) and "\n" not in str(e.value)


def test_bad_files_of_devices(tmp_path: Path) -> None:
    for name, content, says in (
        ("a.toml", b"[x", "no valid TOML"),
        ("b.toml", b"\xff\xfe\x00", "not a text file"),
        ("c.toml", b"x = 1", "expected a table"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=says):
            load_device(tmp_path / name)
    with pytest.raises(FormatError, match="no such file"):
        load_device(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="unknown device 'sio3'; there are: sio2"):
        load_device("sio3")
