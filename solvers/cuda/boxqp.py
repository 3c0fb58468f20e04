"""`boxqp` on GPUs: an island, which is one search of the CPU's with numbers of its own, a block of threads; all its rounds, its pool included, stay on the device.

    one island     without a time limit, or with `num_rounds`, and where P is convex: rounds, best point and events are the CPU's, bit for bit
    many islands   with a time limit alone: as many on every GPU as its registers and shared memory let run side by side (`_crowd`), fewer where memory is short

Many islands are a ring: whenever they have made as many rounds each as a pool has members, each takes the best point of another into its pool, and each GPU that of all.
Repeats are counted together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...problems.quadratic.program import QP, Vector
from ..kernels import boxqp as kernels
from ..kernels.box_moves import LOGISTIC
from ..kernels.boxqp import Box, Rules
from ..qp.boxqp import BoxQP, Plan, State
from ..qp.method import Start, Step, Tolerance
from .device import Array, Device
from .source import Kernels

WARP, MOST_THREADS = 32, 512
# Columns of g that a thread has in registers, with entries in bytes and in float64; at 128 registers a thread, so many threads run on a multiprocessor.
HELD_BYTES, HELD_REALS, RESIDENT = 16, 8, 512
# Entries of a row of a sparse matrix above which a warp would take too many steps for it.
LONG_ROW = 128
# Shared memory of a block beside g; and islands of a multiprocessor that must have room for g there, where there are many.
STATIC_BYTES, LEAST_NEAR = 2560, 4
# Of the free memory.
SHARE = 0.9
VECTORS, BEST_VECTOR = 5, 2
# Of the first launch, which is to be short; later ones go by what the last one took.
FIRST_RATE = 1e6
SHORT, FASTER = 1e-3, 8.0


class BoxOnDevice:
    """A unit box on a GPU, in the form that the kernels take."""

    def __init__(self, device: Device, box: Box) -> None:
        self.device, self.n, self.size = device, box.linear.size, box.size
        self.stride = -(-self.n // WARP) * WARP
        rows, P = box.P.rows, box.P
        self.dense = rows.shape[0] > 0
        self.row = P.data.size / max(self.n, 1)
        self.bytes = rows.itemsize * rows.shape[0] * self.stride + 12 * P.data.size + 8 * P.indptr.size
        self.bytes += 40 * self.stride + LOGISTIC.nbytes
        _check(device, self.bytes)
        if self.dense:
            wide = np.zeros((self.n, self.stride), rows.dtype)
            wide[:, : self.n] = rows
        facts = np.zeros((5, self.stride))
        facts[:, : self.n] = box.linear, box.diagonal, box.bend, box.spread, box.reach
        # A kernel wants an array even where it reads nothing.
        self.arrays = [
            device.upload(wide if self.dense else np.zeros(1)),
            *(device.upload(a if a.size else np.zeros(1, a.dtype)) for a in (P.indptr, P.indices, P.data)),
            device.upload(facts),
            device.upload(LOGISTIC),
        ]
        self.integers = self.dense and rows.dtype == np.int8

    def kernels(self, block: int) -> Kernels:
        """The unit for blocks of so many threads."""
        if not self.dense:
            return Kernels("boxqp", ("ENTRY=double", "SPARSE=1", "HELD=0"))
        entry, held = ("int8", HELD_BYTES) if self.integers else ("double", HELD_REALS)
        return Kernels("boxqp", (f"ENTRY={entry}", "SPARSE=0", f"HELD={held if block * held >= self.stride else 0}"))

    def block(self, alone: bool) -> int:
        """Threads of an island: for one alone as many as are of use, for many as few as can hold g."""
        if not self.dense:
            return WARP if self.row <= LONG_ROW else 4 * WARP
        columns = 4 if alone else HELD_BYTES if self.integers else HELD_REALS
        return min(-(-self.stride // (columns * WARP)) * WARP, MOST_THREADS)


class Islands:
    """Searches on one GPU, each of which goes on from launch to launch.

    Attributes
    ----------
    numbers, counts, levels
        Of each island, as the last launch left them: (count, ...) each.
    """

    def __init__(
        self, box: BoxOnDevice, *, start: Vector, members: int, length: float, first: int, count: int, block: int
    ) -> None:
        device, n = box.device, box.n
        self.box, self.members, self.first, self.count, self.block = box, members, first, count, block
        self._kernels = box.kernels(block)
        own = 8 * box.stride
        fitting = device.shared_bytes // (own + STATIC_BYTES)
        self.near = not box.dense and fitting >= min(count, LEAST_NEAR)
        self.numbers = np.zeros((count, kernels.NUMBERS), np.int64)
        self.counts = np.zeros((count, kernels.COUNTS), np.int64)
        self.levels = np.zeros((count, kernels.LEVELS))
        self.levels[:, kernels.BEST], self.levels[:, kernels.LENGTH] = np.inf, length
        self._numbers, self._counts = device.upload(self.numbers), device.upload(self.counts)
        self._levels = device.upload(self.levels)
        wide = np.zeros(box.stride)
        wide[:n] = start
        self._start = device.upload(wide)
        self._points = device.zeros((count, VECTORS, box.stride), np.float64)
        self._pool, self._values = (
            device.zeros((count, members, n), np.float64),
            device.zeros((count, members), np.float64),
        )
        self._label, self._queue = device.zeros((count, n), np.int8), device.zeros((count, n), np.int32)
        self._starts = device.zeros((count, n + 1), np.int32)
        self._out = device.zeros((2, count), np.int64)

    def search(self, rules: Rules, key: np.uint64, budget: int) -> None:
        """Queue about so many products an island."""
        box = self.box
        box.device.launch(
            self._kernels, "search", self.count, self.block,
            *box.arrays, np.float64(box.size), np.int32(box.n), np.int32(box.stride), self._start,
            np.float64(rules.hot), np.float64(rules.cold), np.float64(rules.kappa), np.float64(math.expm1(rules.kappa)),
            np.float64(rules.longest), np.float64(rules.target), np.int64(rules.rounds), np.int64(rules.hits),
            np.uint64(key), np.uint32(self.first), self._numbers, self._levels, self._counts, self._points, self._pool,
            self._values, self._label, self._queue, self._starts, np.int32(self.members), np.int32(self.near),
            np.int64(budget), self._out, shared=8 * box.stride if self.near else 0,
        )  # fmt: skip

    def outcome(self) -> NDArray[np.int64]:
        """Wait for the last launch: (2, count), whether an island's search has ended, and its products."""
        device = self.box.device
        out = device.download(self._out)
        self.numbers, self.counts = device.download(self._numbers), device.download(self._counts)
        self.levels = device.download(self._levels)
        return out

    def vector(self, island: int, which: int) -> Vector:
        """(n,): 0 is u, 1 its gradient, 2 the best point."""
        return self.box.device.download(self._points[island, which])[: self.box.n]

    def pool(self, island: int) -> tuple[NDArray[np.float64], Vector]:
        """Its members (members, n), and their values."""
        device = self.box.device
        return device.download(self._pool[island]), device.download(self._values[island])

    def exchange(self, turn: int) -> None:
        """Each island takes the best point of another into its pool."""
        if self.count > 1:
            best = self._points.reshape(-1)[BEST_VECTOR * self.box.stride :]
            self._migrate(
                self.count, best, VECTORS * self.box.stride, self._levels, self.count, 1 + turn % (self.count - 1)
            )

    def welcome(self, best: Vector, value: float) -> None:
        """Island 0 takes a point from elsewhere into its pool."""
        levels = np.zeros((1, kernels.LEVELS))
        levels[0, kernels.BEST] = value
        device = self.box.device
        self._migrate(1, device.upload(best), self.box.n, device.upload(levels), 1, 0)

    def _migrate(self, islands: int, best: Array, step: int, levels: Array, count: int, shift: int) -> None:
        self.box.device.launch(
            self._kernels, "migrate", islands, self.block, best, np.int64(step), levels, np.int32(count),
            np.int32(shift), np.int32(self.box.n), np.int32(self.members), self._numbers, self._counts, self._pool,
            self._values,
        )  # fmt: skip


