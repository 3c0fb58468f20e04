"""Which GPUs can be used, and if none, why and what would help."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...errors import InputError
from .device import CupyDevice, Device

# The oldest that the kernels are compiled and tested for: Turing.
LEAST_CAPABILITY = (7, 5)
LEAST_CUDA, LEAST_CUPY = 12, 13
# Of the driver's errors: no device, and a library that is not the loaded driver's.
_NO_DEVICE, _MISMATCH = 100, 803
LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
# Packages that all bring the module `cupy`: the first for which CUDA.
_PACKAGES = {"cupy-cuda13x": 13, "cupy-cuda12x": 12, "cupy-cuda11x": 11, "cupy": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is.

    Attributes
    ----------
    devices
        The GPUs that can be used.
    reason
        Why there are none, and what to install or do, in one line; None where there are.
    driver
        The newest CUDA that the driver takes, (major, minor); None without a driver.
    cupy
        CuPy's version; None without CuPy.
    hopeful
        Whether there is none though there should be one, so that doing something would help.
    """

    devices: tuple[Device, ...] = ()
    reason: str | None = None
    driver: tuple[int, int] | None = None
    cupy: str | None = None
    hopeful: bool = False


@cache
def find() -> Found:
    """Look once, and remember. No memory of a GPU is touched: that comes with its first array."""
    driver, name = driver_version(), cupy_version()
    reason = without_gpu(driver)
    if driver is None or reason is not None:
        return Found(reason=reason, driver=driver, cupy=name, hopeful=driver is not None and reason != _no_gpu())
    try:
        with warnings.catch_warnings():
            # Of two installed CuPys, it warns in twenty lines; `with_cupy` does so in one.
            warnings.simplefilter("ignore")
            import cupy
    # A CuPy that is broken or does not fit its NumPy raises anything: none of it may stop a solve on the CPU.
    except Exception as e:  # noqa: BLE001
        return Found(reason=without_cupy(driver, e), driver=driver, hopeful=True)
    name = str(cupy.__version__)
    try:
        return Found(devices=_usable(cupy, driver), driver=driver, cupy=name)
    except Exception as e:  # noqa: BLE001
        return Found(reason=with_cupy(driver, e), driver=driver, cupy=name, hopeful=True)


def devices() -> Sequence[Device]:
    """The GPUs that can be used.

    Raises
    ------
    InputError
        Where there are none: why, and what to install.
    """
    found = find()
    if not found.devices:
        raise InputError(f"no GPU can be used: {found.reason}")
    return found.devices


def gpus() -> list[dict[str, Any]]:
    """What is known of each GPU that can be used."""
    real = [d for d in find().devices if isinstance(d, CupyDevice)]
    return [
        {"index": d.index, "name": d.name, "memory": d.memory_bytes, "compute_capability": d.capability} for d in real
    ]


def driver_version() -> tuple[int, int] | None:
    """The newest CUDA that the installed driver takes; None without one, and for a toolkit's stub of it."""
    out = ctypes.c_int(0)
    try:
        if ctypes.CDLL(LIBRARY).cuDriverGetVersion(ctypes.byref(out)) != 0 or not out.value:
            return None
    except (OSError, AttributeError):
        return None
    return out.value // 1000, out.value % 1000 // 10


def start_driver() -> tuple[int, int]:
    """What the driver answers without CuPy when it is started: its error (0: none), and how many GPUs it shows."""
    try:
        library, count = ctypes.CDLL(LIBRARY), ctypes.c_int(0)
        return int(library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count))), count.value
    except (OSError, AttributeError):
        return _NO_DEVICE, 0


def installed_packages() -> list[str]:
    """The installed packages that bring the module `cupy`."""
    found = []
    for package in _PACKAGES:
        try:
            version(package)
            found.append(package)
        except PackageNotFoundError:
            continue
    return found


def cupy_version() -> str | None:
    """Of the installed CuPy, without importing it."""
    packages = installed_packages()
    return version(packages[0]) if packages else None


def extra(driver: tuple[int, int]) -> str:
    """The command that installs what this driver can run."""
    return f'pip install "fnanneal[cuda{min(max(driver[0], 12), 13)}]"'


def without_gpu(driver: tuple[int, int] | None) -> str | None:
    """What is wrong below CuPy, if anything."""
    if driver is None:
        return f"no NVIDIA driver here ({LIBRARY})"
    if driver[0] < LEAST_CUDA:
        return f"{_is_for(driver)}: {LEAST_CUDA}.0 or later is needed, so a newer driver"
    error, count = start_driver()
    if error == _MISMATCH:
        return "the NVIDIA driver was updated and its old one still runs: restart the computer"
    if error not in (0, _NO_DEVICE):
        return f"the NVIDIA driver does not start (cuInit: error {error}): nvidia-smi may say why"
    return None if count else _no_gpu()


