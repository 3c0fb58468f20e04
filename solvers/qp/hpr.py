"""The method `hpr`: HPR-QP (`halpern`) with presolve, scaling and, with ``polish``, a finish that factorises."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...checks import integer
from ...errors import InputError
from ...problems.quadratic.program import QP
from .form import Form, PrimalDual
from .halpern import CHECK, Halpern
from .norms import Norms, norm_bounds
from .method import Start, Step, Tolerance, method
from .pipeline import Run, System
from .warm import warm_up


@method("hpr")
@dataclass(frozen=True, slots=True, kw_only=True)
class HPR:
    """Restarted dual Halpern Peaceman-Rachford: local updates, two products with P and A a step.

    Attributes
    ----------
    presolve
        Whether to reduce the problem first.
    check
        Steps between two looks at the residuals.
    """

    name = "hpr"
    presolve: bool = True
    check: int = CHECK

    def __post_init__(self) -> None:
        object.__setattr__(self, "check", integer(self.check, "check", 1, 10**6))
        if not isinstance(self.presolve, bool):
            raise InputError(f"presolve must be True or False, not {self.presolve!r:.40}")

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def accepts(self, problem: QP) -> str | None:
        if problem.binary is not None:
            return f"{int(problem.binary.sum())} variables are binary, and hpr is continuous; boxqp takes them where there are only bounds"
        return None

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> System:
        return System.build(problem, tolerance, presolving=self.presolve, norms=norm_bounds)

    def renew(self, system: System, problem: QP, matrices: bool) -> System:
        """The system for other numbers in the same places; norms are looked at again, from where they were, if matrices are among them."""
        new = system.renew(problem)
        if matrices and new.scaled is not None:
            new.norms = norm_bounds(new.scaled, system.norms)
        return new

    def warm_up(self, system: System) -> None:
        warm_up()

    def init(self, system: System, *, seed: int, start: Start | None) -> Run:
        def make(form: Form, norms: Norms, first: PrimalDual | None) -> Halpern:
            return Halpern(form, norms, first, self.check)

        return Run(system, make, start)

    def advance(self, system: System, state: Run, seconds_left: float) -> None:
        state.advance(seconds_left)

    def report(self, system: System, state: Run) -> Step:
        return state.report()
