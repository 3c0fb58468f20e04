"""Populations on sparse graphs: lineages that are re-annealed and keep, component by component, the better of what they were and what they became.

    in each round, for the lineages of an island side by side, each with a timer of its own,
      x' = anneal of x from a lower temperature, and, where that is long, a pass of compound moves
      x  = crossover(x', x): where the two differ, each connected component of the difference takes the better side
      and nearly always crossover with another lineage as well
    when the lineages have become equally good, the best state is a champion, and the island starts anew from random states
    all champions are merged: the graph is contracted to where they agree, and what is left is annealed in the same way

On a large sparse graph an anneal changes hundreds of components, and each is judged by itself; crossing with the own parent costs a population
no diversity. From which temperature to re-anneal is learnt: where it has gained most lately. How long anneals should be, the champions tell: as long
as merging them gives something better than each, many quick ones are worth more than a slow one; as long as a new champion is better than all before,
much slower ones are worth it; where neither is so, only more of them help. The longer
they are, the less lineages share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...fndam import FNTimer
from ...result import Spins
from ..kernels.crossover import step_lineages
from ..kernels.philox import CROSS
from .engines import Chains, Engine, Lanes, RealLanes, aligned, rows_fit
from .population import BINS, CHAMPIONS, GREEDY_SWEEPS, Plan, State
from .reduction import Contraction, Reduction, parts

SHARE = 0.9
MERGED = 0.9
LEAST, AVERAGE, ORDINARY, LONGEST = 200, 1600, 6400, 102_400
FEW = 16
FIRST = 1.25
# The very first round is short, and tells how long anneals should be.
PROBE = 30
QUICKER, SLOWER, MUCH_SLOWER = 0.7, 1.5, 4.0
# Where an anneal begins, as a share of the way from cold to hot; what was learnt fades over so many sweeps.
EDGES = np.array([0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.65, 0.9, 1.2])
MEMORY, CROSSING = 3000, 100
CURIOSITY = 0.25
MERGE_SWEEPS, MERGE_ROUNDS, MERGE_HOTTEST = 100, 20, 0.6
ENOUGH, MERGING = 64, 1.5


def restart(plan: Plan, state: State, i: int) -> None:
    """New lineages for island i, from random states."""
    state.draw_starts(i)
    forget(state, i)
    plan.values(state.parents[i], state.values[i])
    state.keep(i, state.parents[i], state.values[i])
    begin(plan, state, i)


def forget(state: State, i: int) -> None:
    """Island i has new lineages, of which nothing is learnt yet."""
    state.fresh[i] = True
    state.learnt[i] = 0


def begin(plan: Plan, state: State, i: int) -> None:
    """The next round of island i: its lineages into the engine, and a temperature for each to begin with."""
    begin_round(state, i)
    plan.engine.load(state.parents[i], state.work[i], state.local[i])


def begin_round(state: State, i: int) -> None:
    """How long the next round of island i is, and where each lineage begins."""
    fresh = bool(state.fresh[i])
    if fresh:
        state.hot[i] = state.hottest
    else:
        draws = np.random.Philox(key=np.array([state.key, CROSS], np.uint64), counter=[0, int(state.step[i]), i, 0])
        u = np.random.Generator(draws).random((2, state.parents.shape[1]))
        gains, times = state.learnt[i]
        known = times > 1e-3
        rate = np.where(known, gains / np.where(known, times, 1), 0)
        rate[~known] = rate.max()
        even = np.full(BINS, 1 / BINS)
        p = (1 - CURIOSITY) * rate / rate.sum() + CURIOSITY * even if rate.sum() > 0 else even
        k = np.minimum(np.searchsorted(np.cumsum(p), u[0], side="right"), BINS - 1)
        share = EDGES[k] + (EDGES[k + 1] - EDGES[k]) * u[1]
        state.hot[i] = state.cold + share * (state.hottest - state.cold)
    state.length[i] = state.within_budget(i, int((FIRST if fresh else 1) * state.effort[i]) + GREEDY_SWEEPS)
    state.sweep[i] = 0


def way(kappa: float, annealed: int, first: int, last: int) -> NDArray[np.float64]:
    """How far 1/T has gone from 1/hot to 1/cold in sweeps first to last - 1 of a round: (last - first,)."""
    x = np.minimum(np.arange(first, last) / max(annealed - 1, 1), 1.0)
    out: NDArray[np.float64] = 2 / FNTimer.between(2.0, 1.0, kappa).voltage(x) - 1
    return out


def timers(
    hot: NDArray[np.float64],
    cold: float,
    kappa: float,
    annealed: int,
    first: int,
    last: int,
    cells: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """T of sweeps first to last - 1 of a round, in units of the gain, rounded to 24 bits; 0 after `annealed`: (last - first, R).

    cells (4, R): how the timers' cells differ, as in `State`.
    """
    k = np.arange(first, last)
    start = 1 / np.maximum(hot, 1.0001 * cold)
    if cells is None or np.all(cells == 1):
        # Timers of one kappa differ in scale alone: 1/T goes the same way from 1/hot to 1/cold.
        t = 1 / (start + (1 / cold - start) * way(kappa, annealed, first, last)[:, None])
    else:
        area, capacitance, oxide, initial = cells
        x = np.minimum(k / max(annealed - 1, 1), 1.0)
        own = FNTimer.between(1 / start, cold, kappa)
        t = own.scaled(area=area, capacitance=capacitance, oxide=oxide, initial=initial).voltage(x[:, None])
    digits, exponents = np.frexp(t)
    return np.where(k[:, None] < annealed, np.ldexp(np.rint(digits * 2**24), exponents - 24), 0.0)


def temperatures(state: State, i: int, kappa: float, first: int, last: int) -> NDArray[np.float64]:
    """`timers` of the round that island i is in."""
    return timers(state.hot[i], state.cold, kappa, int(state.length[i]) - GREEDY_SWEEPS, first, last, state.cells[i])


def finish(plan: Plan, state: State, i: int, kappa: float) -> None:
    """The end of a round, and the next one's beginning."""
    rows = np.empty_like(state.parents[i])
    if polishes(state, i):
        plan.engine.polish(state.work[i], state.counts[i])
    plan.engine.unload(state.work[i], rows)
    gains = np.zeros(plan.engine.reads)
    if state.fresh[i]:
        state.parents[i] = rows
        plan.values(state.parents[i], state.values[i])
    elif isinstance(plan.engine, Chains) and selects(plan, state, i):
        select(plan.engine, state, i, rows)
    else:
        parents, values, counts = state.parents[i], state.values[i], state.counts[i, 2:5]
        cross(plan, rows, parents, values, crossed_share(state, i), gains, state.key, i, int(state.step[i]), counts)
    if end_round(plan, state, i, gains):
        champion(plan, state, i, kappa)
        restart(plan, state, i)
    else:
        begin(plan, state, i)


