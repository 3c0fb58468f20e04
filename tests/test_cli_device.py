"""``fnanneal device``, as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fnanneal.fndam import FNTimer, Nodes, fit_timer, load_device, retention
from fnanneal.problems.load import load
from fnanneal.solvers.analog import AnalogProblem

PICTURES = ["voltage", "pulse", "decay", "retention"]


def device(*arguments: object, code: int = 0) -> str:
    """Standard output of a call; where it fails, the one line on standard error."""
    run = subprocess.run(
        [sys.executable, "-m", "fnanneal.cli.main", "device", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    assert run.returncode == code, run.stderr
    if code:
        assert run.stderr.startswith("fnanneal: error: ") and run.stderr.count("\n") == 1 and not run.stdout
        return run.stderr
    assert run.stderr == ""
    return run.stdout


def test_simulate() -> None:
    text = device("simulate", "--hours", 1000)
    assert "illustrative parameters" in text and "not a measured chip" in text
    assert "t_ox 13 nm, V0 7.5 V, 300 K" in text
    d = json.loads(device("simulate", "--hours", 1000, "--json"))
    t, v = np.array(d["seconds"]), np.array(d["volts"][0])
    assert t[0] == 0 and t[-1] == pytest.approx(3.6e6)
    assert v == pytest.approx(Nodes.of(load_device("sio2")).voltage(t), rel=1e-12)
    assert d["fits"] == [
        {
            "k2_V": pytest.approx(312, rel=1e-3),
            "ln_k0": pytest.approx(41.6, rel=1e-3),
            "t0_s": pytest.approx(6.58e5, rel=1e-3),
            "rms_V": pytest.approx(0, abs=1e-8),
        }
    ]
    # The last line of the table is the last time, and the fit goes through it.
    last = next(line for line in text.splitlines() if "41.67 days" in line).split()
    assert float(last[2]) == pytest.approx(v[-1], abs=1e-6) and float(last[-2]) == pytest.approx(v[-1], abs=2e-6)


def test_cells_differ_and_readings_scatter() -> None:
    d = json.loads(
        device(
            "simulate", "--hours", 1e5, "--cells", 3, "--mismatch", 0.01, "--read-noise", 1e-3, "--seed", 4, "--json"
        )
    )
    assert len(d["fits"]) == 3 and len({f["ln_k0"] for f in d["fits"]}) == 3
    assert all(5e-4 < f["rms_V"] < 2e-3 for f in d["fits"])
    again = json.loads(
        device(
            "simulate", "--hours", 1e5, "--cells", 3, "--mismatch", 0.01, "--read-noise", 1e-3, "--seed", 4, "--json"
        )
    )
    assert again == d


def test_nothing_is_fitted_to_noise() -> None:
    text = device("simulate", "--hours", 1, "--read-noise", 0.01)
    assert "fit: none; nothing has fallen beyond the readings' scatter" in text
    assert json.loads(device("simulate", "--hours", 1e-9, "--json"))["fits"] == [None]


def test_timer() -> None:
    text = device("timer", "--neurosa")
    assert "T from 25000 to 0.24945" in text and "V(0) = 24.96 MV: beyond the breakdown" in text
    d = json.loads(device("timer", "--hot", 3, "--cold", 0.4, "--seconds", 0.1, "--json"))
    r = FNTimer.between(3.0, 0.4, 0.1).realisation(load_device("sio2"), 0.1)
    assert all(
        d[k] == getattr(r, k)
        for k in (
            "seconds",
            "k0",
            "k1",
            "gain",
            "initial_voltage",
            "direct",
            "inverse_voltage",
            "inverse_gain",
            "inverse_offset",
        )
    )


def test_program() -> None:
    text = device("program", "gset:G1", "--bits", 6, "--mismatch", 0.02)
    assert "19176" in text and "0 cells not within" in text and "modelled" in text
    d = json.loads(device("program", "G1", "--bits", 6, "--mismatch", 0.02, "--hold-hours", 100, "--json"))
    assert (d["cells"], d["failures"], d["problem"]["name"]) == (19176, 0, "G1")
    from fnanneal.fndam import FNDAMArray

    array = AnalogProblem.program(load("G1"), FNDAMArray(bits=6, mismatch=0.02, seed=0), seed=0, threads=1).array
    assert d["pulses"] == array.pulses.sum() and d["rms_error"] == pytest.approx(array.report().rms_error)
    assert d["drift_lsb"] == pytest.approx(np.abs(array.volts(3.6e5) - array.volts()).max() / array.settings.lsb)
    assert d["modelled_joules"] == pytest.approx(5e-15 * d["pulses"])


@pytest.fixture
def triangle(tmp_path: Path) -> Path:
    path = tmp_path / "triangle.txt"
    path.write_text("3 3\n1 2 1\n2 3 -2\n1 3 1\n")
    return path


def drawn(path: Path) -> None:
    pytest.importorskip("matplotlib")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml") and len(content) > 5000


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_pictures(tmp_path: Path, triangle: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    device("simulate", "--plot", tmp_path / f"v.{suffix}")
    device("program", triangle, "--plot", tmp_path / f"p.{suffix}")
    device("program", triangle, "--fixed-height", 8, "--plot", tmp_path / f"s.{suffix}")
    for name in ("v", "p", "s"):
        drawn(tmp_path / f"{name}.{suffix}")


@pytest.mark.parametrize("which", PICTURES)
def test_plot(tmp_path: Path, which: str) -> None:
    pytest.importorskip("matplotlib")
    one, two = (tmp_path / f"{k}.svg" for k in (1, 2))
    text = device("plot", which, "-o", one)
    device("plot", which, "-o", two)
    drawn(one)
    assert one.read_bytes() == two.read_bytes(), "the same picture, the same bytes"
    if which == "retention":
        rows = [line.split() for line in text.splitlines()[3:]]
        assert [float(r[1]) for r in rows] == pytest.approx(
            [retention(load_device("sio2"), int(r[0])) for r in rows], rel=1e-3
        )
        assert len(rows) == 14


@pytest.mark.parametrize("which", PICTURES)
def test_axes_have_names_and_units(which: str) -> None:
    pytest.importorskip("matplotlib")
    from fnanneal.cli import figures

    figure, table = getattr(figures, f"draw_{which}")(load_device("sio2"))
    for axes in figure.axes:
        assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title(loc="left")
        assert "[" in axes.get_xlabel() + axes.get_ylabel() or "relative" in axes.get_ylabel()
    assert len(table) > 3 and len({len(row) for row in table}) == 1


def test_a_users_device(tmp_path: Path) -> None:
    from fnanneal.fndam import device as module

    shipped = Path(module.__file__).with_name("devices.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(
        shipped.replace("[sio2]", "[mine]")
        .replace("initial_voltage_V = 7.5", "initial_voltage_V = 8.5")
        .replace("temperature_K = 300.0", "temperature_K = 320.0", 1)
    )
    text = device("simulate", "--device", mine)
    assert "device           mine" in text and "V0 8.5 V, 320 K" in text


BAD: list[tuple[list[Any], str]] = [
    (["simulate", "--hours", 0], "--hours must be positive"), (["simulate", "--hours", "nan"], "--hours"), (["simulate", "--hours", 1e308], "--hours"),
    (["simulate", "--cells", 0], "--cells"), (["simulate", "--mismatch", -1], "mismatch"), (["simulate", "--read-noise", -1], "--read-noise"),
    (["simulate", "--device", "gold"], "unknown device 'gold'"), (["simulate", "--device", "absent.toml"], "absent.toml: no such file"),
    (["simulate", "--plot", "v.jpg"], "a picture is one of .png, .svg, .pdf"), (["simulate", "--plot", "/nowhere/v.png"], "cannot write /nowhere/v.png"),
    (["program", "G1", "--bits", 15], "bits must be"), (["program", "G1", "--tolerance", 0], "tolerance"), (["program", "G1", "--max-pulses", 0], "max_pulses"),
    (["program", "G1", "--fixed-height", 8], "at most 1000 cells"), (["program", "nowhere.txt"], "nowhere.txt"), (["program", "G1", "--hold-hours", -1], "--hold-hours"),
    (["timer"], "give --hot and --cold, or --neurosa"), (["timer", "--hot", 3], "give --hot and --cold"), (["timer", "--neurosa", "--hot", 3, "--cold", 1], "or --neurosa"),
    (["timer", "--hot", 1, "--cold", 2], "hot > cold > 0"), (["timer", "--neurosa", "--seconds", 0], "seconds must be positive"),
    (["plot", "nonsense", "-o", "x.png"], "nonsense"), (["plot", "voltage"], "--output"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"), BAD, ids=lambda x: " ".join(map(str, x))[:40] if isinstance(x, list) else ""
)
def test_bad_arguments(arguments: list[Any], says: str) -> None:
    assert says in device(*arguments, code=2)


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['matplotlib'] = None\n")
    run = subprocess.run(
        [sys.executable, "-m", "fnanneal.cli.main", "device", "plot", "voltage", "-o", str(tmp_path / "v.png")],
        capture_output=True, text=True, timeout=60, check=False, env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert run.returncode == 2 and "pip install 'fnanneal[report]'" in run.stderr and run.stderr.count("\n") == 1


def test_fits_of_timers() -> None:
    rng = np.random.default_rng(1)
    timer = FNTimer(k2=300.0, log_k0=40.0, log_ratio=-9.0)
    t = np.geomspace(1, 1e9, 80)
    exact = fit_timer(t, timer.voltage(t))
    assert (exact.timer.k2, exact.timer.log_k0, exact.time_constant) == pytest.approx(
        (300.0, 40.0, np.exp(9.0)), rel=1e-4
    )
    noisy = fit_timer(t, timer.voltage(t) + 1e-3 * rng.standard_normal(t.size))
    assert (noisy.timer.k2, noisy.timer.log_k0) == pytest.approx(
        (300.0, 40.0), rel=0.02
    ) and noisy.rms == pytest.approx(1e-3, rel=0.2)
