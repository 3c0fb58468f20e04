"""From CUDA C to functions on a device: compiled once by NVRTC for each kind of GPU, kept in the cache folder, and loaded as CuPy RawModules.

CuPy's own way from source to module is not taken: it adds ``-ftz=true``, after which numbers below 1e-38 are not those of a CPU.
"""

from __future__ import annotations

import atexit
import hashlib
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from ... import cache as cache_files
from .source import OPTIONS, Kernels, text

FOLDER = "cuda"
_spent = 0.0


def seconds() -> float:
    """What compiling and loading have taken in this process so far."""
    return _spent


def binary(kernels: Kernels, capability: tuple[int, int]) -> bytes:
    """Machine code for GPUs of this compute capability, or PTX where they are newer than the compiler; from the cache, or compiled now.

    Raises
    ------
    cupy.cuda.compiler.CompileException, NVRTCError
        Where the compiler refuses the text.
    """
    from cupy.cuda import nvrtc

    source = text(kernels)
    wanted = 10 * capability[0] + capability[1]
    known = [int(a) for a in nvrtc.getSupportedArchs()]
    exact = wanted in known
    target = f"sm_{wanted}" if exact else f"compute_{max(a for a in known if a <= wanted)}"
    options = (*OPTIONS, f"--gpu-architecture={target}")
    stamp = "\0".join([source, *options, ".".join(map(str, nvrtc.getVersion()))])
    entry = f"{Path(kernels.file).name}-{hashlib.sha256(stamp.encode()).hexdigest()[:24]}"
    kept = cache_files.read(FOLDER, entry, stamp)
    if kept is not None:
        return bytes(kept)
    program = nvrtc.createProgram(source, f"{Path(kernels.file).name}.cu", (), ())
    try:
        nvrtc.compileProgram(program, options)
        made = nvrtc.getCUBIN(program) if exact else nvrtc.getPTX(program)
    except nvrtc.NVRTCError as e:
        raise RuntimeError(f"{kernels.file}.cu does not compile for {target}: {nvrtc.getProgramLog(program)}") from e
    finally:
        nvrtc.destroyProgram(program)
    made = made.encode() if isinstance(made, str) else bytes(made)
    cache_files.write(FOLDER, entry, stamp, made)
    return made


def function(kernels: Kernels, name: str, device: Any, capability: tuple[int, int]) -> Any:
    """A kernel on a device (a `cupy.cuda.Device`), a `cupy.RawKernel`."""
    global _spent
    started = time.perf_counter()
    with device:
        out = _module(kernels, int(device.id), capability).get_function(name)
        # Loaded now, and not at its first launch.
        _ = out.kernel
    _spent += time.perf_counter() - started
    return out


@cache
def _module(kernels: Kernels, index: int, capability: tuple[int, int]) -> Any:
    # One to a device: a kernel's attributes are a device's own.
    import cupy

    made = binary(kernels, capability)
    suffix = ".cubin" if made.startswith(b"\x7fELF") else ".ptx"
    path = _folder() / f"{index}-{hashlib.sha256(made).hexdigest()[:24]}{suffix}"
    path.write_bytes(made)
    return cupy.RawModule(path=str(path))


@cache
def _folder() -> Path:
    """Where RawModule finds its files, until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="fnanneal-cuda-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
