"""Multistart tabu search of D-Wave's dwave-samplers."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...problems.model import Model
from ..registry import peer
from .form import Form
from .peer import Batch, Limits, Peer, check_counts, peer_seed

READS = 10
READ_S = 1.0
RESTARTS = 1_000_000
MOST_SPINS = 10_000


@peer("dwave-tabu")
@dataclass(frozen=True, slots=True, kw_only=True)
class DWaveTabu(Peer):
    """Tabu search of dwave-samplers: reads with restarts of their own (MST2), each for its share of the time.

    The package's search itself is called, and timed: what its sampler does around it, to make a dense matrix of the model, is done once and not on the clock.

    Parameters
    ----------
    num_reads
        That share the time. None: 10; without a limit each has a second, and where only a target ends the run they go on.
    """

    num_reads: int | None = None

    package: ClassVar[str] = "dwave-samplers"
    extra: ClassVar[str | None] = "peers"
    modules: ClassVar[tuple[str, ...]] = ("dwave.samplers.tabu",)
    budget_rule: ClassVar[str] = (
        "time: shared by num_reads reads; spin tests: not counted; neither: 10 reads of a second"
    )

    def __post_init__(self) -> None:
        check_counts(self, "num_reads")

    def unfit(self, problem: Model) -> str | None:
        if problem.n <= MOST_SPINS:
            return None
        return f"its matrix is dense, and it is run on {MOST_SPINS} spins at most, not on {problem.n}"

    def memory(self, problem: Model) -> int:
        return 4 * 8 * problem.n**2 + 100 * problem.m

    def warm_up(self) -> None:
        _search(np.ones((1, 1)), np.zeros(1, np.int8), 1, 0)

    def build(self, problem: Model) -> Any:
        f = Form.of(problem)
        # Of x = (1 + s) / 2: the diagonal once, pairs in two halves.
        q = np.zeros((f.n, f.n))
        q[f.rows, f.cols] = 2 * f.couplings
        q += q.T
        q[np.diag_indices(f.n)] = 2 * f.fields - q.sum(axis=1)
        return q

    def run(self, model: Any, limits: Limits, seed: int) -> Generator[Batch]:
        reads = READS if self.num_reads is None else self.num_reads
        endless = limits.open_ended and limits.seconds is None and self.num_reads is None
        rng = np.random.default_rng(seed)
        spent, k = 0.0, 0
        while endless or k < reads:
            share = READ_S if limits.seconds is None else (limits.seconds - spent) / (reads - k)
            if share <= 0:
                return
            first = rng.integers(0, 2, len(model), dtype=np.int8)
            began = time.perf_counter()
            found = _search(model, first, max(1, round(1000 * share)), peer_seed(seed, k, 32))
            took = time.perf_counter() - began
            spent, k = spent + took, k + 1
            states = (2 * np.asarray(found.bestSolution()) - 1).astype(np.int8)[None]
            yield Batch(
                states=states,
                seconds=np.array([took]),
                took=took,
                finished=limits.seconds is None and k == reads and not endless,
            )


def _search(q: Any, first: Any, milliseconds: int, seed: int) -> Any:
    """One read with the sampler's defaults."""
    from dwave.samplers.tabu import TabuSearch  # type: ignore[attr-defined]

    tenure = min(20, len(first) // 4)
    return TabuSearch(q, first, tenure, milliseconds, RESTARTS, seed, None, None, None, None)
