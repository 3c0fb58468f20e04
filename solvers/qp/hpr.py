"""The method `hpr`: HPR-QP (`halpern`), with presolve, scaling and, with ``polish``, a finish that factorises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...problems.quadratic.program import QP
from .form import Form, PrimalDual
from .halpern import Halpern
from .method import method
from .norms import Norms
from .splitting import SplittingMethod

if TYPE_CHECKING:
    from ..cuda.device import Device
    from ..cuda.qp import HPROnCUDA


@method("hpr")
@dataclass(frozen=True, slots=True, kw_only=True)
class HPR(SplittingMethod):
    """Restarted dual Halpern Peaceman-Rachford: local updates, two products with P, one with A and one with A' a step."""

    def splitting(self, form: Form, norms: Norms, start: PrimalDual | None) -> Halpern:
        return Halpern(form, norms, start, self.check)

    def cuda_bytes(self, problem: QP) -> int:
        """Memory on the GPU, without presolve."""
        from ..cuda.hpr import bytes_needed

        return bytes_needed(problem.n, problem.rows, problem.P.nnz, problem.A.nnz + problem.G.nnz)

    def on_cuda(self, devices: Sequence[Device]) -> HPROnCUDA:
        """With its steps on these GPUs."""
        from ..cuda.qp import HPROnCUDA

        return HPROnCUDA(self, tuple(devices))