def island_bytes(n: int, members: int) -> int:
    """Memory of an island."""
    stride = -(-n // WARP) * WARP
    return (
        8 * (VECTORS * stride + members * (n + 1))
        + 9 * n
        + 4
        + 8 * (kernels.NUMBERS + kernels.COUNTS + kernels.LEVELS + 2)
    )


def _crowd(box: BoxOnDevice, members: int) -> int:
    """How many islands run side by side."""
    device, block = box.device, box.block(alone=False)
    each = max(RESIDENT // block, 1)
    if not box.dense:
        fitting = device.shared_bytes // (8 * box.stride + STATIC_BYTES)
        each = min(each, fitting) if fitting >= LEAST_NEAR else each
    room = int(SHARE * device.free_bytes()) // island_bytes(box.n, members)
    return min(each * device.multiprocessors, room)


def _check(device: Device, needed: int) -> None:
    free = device.free_bytes()
    if needed > SHARE * free:
        raise InputError(
            f"boxqp needs {needed / 2**20:.1f} MiB of the GPU's memory, and {free / 2**20:.1f} are free: use backend=cpu"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CudaPlan:
    """The CPU's plan, and its box on every GPU."""

    plan: Plan
    boxes: tuple[BoxOnDevice, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class CudaState:
    """The islands, and the CPU's state: a picture of all of them with the best point, which is reported."""

    whole: State
    start: Vector
    islands: list[Islands] = field(default_factory=list)
    turns: int = 0
    exchanged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaBoxQP:
    """`BoxQP` on GPUs."""

    convex_only: ClassVar[bool] = False
    open_ended: ClassVar[bool] = False
    name: ClassVar[str] = "boxqp"

    method: BoxQP
    devices: tuple[Device, ...]

    def settings(self) -> dict[str, Any]:
        """The method's."""
        return self.method.settings()

    def accepts(self, problem: QP) -> str | None:
        """What the method accepts."""
        return self.method.accepts(problem)

    def prepare(self, problem: QP, tolerance: Tolerance, threads: int) -> CudaPlan:
        """The unit box, on the GPUs.

        Raises
        ------
        InputError
            Where not even one island has room.
        """
        plan = self.method.prepare(problem, tolerance, threads)
        inner = plan.system
        if inner.n == 0:
            return CudaPlan(plan=plan, boxes=())
        boxes = []
        for device in self.devices:
            _check(device, island_bytes(inner.n, self.method.population))
            boxes.append(BoxOnDevice(device, inner.box))
            _check(device, island_bytes(inner.n, self.method.population))
        return CudaPlan(plan=plan, boxes=tuple(boxes))

    def warm_up(self, system: CudaPlan) -> None:
        """Compile the kernels, or load them."""
        self.method.warm_up(system.plan)
        for box in system.boxes:
            for alone in (True, False):
                nothing = Rules(self.method.hot, self.method.cold, self.method.kappa, 1.0, 0, 1, -math.inf)
                scratch = Islands(
                    box, start=np.zeros(box.n), members=1, length=1.0, first=0, count=1, block=box.block(alone)
                )
                scratch.search(nothing, np.uint64(0), 0)
                scratch.welcome(np.zeros(box.n), 0.0)
                scratch.outcome()

    def init(self, system: CudaPlan, *, seed: int, start: Start | None) -> CudaState:
        """From the start, or the middle of the box."""
        whole = self.method.init(system.plan, seed=seed, start=start)
        whole.rate = FIRST_RATE
        return CudaState(whole=whole, start=whole.search.start)

    def advance(self, system: CudaPlan, state: CudaState, seconds_left: float) -> None:
        """Some tens of milliseconds of rounds of every island."""
        whole = state.whole
        rules = self.method.rules(system.plan, seconds_left)
        if not state.islands:
            many = math.isfinite(seconds_left) and self.method.num_rounds is None and not system.plan.convex
            self._begin(system, state, many)
        budget = whole.budget(seconds_left)
        began = perf_counter()
        for islands in state.islands:
            islands.search(rules, whole.key, budget)
        out = np.concatenate([islands.outcome() for islands in state.islands], axis=1)
        took = perf_counter() - began
        # What takes no time to speak of says little of the rate, but that more can be done.
        whole.rate = max(float(out[1].max()) / took, 1.0) if took > SHORT else FASTER * whole.rate
        whole.begun = True
        self._picture(system, state)
        hits = int(whole.search.numbers[kernels.HITS])
        whole.done = whole.done or bool(out[0].all()) or hits >= rules.hits
        self._exchange(state)

    def report(self, system: CudaPlan, state: CudaState) -> Step:
        """Of the best island; counts are of all."""
        return self.method.report(system.plan, state.whole)

    def _begin(self, system: CudaPlan, state: CudaState, many: bool) -> None:
        search, first = state.whole.search, 0
        for box in system.boxes if many else system.boxes[:1]:
            count = max(_crowd(box, self.method.population), 1) if many else 1
            state.islands.append(
                Islands(
                    box,
                    start=state.start,
                    members=self.method.population,
                    length=float(search.levels[kernels.LENGTH]),
                    first=first,
                    count=count,
                    block=box.block(not many),
                )
            )
            first += count

    def _picture(self, system: CudaPlan, state: CudaState) -> None:
        """Make the CPU's search look like all islands together."""
        s = state.whole.search
        values = np.concatenate([i.levels[:, kernels.BEST] for i in state.islands])
        numbers = np.concatenate([i.numbers for i in state.islands])
        best = int(np.argmin(values))
        owner, place = next((i, best - i.first) for i in state.islands if best < i.first + i.count)
        if values[best] < s.levels[kernels.BEST]:
            s.best[:] = owner.vector(place, BEST_VECTOR)
        elif math.isinf(values[best]):
            s.u[:] = owner.vector(place, 0)
        s.levels[:] = owner.levels[place]
        s.numbers[:] = numbers[best]
        s.counts[:] = sum(i.counts.sum(axis=0) for i in state.islands)
        same = 1e-9 * max(system.plan.system.box.size, abs(float(values[best])))
        s.numbers[kernels.HITS] = numbers[values <= values[best] + same, kernels.HITS].sum()
        s.numbers[kernels.ROUND] = numbers[:, kernels.ROUND].sum()

    def _exchange(self, state: CudaState) -> None:
        s = state.whole.search
        rounds, count = int(s.numbers[kernels.ROUND]), sum(i.count for i in state.islands)
        if count == 1 or rounds < state.exchanged + count * self.method.population:
            return
        value = float(s.levels[kernels.BEST])
        for islands in state.islands:
            islands.exchange(state.turns)
            if len(state.islands) > 1 and math.isfinite(value):
                islands.welcome(s.best, value)
        state.turns += 1
        state.exchanged = rounds
