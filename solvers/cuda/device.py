"""`Device`: what a solver needs of a GPU. `CupyDevice` is a real one; the tests have another, which runs the same kernels on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from . import compiling
from .source import Kernels

Array = Any


class Device(Protocol):
    """A GPU. Its arrays can be sliced as NumPy's; work is queued in the order of the calls, and `download` waits for it.

    Attributes
    ----------
    name
        As its maker calls it.
    multiprocessors
        How many blocks run side by side, at least.
    shared_bytes
        The most dynamic shared memory that a block can have.
    """

    @property
    def name(self) -> str: ...
    @property
    def multiprocessors(self) -> int: ...
    @property
    def shared_bytes(self) -> int: ...
    def free_bytes(self) -> int: ...
    def empty(self, shape: int | tuple[int, ...], kind: Any) -> Array: ...
    def zeros(self, shape: int | tuple[int, ...], kind: Any) -> Array: ...
    def upload(self, host: NDArray[Any]) -> Array: ...
    def write(self, array: Array, host: NDArray[Any]) -> None: ...
    def copy(self, to: Array, source: Array) -> None: ...
    def download(self, array: Array) -> NDArray[Any]: ...
    def launch(
        self, kernels: Kernels, name: str, grid: int | tuple[int, int], block: int, *args: Any, shared: int = 0
    ) -> None:
        """Queue a kernel. args: contiguous arrays and NumPy scalars, of the kernel's own types; shared: bytes of dynamic shared memory a block."""


class CupyDevice:
    """GPU number `index` through CuPy. A memory that runs out, or a GPU that another process keeps to itself, is an `InputError` of one line."""

    def __init__(self, index: int) -> None:
        import cupy

        self._cupy: Any = cupy
        self.index = index
        self._gpu: Any = cupy.cuda.Device(index)
        facts = cupy.cuda.runtime.getDeviceProperties(index)
        self._name: str = facts["name"].decode()
        self._multiprocessors = int(facts["multiProcessorCount"])
        # A kernel's static shared memory comes out of the same: 1 KiB is left for it.
        self._shared_bytes = int(facts["sharedMemPerBlockOptin"]) - 1024
        self.memory_bytes = int(facts["totalGlobalMem"])
        self._capability = int(facts["major"]), int(facts["minor"])
        self.capability = ".".join(map(str, self._capability))
        self._functions: dict[tuple[Kernels, str], Any] = {}
        # Dynamic shared memory that each kernel has been allowed [bytes].
        self._allowed: dict[tuple[Kernels, str], int] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def multiprocessors(self) -> int:
        return self._multiprocessors

    @property
    def shared_bytes(self) -> int:
        return self._shared_bytes

    def free_bytes(self) -> int:
        """Memory free for use: the driver's, and what CuPy's pool holds unused."""
        with self._here():
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())

    def empty(self, shape: int | tuple[int, ...], kind: Any) -> Array:
        with self._here(_bytes(shape, kind)):
            return self._cupy.empty(shape, kind)

    def zeros(self, shape: int | tuple[int, ...], kind: Any) -> Array:
        with self._here(_bytes(shape, kind)):
            return self._cupy.zeros(shape, kind)

    def upload(self, host: NDArray[Any]) -> Array:
        with self._here(host.nbytes):
            return self._cupy.array(host, order="C")

    def write(self, array: Array, host: NDArray[Any]) -> None:
        with self._here(host.nbytes):
            array[...] = self._cupy.asarray(host)

    def copy(self, to: Array, source: Array) -> None:
        with self._here():
            to[...] = source

    def download(self, array: Array) -> NDArray[Any]:
        with self._here():
            return self._cupy.asnumpy(array)  # type: ignore[no-any-return]

    def launch(
        self, kernels: Kernels, name: str, grid: int | tuple[int, int], block: int, *args: Any, shared: int = 0
    ) -> None:
        # The whole of `_here`, without its microseconds.
        try:
            with self._gpu:
                function = self._functions.get((kernels, name))
                if function is None:
                    function = compiling.function(kernels, name, self._gpu, self._capability)
                    self._functions[kernels, name] = function
                if shared > self._allowed.get((kernels, name), 0):
                    # 48 KiB less the kernel's static arrays unless more is asked for.
                    function.max_dynamic_shared_size_bytes = max(function.max_dynamic_shared_size_bytes, shared)
                    self._allowed[kernels, name] = shared
                wide = (grid,) if isinstance(grid, int) else grid
                function(wide, (block,), args, shared_mem=shared)
        except RuntimeError as e:
            told = self._told(e)
            if told is None:
                raise
            raise told from e

    @contextmanager
    def _here(self, wanted: int = 0) -> Iterator[None]:
        """Work on this GPU, with so many bytes of memory."""
        try:
            with self._gpu:
                yield
        except (MemoryError, RuntimeError) as e:
            told = self._told(e, wanted)
            if told is None:
                raise
            raise told from e

    def _told(self, error: Exception, wanted: int = 0) -> InputError | None:
        """What a user is told of an error that is not ours."""
        said = str(error).lower()
        # CuPy's pool, the runtime and the driver each have a class of their own for it.
        if "out of memory" in said:
            asked = f"{wanted / 2**30:.2f} GiB asked for, " if wanted else ""
            return InputError(
                f"the GPU's memory ran out ({asked}{self._left() / 2**30:.2f} GiB free): fewer reads (num_reads), or backend=cpu"
            )
        if "devicesunavailable" in said:
            return InputError(f"another process keeps {self.name} to itself: backend=cpu, or wait for it")
        return None

    def _left(self) -> int:
        try:
            with self._gpu:
                free, _ = self._cupy.cuda.runtime.memGetInfo()
                return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())
        except RuntimeError:
            # Where other processes hold all of it, not even this can be asked.
            return 0


def _bytes(shape: int | tuple[int, ...], kind: Any) -> int:
    return int(np.dtype(kind).itemsize) * math.prod((shape,) if isinstance(shape, int) else shape)
