"""What the two peers of OpenJij share.

Given a seed, OpenJij starts every read of a call from it, so that all of them end alike: here each read is a call with a seed of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...problems.model import Model
from .form import Form
from .ocean import states
from .peer import Batch, peer_seed

# With more pairs than this share of n**2, a dense matrix is faster.
DENSE = 0.1
MOST_READS = 64


def model(problem: Model) -> Any:
    """OpenJij's own model, sparse where the problem is."""
    from openjij.model.model import BinaryQuadraticModel

    f = Form.of(problem)
    pairs = zip(f.rows.tolist(), f.cols.tolist(), strict=True)
    return BinaryQuadraticModel(
        dict(enumerate(f.fields.tolist())),
        dict(zip(pairs, f.couplings.tolist(), strict=True)),
        f.offset,
        "SPIN",
        sparse=f.couplings.size < DENSE * f.n**2,
    )


def reader(sampler: Any, model: Any, seed: int, **settings: Any) -> Callable[[int, int, int], Batch]:
    """Reads one by one; their times are those of the algorithm alone, as OpenJij reports them."""
    made = 0

    def read(reads: int, sweeps: int, k: int) -> Batch:
        nonlocal made
        found = [
            sampler.sample(
                model, num_reads=1, num_sweeps=sweeps, seed=peer_seed(seed, j), sparse=model.sparse, **settings
            )
            for j in range(made, made + reads)
        ]
        made += reads
        ends = np.cumsum([float(one.info["list_exec_times"][0]) * 1e-6 for one in found])
        return Batch(states=np.concatenate([states(one) for one in found]), seconds=ends, took=float(ends[-1]))

    return read
