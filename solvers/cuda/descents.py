"""`populations.descents` on a GPU: all islands of a device go down together, and nothing comes back before the end of a call.

What happens when is known beforehand, and the same for every island: the host writes it down (`_legs`), then queues it. Values, the best of each island,
resampling and new starts are the GPU's; step, sweep, length and the like the host's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...result import Spins
from ..populations import descents
from ..populations.engines import HOTTEST
from ..populations.matrix import Matrix
from ..populations.population import Plan, State
from .dense import NAMES, WARPS, Chains, chain_bytes, matrix_bytes, packed, unpacked
from .device import Array, Device
from .source import Kernels

START = Kernels("start")
BLOCK = 128
# Rows in one launch of `random_spins`.
MOST_ROWS = 2**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Sweeps between two looks at the populations.

    Attributes
    ----------
    temperatures
        float32, one a sweep.
    first
        The number of the first sweep, since the solve began.
    slope, place, step
        For a resampling after the last, its slope, and counters of its uniform number. slope: None where there is no resampling.
    generation
        Where a descent ends, how many have ended; else None.
    """

    temperatures: NDArray[np.float32]
    first: int
    slope: float | None
    place: int
    step: int
    generation: int | None


def _matrix(plan: Plan) -> Matrix:
    assert plan.dense is not None and plan.dense.matrix is not None
    return plan.dense.matrix


