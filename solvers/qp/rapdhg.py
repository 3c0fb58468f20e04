"""The method `rapdhg`: restarted accelerated PDHG (`accelerated`), with presolve, scaling and, with ``polish``, a finish that factorises."""

from __future__ import annotations

from dataclasses import dataclass

from .accelerated import Accelerated
from .form import Form, PrimalDual
from .method import method
from .norms import Norms
from .splitting import SplittingMethod


@method("rapdhg")
@dataclass(frozen=True, slots=True, kw_only=True)
class RAPDHG(SplittingMethod):
    """Restarted accelerated primal-dual hybrid gradient: one product with P, one with A and one with A' a step."""

    def splitting(self, form: Form, norms: Norms, start: PrimalDual | None) -> Accelerated:
        return Accelerated(form, norms, start, self.check)
