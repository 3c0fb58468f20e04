"""Arrays of cells in CuPy arrays: the CPU's cells, pulses and readings. On a stand-in for CuPy, and on a real GPU where there is one."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from fnanneal.errors import InputError
from fnanneal.fndam import DifferentialCell, FNDAMArray, Mismatch, Nodes, array, load_device
from fnanneal.fndam.array import SAMPLE
from fnanneal.solvers.cuda import finding

from . import fake_cupy

SIO2 = load_device("sio2")
GAUSS = np.random.default_rng(11).normal(size=(40, 50))
# Volts: last bits of nodes at 7.5 V are 1e-15, which pulse after pulse carries on; a step between 14-bit levels is 6e-6.
CLOSE = 1e-10


@pytest.fixture(params=["stand-in"] + ["gpu"] * bool(finding.find().devices))
def cp(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "gpu":
        return pytest.importorskip("cupy")
    monkeypatch.setattr(fake_cupy.ndarray, "downloads", [])
    module = fake_cupy.module()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def same(cp: Any, ours: Any, theirs: Any, close: float = CLOSE) -> None:
    """A programmed array of NumPy's and one of CuPy's."""
    for what in ("targets", "set_voltage", "reset_voltage", "pulses", "failed"):
        mine, other = getattr(ours, what), getattr(theirs, what)
        assert isinstance(other, cp.ndarray) and other.dtype == mine.dtype and other.shape == mine.shape
        if what in ("set_voltage", "reset_voltage"):
            assert cp.asnumpy(other) == pytest.approx(mine, abs=close)
        else:
            assert np.array_equal(cp.asnumpy(other), mine)
    assert ours.gain == theirs.gain and ours.settings == theirs.settings
    reports = ours.report(), theirs.report()
    for f in fields(reports[0]):
        a, b = (getattr(r, f.name) for r in reports)
        assert type(a) is type(b) and (a is None or a == pytest.approx(b, rel=1e-6, abs=close * ours.gain)), f.name


SETTINGS: list[dict[str, Any]] = [
    {}, {"bits": 1, "mismatch": 0.02}, {"bits": 2, "mismatch": Mismatch(oxide=0.02)}, {"bits": 14, "mismatch": 0.05}, {"mismatch": 0.15},
    {"mismatch": 0.02, "read_noise": 5e-5}, {"read_noise": 1e-4, "scaling": "largest"}, {"mismatch": 0.05, "max_pulses": 2, "bits": 12},
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_cells_are_the_cpus(cp: Any, settings: dict[str, Any]) -> None:
    chip = FNDAMArray(**settings)
    ours, theirs = chip.program(GAUSS, seed=5), chip.program(cp.asarray(GAUSS), seed=5)
    same(cp, ours, theirs)
    for seconds in (0.0, 1e-3, 1e5, 1e9):
        mine, other = ours.volts(seconds), theirs.volts(seconds)
        assert isinstance(other, cp.ndarray) and cp.asnumpy(other) == pytest.approx(mine, abs=CLOSE)
        for noise in (True, False):
            read = theirs.read(seconds, noise=noise)
            assert isinstance(read, cp.ndarray) and read.shape == GAUSS.shape
            assert cp.asnumpy(read) == pytest.approx(ours.read(seconds, noise=noise), abs=CLOSE * ours.gain)
    with pytest.raises(InputError, match="seconds must be positive"):
        theirs.volts(-1.0)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 192, 193, 700])
def test_many_chunks_at_once(cp: Any, monkeypatch: pytest.MonkeyPatch, size: int, threads: int) -> None:
    # Each chunk's noise is its own generator's, however many are simulated side by side, and as cells fall out one by one.
    monkeypatch.setattr(array, "CHUNK", 64)
    monkeypatch.setattr(array, "GROUP", 3)
    values = np.random.default_rng(size).normal(size=size)
    chip = FNDAMArray(mismatch=0.03, read_noise=5e-5)
    ours, theirs = chip.program(values, seed=9), chip.program(cp.asarray(values), seed=9, threads=threads)
    assert size < 60 or 1 < ours.pulses.min() + 2 < ours.pulses.max()
    same(cp, ours, theirs)
    assert cp.asnumpy(theirs.read(1e5, threads=threads)) == pytest.approx(ours.read(1e5), abs=CLOSE * ours.gain)


def test_levels_are_equal_to_the_last_bit(cp: Any) -> None:
    # Numbers on ties between levels, too: nothing but correctly rounded operations takes part.
    for bits in (2, 3, 8, 14):
        chip = FNDAMArray(bits=bits, scaling="largest")
        step = 1 / (2 ** (bits - 1) - 1)
        values = np.concatenate(
            [[1.0], step * (np.arange(-3, 3) + 0.5), np.random.default_rng(bits).uniform(-1, 1, 500)]
        )
        ours, theirs = chip.program(values), chip.program(cp.asarray(values))
        assert np.array_equal(ours.targets, cp.asnumpy(theirs.targets)) and ours.gain == theirs.gain


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8, np.uint64, np.bool_, np.int64])
def test_numbers_of_any_type(cp: Any, kind: Any) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    chip = FNDAMArray(bits=6, mismatch=0.01)
    ours, theirs = chip.program(values), chip.program(cp.asarray(values))
    same(cp, ours, theirs)
    assert theirs.read().shape == (2, 3, 4) and theirs.read().dtype == np.float64


@pytest.mark.parametrize("values", [np.zeros((0,)), np.zeros((3, 0)), np.zeros((3, 3)), np.array(2.5)])
def test_nothing_and_zeros(cp: Any, values: Any) -> None:
    chip = FNDAMArray(bits=4, mismatch=0.02, read_noise=1e-5)
    ours, theirs = chip.program(values, seed=1), chip.program(cp.asarray(values), seed=1)
    same(cp, ours, theirs)
    assert theirs.read(1.0).shape == values.shape


def test_a_staircase_of_equal_pulses(cp: Any) -> None:
    values = np.array([1.0, -0.6, 0.0, 0.3])
    chip = FNDAMArray(mismatch=0.02, read_noise=1e-6, fixed_height=8.0)
    ours, theirs = chip.program(values), chip.program(cp.asarray(values))
    same(cp, ours, theirs)
    assert len(ours.staircase) == len(theirs.staircase) > 3
    for mine, other in zip(ours.staircase, theirs.staircase, strict=True):
        assert isinstance(other, cp.ndarray) and cp.asnumpy(other) == pytest.approx(mine, abs=CLOSE)
    with pytest.raises(InputError, match="at most 1000 cells"):
        chip.program(cp.asarray(np.ones(1001)))


def test_bad_matrices(cp: Any) -> None:
    for wrong, says in (([1.0, np.nan], "not finite"), ([np.inf], "not finite"), ([1j], "real numbers")):
        with pytest.raises(InputError, match=says):
            FNDAMArray().program(cp.asarray(np.array(wrong)))
    sparse = type("csr_matrix", (), {"__module__": "cupyx.scipy.sparse._csr"})()
    with pytest.raises(InputError, match=r"sparse and CuPy's: program its \.data"):
        FNDAMArray().program(sparse)


def test_cells_on_the_gpu(cp: Any) -> None:
    mismatch, shape, here = Mismatch.of(0.02), (6, 7), cp.asarray(GAUSS)
    ours = DifferentialCell.drawn(SIO2, mismatch, shape, np.random.default_rng(3))
    theirs = DifferentialCell.drawn(SIO2, mismatch, shape, np.random.default_rng(3), like=here)
    for side in ("set_nodes", "reset_nodes"):
        for what in Nodes.__slots__:
            mine, other = getattr(getattr(ours, side), what), getattr(getattr(theirs, side), what)
            assert isinstance(other, cp.ndarray) and np.array_equal(cp.asnumpy(other), mine), "drawn on the host"
    heights = np.linspace(1, 9, 42).reshape(shape)
    for cells, height in ((ours, heights), (theirs, cp.asarray(heights))):
        later = cells.set(height, 1e-3).rest(100.0).reset(6.0, 1e-2)
        width = later.compensated_width(1e-4, height, 100.0)
        cells_after = later.weight, later.common, later.plasticity(8.0, 1e-3), width
        if cells is ours:
            expected = cells_after
    for mine, other in zip(expected, cells_after, strict=True):
        assert isinstance(other, cp.ndarray) and cp.asnumpy(other) == pytest.approx(mine, rel=1e-11, abs=CLOSE)
    alike = DifferentialCell.of(SIO2, (3,), like=here).set(8.0, 1e-3)
    assert isinstance(alike.weight, cp.ndarray)
    assert cp.asnumpy(alike.weight) == pytest.approx(DifferentialCell.of(SIO2, (3,)).set(8.0, 1e-3).weight, abs=CLOSE)
    one = Nodes.drawn(SIO2, mismatch, (), np.random.default_rng(1), like=here)
    assert one.k2.shape == () and float(one.loss(7.5, 1e-3, 8.0)) > 0


def test_little_comes_back_to_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_cupy.ndarray, "downloads", [])
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module())
    values = np.random.default_rng(0).normal(size=SAMPLE + 50_000)
    theirs = FNDAMArray(mismatch=0.02, read_noise=1e-5).program(fake_cupy.ndarray(values), seed=3)
    theirs.read(1e4)
    sizes = fake_cupy.ndarray.downloads
    assert sum(k > 10 for k in sizes) == 1 and max(sizes) <= SAMPLE, "the sample that chooses the scale"
    assert sum(sizes) - max(sizes) < 500
    del sizes[:]
    theirs.report()
    assert max(sizes) == 1


def test_cells_lie_on_the_gpu_of_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module())
    with fake_cupy.on_gpu(1):
        there = fake_cupy.ndarray(GAUSS)
    chip = FNDAMArray(mismatch=0.02, read_noise=1e-5)
    theirs = chip.program(there, seed=2)
    assert fake_cupy.Device.current == [0]
    for x in (theirs.targets, theirs.set_voltage, theirs.pulses, theirs.volts(), theirs.volts(10.0), theirs.read(10.0)):
        assert x.device.id == 1
    assert theirs.report().failures == 0
    cells = DifferentialCell.drawn(SIO2, Mismatch.of(0.02), (5,), np.random.default_rng(3), like=there)
    assert cells.set_nodes.k2.device.id == 1 and DifferentialCell.of(SIO2, (5,), like=there).set_voltage.device.id == 1
    same_there = replace(theirs, set_voltage=theirs.set_voltage)
    assert same_there.report() == theirs.report()


def test_the_stand_in_is_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module())
    there = fake_cupy.ndarray(np.ones(3))
    for mixed in (
        lambda: np.asarray(there),
        lambda: there + np.ones(3),
        lambda: np.ones(3) * there,
        lambda: np.logaddexp(np.zeros(3), there),
        lambda: there[np.array([0])],
        lambda: there.__setitem__(0, np.ones(1)),
    ):
        with pytest.raises(TypeError, match=r"Implicit conversion|Unsupported type"):
            mixed()
    with fake_cupy.on_gpu(1), pytest.raises(ValueError, match="device must be same"):
        there + 1.0
    assert isinstance(there[0], fake_cupy.ndarray) and isinstance(there.sum(), fake_cupy.ndarray)
    # Its exp is another library's: nearly NumPy's, and not always.
    x = np.linspace(-3, 3, 1000)
    moved = np.exp(fake_cupy.ndarray(x)).get()
    assert 100 < np.count_nonzero(moved != np.exp(x)) < 900 and moved == pytest.approx(np.exp(x), rel=3e-16)
    # Cells of NumPy do not meet readings of CuPy by accident.
    with pytest.raises(TypeError, match="Unsupported type"):
        Nodes.drawn(SIO2, Mismatch.of(0.02), 3, np.random.default_rng(0)).loss(there, 1.0)


def test_the_stand_in_is_like_the_module() -> None:
    real = pytest.importorskip("cupy")
    fake = fake_cupy.module()
    for name in (n for n in vars(fake) if not n.startswith("__")):
        assert hasattr(real, name), name
    for name in fake_cupy.UFUNCS:
        assert isinstance(getattr(real, fake_cupy.OTHERWISE.get(name, name)), real.ufunc)
    for name in fake_cupy.METHODS:
        assert hasattr(real.ndarray, name) and name in vars(fake_cupy.ndarray)
        said = str(getattr(real.ndarray, name).__doc__).partition("\n")[0]
        taken = inspect.signature(getattr(fake_cupy.ndarray, name)).parameters
        assert all(arg == "self" or arg in said for arg in taken), f"{name}: {said}"
    for name in ("asarray", "asnumpy", "clip", "searchsorted", "stack", "where", "arange", "empty", "full", "zeros"):
        theirs, ours = (list(inspect.signature(getattr(m, name)).parameters) for m in (real, fake))
        assert len(ours) <= len(theirs)
