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

# Of tiny problems, what a call spends is as much as what it does.
LEAST_SHARE = 0.1


@peer("dwave-sa")
@dataclass(frozen=True, slots=True, kw_only=True)
class DWaveSA(Annealer):
    """Simulated annealing of dwave-samplers: geometric cooling over the package's own range.

    Its clock is the package's own, less what every call spends on setting up its lists, as a read of one sweep shows.
    """

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

        def call(reads: int, sweeps: int, k: int) -> tuple[Any, float]:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "All bqm biases are zero")
                found = sampler.sample(model, num_reads=reads, num_sweeps=sweeps, seed=peer_seed(seed, k))
            return found, found.info["timing"]["sampling_ns"] * 1e-9

        setup = min(call(1, 1, k)[1] for k in range(2))

        def read(reads: int, sweeps: int, k: int) -> Batch:
            found, took = call(reads, sweeps, k)
            return consecutive(found, max(took - setup, LEAST_SHARE * took))

        return read