def without_cupy(driver: tuple[int, int], error: Exception) -> str:
    """What to do where `import cupy` raises `error`."""
    if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
        return f"CuPy is not installed: {extra(driver)}"
    # CuPy wraps what went wrong in a page of advice.
    cause = error.__cause__ or error
    return f"CuPy does not load ({type(cause).__name__}: {_line(str(cause))}): {_anew(driver)}"


def with_cupy(driver: tuple[int, int], error: Exception) -> str:
    """What to do where CuPy is there and raises `error`."""
    if isinstance(error, _Refused):
        return str(error)
    packages = installed_packages()
    if len(packages) > 1:
        return f"{' and '.join(packages)} are both installed, and one breaks the other: {_anew(driver)}"
    built = _PACKAGES.get(packages[0]) if packages else None
    if built is not None and built > driver[0]:
        return f"{_is_for(driver)}, CuPy for CUDA {built}: {_anew(driver)}"
    if "nvrtc" in str(error).lower():
        return f"CuPy finds no CUDA compiler (NVRTC), which its plain package does not bring: {extra(driver)}"
    return f"{_is_for(driver)}, and CuPy says: {_line(str(error))}"


class _Refused(Exception):
    """A reason in its final words."""


def _usable(cupy: Any, driver: tuple[int, int]) -> tuple[Device, ...]:
    """The GPUs that CuPy shows and the kernels run on; raises where there is none."""
    runtime = cupy.cuda.runtime
    if getattr(runtime, "is_hip", False):
        raise _Refused("CuPy is the one for AMD GPUs (ROCm): the kernels need an NVIDIA GPU")
    count = int(runtime.getDeviceCount())
    if int(str(cupy.__version__).partition(".")[0]) < LEAST_CUPY:
        raise _Refused(f"CuPy {cupy.__version__} is too old ({LEAST_CUPY} or later is needed): {extra(driver)}")
    # Loads the compiler's library, which the plain packages do not bring. CuPy takes the newest that it finds.
    compiler = tuple(cupy.cuda.nvrtc.getVersion())
    if compiler[0] > driver[0]:
        raise _Refused(
            f"{_is_for(driver)}, and CuPy finds a compiler of CUDA {_dotted(compiler)}, whose kernels it does not take: "
            f"pip uninstall nvidia-cuda-nvrtc, then {extra(driver)}"
        )
    if not _has_headers(cupy):
        raise _Refused(f"CuPy finds no CUDA headers, which its plain package does not bring: {extra(driver)}")
    capable, old = [], []
    for index in range(count):
        facts = runtime.getDeviceProperties(index)
        capability = int(facts["major"]), int(facts["minor"])
        if capability >= LEAST_CAPABILITY:
            capable.append(index)
        else:
            old.append(f"{facts['name'].decode()} has {_dotted(capability)}")
    if not capable:
        least = f"compute capability {_dotted(LEAST_CAPABILITY)} (Turing) or later is needed"
        raise _Refused(f"{least}, and {', '.join(dict.fromkeys(old))}" if old else _no_gpu())
    return tuple(CupyDevice(index) for index in capable)


def _has_headers(cupy: Any) -> bool:
    """Whether CuPy's own kernels would compile: it looks for the headers thus."""
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
        found = pathfinder.find_nvidia_header_directory("cudart")
    except (ImportError, AttributeError):
        return True
    root = cupy.cuda.get_cuda_path()
    places = [*([found] if found else []), *([os.path.join(root, "include")] if root else [])]
    return any(os.path.exists(os.path.join(place, "cuda_runtime.h")) for place in places)


def _no_gpu() -> str:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return f"the NVIDIA driver shows no GPU: CUDA_VISIBLE_DEVICES is {chosen!r:.40}"
    return "the NVIDIA driver is installed but shows no GPU: see whether nvidia-smi lists one"


def _anew(driver: tuple[int, int]) -> str:
    return f"pip uninstall {' '.join(installed_packages()) or 'cupy'}, then {extra(driver)}"


def _is_for(driver: tuple[int, int]) -> str:
    return f"the NVIDIA driver is for CUDA {_dotted(driver)}"


def _dotted(pair: Sequence[int]) -> str:
    return ".".join(map(str, pair))


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
