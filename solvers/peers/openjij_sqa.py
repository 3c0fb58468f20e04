"""Simulated quantum annealing of OpenJij."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ...checks import integer, positive
from ...problems.model import Model
from ..registry import peer
from . import jij
from .annealer import Annealer
from .peer import Batch


@peer("openjij-sqa")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJijSQA(Annealer):
    """Simulated quantum annealing of OpenJij: a path integral of so many slices in a falling transverse field.

    Parameters
    ----------
    num_reads, num_sweeps
        As of `openjij-sa`.
    trotter
        Slices, of which the best is the read's state.
    beta, gamma
        Inverse temperature and the first transverse field, in the problem's own units; the package's defaults.
    """

    trotter: int = 4
    beta: float = 5.0
    gamma: float = 1.0

    package: ClassVar[str] = "openjij"
    extra: ClassVar[str | None] = "peers"
    modules: ClassVar[tuple[str, ...]] = ("openjij",)
    most_reads: ClassVar[int] = jij.MOST_READS
    budget_rule: ClassVar[str] = (
        "time: as many reads of num_sweeps as fit, or with num_sweeps=all one read scaled to it; "
        "spin tests: reads x sweeps x slices x spins; neither: 10 reads"
    )

    def __post_init__(self) -> None:
        Annealer.__post_init__(self)
        object.__setattr__(self, "trotter", integer(self.trotter, "trotter", 1, 10**4))
        for name in ("beta", "gamma"):
            object.__setattr__(self, name, positive(getattr(self, name), name))

    def memory(self, problem: Model) -> int:
        return Annealer.memory(self, problem) + 100 * self.trotter * problem.n

    def sweep(self, n: int) -> int:
        return self.trotter * n

    def warm_up(self) -> None:
        import openjij

        openjij.SQASampler().sample_ising({0: 1.0, 1: 1.0}, {(0, 1): 1.0}, num_sweeps=1)

    def build(self, problem: Model) -> Any:
        return jij.model(problem), problem.n

    def reader(self, model: Any, seed: int) -> Callable[[int, int, int], Batch]:
        import openjij

        return jij.reader(openjij.SQASampler(), model, seed, trotter=self.trotter, beta=self.beta, gamma=self.gamma)
