"""Populations on dense graphs: annealed together, and resampled on the way.

Where nearly all differences of two states are one component, crossing them would only choose between the two. There the lineages of an island
go down together, T linear in the sweep, from random states; at `RESAMPLINGS` points of the way the better ones take the places of the worse
(population annealing; `kernels.resample`), and at the end all begin anew, with a descent 2 % longer; where descents take seconds, the very first one is short. A valley is chosen high up, between T_c
and half of it, so that single anneals mostly end in a wrong one, however slow they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..kernels.philox import CROSS, one_block
from ..kernels.resample import resample
from .engines import Chains
from .matrix import FAR_BYTES
from .population import GREEDY_SWEEPS, Plan, State

HOT, COLD = 0.65, 0.55
SWEEPS, GROWTH, MOST_GROWN = 600, 1.02, 200
# Where the matrix is so large that a descent takes seconds, the very first one is short: what a time limit cuts short would else end hot.
PROBE = 40
RESAMPLINGS = 40


def begin(plan: Plan, engine: Chains, state: State, i: int) -> None:
    """A descent of island i from the states of its parents."""
    enter(engine, state, i)
    engine.load(state.parents[i], state.work[i], state.local[i])
    state.values[i] = engine.values_of(state.work[i], state.local[i])
    state.keep(i, state.parents[i], state.values[i])


def enter(engine: Chains, state: State, i: int) -> None:
    """How long the descent is that island i begins, and where it begins."""
    short = state.found[i] == 0 and engine.matrix is not None and engine.matrix.nbytes > FAR_BYTES
    annealed = PROBE if short else SWEEPS * GROWTH ** min(int(state.found[i]), MOST_GROWN)
    state.length[i], state.sweep[i] = state.within_budget(i, int(annealed) + GREEDY_SWEEPS), 0
    state.hot[i] = state.hottest


def temperatures(state: State, i: int, first: int, last: int) -> NDArray[np.float64]:
    """T of sweeps first to last - 1 of this descent: (last - first, R)."""
    k = np.arange(first, last)
    annealed = int(state.length[i]) - GREEDY_SWEEPS
    t = np.where(k < annealed, state.hottest + (state.cold - state.hottest) * k / max(annealed - 1, 1), 0.0)
    return np.repeat(t[:, None], state.hot.shape[1], axis=1)


def period(state: State, i: int) -> int:
    """Sweeps between two resamplings."""
    return -(-int(state.length[i]) // RESAMPLINGS)


def slope(state: State, i: int) -> float | None:
    """1/(2 T') - 1/(2 T) of the resampling that is due now, None where none is."""
    now, every, end = int(state.sweep[i]), period(state, i), int(state.length[i]) - GREEDY_SWEEPS
    if now % every or now >= end:
        return None
    before, after = (float(temperatures(state, i, k, k + 1)[0, 0]) for k in (now - 1, min(now + every - 1, end - 1)))
    return 1 / (2 * after) - 1 / (2 * before)


def pause(engine: Chains, state: State, i: int) -> None:
    """Resample, if the last sweep was the last before a resampling."""
    falling = slope(state, i)
    if falling is None:
        return
    uniform = (
        one_block(state.key, (2 * engine.reads + 1 + int(state.sweep[i]), int(state.step[i]), i, CROSS))[0] / 2**32
    )
    state.values[i] = engine.values_of(state.work[i], state.local[i])
    state.keep(i, state.work[i].reshape(engine.reads, -1), state.values[i])
    source = np.empty(engine.reads, np.int64)
    resample(state.values[i], falling, uniform, source)
    engine.copy(state.work[i], state.local[i], source)


def finish(plan: Plan, engine: Chains, state: State, i: int) -> None:
    """The end of a descent, and the next one's beginning."""
    state.values[i] = engine.values_of(state.work[i], state.local[i])
    state.keep(i, state.work[i].reshape(engine.reads, -1), state.values[i])
    state.step[i] += 1
    state.swept[i] += state.sweep[i]
    state.found[i] += 1
    state.draw_starts(i)
    begin(plan, engine, state, i)
