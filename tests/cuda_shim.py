"""A `Device` that runs the project's CUDA C on the CPU (`cuda_shim.h`), so that everything but the GPU itself is tested without one.

Arrays are NumPy's. A launch is checked as no driver checks it: number and types of the arguments against the kernel's own, contiguity, sizes of
blocks and shared memory; kernels are compiled with the undefined-behaviour sanitizer, and where ``FNANNEAL_SHIM_SANITIZE`` is set with the address
sanitizer as well, which then must be preloaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fnanneal.solvers.cuda.source import Kernels, parameters, text

HEADER = Path(__file__).with_name("cuda_shim.h")
COMPILER = shutil.which("g++")
SANITIZE = "FNANNEAL_SHIM_SANITIZE"
KINDS = {
    "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "short": np.int16, "uint16": np.uint16, "int": np.int32, "uint32": np.uint32,
    "unsigned": np.uint32, "int64": np.int64, "uint64": np.uint64, "float": np.float32, "double": np.float64,
}  # fmt: skip
_ONE_AT_A_TIME = threading.Lock()
ERRORS = {
    1: "threads returned before others reached a barrier",
    2: "a barrier in divergent code",
    4: "a shuffle from no thread",
}


@cache
def library(kernels: Kernels) -> ctypes.CDLL:
    """The unit, compiled; kept in a folder by its own text."""
    names = parameters(kernels)
    source = f'#include "{HEADER}"\n{text(kernels)}\n' + "".join(f"SHIM_EXPORT({name})\n" for name in names)
    flags = ["-O1", "-g", "-std=c++17", "-ffp-contract=off", "-shared", "-fPIC", "-w", "-fno-strict-aliasing"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=undefined", "-fno-sanitize=vptr"]
    if os.environ.get(SANITIZE):
        flags += ["-fsanitize=address", "-fno-omit-frame-pointer"]
    stamp = hashlib.sha256("\0".join([source, HEADER.read_text(), *flags]).encode()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"fnanneal-shim-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    name = Path(kernels.file).name
    out = folder / f"{name}-{stamp}.so"
    if not out.exists():
        assert COMPILER is not None
        with tempfile.TemporaryDirectory(dir=folder) as work:
            cpp, so = Path(work, f"{name}.cpp"), Path(work, "unit.so")
            cpp.write_text(source)
            done = subprocess.run(
                [COMPILER, *flags, str(cpp), "-o", str(so)], check=False, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr[:4000]
            so.replace(out)
    return ctypes.CDLL(str(out))


class ShimDevice:
    """Runs blocks and threads in ascending order, or, with `descending`, the other way round."""

    def __init__(
        self, *, descending: bool = False, multiprocessors: int = 4, shared_bytes: int = 99 * 1024, memory: int = 2**32
    ) -> None:
        self.name = "CPU"
        self.descending = descending
        self.multiprocessors = multiprocessors
        self.shared_bytes = shared_bytes
        self.memory = memory
        self.launched: list[str] = []

    def free_bytes(self) -> int:
        return self.memory

    def empty(self, shape: Any, kind: Any) -> Any:
        # Rubbish, as on a GPU.
        out = np.empty(shape, kind)
        out.view(np.uint8).fill(0xA5) if out.size and out.ndim else None
        return out

    def zeros(self, shape: Any, kind: Any) -> Any:
        return np.zeros(shape, kind)

    def upload(self, host: Any) -> Any:
        return np.array(host, order="C")

    def write(self, array: Any, host: Any) -> None:
        array[...] = host

    def copy(self, to: Any, source: Any) -> None:
        to[...] = source

    def download(self, array: Any) -> Any:
        return np.array(array)

    def launch(self, kernels: Kernels, name: str, grid: Any, block: int, *args: Any, shared: int = 0) -> None:
        wanted = parameters(kernels)[name]
        assert len(args) == len(wanted), f"{name}: {len(args)} arguments for {len(wanted)} parameters"
        defined = dict(d.split("=") for d in kernels.defines)
        held = [self._argument(name, k, kind, a, defined) for k, (kind, a) in enumerate(zip(wanted, args, strict=True))]
        width, height = (grid, 1) if isinstance(grid, int | np.integer) else grid
        assert width > 0 and 0 < height < 2**16, f"{name}: a grid of {grid}"
        assert 0 < block <= 1024 and block % 32 == 0, f"{name}: blocks of {block}"
        assert shared <= self.shared_bytes, f"{name}: {shared} bytes of shared memory"
        self.launched.append(name)
        pointers = (ctypes.c_void_p * len(held))(*(h.ctypes.data for h in held))
        with _ONE_AT_A_TIME:
            error = getattr(library(kernels), f"shim_{name}")(
                pointers, int(width), int(height), int(block), ctypes.c_size_t(shared), int(self.descending)
            )
        assert error == 0, f"{name}: " + "; ".join(what for bit, what in ERRORS.items() if error & bit)

    @staticmethod
    def _argument(name: str, k: int, kind: str, given: Any, defined: dict[str, str]) -> Any:
        """The argument as eight bytes or fewer in memory: a pointer, or the number itself."""
        constant = kind.startswith("const ")
        kind = kind.removeprefix("const ")
        pointer = kind.endswith("*")
        kind = kind.removesuffix("*").strip()
        expected = np.dtype(KINDS[defined.get(kind, kind)])
        if not pointer:
            assert isinstance(given, np.generic), f"{name}: argument {k} is {given!r:.40}, not a NumPy scalar"
            assert given.dtype == expected, f"{name}: argument {k} is {given.dtype}, not {expected}"
            return np.array([given])
        assert isinstance(given, np.ndarray), f"{name}: argument {k} is {type(given)}, not an array"
        assert given.dtype == expected, f"{name}: argument {k} is {given.dtype}, not {expected}"
        assert given.flags.c_contiguous, f"{name}: argument {k} is not contiguous"
        assert constant or given.flags.writeable, f"{name}: argument {k} is read-only, and not const there"
        return np.array([given.ctypes.data], np.uint64)
