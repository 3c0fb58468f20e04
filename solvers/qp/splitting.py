"""What the splitting methods share: presolve, scaling, the finish, and their settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ...checks import integer
from ...errors import InputError
from ...problems.quadratic.program import QP
from .form import Form, PrimalDual
from .method import Start, Step, Tolerance
from .norms import Norms, kind_of, norm_bounds
from .pipeline import Run, Splitting, System
from .warm import warm_up

# Stored entries from which a GPU pays: below, a CPU has finished before a GPU has been started and its kernels loaded.
PAYS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class SplittingMethod(ABC):
    """Settings.

    Attributes
    ----------
    presolve
        Whether to reduce the problem first.
    check
        Steps between two looks at the residuals.
    """

    name: ClassVar[str]
    convex_only: ClassVar[bool] = True
    open_ended: ClassVar[bool] = True
    presolve: bool = True
    check: int = 100

    def __post_init__(self) -> None:
        object.__setattr__(self, "check", integer(self.check, "check", 1, 10**6))
        if not isinstance(self.presolve, bool):
            raise InputError(f"presolve must be True or False, not {self.presolve!r:.40}")

    def settings(self) -> dict[str, Any]:
        return asdict(self)

    def accepts(self, problem: QP) -> str | None:
        if problem.binary is not None:
            count = int(problem.binary.sum())
            return f"{count} variables are binary, and {self.name} is continuous; boxqp takes them where there are only bounds"
        return None

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> System:
        return System.build(problem, tolerance, presolving=self.presolve, norms=norm_bounds)

    def renew(self, system: System, problem: QP, matrices: bool) -> System:
        """The system for other numbers in the same places; if matrices are among them, their norms are bounded without iterations."""
        new = system.renew(problem)
        if matrices and new.scaled is not None:
            new.norms = norm_bounds(new.scaled, quickly=True)
        return new

    def warm_up(self, system: System) -> None:
        if system.scaled is not None:
            warm_up(self.name, kind_of(system.scaled)[0], system.tolerance.polish)

    @abstractmethod
    def splitting(self, form: Form, norms: Norms, start: PrimalDual | None) -> Splitting:
        """The iteration itself."""

    def cuda_pays(self, work: float) -> bool:
        """Whether programs with so many stored entries are better solved on a GPU."""
        return work >= PAYS

    def init(self, system: System, *, seed: int, start: Start | None) -> Run:
        return Run(system, self.splitting, start)

    def advance(self, system: System, state: Run, seconds_left: float) -> None:
        state.advance(seconds_left)

    def report(self, system: System, state: Run) -> Step:
        return state.report()
