"""Where a method for quadratic programs runs: on the CPU, or on a GPU where it has a form for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...problems.quadratic.program import QP
from .. import placing
from ..cuda import finding
from ..solve import versions


def place(method: Any, backend: str, problem: QP, copies: int = 1) -> tuple[Any, str]:
    """The method in the form that runs there, and where: "cpu" or "cuda".

    A method that has a GPU form has ``on_cuda(devices)``, which gives it: another object of the protocol `Method`. "auto" takes it where ``cuda_pays(work)`` says so, `work` being
    the stored entries of P, A and G of all programs, and where what it needs (``cuda_bytes(problem)``, if there) is free.

    Parameters
    ----------
    copies
        How many such programs are solved together.

    Raises
    ------
    InputError
        With "cuda", where no GPU can be used or the method has no form for it.
    """
    if backend == "auto":
        if not (hasattr(method, "on_cuda") and method.cuda_pays(float(copies * entries(problem)))):
            return method, "cpu"
        found = finding.find()
        if (
            found.devices
            and hasattr(method, "cuda_bytes")
            and method.cuda_bytes(problem) > found.devices[0].free_bytes()
        ):
            return method, "cpu"
    return placing.place(method, backend)


def entries(problem: QP) -> int:
    """Stored entries of its matrices."""
    return int(problem.P.nnz + problem.A.nnz + problem.G.nnz)


def versions_there(placed: str) -> Mapping[str, str]:
    """What a result depends on."""
    return {**versions(), **placing.cuda_versions()} if placed == "cuda" else versions()
