"""The step of population annealing between two temperatures: good lineages are copied over bad ones.

A lineage of value v gets, on average, a share exp(v (1/(2 T') - 1/(2 T))) of the next generation (a value is half a gain's temperature): what was
distributed by Boltzmann's law at T then is so at T' < T. Which lineages: systematic resampling with one uniform number, so that each
gets its share rounded up or down. Source: Hukushima and Iba, AIP Conf. Proc. 690 (2003), doi 10.1063/1.1632130.
"""

from __future__ import annotations

import numpy as np

from .jit import kernel
from .sweep import exp_negative


@kernel
def resample(values, slope, uniform, source):
    """Fill source (r,) int64: lineage k of the next generation is a copy of lineage source[k]; those that live on stay where they are.

    values (r,) float64; slope: 1/(2 T') - 1/(2 T) >= 0; uniform: in [0, 1).
    """
    r = values.size
    top = values[0]
    for k in range(r):
        top = max(top, values[k])
    total = 0.0
    for k in range(r):
        total += exp_negative(slope * (values[k] - top))
    copies = np.zeros(r, np.int64)
    reached = 0.0
    taken = 0
    for k in range(r):
        reached += exp_negative(slope * (values[k] - top))
        while taken < r and (taken + uniform) * total < reached * r:
            copies[k] += 1
            taken += 1
    # Rounding may leave the last mark beyond the last sum.
    copies[r - 1] += r - taken
    spare = 0
    for k in range(r):
        source[k] = k
        if copies[k] == 0:
            while copies[spare] < 2:
                spare += 1
            source[k] = spare
            copies[spare] -= 1
