"""A stand-in for the module `cupy`, for tests without a GPU: as strict as CuPy 14 about what may meet what.

Its arrays never become NumPy's by themselves, meet NumPy's arrays with a TypeError, and answer elements and sums as arrays of no dimension. Only those functions, methods and arguments are here that the package uses;
`tests/test_cuda_fndam.py` holds them against the real module where that is installed. `exp` and its like differ from NumPy's in the last bit, as a GPU's do.
"""

from __future__ import annotations

import contextlib
import types
from typing import Any, Self

import numpy as np

UFUNCS = [
    "absolute",
    "add",
    "bitwise_and",
    "bitwise_or",
    "divide",
    "equal",
    "exp",
    "expm1",
    "greater",
    "greater_equal",
    "invert",
    "isfinite",
    "less",
    "less_equal",
    "log",
    "logaddexp",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "rint",
    "subtract",
]
INEXACT = {"exp", "expm1", "log", "logaddexp"}
# NumPy's names of what CuPy calls otherwise.
OTHERWISE = {"divide": "true_divide"}
METHODS = ["all", "astype", "copy", "get", "max", "mean", "ravel", "reshape", "sum"]


class OutOfMemoryError(MemoryError):
    """As `cupy.cuda.memory.OutOfMemoryError`."""


class CUDARuntimeError(RuntimeError):
    """As `cupy.cuda.runtime.CUDARuntimeError`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class CUDADriverError(RuntimeError):
    """As `cupy.cuda.driver.CUDADriverError`."""


class Device:
    """As `cupy.cuda.Device`: a context."""

    current: list[int] = [0]  # noqa: RUF012

    def __init__(self, index: int) -> None:
        self.id = index

    def __enter__(self) -> Self:
        Device.current.append(self.id)
        return self

    def __exit__(self, *_: object) -> None:
        Device.current.pop()


def _off(values: Any) -> Any:
    """Some of the values, moved by their last bit."""
    values = np.asarray(values)
    bits = values.view(np.int64) * np.int64(0x9E3779B97F4A7C15 - 2**64)
    moved = np.nextafter(values, np.where(bits & (1 << 40), np.inf, -np.inf))
    exact = ~np.isfinite(values) | (values == 0) | (values == 1) | ((bits >> 41) & 3 > 1)
    return np.where(exact, values, moved)


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of CuPy."""

    # Elements that were downloaded, one number a copy; elements of no dimension read as a number count 1.
    downloads: list[int] = []  # noqa: RUF012

    def __init__(self, values: Any) -> None:
        assert type(values) is np.ndarray or isinstance(values, np.generic)
        self._values = np.asarray(values)
        self._on = Device.current[-1]

    size = property(lambda self: self._values.size)
    shape = property(lambda self: self._values.shape)
    ndim = property(lambda self: self._values.ndim)
    dtype = property(lambda self: self._values.dtype)
    device = property(lambda self: Device(self._on))

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **kwargs: Any) -> Any:
        assert method == "__call__" and not kwargs, (ufunc, method, kwargs)
        name = ufunc.__name__
        assert name in UFUNCS, f"{name} is not in the stand-in"
        raw = [_raw(x) for x in (*inputs, *out)]
        values = ufunc(*raw[: len(inputs)])
        if name in INEXACT and values.dtype == np.float64:
            values = _off(values)
        if out:
            raw[-1][...] = values
            return out[0]
        return ndarray(values)

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise AssertionError(f"numpy.{function.__name__} of a CuPy array: call cupy's")

    def __getitem__(self, key: Any) -> ndarray:
        return ndarray(self._values[_raw(key)])

    def __setitem__(self, key: Any, values: Any) -> None:
        self._values[_raw(key)] = _raw(values)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Any:
        raise AssertionError("one by one")

    def _number(self) -> Any:
        assert self.size == 1, "an array as a number"
        ndarray.downloads.append(1)
        return self._values.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __bool__(self) -> bool:
        return bool(self._number())

    def get(self) -> Any:
        ndarray.downloads.append(self.size)
        return self._values.copy()

    def all(self) -> ndarray:
        return ndarray(self._values.all())

    def astype(self, dtype: Any) -> ndarray:
        return ndarray(self._values.astype(dtype))

    def copy(self) -> ndarray:
        return ndarray(self._values.copy())

    def max(self) -> ndarray:
        return ndarray(self._values.max())

    def mean(self) -> ndarray:
        # Another order of summation than NumPy's.
        return ndarray(np.float64(np.add.accumulate(self._values.ravel())[-1] / self.size))

    def ravel(self) -> ndarray:
        return ndarray(self._values.ravel())

    def reshape(self, *shape: Any) -> ndarray:
        return ndarray(self._values.reshape(*shape))

    def sum(self) -> ndarray:
        return ndarray(self._values.sum())


def _raw(x: Any) -> Any:
    """What NumPy computes with in place of x."""
    if isinstance(x, ndarray):
        if Device.current[-1] != x._on:
            raise ValueError(
                f"Array device must be same as the current device: array device = {x._on}, current = {Device.current[-1]}"
            )
        return x._values
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def _where(condition: Any, x: Any, y: Any) -> ndarray:
    return ndarray(np.where(_raw(condition), _raw(x), _raw(y)))


def _clip(a: Any, a_min: Any, a_max: Any) -> ndarray:
    return ndarray(np.clip(_raw(a), _raw(a_min), _raw(a_max)))


def _asarray(a: Any, dtype: Any = None) -> ndarray:
    return a if isinstance(a, ndarray) and dtype is None else ndarray(np.array(_raw_host(a), dtype))


def _raw_host(a: Any) -> Any:
    return a._values if isinstance(a, ndarray) else a


def _asnumpy(a: Any) -> Any:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def module(**more: Any) -> types.ModuleType:
    """The module; `more` replaces names of it, `cuda` among them."""
    cupy = types.ModuleType("cupy")
    functions: dict[str, Any] = {
        "abs": np.absolute,
        "arange": lambda stop: ndarray(np.arange(stop)),
        "asarray": _asarray,
        "asnumpy": _asnumpy,
        "clip": _clip,
        "empty": lambda shape, dtype=float: ndarray(np.full(shape, 113, dtype)),
        "full": lambda shape, value: ndarray(np.full(shape, value)),
        "searchsorted": lambda a, v: ndarray(np.searchsorted(_raw(a), _raw(v))),
        "stack": lambda tup, axis=0: ndarray(np.stack([_raw(a) for a in tup], axis)),
        "where": _where,
        "zeros": lambda shape, dtype=float: ndarray(np.zeros(shape, dtype)),
    }
    ufuncs = {name: _foreign_only(getattr(np, name)) for name in UFUNCS}
    names = {"__version__": "14.2.0", "ndarray": ndarray, **ufuncs, **functions, "abs": ufuncs["absolute"], **more}
    for name, value in names.items():
        setattr(cupy, name, value)
    return cupy


def _foreign_only(ufunc: Any) -> Any:
    def call(*args: Any) -> Any:
        """CuPy's ufuncs refuse NumPy's arrays, also where no array of CuPy's is."""
        for x in args:
            _raw(x)
        return ufunc(*args)

    return call


@contextlib.contextmanager
def on_gpu(index: int) -> Any:
    """Arrays that are made here lie on that GPU."""
    with Device(index):
        yield
