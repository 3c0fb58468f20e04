"""Simulated annealing of OpenJij."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ...problems.model import Model
from ..registry import peer
from . import jij
from .annealer import Annealer
from .peer import Batch


@peer("openjij-sa")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJijSA(Annealer):
    """Simulated annealing of OpenJij: geometric cooling over the package's own range, on sparse or dense couplings as the problem is."""

    package: ClassVar[str] = "openjij"
    extra: ClassVar[str | None] = "peers"
    modules: ClassVar[tuple[str, ...]] = ("openjij",)
    most_reads: ClassVar[int] = jij.MOST_READS

    def warm_up(self) -> None:
        import openjij

        openjij.SASampler().sample_ising({0: 1.0, 1: 1.0}, {(0, 1): 1.0}, num_sweeps=1)

    def build(self, problem: Model) -> Any:
        return jij.model(problem), problem.n

    def reader(self, model: Any, seed: int) -> Callable[[int, int, int], Batch]:
        import openjij

        return jij.reader(openjij.SASampler(), model, seed)
