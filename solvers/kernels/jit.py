"""`kernel`: Numba's njit with a cache that works for read-only installs and for several processes at once.

Numba's own cache keeps one index a function, which two processes that compile at the same moment can leave pointing at each other's
code, and it does not notice that a helper in another file has changed. Here every compiled signature is an entry of our own cache, written
atomically and stamped with a digest of all kernel sources and the versions of Python and Numba.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching
from numba.core.serialize import dumps

from ... import cache as cache_files

FOLDER = "kernels"


@cache
def _sources() -> str:
    """Digest of everything that a compiled kernel comes from but its signature and the processor, which are in Numba's key."""
    h = hashlib.sha256(f"{numba.__version__} {platform.python_version()} {platform.python_implementation()}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        h.update(source.name.encode() + source.read_bytes())
    return h.hexdigest()


class _Files:
    """One entry of the cache a signature, in place of Numba's index and numbered data files."""

    def __init__(self, base: str) -> None:
        self.base = base

    def _entry(self, key: Any) -> tuple[str, str]:
        stamp = f"{_sources()} {key!r}"
        return f"{self.base}-{hashlib.sha256(stamp.encode()).hexdigest()[:24]}", stamp

    def load(self, key: Any) -> Any:
        # Only what this program wrote, whole and for this very key, is unpickled: the stamp is part of the digest.
        payload = cache_files.read(FOLDER, *self._entry(key))
        return None if payload is None else pickle.loads(payload)

    def save(self, key: Any, data: Any) -> None:
        name, stamp = self._entry(key)
        cache_files.write(FOLDER, name, stamp, dumps(data))

    def flush(self) -> None:
        """Nothing to keep in step: entries of other sources are never looked up."""


class _Locator:
    """Stands in for Numba's search for a writable folder; `_Files` knows its own."""

    def ensure_cache_path(self) -> None:
        """Nothing to do before `_Files.save`."""


class _Impl(caching.CompileResultCacheImpl):
    def __init__(self, py_func: Callable[..., Any]) -> None:
        self._locator = _Locator()
        self._filename_base = f"{py_func.__module__.rpartition('.')[2]}.{py_func.__qualname__}"


class _Cache(caching.FunctionCache):
    def __init__(self, py_func: Callable[..., Any]) -> None:
        self._name = repr(py_func)
        self._py_func = py_func
        self._impl = _Impl(py_func)
        self._cache_path = str(cache_files.cache_dir() / FOLDER)
        self._cache_file: Any = _Files(self._impl._filename_base)
        self.enable()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile with Numba, releasing the GIL, cached on disk. With ``NUMBA_DISABLE_JIT=1`` the plain function."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    if hasattr(compiled, "_cache"):
        compiled._cache = _Cache(function)
    return compiled


def helper(function: Callable[..., Any]) -> Any:
    """A function that kernels call; compiled into each of them."""
    return numba.njit(nogil=True, error_model="numpy")(function)
