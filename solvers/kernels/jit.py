"""`kernel`: Numba's njit with a cache that works for read-only installs and for several processes at once.

Numba's own cache keeps one index a function, which two processes that compile at the same moment can leave pointing at each other's
code, and it does not notice that a helper in another file has changed. Here every compiled signature is a file of its own, written
atomically, in a folder named by a digest of all kernel sources and the versions of Python and Numba.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import platform
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import caching
from numba.core.serialize import dumps

from ...cache import cache_dir

log = logging.getLogger("fnanneal")


@cache
def _folder() -> Path:
    h = hashlib.sha256(f"{numba.__version__} {platform.python_version()} {platform.python_implementation()}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        h.update(source.name.encode() + source.read_bytes())
    return cache_dir() / "kernels" / h.hexdigest()[:16]


class _Files:
    """One file a signature, in place of Numba's index and numbered data files."""

    def __init__(self, base: str) -> None:
        self.base = base

    def _path(self, key: Any) -> Path:
        return _folder() / f"{self.base}-{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.nbc"

    def load(self, key: Any) -> Any:
        try:
            stored, data = pickle.loads(self._path(key).read_bytes())
        except Exception:  # noqa: BLE001 (absent, truncated or unreadable in any way: compile again)
            return None
        return data if stored == repr(key) else None

    def save(self, key: Any, data: Any) -> None:
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
            try:
                with os.fdopen(handle, "wb") as f:
                    f.write(dumps((repr(key), data)))
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as e:
            log.debug("kernel not cached: %s", e)

    def flush(self) -> None:
        for path in _folder().glob(f"{self.base}-*.nbc"):
            path.unlink(missing_ok=True)


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
        self._cache_path = str(_folder())
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
