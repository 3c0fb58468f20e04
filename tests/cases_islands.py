"""A worker that dies in the middle of an island, for tests/test_islands.py: workers import it from here."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from fnanneal.solvers.populations import parcels


def die_once(fn: Callable[..., Any], mark: Path, *args: Any) -> Any:
    """Do the task; but the first worker that has annealed an island dies before it can say so."""
    result = fn(*args)
    if fn is parcels.perform:
        try:
            mark.unlink()
        except FileNotFoundError:
            return result
        os.kill(os.getpid(), signal.SIGKILL)
    return result


class Mortal(Executor):
    """Another executor, one of whose workers dies once."""

    def __init__(self, executor: Executor, workers: int, mark: Path) -> None:
        self.executor, self._max_workers, self.mark = executor, workers, mark
        mark.touch()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self.executor.submit(die_once, fn, self.mark, *args, **kwargs)
