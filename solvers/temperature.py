"""The range of temperatures that an instance calls for, from the gains of one of its local optima."""

from __future__ import annotations

import numpy as np

from .kernels.start import random_spins
from .kernels.sweep import anneal
from .system import SpinSystem

GREEDY = 16
COLDEST = 1e-30
HOT, COLD = 0.5, 0.25


def temperature_range(system: SpinSystem, span: float) -> tuple[float, float]:
    """Hot and cold temperature, in units of the gain.

    A few greedy sweeps from a fixed random state lead to a local optimum, where every spin has a loss, -gain >= 0. T_hot is half the mean
    of the positive losses, T_cold the smaller of T_hot/span and a quarter of their 10 % quantile.
    """
    n = system.n
    spins = np.empty(n, np.int8)
    random_spins(np.uint64(0), 0, spins)
    fields = system.local_fields(spins)
    values = np.zeros(2, np.int64 if system.integral else np.float64)
    anneal(
        system.indptr, system.indices, system.weights, system.segments, np.full(GREEDY, 1 / COLDEST), False, 1 if system.integral else -1,
        spins, fields, spins.copy(), values, np.zeros(2, np.int64), np.uint64(0), 0, 0,
    )  # fmt: skip
    losses = -(spins * fields.astype(np.float64))
    losses = losses[losses > 0]
    if not losses.size:
        return 1.0, 0.1
    hot = HOT * float(losses.mean())
    return hot, min(COLD * float(np.quantile(losses, 0.1)), hot / span)
