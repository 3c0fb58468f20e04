"""The islands of one GPU on a sparse graph: `populations.lineages`, with the states on the device and all islands side by side.

The lineages never leave the device: the host draws temperatures and learns from what crossing gained. It sees a round's values and gains, and the rows of a new
best or champion. Champions it merges on its own cores, while the other islands go on; the island whose they are waits, so that all is as on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..populations import lineages
from ..populations.engines import Chains
from ..populations.population import GREEDY_SWEEPS, Plan, State
from ..temperature import GREEDY, optima_wanted
from .crossover import Graph, cross, values_of
from .device import Device
from .engines import Round, engine_on
from .source import Kernels

START, TIMERS = Kernels("start"), Kernels("timers")
BLOCK = 256


class Merging(NamedTuple):
    """Champions (k, n) that are being merged, and what that has counted."""

    champions: Spins
    result: Future[tuple[Spins, float]]
    counts: NDArray[np.int64]


def merge_later(pool: Executor, plan: Plan, state: State, states: Spins, i: int, kappa: float) -> Merging:
    """`lineages.merge` on one of the pool's threads; nothing of the state is changed."""
    own = replace(state, counts=np.zeros_like(state.counts))
    return Merging(states, pool.submit(lineages.merge, plan, own, states, i, kappa), own.counts)


