"""The range of temperatures that an instance calls for, from the gains of one of its local optima."""

from __future__ import annotations

import numpy as np

from ..result import Spins
from .system import SpinSystem

GREEDY = 16
COLDEST = 1e-30
HOT, COLD = 0.5, 0.25


def temperature_range(system: SpinSystem, optimum: Spins, span: float) -> tuple[float, float]:
    """Hot and cold temperature, in units of the gain.

    At a local optimum (n,), such as `GREEDY` greedy sweeps from a random state give, every spin has a loss, -gain >= 0. T_hot is half the
    mean of the positive losses, T_cold the smaller of T_hot/span and a quarter of their 10 % quantile.
    """
    losses = -(optimum * system.local_fields(optimum).astype(np.float64))
    losses = losses[losses > 0]
    if not losses.size:
        return 1.0, 0.1
    hot = HOT * float(losses.mean())
    return hot, min(COLD * float(np.quantile(losses, 0.1)), hot / span)
