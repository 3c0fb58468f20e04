"""`Device`: what a solver needs of a GPU. `CupyDevice` is a real one; the tests have another, which runs the same kernels on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .source import OPTIONS, Kernels, text

Array = Any
STATIC_LIMIT = 48 * 2**10


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
    """GPU number `index` through CuPy."""

    def __init__(self, index: int) -> None:
        import cupy

        self._cupy: Any = cupy
        self.index = index
        facts = cupy.cuda.runtime.getDeviceProperties(index)
        self._name: str = facts["name"].decode()
        self._multiprocessors = int(facts["multiProcessorCount"])
        # 1 KiB of each block's is the system's.
        self._shared_bytes = int(facts["sharedMemPerBlockOptin"]) - 1024

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
        with self._cupy.cuda.Device(self.index):
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())

    def empty(self, shape: int | tuple[int, ...], kind: Any) -> Array:
        with self._cupy.cuda.Device(self.index):
            return self._cupy.empty(shape, kind)

    def zeros(self, shape: int | tuple[int, ...], kind: Any) -> Array:
        with self._cupy.cuda.Device(self.index):
            return self._cupy.zeros(shape, kind)

    def upload(self, host: NDArray[Any]) -> Array:
        with self._cupy.cuda.Device(self.index):
            return self._cupy.array(host, order="C")

    def write(self, array: Array, host: NDArray[Any]) -> None:
        with self._cupy.cuda.Device(self.index):
            array[...] = self._cupy.asarray(host)

    def copy(self, to: Array, source: Array) -> None:
        with self._cupy.cuda.Device(self.index):
            to[...] = source

    def download(self, array: Array) -> NDArray[Any]:
        with self._cupy.cuda.Device(self.index):
            return self._cupy.asnumpy(array)  # type: ignore[no-any-return]

    def launch(
        self, kernels: Kernels, name: str, grid: int | tuple[int, int], block: int, *args: Any, shared: int = 0
    ) -> None:
        with self._cupy.cuda.Device(self.index):
            function = _function(kernels, name, self.index, shared > STATIC_LIMIT)
            if shared > STATIC_LIMIT and function.max_dynamic_shared_size_bytes < shared:
                function.max_dynamic_shared_size_bytes = shared
            wide = (grid,) if isinstance(grid, int) else grid
            function(wide, (block,), args, shared_mem=shared)


@cache
def _module(kernels: Kernels) -> Any:
    import cupy

    # CuPy compiles at the first use, and keeps the result on disk by text, options, compiler and GPU.
    return cupy.RawModule(code=text(kernels), options=OPTIONS)


@cache
def _function(kernels: Kernels, name: str, index: int, large: bool) -> Any:
    # Attributes are a device's own.
    return _module(kernels).get_function(name)


def scalar(kind: Any, value: Any) -> Any:
    """A kernel's argument of that type."""
    return np.dtype(kind).type(value)
