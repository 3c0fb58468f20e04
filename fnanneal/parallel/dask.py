"""A Dask cluster as an executor."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

from ..errors import InputError

_CONNECT_S = 10.0
_log = logging.getLogger("fnanneal")


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The cluster whose scheduler is at `address`. After an exception what waits is cancelled; what runs on the workers ends by itself.

    Raises
    ------
    InputError
        Where distributed is not installed, or the scheduler is not reached.
    """
    try:
        from distributed import Client
        from distributed.comm import get_address_host
    except ImportError as e:
        raise InputError('--executor dask needs distributed: pip install "fnanneal[dask]"') from e
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            # A client that was given what is no address leaves a trace on its way out.
            get_address_host(address)
            client = Client(address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError, ImportError) as e:
            why = str(e).strip().splitlines()
            raise InputError(f"no Dask scheduler at {address!r:.80}: {why[0] if why else type(e).__name__}") from e
    if any(w.category.__name__ == "VersionMismatchWarning" for w in caught):
        _log.warning("the versions of Python or Dask differ between here and %s", address)
    # What it has to say of a lost scheduler, over pages, is said by our own exception.
    talk = logging.getLogger("distributed.client")
    level = talk.level
    talk.setLevel(logging.CRITICAL)
    try:
        _check(client, address)
        executor = client.get_executor(pure=False)
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False)
            raise
        executor.shutdown()
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=_CONNECT_S)
        talk.setLevel(level)


def _check(client: Any, address: str) -> None:
    """That the cluster can import fnanneal; and a word on what bears on results."""
    try:
        found = {client.run_on_scheduler(_installed), *client.run(_installed).values()}
    except Exception as e:  # whatever a process says that cannot import it
        raise InputError(f"the cluster at {address} cannot import fnanneal {_installed()}: install it there") from e
    if len(found | {_installed()}) > 1:
        _log.warning("the cluster at %s has other versions of fnanneal than %s", address, _installed())
    threads = client.nthreads()
    if not threads:
        _log.warning("no workers at %s yet: waiting for them", address)
    elif max(threads.values()) > 1:
        _log.warning("workers at %s have several threads: their tasks disturb each other's timing; start them with --nthreads 1", address)  # fmt: skip


def _installed() -> str:
    return version("fnanneal")


def is_dask(executor: Executor) -> bool:
    """Whether it is `distributed.Client.get_executor`'s; without loading Dask."""
    return type(executor).__module__.partition(".")[0] == "distributed"


def dask_threads(executor: Any) -> Mapping[str, int]:
    """Threads by the address of each worker that is there now.

    Raises
    ------
    ConnectionError
        Where the scheduler is gone.
    """
    try:
        found: Mapping[str, int] = executor._client.nthreads()
    except (OSError, RuntimeError) as e:
        raise ConnectionError("the Dask scheduler is gone") from e
    return found
