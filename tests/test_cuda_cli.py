"""The command line with a GPU, and without one: one clear line, or the CPU and why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from typing import Any

import pytest

from fnanneal.cli import display, main
from fnanneal.solvers import placing
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.device import CupyDevice
from fnanneal.solvers.qp.hpr import HPR

from .test_cuda_finding import HOPPER, fake

RING = "6 6\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 6 1\n6 1 1\n"
REASON = 'CuPy is not installed: pip install "fnanneal[cuda12]"'


@pytest.fixture
def ring(tmp_path: Any) -> str:
    path = tmp_path / "ring.txt"
    path.write_text(RING)
    return str(path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Any:
    """The command in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with warnings.catch_warnings():
                code = main._run(list(arguments))
        finally:
            signal.signal(signal.SIGTERM, handler)
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "find", lambda: finding.Found(reason=REASON, driver=(12, 4), hopeful=True))


@pytest.mark.parametrize("arguments", [("solve", "gset:G22"), ("qp", "gen:lasso(20)", "--json")])
def test_without_a_gpu_cuda_is_one_line(arguments: tuple[str, ...]) -> None:
    # No GPU: none that is shown, where there is one.
    done = subprocess.run(
        [sys.executable, "-m", "fnanneal.cli.main", *arguments, "--backend", "cuda"],
        check=False, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fnanneal: error: no GPU can be used: ") and done.stderr.count("\n") == 1


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(("solver", "could"), [("sa", True), ("ensemble", True), ("exact", False)])
def test_auto_says_why_it_is_the_cpu(
    run: Any, ring: str, solver: str, could: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("solve", ring, "--solver", solver, "--seed", "1")
    assert "no GPU" not in run(*line)[1], "six spins would not have gone there"
    monkeypatch.setattr(placing, "LEAST_SPINS", 6)
    row = next(r for r in run(*line)[1].splitlines() if r.startswith("solver"))
    assert row.endswith(f"on cpu (no GPU: {REASON})" if could else "on cpu")
    # Who asked for the CPU knows why; nobody's program reads it.
    for more in (("--backend", "cpu"), ("--json",), ("--quiet",)):
        code, out, err = run(*line, *more)
        assert (code, err) == (0, "") and "no GPU" not in out
    assert run(*line, "--backend", "cuda") == (2, "", f"fnanneal: error: no GPU can be used: {REASON}\n")


@pytest.mark.usefixtures("no_gpu")
def test_programs_that_would_pay_say_so_too(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("qp", "gen:lasso(10)", "--solver", "hpr", "--seed", "1")
    for pays in (True, False):
        monkeypatch.setattr(HPR, "cuda_pays", lambda self, work, p=pays: p and work > 100)
        row = next(r for r in run(*line)[1].splitlines() if r.startswith("solver"))
        assert row.endswith(f"on cpu (no GPU: {REASON})" if pays else "on cpu")
    for more in (("--backend", "cpu"), ("--json",), ("--quiet",)):
        assert "no GPU" not in run(*line, *more)[1]
    assert run(*line, "--backend", "cuda")[0] == 2


def test_where_it_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "find", lambda: finding.Found(reason=REASON))
    assert display.place("cuda", "auto", True) == display.place("cuda", "cuda", True) == "cuda"
    assert display.place("cpu", "auto", False) == display.place("cpu", "cpu", True) == "cpu"
    # On the CPU although there is a GPU: for another reason than that there is none.
    monkeypatch.setattr(finding, "find", lambda: finding.Found(devices=(object(),)))  # type: ignore[arg-type]
    assert display.place("cpu", "auto", True) == "cpu"


@pytest.mark.usefixtures("no_gpu")
def test_info_without_a_gpu(run: Any) -> None:
    about = json.loads(run("info", "--json")[1])
    assert (about["backends"], about["gpus"], about["no_gpu"], about["cuda_driver"], about["cupy"]) == (["cpu"], [], REASON, "12.4", None)  # fmt: skip
    shown = run("info")[1]
    assert f"no GPU          {REASON}\n" in shown and "driver's CUDA   12.4\n" in shown
    assert "GPUs" not in shown and "CuPy     " not in shown


def test_info_with_two_gpus(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", fake(HOPPER, {**HOPPER, "name": b"T4", "major": 7, "minor": 5}))
    found = finding.Found(devices=(CupyDevice(0), CupyDevice(1)), driver=(13, 0), cupy="14.2.0")
    monkeypatch.setattr(finding, "find", lambda: found)
    about = json.loads(run("info", "--json")[1])
    assert about["backends"] == ["cpu", "cuda"] and about["no_gpu"] is None and about["cupy"] == "14.2.0"
    assert about["gpus"] == [
        {"index": 0, "name": "NVIDIA H100", "memory": 80 * 2**30, "compute_capability": "9.0"},
        {"index": 1, "name": "T4", "memory": 80 * 2**30, "compute_capability": "7.5"},
    ]
    shown = run("info")[1]
    assert "backends        cpu, cuda\n" in shown and "no GPU" not in shown
    assert "NVIDIA H100 (80.0 GiB, compute capability 9.0), T4 (80.0 GiB, compute capability 7.5)\n" in shown