def draw(device: Device, rows: Any, numbers: NDArray[np.int64], key: int) -> None:
    """The first states of these reads, (R,), into rows (R, n)."""
    reads, n = rows.shape
    device.launch(
        START, "random_spins", (max(1, -(-n // (4 * BLOCK))), reads), BLOCK, device.upload(numbers.astype(np.uint32)), rows, np.int64(n),
        np.uint64(key),
    )  # fmt: skip


class Lineages:
    """Islands `numbers` (I,) of a population, on one device; champions are merged by the threads of `pool`."""

    def __init__(self, device: Device, plan: Plan, numbers: NDArray[np.int64], kappa: float, pool: Executor) -> None:
        self.device, self.plan, self.numbers, self.kappa, self.pool = device, plan, numbers, kappa, pool
        self.merging: dict[int, Merging] = {}
        reads, n = plan.engine.reads, plan.system.n
        self.engine = engine_on(device, plan.engine, numbers.size)
        self.graph = Graph.of(device, plan.system)
        self.parents = device.empty((numbers.size, reads, n), np.int8)
        self.rows = device.empty((numbers.size, reads, n), np.int8)

    @staticmethod
    def problem_bytes(plan: Plan) -> int:
        """Memory for the problem: rows for the engine, in slices, for compound moves and for the crossover."""
        s = plan.system
        engine = getattr(plan.engine, "indices", s.indices).size
        return 12 * engine + 24 * s.indices.size + 64 * s.n

    @staticmethod
    def island_bytes(plan: Plan) -> int:
        """Memory for an island: parents, rows, the crossover's copy and labels, and what the engine keeps."""
        reads, n = plan.engine.reads, plan.system.n
        return reads * n * 8 + reads * plan.engine.width * plan.engine.kind.itemsize

    def greedy_optima(self) -> Spins:
        """`Ensemble.optima`, before anything else."""
        device, count, reads = self.device, self.numbers.size, self.plan.engine.reads
        draw(device, self.rows[0], np.arange(reads), 0)
        self.engine.load([0], self.rows)
        sweeps = np.zeros(count, np.int32)
        sweeps[0] = GREEDY
        self.engine.sweeps(
            Round(
                numbers=np.zeros(count, np.uint32),
                firsts=np.zeros(count, np.uint32),
                sweeps=sweeps,
                temperatures=device.zeros((count, GREEDY, reads), np.float64),
                hottest=0.0,
                key=0,
            )
        )
        self.engine.unload([0], self.rows)
        # These sweeps do not count.
        self.engine.collect(np.zeros((count, 7), np.int64), np.arange(count))
        found: Spins = device.download(self.rows[0, : optima_wanted(self.plan.system.n)])
        return found

    def begin(self, state: State, initial: Spins | None) -> None:
        """First rounds, from the given states (k, n) in turn or from random ones."""
        every = list(range(self.numbers.size))
        if initial is None:
            self._draw(state, every)
            state.fresh[self.numbers] = True
        else:
            reads = self.plan.engine.reads
            given = initial[np.arange(reads) % initial.shape[0]]
            for p in every:
                self.device.write(self.parents[p], given)
        self._judge(state, every)
        self._next_rounds(state, every)

    def restore(self, state: State) -> None:
        """What a state on the host holds."""
        self.device.write(self.parents, state.parents[self.numbers])
        self.engine.restore(state.work[self.numbers], state.local[self.numbers])

    def save(self, state: State) -> None:
        """The inverse of `restore`, once nothing is being merged."""
        wait([m.result for m in self.merging.values()])
        self._settle(state)
        state.parents[self.numbers] = self.device.download(self.parents)
        for p, i in enumerate(self.numbers.tolist()):
            self.engine.save(p, state.work[i], state.local[i])

    def queue(self, state: State, want: int) -> list[int]:
        """Queue at most `want` sweeps of each island, within its round; returns the places of those whose round is then over."""
        self._settle(state)
        while True:
            stretches = [
                state.stretch(i, 0 if p in self.merging else want) for p, i in enumerate(self.numbers.tolist())
            ]
            sweeps = np.array([last - first for first, last in stretches], np.int32)
            if sweeps.any():
                break
            if not self.merging:
                return []
            wait([m.result for m in self.merging.values()], return_when=FIRST_COMPLETED)
            self._settle(state)
        temperatures, hottest = self._temperatures(state, stretches)
        done = (state.swept[self.numbers] + state.sweep[self.numbers]) % 2**32
        self.engine.sweeps(
            Round(
                numbers=self.numbers.astype(np.uint32),
                firsts=done.astype(np.uint32),
                sweeps=sweeps,
                temperatures=temperatures,
                hottest=hottest,
                key=state.key,
            )
        )
        over = []
        for p, (i, (first, last)) in enumerate(zip(self.numbers.tolist(), stretches, strict=True)):
            state.sweep[i] = last
            if last > first and (last == state.length[i] or state.exhausted(i)):
                over.append(p)
        return over

    def finish(self, state: State, over: Sequence[int]) -> None:
        """The end of a round of the islands at these places, and the next one's beginning."""
        number = self.numbers.tolist()
        if over:
            polished = [p for p in over if lineages.polishes(state, number[p])]
            if polished:
                self.engine.polish(polished)
            self.engine.unload(over, self.rows)
        self.engine.collect(state.counts, self.numbers)
        if not over:
            return
        gains = np.zeros((self.numbers.size, self.plan.engine.reads))
        fresh = [p for p in over if state.fresh[number[p]]]
        selecting = [p for p in over if p not in fresh and lineages.selects(self.plan, state, number[p])]
        crossing = [p for p in over if p not in fresh and p not in selecting]
        for p in fresh:
            self.device.copy(self.parents[p], self.rows[p])
        if fresh:
            self._values(state, fresh)
        for p in selecting:
            self._select(state, p)
        if crossing:
            self._cross(state, crossing, gains)
        again, anew = [], []
        for p in over:
            i = number[p]
            if state.effort[i] == lineages.PROBE:
                # All that the length of anneals is learnt from.
                state.parents[i, :8] = self.device.download(self.parents[p, :8])
            self._show_best(state, p)
            if not lineages.end_round(self.plan, state, i, gains[p]):
                again.append(p)
                continue
            self._show(state, p, int(np.argmax(state.values[i])))
            champions = lineages.add_champion(state, i)
            if champions is None:
                anew.append(p)
            else:
                self.merging[p] = merge_later(self.pool, self.plan, state, champions, i, self.kappa)
        self._next_rounds(state, again)
        self._restart(state, anew)

    def _settle(self, state: State) -> None:
        """The islands whose champions are merged by now begin anew."""
        done = [p for p, m in self.merging.items() if m.result.done()]
        for p in done:
            i, merging = int(self.numbers[p]), self.merging.pop(p)
            state.counts[i] += merging.counts[i]
            lineages.learn_length(self.plan, state, i, merging.champions, *merging.result.result())
        self._restart(state, done)

    def _restart(self, state: State, places: Sequence[int]) -> None:
        """`lineages.restart`."""
        if places:
            for p in places:
                lineages.forget(state, int(self.numbers[p]))
            self._draw(state, places)
            self._judge(state, places)
            self._next_rounds(state, places)

    def _next_rounds(self, state: State, places: Sequence[int]) -> None:
        if not places:
            return
        for p in places:
            lineages.begin_round(state, int(self.numbers[p]))
        self.engine.load(places, self.parents)

    def _draw(self, state: State, places: Sequence[int]) -> None:
        """Random states for the lineages: `State.draw_starts`."""
        for p in places:
            draw(self.device, self.parents[p], state.start_numbers(int(self.numbers[p])), state.key)

    def _judge(self, state: State, places: Sequence[int]) -> None:
        """Values of new lineages, and the best kept."""
        self._values(state, places)
        for p in places:
            self._show_best(state, p)
            i = int(self.numbers[p])
            state.keep(i, state.parents[i], state.values[i])

    def _values(self, state: State, places: Sequence[int]) -> None:
        if len(places) == self.numbers.size:
            state.values[self.numbers] = values_of(self.graph, self.parents)
        else:
            for p in places:
                state.values[self.numbers[p]] = values_of(self.graph, self.parents[p])

    def _cross(self, state: State, places: list[int], gains: NDArray[np.float64]) -> None:
        numbers = self.numbers[places]
        crossed = cross(
            self.graph,
            self.rows,
            self.parents,
            state.values[numbers],
            places=np.array(places),
            islands=numbers,
            steps=state.step[numbers],
            shares=np.array([lineages.crossed_share(state, i) for i in numbers.tolist()]),
            key=state.key,
        )
        state.values[numbers], gains[places] = crossed.values, crossed.gains
        state.counts[numbers, 2:5] += crossed.counts

    def _select(self, state: State, p: int) -> None:
        """Rare, and on the host: `lineages.select`."""
        i = int(self.numbers[p])
        assert isinstance(self.plan.engine, Chains)
        state.parents[i] = self.device.download(self.parents[p])
        self.engine.save(p, state.work[i], state.local[i])
        lineages.select(self.plan.engine, state, i, self.device.download(self.rows[p]))
        self.device.write(self.parents[p], state.parents[i])

    def _show(self, state: State, p: int, r: int) -> None:
        """One lineage, for the host."""
        state.parents[int(self.numbers[p]), r] = self.device.download(self.parents[p, r])

    def _show_best(self, state: State, p: int) -> None:
        """The best lineage, if the host has none as good."""
        i = int(self.numbers[p])
        if state.values[i].max() > state.best_values[i]:
            self._show(state, p, int(np.argmax(state.values[i])))

    def _temperatures(self, state: State, stretches: list[tuple[int, int]]) -> tuple[Any, float]:
        """Of the sweeps of each island, on the device: (I, most, R) float64; and a bound on them."""
        device, count, reads = self.device, self.numbers.size, self.plan.engine.reads
        most = max(last - first for first, last in stretches)
        if np.any(state.cells[self.numbers] != 1):
            table = np.zeros((count, most, reads))
            for p, (i, (first, last)) in enumerate(zip(self.numbers.tolist(), stretches, strict=True)):
                table[p, : last - first] = lineages.temperatures(state, i, self.kappa, first, last)
            return device.upload(table), float(table.max())
        ways = np.zeros((count, most))
        annealed = (state.length[self.numbers] - GREEDY_SWEEPS).astype(np.int32)
        known: dict[tuple[int, int, int], NDArray[np.float64]] = {}
        for p, (first, last) in enumerate(stretches):
            stretch = int(annealed[p]), first, last
            if stretch not in known:
                known[stretch] = lineages.way(self.kappa, *stretch)
            ways[p, : last - first] = known[stretch]
        starts = 1 / np.maximum(state.hot[self.numbers], 1.0001 * state.cold)
        out = device.empty((count, most, reads), np.float64)
        device.launch(
            TIMERS, "timer_temperatures", (-(-most * reads // BLOCK), count), BLOCK, device.upload(ways),
            device.upload(np.array([first for first, _ in stretches], np.int32)),
            device.upload(np.array([last - first for first, last in stretches], np.int32)), device.upload(annealed), device.upload(starts),
            np.float64(1 / state.cold), np.int32(reads), np.int32(most), out,
        )  # fmt: skip
        return out, float(1 / starts.min())
