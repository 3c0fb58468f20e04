"""Where a solver runs: on the CPU, or on the GPUs that can be used."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from ..errors import InputError
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
