"""The method `hpr`: HPR-QP (`halpern`), with presolve, scaling and, with ``polish``, a finish that factorises."""

from __future__ import annotations

from dataclasses import dataclass

from .form import Form, PrimalDual
from .halpern import Halpern
from .method import method
from .norms import Norms
from .splitting import SplittingMethod


@method("hpr")
@dataclass(frozen=True, slots=True, kw_only=True)
class HPR(SplittingMethod):
    """Restarted dual Halpern Peaceman-Rachford: local updates, two products with P, one with A and one with A' a step."""

    def splitting(self, form: Form, norms: Norms, start: PrimalDual | None) -> Halpern:
        return Halpern(form, norms, start, self.check)
