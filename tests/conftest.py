"""Markers and devices of the suite.

``NUMBA_DISABLE_JIT=1 python -m pytest -m nojit tests`` runs a subset that is small enough for the plain Python functions.
"""

from __future__ import annotations

import pytest

from fnanneal.solvers.cuda import finding

from . import cuda_shim


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nojit: small enough to run with NUMBA_DISABLE_JIT=1")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `device` runs on the CPU in both orders of threads and blocks, and where there is a GPU, on that too."""
    if "device" in metafunc.fixturenames:
        kinds = ["ascending", "descending"] + ["gpu"] * bool(finding.find().devices)
        metafunc.parametrize("device", kinds, indirect=True)


@pytest.fixture
def on_device(device: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """The device, which `backend="cuda"` and "auto" then find."""
    found = finding.Found(devices=(device,), driver=(12, 0), cupy="0")  # type: ignore[arg-type]
    monkeypatch.setattr(finding, "find", lambda: found)
    return device


@pytest.fixture
def device(request: pytest.FixtureRequest) -> object:
    if request.param == "gpu":
        return finding.devices()[0]
    if cuda_shim.COMPILER is None:
        pytest.skip("no g++ to compile the kernels for the CPU")
    return cuda_shim.ShimDevice(descending=request.param == "descending")