class Descents:
    """Islands `numbers` (I,) of a dense problem's populations, on one device; all of them stand at the same sweep.

    far, warps: for tests; as in `dense.Room`, and chains a block.
    """

    def __init__(
        self, device: Device, plan: Plan, numbers: NDArray[np.int64], *, far: bool | None = None, warps: int = WARPS
    ) -> None:
        matrix, n, reads = _matrix(plan), plan.system.n, plan.engine.reads
        self.device, self.plan, self.numbers = device, plan, numbers
        of_chains = (reads * numbers[:, None] + np.arange(reads)).ravel()
        self._chains = Chains.of(device, matrix, n, (of_chains % 2**32).astype(np.uint32), far=far, warps=warps)
        weight = NAMES[plan.system.fields.dtype.name]
        self._kernels = Kernels("population", (f"FIELD={NAMES[matrix.kind.name]}", f"EXTERNAL={weight}"))
        self._external = device.upload(plan.system.fields)
        self._islands = device.upload(numbers.astype(np.uint32))
        self._starts: Array = device.empty((of_chains.size, n), np.int8)
        self._values: Array = device.empty(of_chains.size, np.float64)
        self._best: Array = device.zeros((numbers.size, matrix.width // 32), np.uint32)
        self._best_values: Array = device.empty(numbers.size, np.float64)
        self._counted = np.zeros(numbers.size, np.int64)

    @staticmethod
    def problem_bytes(plan: Plan) -> int:
        """Memory for the problem."""
        return matrix_bytes(_matrix(plan), plan.system.n) + 8 * plan.system.n

    @staticmethod
    def island_bytes(plan: Plan) -> int:
        """Memory for an island: spins, fields and first states of its chains, and its best."""
        n = plan.system.n
        return plan.engine.reads * (chain_bytes(_matrix(plan), n) + n + 16) + n + 16

    def begin(self, state: State, initial: Spins | None) -> None:
        """First descents, from the given states (k, n) in turn or from random ones."""
        self.device.write(self._best_values, state.best_values[self.numbers])
        if initial is None:
            state.fresh[self.numbers] = True
            self._draw(state, int(state.found[self.numbers[0]]))
        else:
            given = initial[np.arange(self._chains.count) % self.plan.engine.reads % initial.shape[0]]
            self.device.write(self._starts, given)
        self._enter(state)
        self._start(state)
        self._report(state)

    def restore(self, state: State) -> None:
        """What a state on the host holds."""
        device, n, mine, width = self.device, self.plan.system.n, self.numbers, self._chains.width
        for each in (state.sweep, state.length, state.swept, state.step, state.found):
            if np.any(each[mine] != each[mine[0]]):
                raise InputError(
                    "these islands stand at different sweeps, as an executor left them: go on with backend=cpu"
                )
        device.write(self._chains.spins, packed(state.work[mine].reshape(-1, n), width))
        device.write(self._chains.local, state.local[mine].reshape(-1, width))
        device.write(self._starts, state.parents[mine].reshape(-1, n))
        device.write(self._values, state.values[mine].ravel())
        device.write(self._best, packed(state.best[mine], width))
        device.write(self._best_values, state.best_values[mine])

    def save(self, state: State) -> None:
        """The inverse of `restore`."""
        device, n, mine = self.device, self.plan.system.n, self.numbers
        state.work[mine] = unpacked(device.download(self._chains.spins), n).reshape(mine.size, -1)
        state.local[mine] = device.download(self._chains.local).reshape(mine.size, -1, self._chains.width)
        state.parents[mine] = device.download(self._starts).reshape(mine.size, -1, n)
        state.values[mine] = device.download(self._values).reshape(mine.size, -1)

    def queue(self, state: State, want: int) -> list[int]:
        """Queue `want` sweeps of every lineage, or as many as there are left, over the ends of descents."""
        legs = list(self._legs(state, want))
        if not legs:
            return []
        temperatures = self.device.upload(np.concatenate([leg.temperatures for leg in legs]))
        begin = 0
        for leg in legs:
            end = begin + leg.temperatures.size
            self._chains.sweeps(temperatures[begin:end], state.key, leg.first)
            begin = end
            if leg.generation is not None:
                self._keep(state, None)
                self._draw(state, leg.generation)
                self._start(state)
            elif leg.slope is not None:
                self._keep(state, leg)
        return []

    def finish(self, state: State, over: Sequence[int]) -> None:
        """Wait, and fetch counts and the best; the rest is queued already."""
        self._report(state)

    def _legs(self, state: State, want: int) -> Iterator[Leg]:
        """What is to be done, and the host's part of the state when it is."""
        mine, i = self.numbers, int(self.numbers[0])
        left = want
        while left > 0 and not state.exhausted(i):
            begin, end = state.stretch(i, left)
            every = descents.period(state, i)
            end = min(end, begin - begin % every + every)
            if end == begin:
                return
            left -= end - begin
            first, step = int(state.swept[i]) + begin, int(state.step[i])
            heat = np.clip(descents.temperatures(state, i, begin, end)[:, 0], 0, HOTTEST).astype(np.float32)
            state.sweep[mine] = end
            slope = generation = None
            if end == state.length[i] or state.exhausted(i):
                state.step[mine] += 1
                state.swept[mine] += state.sweep[mine]
                state.found[mine] += 1
                self._enter(state)
                generation = int(state.found[i])
            else:
                slope = descents.slope(state, i)
            place = 2 * self.plan.engine.reads + 1 + end
            yield Leg(temperatures=heat, first=first, slope=slope, place=place, step=step, generation=generation)

    def _enter(self, state: State) -> None:
        assert self.plan.dense is not None
        for i in self.numbers.tolist():
            descents.enter(self.plan.dense, state, i)

    def _draw(self, state: State, generation: int) -> None:
        """Random first states: `State.draw_starts`."""
        n, reads = self.plan.system.n, self.plan.engine.reads
        first = reads * (generation * state.parents.shape[0] + self.numbers)
        numbers = self.device.upload(((first[:, None] + np.arange(reads)).ravel() % 2**32).astype(np.uint32))
        for r in range(0, self._chains.count, MOST_ROWS):
            rows = self._starts[r : r + MOST_ROWS]
            self.device.launch(
                START, "random_spins", (-(-n // (4 * BLOCK)), int(rows.shape[0])), BLOCK, numbers[r : r + MOST_ROWS], rows,
                np.int64(n), np.uint64(state.key),
            )  # fmt: skip

    def _start(self, state: State) -> None:
        """The first states' fields and values."""
        self._chains.begin(self._starts)
        self._keep(state, None)

    def _keep(self, state: State, leg: Leg | None) -> None:
        """Values of all lineages, the best of each island if it is the best so far, and with a leg, its resampling."""
        chains, n, warps = self._chains, self.plan.system.n, BLOCK // 32
        self.device.launch(
            self._kernels, "chain_values", -(-chains.count // warps), BLOCK, chains.spins, chains.local, self._external, self._values,
            np.int64(chains.count), np.int32(n), np.int32(chains.width), np.int64(_matrix(self.plan).shift),
        )  # fmt: skip
        slope = 0.0 if leg is None or leg.slope is None else leg.slope
        place, step = (0, 0) if leg is None else (leg.place, leg.step)
        self.device.launch(
            self._kernels, "choose", self.numbers.size, BLOCK, self._values, self._islands, self._best_values, self._best, chains.spins,
            chains.local, np.int32(chains.width), np.int32(leg is not None), np.float64(slope), np.uint64(state.key),
            np.uint32(place % 2**32), np.uint32(step % 2**32),
        )  # fmt: skip

    def _report(self, state: State) -> None:
        """Counts and the best, to the host."""
        mine, n = self.numbers, self.plan.system.n
        flips = self.device.download(self._chains.flips).reshape(mine.size, -1).sum(axis=1)
        state.counts[mine, 0] += flips - self._counted
        state.counts[mine, 1] += (flips - self._counted) * n
        self._counted = flips
        values = self.device.download(self._best_values)
        better = values > state.best_values[mine]
        if np.any(better):
            state.best[mine[better]] = unpacked(self.device.download(self._best)[better], n)
            state.best_values[mine[better]] = values[better]
