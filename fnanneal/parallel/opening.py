"""Executors by what users write: processes of this machine, ``dask:ADDRESS``, ``mpi``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from ..errors import InputError
from .dask import dask_executor, dask_threads, is_dask
from .mpi import mpi_executor
from .processes import Processes


@contextmanager
def open_executor(
    spec: str | Executor | None = None, *, workers: int | None = None, threads: int = 1
) -> Iterator[Executor]:
    """An executor, closed at the end of the ``with`` block; after an exception, at once, without waiting for what runs.

    Parameters
    ----------
    spec
        None or ``processes``; ``dask:tcp://HOST:PORT``; ``mpi``; or an executor, which stays open.
    workers
        Processes on this machine; None for as many as there are cores for. Dask and MPI know their own.
    threads
        Of one task.

    Raises
    ------
    InputError
        For anything else, and where Dask or MPI is not there or not reached.
    """
    if isinstance(spec, Executor):
        yield spec
        return
    if spec in (None, "processes"):
        with Processes(workers, threads=threads) as processes:
            yield processes
        return
    kind, _, address = spec.partition(":") if isinstance(spec, str) else ("", "", "")
    if workers is not None and kind in ("dask", "mpi"):
        raise InputError(f"the number of workers is that of the {kind} cluster: it cannot be set")
    if kind == "dask" and address:
        with dask_executor(address) as executor:
            yield executor
    elif spec == "mpi":
        with mpi_executor() as executor:
            yield executor
    else:
        raise InputError(f"an executor is processes, dask:tcp://HOST:PORT or mpi, not {spec!r:.80}")


def slots(executor: Executor) -> int:
    """How many tasks an executor runs at a time, now; at least 1."""
    if isinstance(executor, Processes):
        return executor.workers
    if is_dask(executor):
        return max(1, sum(dask_threads(executor).values()))
    return max(1, getattr(executor, "_max_workers", None) or os.cpu_count() or 1)


def describe(executor: Executor) -> dict[str, Any]:
    """For a record of where tasks ran: ``executor``, ``workers``, and of processes and Dask workers what bears on timing."""
    if isinstance(executor, Processes):
        return {"executor": "processes", "workers": executor.workers, "pinned": executor.cores is not None}
    if is_dask(executor):
        found = dask_threads(executor)
        return {"executor": "dask", "workers": len(found), "threads_per_worker": max(found.values(), default=0)}
    return {"executor": type(executor).__name__, "workers": slots(executor)}
