"""The end of a worker process whose task hangs."""

from __future__ import annotations

import faulthandler
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_TOKEN = secrets.token_hex(8)
_lock = threading.Lock()
_deadlines: dict[object, float] = {}


def process_token() -> str:
    """Of this process, unlike any other's. The coordinator puts its own into a task, for `guarded`."""
    # A forked process has its parent's random part.
    return f"{_TOKEN}-{os.getpid()}"


def guarded(seconds: float, coordinator: str, fn: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `fn`; a worker process that is not done with it after `seconds` ends, whatever it is doing, and the coordinator sees a dead worker. 0 is no limit.

    Without effect in the coordinator's own process (`coordinator` is its `process_token`), under MPI, where one dead process ends them all, and in a Dask worker without a
    nanny, which nobody would start again.
    """
    if seconds <= 0 or not _may_end(coordinator):
        return fn(*args, **kwargs)
    call = object()
    try:
        _arm(call, time.monotonic() + seconds)
        return fn(*args, **kwargs)
    finally:
        _arm(call, None)


def _may_end(coordinator: str) -> bool:
    if coordinator == process_token() or "mpi4py.MPI" in sys.modules:
        return False
    if "distributed.worker" in sys.modules:
        from distributed import get_worker

        try:
            return get_worker().nanny is not None
        except ValueError:  # not in a Dask task
            return True
    return True


def _arm(call: object, deadline: float | None) -> None:
    """Note or drop the deadline of a call. There is one timer a process, though the process may have several threads: it runs to the earliest."""
    with _lock:
        if deadline is None:
            _deadlines.pop(call, None)
        else:
            _deadlines[call] = deadline
        faulthandler.cancel_dump_traceback_later()
        if _deadlines:
            # A thread of C, which needs no interpreter; what hung is said on standard error.
            left = max(min(_deadlines.values()) - time.monotonic(), 1e-3)
            faulthandler.dump_traceback_later(left, exit=True, file=2)
