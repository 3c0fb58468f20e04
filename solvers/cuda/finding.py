"""Which GPUs can be used, and if none, why and what would help."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ...errors import InputError
from .device import CupyDevice, Device

# The oldest that the kernels are compiled and tested for: Turing.
LEAST_CAPABILITY = (7, 5)
_WHEELS = {12: "cupy-cuda12x", 13: "cupy-cuda13x"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is.

    Attributes
    ----------
    devices
        The GPUs that can be used.
    reason
        Why there are none, and what to install, in one line; None where there are.
    driver
        The newest CUDA that the driver takes, (major, minor); None without a driver.
    cupy
        CuPy's version; None without CuPy.
    """

    devices: tuple[Device, ...] = ()
    reason: str | None = None
    driver: tuple[int, int] | None = None
    cupy: str | None = None

    @property
    def hopeful(self) -> bool:
        """Whether there is a GPU's driver, so that installing something would help."""
        return self.driver is not None and not self.devices


@cache
def find() -> Found:
    """Look once, and remember."""
    driver, wheels = driver_version(), installed_wheels()
    try:
        import cupy
    except ImportError as e:
        return Found(reason=without_cupy(driver, wheels, str(e)), driver=driver)
    try:
        return Found(devices=_usable(cupy), driver=driver, cupy=str(cupy.__version__))
    # Whatever CuPy, the driver or the compiler raises: none of it may stop a solve on the CPU.
    except Exception as e:  # noqa: BLE001
        reason = with_cupy(driver, wheels, e)
        return Found(reason=reason, driver=driver, cupy=str(cupy.__version__))


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


def driver_version() -> tuple[int, int] | None:
    """The newest CUDA that the installed driver takes; None without one."""
    for name in ("libcuda.so.1", "nvcuda.dll") if sys.platform != "darwin" else ():
        try:
            library = ctypes.CDLL(name)
            out = ctypes.c_int(0)
            if library.cuDriverGetVersion(ctypes.byref(out)) == 0 and out.value:
                return out.value // 1000, out.value % 1000 // 10
        except (OSError, AttributeError):
            continue
    return None


def installed_wheels() -> list[int]:
    """The CUDA versions of the CuPy packages that are installed."""
    found = []
    for major, wheel in _WHEELS.items():
        try:
            version(wheel)
            found.append(major)
        except PackageNotFoundError:
            continue
    return found


def extra(driver: tuple[int, int] | None) -> str:
    """The command that installs what this driver can run."""
    return f'pip install "fnanneal[cuda{13 if driver is not None and driver[0] >= 13 else 12}]"'


def without_cupy(driver: tuple[int, int] | None, wheels: list[int], why: str) -> str:
    """Where `import cupy` fails."""
    if driver is None:
        return "no NVIDIA driver here (libcuda.so.1)"
    if driver[0] < 12:
        return f"the NVIDIA driver is for CUDA {driver[0]}.{driver[1]}: CUDA 12 or later is needed, so a newer driver"
    if wheels:
        return f"CuPy is installed but does not load ({_line(why)}): {extra(driver)}"
    return f"the NVIDIA driver is for CUDA {driver[0]}.{driver[1]}, and CuPy is not installed: {extra(driver)}"


def with_cupy(driver: tuple[int, int] | None, wheels: list[int], error: Exception) -> str:
    """Where CuPy is there, and its GPU is not."""
    if driver is None:
        return "CuPy is installed, but no NVIDIA driver (libcuda.so.1)"
    had = f"the NVIDIA driver is for CUDA {driver[0]}.{driver[1]}"
    if driver[0] < 12:
        return f"{had}: CUDA 12 or later is needed, so a newer driver"
    if len(wheels) > 1:
        both = " and ".join(_WHEELS[w] for w in wheels)
        return f"{both} are installed, which conflict: pip uninstall {' '.join(_WHEELS[w] for w in wheels)}, then {extra(driver)}"
    if wheels and wheels[0] > driver[0]:
        return f"{had}, and CuPy for CUDA {wheels[0]}: pip uninstall {_WHEELS[wheels[0]]}, then {extra(driver)}"
    if "nvrtc" in str(error).lower():
        return f"CuPy finds no CUDA compiler (NVRTC): {extra(driver)}"
    return f"{had}, and CuPy says: {_line(str(error))}"


def _usable(cupy: Any) -> tuple[Device, ...]:
    count = int(cupy.cuda.runtime.getDeviceCount())
    # Loads the compiler's library, which the plain wheels do not bring.
    cupy.cuda.nvrtc.getVersion()
    found: list[int] = []
    old: list[int] = []
    for index in range(count):
        facts = cupy.cuda.runtime.getDeviceProperties(index)
        capability = int(facts["major"]), int(facts["minor"])
        (found if capability >= LEAST_CAPABILITY else old).append(index)
    if not found:
        least = ".".join(map(str, LEAST_CAPABILITY))
        raise RuntimeError(f"{count} device(s), none of compute capability {least} (Turing) or later")
    return tuple(CupyDevice(index) for index in found)


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
