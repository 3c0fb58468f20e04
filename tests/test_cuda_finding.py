"""Which GPUs are found, and for each thing that may be wrong the one line that says so; and the real device, on a stand-in for CuPy."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import types
import warnings
from typing import Any

import numpy as np
import pytest

from fnanneal.errors import InputError
from fnanneal.solvers import placing
from fnanneal.solvers.cuda import finding
from fnanneal.solvers.cuda.device import CupyDevice
from fnanneal.solvers.cuda.source import Kernels

from . import fake_cupy
from .fake_cupy import CUDADriverError, CUDARuntimeError

HOPPER = {"major": 9, "minor": 0, "name": b"NVIDIA H100", "multiProcessorCount": 132, "sharedMemPerBlockOptin": 232448, "totalGlobalMem": 80 * 2**30}  # fmt: skip
PASCAL = {**HOPPER, "major": 6, "minor": 1, "name": b"NVIDIA GTX 1080"}
TOO_OLD = CUDARuntimeError(
    35, "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
)
NO_DEVICE = CUDARuntimeError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")
# What CuPy 14.2 raises without its extra [ctk].
NO_COMPILER = RuntimeError(
    'Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file: libnvrtc.so.13 or libnvrtc.so.12\n'
)


class Driver:
    """The driver's library, as ctypes sees it."""

    def __init__(self, cuda: int, gpus: int = 1, start: int = 0, status: int = 0) -> None:
        self.cuda, self.gpus, self.start, self.status = cuda, gpus, start, status

    def cuDriverGetVersion(self, out: Any) -> int:
        out._obj.value = self.cuda
        return self.status

    def cuInit(self, flags: int) -> int:
        return self.start

    def cuDeviceGetCount(self, out: Any) -> int:
        out._obj.value = self.gpus
        return 0


