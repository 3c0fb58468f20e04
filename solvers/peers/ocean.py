"""What the peers of D-Wave's dwave-samplers and of OpenJij share: dimod's models and sample sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...problems.model import Model
from ...result import Spins
from .form import Form
from .peer import Batch


def bqm(problem: Model) -> Any:
    """A dimod model with variables 0 to n - 1."""
    import dimod

    f = Form.of(problem)
    return dimod.BinaryQuadraticModel.from_numpy_vectors(f.fields, (f.rows, f.cols, f.couplings), f.offset, dimod.SPIN)


def consecutive(samples: Any, took: float) -> Batch:
    """Reads of a sample set, one after the other and each as long as the next."""
    k = len(samples)
    return Batch(states=states(samples), seconds=took * np.arange(1, k + 1) / k, took=took)


def states(samples: Any) -> Spins:
    """The states (k, n) of a sample set, in the order of the variables."""
    out: Spins = np.empty(samples.record.sample.shape, np.int8)
    out[:, np.asarray(list(samples.variables), np.int64)] = samples.record.sample
    return out
