"""Where a solver runs: on the CPU, on the GPUs that can be used, or on an executor's workers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import cache
from typing import Any

from ..errors import InputError
from ..parallel import open_executor
from .cuda import finding

BACKENDS = ("auto", "cpu", "cuda")
# With fewer, a CPU has finished before a GPU's library is loaded (a guess: docs/gpu.md).
LEAST_SPINS = 500
_log = logging.getLogger("fnanneal")


def check_backend(backend: Any) -> None:
    """Refuse an unknown backend.

    Raises
    ------
    InputError
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r:.40}; there are: {', '.join(BACKENDS)}")


def place(solver: Any, backend: str, spins: int | None = None) -> tuple[Any, str]:
    """The solver in the form that runs there, and where: "cpu" or "cuda"; "auto" leaves problems of few spins to the CPU.

    Raises
    ------
    InputError
        With "cuda", where no GPU can be used or the solver has no kernels for it.
    """
    if backend == "cpu":
        return solver, "cpu"
    if backend == "cuda":
        devices = finding.devices()
        if not hasattr(solver, "on_cuda"):
            raise InputError(f"{solver.name} does not run on a GPU: use backend=cpu")
        return solver.on_cuda(devices), "cuda"
    if not could(solver, spins):
        return solver, "cpu"
    found = finding.find()
    if found.devices:
        return solver.on_cuda(found.devices), "cuda"
    if found.reason is not None:
        _say_once(found.reason, found.hopeful)
    return solver, "cpu"


@contextmanager
def placed(
    solver: Any, backend: str, spins: int, executor: str | Executor | None, threads: int
) -> Iterator[tuple[Any, str]]:
    """`place`; or with an executor the solver on its workers, on this machine at most one for each of the threads.

    Raises
    ------
    InputError
        As `place` and `open_executor`; and where the solver has no islands, or is to run on a GPU as well.
    """
    if executor is None:
        yield place(solver, backend, spins)
        return
    check_islands(solver)
    if backend == "cuda":
        raise InputError("the workers of an executor compute on their CPUs: use backend=cpu")
    with open_executor(executor, workers=threads if executor == "processes" else None) as opened:
        islands = solver.on_executor(opened)
        try:
            yield islands, "cpu"
        finally:
            islands.close()


def check_islands(solver: Any) -> None:
    """Refuse a solver, or a class of them, that has no islands.

    Raises
    ------
    InputError
    """
    if not hasattr(solver, "on_executor"):
        raise InputError(f"{solver.name} has no islands to be run on an executor: that is for ensemble")


def could(solver: Any, spins: int | None) -> bool:
    """Whether "auto" would put it on a GPU."""
    return hasattr(solver, "on_cuda") and (spins is None or spins >= LEAST_SPINS)


@cache
def _say_once(reason: str, hopeful: bool) -> None:
    # Where there is a GPU, that it lies idle deserves a warning.
    _log.log(logging.WARNING if hopeful else logging.INFO, "solving on the CPU: %s", reason)


def cuda_versions() -> dict[str, str]:
    """What a result on a GPU depends on beside `versions`."""
    found = finding.find()
    return {
        **({} if found.cupy is None else {"cupy": found.cupy}),
        **({} if found.driver is None else {"cuda_driver": ".".join(map(str, found.driver))}),
        "gpu": ", ".join(dict.fromkeys(d.name for d in found.devices)),
    }