def polishes(state: State, i: int) -> bool:
    """Whether island i makes compound moves at the end of a round.

    With short anneals crossover judges each place by itself, and does the same better; a first population would settle too early.
    """
    return bool(state.effort[i] > AVERAGE)


def selects(plan: Plan, state: State, i: int) -> bool:
    """Whether crossing has been found to merge components into one."""
    crossings, components = state.counts[i, 2:4].tolist()
    return isinstance(plan.engine, Chains) and crossings >= ENOUGH and components < MERGING * crossings


def crossed_share(state: State, i: int) -> float:
    """How many of the lineages of island i are crossed with another one."""
    return SHARE * min(1.0, AVERAGE / float(state.effort[i]))


def end_round(plan: Plan, state: State, i: int, gains: NDArray[np.float64]) -> bool:
    """Learn from a round of island i; returns whether its lineages have become equally good."""
    probed = bool(state.effort[i] == PROBE)
    if probed:
        state.effort[i] = _first_effort(plan, state.parents[i])
    elif not state.fresh[i]:
        _learn(state, i, gains)
    state.step[i] += 1
    state.swept[i] += state.sweep[i]
    state.sweep[i] = 0
    state.fresh[i] &= probed
    state.keep(i, state.parents[i], state.values[i])
    return not probed and not state.exhausted(i) and bool(np.mean(state.values[i] >= state.values[i].max()) >= MERGED)


def cross(
    plan: Plan, rows: Spins, parents: Spins, values: NDArray[np.float64], share: float, gains: NDArray[np.float64], key: int, island: int,
    step: int, counts: NDArray[np.int64],
) -> None:  # fmt: skip
    """`kernels.crossover.step_lineages` on this plan's system."""
    s = plan.system
    step_lineages(
        s.indptr, s.indices, *s.exact, not s.fields.any(), rows, parents, values, np.uint32(share * 2**32), np.uint64(key), island, step,
        np.empty(s.n, np.uint32), gains, counts,
    )  # fmt: skip


def _learn(state: State, i: int, gains: NDArray[np.float64]) -> None:
    share = (state.hot[i] - state.cold) / (state.hottest - state.cold)
    k = np.clip(np.searchsorted(EDGES, share, side="right") - 1, 0, BINS - 1)
    state.learnt[i] *= np.exp(-(float(state.length[i]) + CROSSING) / MEMORY)
    np.add.at(state.learnt[i, 0], k, gains)
    np.add.at(state.learnt[i, 1], k, 1.0)


def _first_effort(plan: Plan, annealed: Spins) -> float:
    """The length of anneals to begin with: the more parts two annealed states have, the more is done by recombining them."""
    found = [parts(plan.system, annealed[r : r + 2])[1] for r in range(0, 8, 2)]
    return float(np.clip(AVERAGE * FEW / np.median(found), LEAST, AVERAGE))


