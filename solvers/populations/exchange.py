"""Elites between islands: at certain sweeps each island's best lineage takes the place of the next one's worst."""

from __future__ import annotations

import numpy as np

from .population import Plan, State


def exchange(plan: Plan, state: State, every: int) -> None:
    """Along the ring 0, 1, ..., I - 1, 0; the next meeting is `every` sweeps later."""
    state.meeting += every
    if plan.dense is None:
        _lineages(state)
    else:
        _replicas(plan, state)


def _lineages(state: State) -> None:
    islands = np.arange(state.step.size)
    best, worst = state.values.argmax(axis=1), state.values.argmin(axis=1)
    elites, values = state.parents[islands, best], state.values[islands, best]
    for i in islands:
        j = int(i) - 1
        # A first round overwrites its parents.
        if not state.fresh[i] and not state.fresh[j] and values[j] > state.values[i, worst[i]]:
            state.parents[i, worst[i]] = elites[j]
            state.values[i, worst[i]] = values[j]


def _replicas(plan: Plan, state: State) -> None:
    engine = plan.dense
    assert engine is not None
    islands = range(state.step.size)
    values = np.array([engine.values_of(state.work[i], state.local[i]) for i in islands])
    best, worst = values.argmax(axis=1), values.argmin(axis=1)
    rows = state.work.reshape(len(islands), engine.reads, -1)
    spins = rows[islands, best]
    local = state.local[islands, best]
    for i in islands:
        rows[i, worst[i]] = spins[i - 1]
        state.local[i, worst[i]] = local[i - 1]