def fake(*gpus: dict[str, Any], fails: Exception | None = None, compiler: Any = (12, 9), version: str = "14.2.0", hip: bool = False, memory: Any = None) -> Any:  # fmt: skip
    """CuPy with these GPUs."""

    def raising(value: Any) -> Any:
        def call(*_: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return call

    runtime = types.SimpleNamespace(
        is_hip=hip,
        getDeviceCount=raising(fails or len(gpus)),
        getDeviceProperties=lambda k: gpus[k],
        memGetInfo=raising(memory or (30 * 2**30, 80 * 2**30)),
    )
    cuda = types.SimpleNamespace(
        runtime=runtime,
        nvrtc=types.SimpleNamespace(getVersion=raising(compiler)),
        Device=fake_cupy.Device,
        get_cuda_path=lambda: None,
    )
    pool = types.SimpleNamespace(free_bytes=lambda: 2**30)
    return fake_cupy.module(cuda=cuda, __version__=version, get_default_memory_pool=lambda: pool)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with this driver, these packages, and this module `cupy` or what its import raises."""

    def build(driver: Driver | None, packages: list[str], cupy: Any, headers: str | None = None) -> finding.Found:
        def load(name: str) -> Driver:
            assert name == finding.LIBRARY
            if driver is None:
                raise OSError(f"{name}: cannot open shared object file: No such file or directory")
            return driver

        class Pathfinder(types.ModuleType):
            def find_nvidia_header_directory(self, what: str) -> str | None:
                return headers

        monkeypatch.setattr(ctypes, "CDLL", load)
        monkeypatch.setattr(finding, "installed_packages", lambda: packages)
        monkeypatch.setattr(finding, "cupy_version", lambda: None if isinstance(cupy, Exception) else cupy.__version__)
        monkeypatch.setitem(sys.modules, "cuda.pathfinder", Pathfinder("cuda.pathfinder") if headers != "old" else None)
        monkeypatch.setitem(sys.modules, "cupy", None if isinstance(cupy, Exception) else cupy)
        if isinstance(cupy, Exception) and not (isinstance(cupy, ModuleNotFoundError) and cupy.name == "cupy"):
            finder = types.SimpleNamespace(find_spec=lambda name, *_: _raise(cupy) if name == "cupy" else None)
            monkeypatch.delitem(sys.modules, "cupy")
            monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
        found: finding.Found = finding.find.__wrapped__()
        return found

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return build


def _raise(error: Exception) -> Any:
    raise error


@pytest.fixture
def headers(tmp_path: Any) -> str:
    (tmp_path / "cuda_runtime.h").touch()
    return str(tmp_path)


MISSING = ModuleNotFoundError("No module named 'cupy'", name="cupy")
BROKEN = ImportError("=====\nFailed to import CuPy.\n\nIf you installed CuPy via wheels\n=====")
BROKEN.__cause__ = ImportError("libcudart.so.12: cannot open shared object file")
TWELVE, THIRTEEN = ["cupy-cuda12x"], ["cupy-cuda13x"]
INSTALL_12, INSTALL_13 = 'pip install "fnanneal[cuda12]"', 'pip install "fnanneal[cuda13]"'

WRONG: list[tuple[str, Driver | None, list[str], Any, str]] = [
    ("nothing", None, [], MISSING, f"no NVIDIA driver here ({finding.LIBRARY})"),
    ("no driver", None, TWELVE, fake(fails=TOO_OLD), f"no NVIDIA driver here ({finding.LIBRARY})"),
    ("a toolkit's stub", Driver(0, status=34), TWELVE, fake(fails=CUDARuntimeError(34, "cudaErrorStubLibrary")), f"no NVIDIA driver here ({finding.LIBRARY})"),
    ("CUDA 11", Driver(11040), [], MISSING, "the NVIDIA driver is for CUDA 11.4: 12.0 or later is needed, so a newer driver"),
    ("CUDA 11 and CuPy", Driver(11080), TWELVE, fake(fails=TOO_OLD), "the NVIDIA driver is for CUDA 11.8: 12.0 or later is needed, so a newer driver"),
    ("no CuPy, 12", Driver(12040), [], MISSING, f"CuPy is not installed: {INSTALL_12}"),
    ("no CuPy, 13", Driver(13000), [], MISSING, f"CuPy is not installed: {INSTALL_13}"),
    ("broken CuPy", Driver(12080), TWELVE, BROKEN, f"CuPy does not load (ImportError: libcudart.so.12: cannot open shared object file): pip uninstall cupy-cuda12x, then {INSTALL_12}"),
    ("another NumPy", Driver(12080), TWELVE, ValueError("numpy.dtype size changed,\nmay indicate binary incompatibility"), "CuPy does not load (ValueError: numpy.dtype size changed, may indicate binary incompatibility): pip uninstall cupy-cuda12x"),
    ("a part missing", Driver(12080), TWELVE, ModuleNotFoundError("No module named 'cupy_backends'", name="cupy_backends"), "CuPy does not load (ModuleNotFoundError: No module named 'cupy_backends'): pip"),
    ("13x on 12", Driver(12040), THIRTEEN, fake(HOPPER, fails=TOO_OLD), f"the NVIDIA driver is for CUDA 12.4, CuPy for CUDA 13: pip uninstall cupy-cuda13x, then {INSTALL_12}"),
    ("both", Driver(12040), ["cupy-cuda13x", "cupy-cuda12x"], fake(HOPPER, fails=TOO_OLD), f"cupy-cuda13x and cupy-cuda12x are both installed, and one breaks the other: pip uninstall cupy-cuda13x cupy-cuda12x, then {INSTALL_12}"),
    ("both, not loading", Driver(13000), ["cupy-cuda13x", "cupy-cuda12x"], BROKEN, f"pip uninstall cupy-cuda13x cupy-cuda12x, then {INSTALL_13}"),
    ("no compiler", Driver(12040), TWELVE, fake(HOPPER, compiler=NO_COMPILER), f"CuPy finds no CUDA compiler (NVRTC), which its plain package does not bring: {INSTALL_12}"),
    ("compiler too new", Driver(12040), TWELVE, fake(HOPPER, compiler=(13, 5)), f"CuPy finds a compiler of CUDA 13.5, whose kernels it does not take: pip uninstall nvidia-cuda-nvrtc, then {INSTALL_12}"),
    ("old GPU", Driver(12040), TWELVE, fake(PASCAL, PASCAL), "compute capability 7.5 (Turing) or later is needed, and NVIDIA GTX 1080 has 6.1"),
    ("old CuPy", Driver(12040), ["cupy-cuda11x"], fake(HOPPER, version="12.3.0"), f"CuPy 12.3.0 is too old (13 or later is needed): {INSTALL_12}"),
    ("no device", Driver(12040, gpus=0, start=100), TWELVE, fake(fails=NO_DEVICE), "the NVIDIA driver is installed but shows no GPU: see whether nvidia-smi lists one"),
    ("no device, no CuPy", Driver(12040, gpus=0, start=100), [], MISSING, "the NVIDIA driver is installed but shows no GPU"),
    ("none after all", Driver(12040), TWELVE, fake(), "the NVIDIA driver is installed but shows no GPU"),
    ("not rebooted", Driver(12040, start=803), TWELVE, fake(fails=CUDARuntimeError(803, "cudaErrorSystemDriverMismatch")), "the NVIDIA driver was updated and its old one still runs: restart the computer"),
    ("not starting", Driver(12040, start=999), [], MISSING, "the NVIDIA driver does not start (cuInit: error 999)"),
    ("AMD", Driver(12040), ["cupy"], fake(HOPPER, hip=True), "CuPy is the one for AMD GPUs (ROCm): the kernels need an NVIDIA GPU"),
    ("anything else", Driver(12040), TWELVE, fake(fails=CUDARuntimeError(999, "cudaErrorUnknown:\nunknown error " + "x" * 999)), "the NVIDIA driver is for CUDA 12.4, and CuPy says: cudaErrorUnknown: unknown error xx"),
]  # fmt: skip


@pytest.mark.parametrize(("driver", "packages", "cupy", "says"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong_is_one_line(machine, headers, driver, packages, cupy, says) -> None:
    found = machine(driver, packages, cupy, headers)
    assert found.devices == () and says in found.reason
    assert "\n" not in found.reason and len(found.reason) < 400
    assert found.hopeful == (driver is not None and driver.status == 0 and driver.start != 100)
    assert found.cupy == (None if isinstance(cupy, Exception) else cupy.__version__)


def test_hidden_gpus_are_named(machine, headers, monkeypatch) -> None:
    for value in ("", "-1", "7"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        for cupy in (MISSING, fake(fails=NO_DEVICE)):
            found = machine(Driver(12040, gpus=0, start=100), TWELVE, cupy, headers)
            assert found.reason == f"the NVIDIA driver shows no GPU: CUDA_VISIBLE_DEVICES is {value!r}"
            assert not found.hopeful


@pytest.mark.parametrize(("cuda", "packages", "compiler"), [(12000, TWELVE, (12, 9)), (13000, TWELVE, (12, 9)), (13000, THIRTEEN, (13, 0)), (13010, ["cupy"], (13, 5))])  # fmt: skip
def test_gpus_that_can_be_used(machine, headers, cuda, packages, compiler) -> None:
    # CuPy for CUDA 12 runs on drivers of CUDA 13. Of three GPUs, one is too old.
    found = machine(Driver(cuda, gpus=3), packages, fake(HOPPER, PASCAL, {**HOPPER, "major": 7, "minor": 5, "name": b"T4"}, compiler=compiler), headers)  # fmt: skip
    assert [(d.index, d.name, d.capability) for d in found.devices] == [(0, "NVIDIA H100", "9.0"), (2, "T4", "7.5")]
    assert (found.reason, found.driver, found.hopeful) == (None, (cuda // 1000, cuda % 1000 // 10), False)


def test_headers(machine, headers, tmp_path) -> None:
    nowhere = str(tmp_path / "nowhere")
    for where in (None, nowhere):
        found = machine(Driver(12040), TWELVE, fake(HOPPER), where)
        assert found.reason == f"CuPy finds no CUDA headers, which its plain package does not bring: {INSTALL_12}"
    # A toolkit that CuPy finds in another way; and a CuPy that has no pathfinder.
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "cuda_runtime.h").touch()
    cupy = fake(HOPPER)
    cupy.cuda.get_cuda_path = lambda: str(tmp_path)
    assert machine(Driver(12040), TWELVE, cupy, None).devices
    assert machine(Driver(12040), TWELVE, fake(HOPPER), "old").devices


def test_cupys_own_warnings_are_not_shown(machine, headers, monkeypatch) -> None:
    # Of two packages it warns, in twenty lines, on the way to what is the matter.
    def noisy(name: str, *_: Any) -> None:
        if name == "cupy":
            warnings.warn("CuPy may not function correctly because multiple CuPy packages are installed", stacklevel=1)
            raise MISSING

    machine(Driver(12040), [], MISSING, headers)
    monkeypatch.delitem(sys.modules, "cupy")
    monkeypatch.setattr(sys, "meta_path", [types.SimpleNamespace(find_spec=noisy), *sys.meta_path])
    # Warnings are errors in this suite: one that got out would be the reason.
    assert finding.find.__wrapped__().reason == f"CuPy is not installed: {INSTALL_12}"


def test_the_library_says_it_once(monkeypatch, caplog) -> None:
    reason = "CuPy is not installed"
    for hopeful, level in ((True, "WARNING"), (False, "INFO")):
        placing._say_once.cache_clear()
        caplog.clear()
        monkeypatch.setattr(finding, "find", lambda h=hopeful: finding.Found(reason=reason, driver=(12, 4), hopeful=h))
        with caplog.at_level("INFO", logger="fnanneal"):
            for _ in range(3):
                assert placing.place(types.SimpleNamespace(on_cuda=None), "auto")[1] == "cpu"
        assert [(r.levelname, r.getMessage()) for r in caplog.records] == [(level, f"solving on the CPU: {reason}")]
    placing._say_once.cache_clear()
    with pytest.raises(InputError, match=f"no GPU can be used: {reason}"):
        placing.place(object(), "cuda")


def test_find_answers_here() -> None:
    found = finding.find()
    assert bool(found.devices) == (found.reason is None)
    assert found.reason is None or "\n" not in found.reason
    assert finding.installed_packages() == [p for p in finding.installed_packages() if p.startswith("cupy")]


WITHOUT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cupy", "cupyx", "cupy_backends"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
import fnanneal, numpy
from fnanneal.solvers.cuda import finding
found = finding.find()
assert not found.devices and "\\n" not in found.reason, found
problem = fnanneal.load({(0, 1): 1.0, (1, 2): -1.0})
assert fnanneal.solve(problem, "sa", seed=1, num_sweeps=20).backend == "cpu"
try:
    fnanneal.solve(problem, "sa", backend="cuda")
except ValueError as e:
    print(e)
from fnanneal.fndam import FNDAMArray
assert isinstance(FNDAMArray().program([1.0, -1.0]).read(), numpy.ndarray)
assert not [m for m in sys.modules if m.startswith("cupy")]
"""


def test_everything_works_without_cupy() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("no GPU can be used: ") and done.stdout.count("\n") == 1


class Function:
    """A kernel; `max_dynamic_shared_size_bytes` is an attribute of the driver's."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.set: list[int] = []
        self._most = 48 * 2**10 - 256
        self.raises: Exception | None = None

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        return self._most

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, value: int) -> None:
        self.set.append(value)
        self._most = value

    def __call__(self, grid: Any, block: Any, args: Any, shared_mem: int) -> None:
        if self.raises:
            raise self.raises
        assert shared_mem <= self._most, "CUDA_ERROR_INVALID_VALUE"
        self.calls.append((fake_cupy.Device.current[-1], grid, block, args, shared_mem))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """GPU 1 of two, its CuPy and its kernel."""
    cupy, function = fake(HOPPER, HOPPER), Function()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr("fnanneal.solvers.cuda.compiling.function", lambda kernels, name, device, capability: function)
    device = CupyDevice(1)
    cupy.array = lambda host, order: fake_cupy.ndarray(np.array(host, order=order))
    return device, cupy, function


def test_the_device_is_the_gpu(gpu) -> None:
    device, _, _ = gpu
    assert (device.name, device.multiprocessors, device.capability) == ("NVIDIA H100", 132, "9.0")
    assert device.shared_bytes == 226 * 2**10 and device.memory_bytes == 80 * 2**30
    assert device.free_bytes() == 31 * 2**30
    host = np.arange(6.0).reshape(2, 3)
    there = device.upload(host)
    arrays = [there, device.empty((2, 3), np.int8), device.zeros(5, np.uint32)]
    assert all(a.device.id == 1 for a in arrays) and arrays[2].dtype == np.uint32
    device.write(there, 2 * host)
    other = device.empty((2, 3), np.float64)
    device.copy(other, there)
    assert np.array_equal(device.download(other), 2 * host)
    assert fake_cupy.Device.current == [0], "and the caller's own GPU is as it was"


def test_a_launch(gpu) -> None:
    device, _, function = gpu
    kernels = Kernels("start")
    device.launch(kernels, "random_spins", 7, 256, 1, 2)
    device.launch(kernels, "random_spins", (7, 3), 128, shared=47 * 2**10)
    assert function.calls == [(1, (7,), (256,), (1, 2), 0), (1, (7, 3), (128,), (), 47 * 2**10)]
    # Above what 48 KiB leave beside static arrays, a kernel must be allowed to; once.
    for shared in (48 * 2**10, 100 * 2**10, 100 * 2**10, 60 * 2**10):
        device.launch(kernels, "random_spins", 1, 32, shared=shared)
    assert [s for s in function.set if s > 48 * 2**10 - 256] == [48 * 2**10, 100 * 2**10]
    assert fake_cupy.Device.current == [0]


FULL = [
    fake_cupy.OutOfMemoryError("Out of memory allocating 8,589,934,592 bytes (allocated so far: 0 bytes)."),
    CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory"),
    CUDADriverError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
]


@pytest.mark.parametrize("error", FULL)
def test_memory_that_runs_out_is_one_line(gpu, error) -> None:
    device, cupy, function = gpu
    gone = lambda *_, **__: _raise(error)
    cupy.empty = cupy.zeros = cupy.array = cupy.asarray = gone
    eight = np.broadcast_to(np.float64(0), (2**10, 2**20))
    for call in (
        lambda: device.empty((2**10, 2**20), np.float64),
        lambda: device.zeros(2**30, np.float64),
        lambda: device.upload(eight),
        lambda: device.write(None, eight),
    ):
        with pytest.raises(InputError) as e:
            call()
        assert (
            str(e.value)
            == "the GPU's memory ran out (8.00 GiB asked for, 31.00 GiB free): fewer reads (num_reads), or backend=cpu"
        )
        assert e.value.__cause__ is error
    # A kernel that does not fit beside what others hold, where not even the free memory can be asked for.
    function.raises = error
    cupy.cuda.runtime.memGetInfo = lambda: _raise(FULL[1])
    calls = [lambda: device.free_bytes()]
    if not isinstance(error, MemoryError):
        calls.append(lambda: device.launch(Kernels("start"), "random_spins", 1, 32))
    for call in calls:
        with pytest.raises(InputError, match=r"^the GPU's memory ran out \(0.00 GiB free\): fewer reads"):
            call()
    assert fake_cupy.Device.current == [0]


def test_a_busy_gpu_and_our_own_errors(gpu) -> None:
    device, cupy, function = gpu
    cupy.empty = lambda *_: _raise(
        CUDARuntimeError(46, "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy")
    )
    with pytest.raises(InputError, match="another process keeps NVIDIA H100 to itself"):
        device.empty(3, np.int8)
    # What is our fault is no fault of the input.
    ours = CUDADriverError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered")
    function.raises = ours
    cupy.zeros = lambda *_: _raise(ours)
    for call in (lambda: device.launch(Kernels("start"), "random_spins", 1, 32), lambda: device.zeros(3, np.int8)):
        with pytest.raises(CUDADriverError) as e:
            call()
        assert e.value is ours
