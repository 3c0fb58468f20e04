"""`neurosa` on GPUs: one read a warp, thousands of reads side by side; the spins, the sums and the counts are the CPU's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...problems.model import Model
from ...protocols import Report
from ...result import Spins
from .device import Device
from .source import Kernels

if TYPE_CHECKING:
    from ..neurosa import Neurons, NeuroSA, State

# Steps in a launch, so that the kernel can count them in 32 bits.
LAUNCH = 2**30
WARPS = 4
# So many reads a multiprocessor hide what a read waits for; fewer, and neurons in device memory, tested by more reads, are as fast.
ENOUGH = 16
# Of a multiprocessor's shared memory, a block's own kibibyte.
_SYSTEM = 1024
_PIECE = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the kernel keeps a read's neurons: integers as 2 field + (1 where the spin is down), in 1, 2 or 4 bytes; else n float64 fields, then n spins.

    A read has ``stride`` bytes.
    """

    word: str
    n: int

    @classmethod
    def of(cls, system: Neurons) -> Form:
        """The narrowest that holds every field."""
        graph = system.graph
        word = "double" if not graph.integral else next(w for w, most in _WORDS.items() if graph.largest <= most)
        return cls(word=word, n=graph.n)

    @property
    def kind(self) -> Any:
        return {"int8": np.int8, "short": np.int16, "int": np.int32, "double": np.float64}[self.word]

    @property
    def stride(self) -> int:
        return -(-self.n * (9 if self.word == "double" else np.dtype(self.kind).itemsize) // 16) * 16

    @property
    def kernels(self) -> Kernels:
        return Kernels("neurosa", (f"WORD={self.word}", f"WEIGHT={'double' if self.word == 'double' else 'int'}"))

    def pack(self, spins: Spins, fields: NDArray[Any]) -> NDArray[np.uint8]:
        """Reads (r, n) as the kernel keeps them: (r, stride)."""
        out = np.zeros((spins.shape[0], self.stride), np.uint8)
        words, down = self._words(out)
        if down is None:
            words[...] = 2 * fields + (spins < 0)
        else:
            words[...], down[...] = fields, spins
        return out

    def unpack(self, packed: NDArray[np.uint8], spins: Spins, fields: NDArray[Any]) -> None:
        """Back, into (r, n)."""
        words, down = self._words(packed)
        if down is None:
            spins[...], fields[...] = 1 - 2 * (words & 1), words >> 1
        else:
            spins[...], fields[...] = down, words

    def _words(self, packed: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[np.int8] | None]:
        wide = self.n * np.dtype(self.kind).itemsize
        words = np.lib.stride_tricks.as_strided(
            packed.view(self.kind), (packed.shape[0], self.n), (self.stride, np.dtype(self.kind).itemsize)
        )
        return words, packed[:, wide : wide + self.n].view(np.int8) if self.word == "double" else None


# The largest field of each word: 2 field + 1 fits.
_WORDS = {"int8": 2**6 - 1, "short": 2**14 - 1, "int": 2**30 - 1}


@dataclass(slots=True, kw_only=True)
class Shard:
    """Reads first, ... on one device.

    graph: indptr, indices, weights, shift; neurons (r, stride) uint8, best (r, n) int8, journal (r, n) int32, timers, and ledger (r, 5) int64: the totals'
    bits and the counts.
    """

    device: Device
    form: Form
    first: int
    reads: int
    graph: tuple[Any, ...]
    timers: Any
    neurons: Any
    best: Any
    journal: Any
    ledger: Any


@dataclass(slots=True, kw_only=True)
class CudaState:
    """The reads, on the host until the first `CudaNeuroSA.advance`. From then on ``host`` has their sums and counts, and no rows."""

    host: State
    shards: list[Shard] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaNeuroSA:
    """`NeuroSA` on these devices, among which the reads are divided."""

    name: ClassVar[str] = "neurosa"

    cpu: NeuroSA
    devices: Sequence[Device]

    def settings(self) -> dict[str, Any]:
        return self.cpu.settings()

    def prepare(self, problem: Model) -> Neurons:
        return self.cpu.prepare(problem)

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        # Rows are packed piece by piece.
        return self.cpu.memory(problem, open_ended=open_ended, threads=threads) + 2 * _PIECE

    def warm_up(self, system: Neurons) -> None:
        """Compile, on every device: no steps of one neuron."""
        form = replace(Form.of(system), n=1)
        kind = system.graph.weights.dtype
        for device in self.devices:
            shard = Shard(
                device=device, form=form, first=0, reads=1,
                graph=tuple(device.zeros(2, k) for k in (np.int64, np.uint32, kind, kind)), timers=device.zeros((1, 3), np.float64),
                neurons=device.zeros((1, form.stride), np.uint8), best=device.zeros((1, 1), np.int8), journal=device.zeros((1, 1), np.int32),
                ledger=device.zeros((1, 5), np.int64),
            )  # fmt: skip
            for shared in (True, False):
                self._launch(shard, 0, 0, 0, False, shared)
            device.download(shard.ledger)

    def init(self, system: Neurons, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> CudaState:
        self._check(system)
        host = self.cpu.init(system, key, open_ended=open_ended, threads=threads, initial=initial)
        return CudaState(host=host)

    def load_state(self, arrays: Mapping[str, Any]) -> CudaState:
        return CudaState(host=self.cpu.load_state(arrays))

    def _divided(self) -> list[tuple[Device, int, int]]:
        """The devices, and their first and last + 1 reads; none without."""
        bounds = np.linspace(0, self.cpu.num_reads, len(self.devices) + 1).astype(int).tolist()
        return [(d, a, b) for d, a, b in zip(self.devices, bounds, bounds[1:], strict=False) if b > a]

    def _check(self, system: Neurons) -> None:
        """Refuse reads that do not fit the devices' memory."""
        graph, form = system.graph, Form.of(system)
        width = graph.weights.itemsize
        fixed = (
            8 * (graph.n + 1) + (4 + width) * graph.indices.size + width * graph.n + 24 * self._cells(graph.n) + 2**20
        )
        for device, first, end in self._divided():
            needed = fixed + (end - first) * (form.stride + 5 * graph.n + 40)
            free = device.free_bytes()
            if needed > 0.95 * free:
                raise InputError(
                    f"{end - first} reads need {needed / 2**30:.3g} GiB on {device.name}, which has {free / 2**30:.3g} GiB free: "
                    "fewer reads (num_reads), or backend=cpu"
                )

    def _cells(self, n: int) -> int:
        return n if self.cpu.timer_mismatch else 1

    def _upload(self, system: Neurons, state: CudaState) -> None:
        """The host's rows to the devices."""
        host, graph, form = state.host, system.graph, Form.of(system)
        timers = self.cpu.scaled_timers(system, host)
        for device, first, end in self._divided():
            reads = end - first
            shard = Shard(
                device=device, form=form, first=first, reads=reads, timers=device.upload(timers),
                graph=tuple(device.upload(a) for a in (graph.indptr, graph.indices, graph.weights, system.shift)),
                neurons=device.empty((reads, form.stride), np.uint8), best=device.upload(host.best[first:end]),
                journal=device.upload(host.journal[first:end]),
                ledger=device.upload(np.concatenate([host.totals[first:end].view(np.int64), host.counts[first:end]], axis=1)),
            )  # fmt: skip
            piece = max(1, _PIECE // (8 * graph.n))
            for a in range(first, end, piece):
                b = min(end, a + piece)
                device.write(shard.neurons[a - first : b - first], form.pack(host.spins[a:b], host.fields[a:b]))
            state.shards.append(shard)
        none = np.zeros((0, graph.n), np.int8)
        state.host = replace(host, spins=none, best=none, fields=none, journal=none.astype(np.int32))

    def on_host(self, state: CudaState) -> State:
        """The CPU's state."""
        if not state.shards:
            return state.host
        host, form = state.host, state.shards[0].form
        rows = (self.cpu.num_reads, form.n)
        spins, best, journal = np.empty(rows, np.int8), np.empty(rows, np.int8), np.empty(rows, np.int32)
        fields = np.empty(rows, np.float64 if form.word == "double" else np.int32)
        for s in state.shards:
            own = slice(s.first, s.first + s.reads)
            form.unpack(s.device.download(s.neurons), spins[own], fields[own])
            best[own], journal[own] = s.device.download(s.best), s.device.download(s.journal)
        return replace(host, spins=spins, best=best, journal=journal, fields=fields)

    def reread(self, system: Neurons, state: CudaState, problem: Model, until: int) -> Neurons:
        """As the CPU's, which does it; the next `advance` takes the reads back to the devices."""
        host = self.on_host(state)
        state.shards.clear()
        state.host = host
        return self.cpu.reread(system, host, problem, until)

    def advance(self, system: Neurons, state: CudaState, budget: int, run: Callable[..., Any]) -> None:
        """`budget` steps of every read: a launch a device."""
        if not state.shards:
            self._upload(system, state)
        host = state.host
        end = min(host.step + budget, host.steps)
        shifted = bool(system.shift.any())
        while host.step < end:
            count = min(end - host.step, LAUNCH)
            for shard in state.shards:
                self._launch(shard, host.key, host.step, count, shifted, self._shared(shard))
            host.step += count
        for s in state.shards:
            ledger = s.device.download(s.ledger)
            host.totals[s.first : s.first + s.reads] = ledger[:, :2].copy().view(host.totals.dtype)
            host.counts[s.first : s.first + s.reads] = ledger[:, 2:]

    @staticmethod
    def _warps(shard: Shard) -> int:
        """Reads a block: few enough that every multiprocessor has some, and that their neurons fit."""
        warps = max(1, min(WARPS, shard.reads // shard.device.multiprocessors))
        while warps > 1 and CudaNeuroSA._resident(shard, warps) < CudaNeuroSA._resident(shard, 1):
            warps -= 1
        return warps

    @staticmethod
    def _resident(shard: Shard, warps: int) -> int:
        """Reads that a multiprocessor's shared memory holds."""
        room = shard.device.shared_bytes
        return (
            0 if warps * shard.form.stride > room else (room + _SYSTEM) // (warps * shard.form.stride + _SYSTEM) * warps
        )

    @staticmethod
    def _shared(shard: Shard) -> bool:
        wanted = min(ENOUGH, -(-shard.reads // shard.device.multiprocessors))
        return CudaNeuroSA._resident(shard, CudaNeuroSA._warps(shard)) >= wanted

    def _launch(self, s: Shard, key: int, step: int, count: int, shifted: bool, shared: bool) -> None:
        warps = self._warps(s)
        s.device.launch(
            s.form.kernels, "neurosa_shared" if shared else "neurosa_global", -(-s.reads // warps), 32 * warps,
            *s.graph, np.int32(shifted), s.timers, np.int32(s.timers.shape[0] > 1), s.neurons, np.int64(s.form.stride), s.best, s.journal, s.ledger,
            np.float64(self.cpu.scale), np.float64(self.cpu.floor), np.uint64(key), np.uint32(s.first), np.uint32(s.reads), np.uint32(s.form.n),
            np.int64(step), np.int32(count), shared=warps * s.form.stride if shared else 0,
        )  # fmt: skip

    def report(self, system: Neurons, state: CudaState) -> Report:
        report = self.cpu.report(system, state.host)
        return replace(report, spins=_Best(state)) if state.shards else report


class _Best:
    """A read's best spins: one row is fetched by itself, all at once where a second one is asked for."""

    def __init__(self, state: CudaState) -> None:
        self._shards = tuple(state.shards)
        self._asked = False
        self._all: NDArray[np.int8] | None = None

    def __call__(self, r: int) -> Spins:
        if self._asked and self._all is None:
            self._all = np.concatenate([s.device.download(s.best) for s in self._shards])
        self._asked = True
        if self._all is not None:
            row: Spins = self._all[r].copy()
        else:
            shard = next(s for s in self._shards if r < s.first + s.reads)
            row = shard.device.download(shard.best[r - shard.first])
        return row