def champion(plan: Plan, state: State, i: int, kappa: float) -> None:
    """The lineages of island i are equally good: keep the best one, merge the champions, and draw the lesson for the next ones' length."""
    champions = add_champion(state, i)
    if champions is not None:
        learn_length(plan, state, i, champions, *merge(plan, state, champions, i, kappa))


def add_champion(state: State, i: int) -> Spins | None:
    """Island i's best lineage becomes a champion; returns all of them to be merged, and its best state (k + 1, n), or None where there is but one."""
    best = int(np.argmax(state.values[i]))
    state.champions[i, state.found[i] % CHAMPIONS] = state.parents[i, best]
    state.found[i] += 1
    if state.found[i] < 2:
        return None
    held = min(int(state.found[i]), CHAMPIONS)
    return np.concatenate([state.champions[i, :held], state.best[i : i + 1]])


def learn_length(plan: Plan, state: State, i: int, champions: Spins, merged: Spins, value: float) -> None:
    """How long island i's anneals should be, from what merging its champions gave."""
    state.keep(i, merged[None], np.array([value]))
    values = np.empty(champions.shape[0] - 1)
    plan.values(champions[:-1], values)
    newest = (int(state.found[i]) - 1) % CHAMPIONS
    if value > values.max():
        effort = QUICKER * state.effort[i]
    elif values[newest] > np.delete(values, newest).max() and state.effort[i] >= AVERAGE:
        effort = min(MUCH_SLOWER * state.effort[i], LONGEST)
    else:
        effort = min(SLOWER * state.effort[i], ORDINARY)
    state.effort[i] = max(effort, LEAST)


def merge(plan: Plan, state: State, states: Spins, island: int, kappa: float) -> tuple[Spins, float]:
    """A state at least as good as each of states (k, n), and its value: lineages on the system contracted to where all agree.

    At most `MERGE_ROUNDS` short rounds, and no more work than one round on the whole.
    """
    held = np.empty(states.shape[0])
    plan.values(states, held)
    best = int(np.argmax(held))
    contraction = Contraction.of(plan.system, states)
    small = contraction.system
    if small.n == 1:
        return states[best], float(held[best])
    engine: Engine
    if isinstance(plan.engine, Lanes) and rows_fit(small):
        engine = Lanes.of(small)
    else:
        engine = Chains.sparse(small) if isinstance(plan.engine, Chains) else RealLanes.of(small)
    part = Plan(reduction=Reduction.none(small), engine=engine)
    reads = engine.reads
    parents = contraction.inwards(states)[np.arange(reads) % states.shape[0]]
    values, gains = np.empty(reads), np.empty(reads)
    part.values(parents, values)
    work, local = aligned((parents.size,), np.int8), np.zeros((reads, engine.width), engine.kind)
    rows = np.empty_like(parents)
    rounds = min(MERGE_ROUNDS, 1 + int(state.effort[island]) * plan.system.n // (MERGE_SWEEPS * small.n))
    length = MERGE_SWEEPS + GREEDY_SWEEPS
    # Counters of their own: beyond the islands', whose rounds count up from 0.
    group, step = state.parents.shape[0] + island, int(state.step[island]) * MERGE_ROUNDS
    for k in range(rounds):
        draws = np.random.Philox(key=np.array([state.key, CROSS], np.uint64), counter=[0, step + k, group, 0])
        share = MERGE_HOTTEST * np.random.Generator(draws).random(reads)
        t = timers(state.cold + share * (state.hottest - state.cold), state.cold, kappa, MERGE_SWEEPS, 0, length)
        engine.load(parents, work, local)
        engine.sweeps(work, local, t, state.counts[island], state.key, group, (step + k) * length % 2**32)
        engine.unload(work, rows)
        cross(part, rows, parents, values, SHARE, gains, state.key, group, step + k, state.counts[island, 2:5])
        state.counts[island, 5:] += length * work.size, length * reads
        if np.mean(values >= values.max()) >= MERGED:
            break
    merged = contraction.outwards(parents[int(np.argmax(values))])
    value = np.empty(1)
    plan.values(merged[None], value)
    return (merged, float(value[0])) if value[0] > held[best] else (states[best], float(held[best]))


def select(engine: Chains, state: State, i: int, rows: Spins) -> None:
    """A round where components merge into one, so that crossing would only choose between two states: each lineage keeps the better.

    The worst gives way to the best.
    """
    values = engine.values_of(state.work[i], state.local[i])
    better = values >= state.values[i]
    state.parents[i, better] = rows[better]
    state.values[i, better] = values[better]
    worst, best = int(np.argmin(state.values[i])), int(np.argmax(state.values[i]))
    state.parents[i, worst] = state.parents[i, best]
    state.values[i, worst] = state.values[i, best]
