"""Steepest descent of D-Wave's dwave-samplers, from many random states."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

from ...errors import InputError
from ...problems.model import Model
from ..registry import peer
from .ocean import bqm, consecutive
from .peer import Batch, Limits, Peer, check_counts, peer_seed
from .reads import in_reads

# Where a search tree of the next descents begins to pay: measured on Gset's graphs.
TREE = 40


@peer("dwave-steepest")
@dataclass(frozen=True, slots=True, kw_only=True)
class DWaveSteepest(Peer):
    """Steepest descent of dwave-samplers from random states.

    Parameters
    ----------
    num_reads
        Descents. None: as many as the limit has time for, or 100 without one.
    large_sparse_opt
        The package's search tree instead of its array; None: where the graph is large and sparse.
    """

    num_reads: int | None = None
    large_sparse_opt: bool | None = None

    package: ClassVar[str] = "dwave-samplers"
    extra: ClassVar[str | None] = "peers"
    modules: ClassVar[tuple[str, ...]] = ("dimod", "dwave.samplers")
    budget_rule: ClassVar[str] = "time: as many descents as fit; spin tests: not counted; neither: 100 descents"

    def __post_init__(self) -> None:
        check_counts(self, "num_reads")
        if self.large_sparse_opt not in (None, True, False):
            raise InputError(f"large_sparse_opt must be True, False or None, not {self.large_sparse_opt!r:.40}")

    def warm_up(self) -> None:
        import dimod
        from dwave.samplers import SteepestDescentSampler

        SteepestDescentSampler().sample(dimod.BinaryQuadraticModel({0: 1.0}, {}, "SPIN"))

    def build(self, problem: Model) -> Any:
        return bqm(problem)

    def run(self, model: Any, limits: Limits, seed: int) -> Generator[Batch]:
        from dwave.samplers import SteepestDescentSampler

        sampler = SteepestDescentSampler()
        n, m = model.num_variables, model.num_interactions
        tree = self.large_sparse_opt
        if tree is None:
            tree = n > TREE * (2 * m / n) * math.log2(n + 1)

        def read(reads: int, k: int) -> Batch:
            found = sampler.sample(model, num_reads=reads, seed=peer_seed(seed, k), large_sparse_opt=tree)
            return consecutive(found, found.info["timing"]["sampling_ns"] * 1e-9)

        return in_reads(read, limits, num_reads=self.num_reads, default=100, n=n)
