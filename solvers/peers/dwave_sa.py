"""Simulated annealing of D-Wave's dwave-samplers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ...problems.model import Model
from ..registry import peer
from .annealer import Annealer
from .ocean import bqm, consecutive
from .peer import Batch, peer_seed


@peer("dwave-sa")
@dataclass(frozen=True, slots=True, kw_only=True)
class DWaveSA(Annealer):
    """Simulated annealing of dwave-samplers: geometric cooling over the package's own range."""

    package: ClassVar[str] = "dwave-samplers"
    extra: ClassVar[str | None] = "peers"
    modules: ClassVar[tuple[str, ...]] = ("dimod", "dwave.samplers")

    def warm_up(self) -> None:
        import dimod
        from dwave.samplers import SimulatedAnnealingSampler

        SimulatedAnnealingSampler().sample(dimod.BinaryQuadraticModel({0: 1.0}, {}, "SPIN"), num_sweeps=1)

    def build(self, problem: Model) -> Any:
        return bqm(problem), problem.n

    def reader(self, model: Any, seed: int) -> Callable[[int, int, int], Batch]:
        from dwave.samplers import SimulatedAnnealingSampler

        sampler = SimulatedAnnealingSampler()

        def read(reads: int, sweeps: int, k: int) -> Batch:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "All bqm biases are zero")
                found = sampler.sample(model, num_reads=reads, num_sweeps=sweeps, seed=peer_seed(seed, k))
            return consecutive(found, found.info["timing"]["sampling_ns"] * 1e-9)

        return read
