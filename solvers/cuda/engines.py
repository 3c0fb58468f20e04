"""`populations.engines` on a GPU: all islands of a device side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...result import Spins
from ..kernels.compound import MOST_FOLLOWING
from ..kernels.vector import LANES
from ..populations.engines import HOTTEST, Chains, Engine, Lanes, RealLanes
from ..temperature import COLDEST
from .compound import CompoundMoves
from .device import Array, Device
from .lanes import DeviceLanes, pack, unpack
from .real_lanes import DeviceRealLanes
from .source import Kernels
from .sweep import DeviceChains

TIMERS = Kernels("timers")
BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Sweeps to do: sweeps (I,) of each island; numbers, firsts (I,) uint32: its counter word and the counter of its first sweep; temperatures (I, most, R)
    float64 on the device, none above `hottest`.
    """

    numbers: NDArray[np.uint32]
    firsts: NDArray[np.uint32]
    sweeps: NDArray[np.int32]
    temperatures: Array
    hottest: float
    key: int


class DeviceEngine(Protocol):
    """Anneals the lineages of I islands; `places` are numbers of islands on this device, rows (I, R, n) int8 on it."""

    def load(self, places: Sequence[int], rows: Array) -> None: ...
    def unload(self, places: Sequence[int], rows: Array) -> None: ...
    def sweeps(self, round_: Round) -> None: ...
    def polish(self, places: Sequence[int]) -> None: ...
    def collect(self, counts: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """Add what has been counted since the last call to counts (all, 7), rows `numbers` (I,): see `population.State`."""

    def save(self, place: int, work: Spins, local: NDArray[Any]) -> None:
        """The island's states and fields as the CPU's engine has them."""

    def restore(self, work: NDArray[np.int8], local: NDArray[Any]) -> None:
        """The inverse of `save`, of all islands."""


class _Lanes:
    """Words of the lanes, and what both kinds do with them."""

    def __init__(self, device: Device, engine: Engine, islands: int, edges: int) -> None:
        self.device, self.engine, self.edges = device, engine, edges
        self.n = n = self.spins(engine)
        self.words = device.empty((2 * islands, n), np.uint32)
        self.flips = device.zeros(islands, np.uint64)
        self.counts = np.zeros((islands, 7), np.int64)

    @staticmethod
    def spins(engine: Any) -> int:
        return int(engine.indptr.size - 1)

    def load(self, places: Sequence[int], rows: Array) -> None:
        pack(self.device, self._listed(places), len(places), rows, self.words)

    def unload(self, places: Sequence[int], rows: Array) -> None:
        unpack(self.device, self._listed(places), len(places), self.words, rows)

    def _listed(self, places: Sequence[int]) -> Array:
        return self.device.upload(np.array(places, np.int32))

    def collect(self, counts: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        self.counts[:, 0] += self.device.download(self.flips).astype(np.int64)
        counts[numbers] += self.counts
        self.counts[:] = 0
        self.device.write(self.flips, np.zeros(numbers.size, np.uint64))

    def save(self, place: int, work: Spins, local: NDArray[Any]) -> None:
        words = self.device.download(self.words[2 * place : 2 * place + 2])
        bits = np.unpackbits(words.view(np.uint8).reshape(2, self.n, 4), axis=2, bitorder="little")
        work.reshape(self.n, LANES)[:] = 2 * np.concatenate([bits[0], bits[1]], axis=1).astype(np.int8) - 1

    def restore(self, work: NDArray[np.int8], local: NDArray[Any]) -> None:
        bits = np.packbits(work.reshape(-1, self.n, 2, 32) > 0, axis=3, bitorder="little").view("<u4")[..., 0]
        self.device.write(self.words, np.ascontiguousarray(bits.transpose(0, 2, 1)).reshape(-1, self.n))


class LaneIslands(_Lanes):
    """Lanes of integers."""

    def __init__(self, device: Device, lanes: Lanes, islands: int) -> None:
        super().__init__(device, lanes, islands, lanes.indices.size)
        self.lanes = DeviceLanes(device, lanes)
        self.moves: CompoundMoves | None = None
        self.host = lanes

    def sweeps(self, round_: Round) -> None:
        up = self.device.upload
        self.lanes.sweeps(
            self.words, up(round_.numbers), up(round_.firsts), round_.sweeps, round_.temperatures, round_.hottest, round_.key, self.flips
        )  # fmt: skip
        self.counts[:, 1] += round_.sweeps.astype(np.int64) * self.edges * LANES

    def polish(self, places: Sequence[int]) -> None:
        if self.moves is None:
            # Their schedule costs as much as a pass of one chain, and short runs never call for it.
            self.moves = CompoundMoves(self.device, self.host)
        self.moves.run(self.words, self._listed(places), len(places), self.flips)
        degrees = np.diff(self.host.indptr)
        following = degrees[degrees <= MOST_FOLLOWING]
        self.counts[places, 1] += LANES * int(degrees.sum() + following @ following)
        self.counts[places, 5] += LANES * int(degrees.size + following.sum())


class RealLaneIslands(_Lanes):
    """Lanes of floats."""

    def __init__(self, device: Device, lanes: RealLanes, islands: int) -> None:
        super().__init__(device, lanes, islands, lanes.indices.size)
        self.lanes = DeviceRealLanes(device, lanes)

    def sweeps(self, round_: Round) -> None:
        device, t = self.device, round_.temperatures
        floats = device.empty(t.shape, np.float32)
        grid = -(-int(t.size) // BLOCK)
        device.launch(TIMERS, "as_floats", grid, BLOCK, t, np.int64(t.size), np.float64(HOTTEST), floats)
        self.lanes.sweeps(
            self.words, device.upload(round_.numbers), device.upload(round_.firsts), round_.sweeps, floats, round_.key, self.flips
        )  # fmt: skip
        self.counts[:, 1] += round_.sweeps.astype(np.int64) * self.edges * LANES

    def polish(self, places: Sequence[int]) -> None:
        """Nothing, as on the CPU."""


class ChainIslands:
    """Chains on a sparse graph, a row each."""

    def __init__(self, device: Device, chains: Chains, islands: int) -> None:
        assert chains.matrix is None
        self.device, self.reads, self.n = device, chains.reads, chains.system.n
        self.chains = DeviceChains(device, chains.system)
        shape = islands, self.reads, self.n
        self.spins, self.fields = device.empty(shape, np.int8), device.empty(shape, chains.kind)
        self.counts = device.zeros((islands, self.reads, 2), np.int64)

    def load(self, places: Sequence[int], rows: Array) -> None:
        for p in places:
            self.device.copy(self.spins[p], rows[p])
            self.chains.local_fields(self.spins[p], self.fields[p])

    def unload(self, places: Sequence[int], rows: Array) -> None:
        for p in places:
            self.device.copy(rows[p], self.spins[p])

    def sweeps(self, round_: Round) -> None:
        device, t = self.device, round_.temperatures
        islands, most, reads = t.shape
        slopes = device.empty((islands * reads, most), np.float64)
        device.launch(
            TIMERS, "as_slopes", -(-int(t.size) // BLOCK), BLOCK, t, np.int32(islands), np.int32(most), np.int32(reads), np.float64(COLDEST),
            slopes,
        )  # fmt: skip
        self.chains.anneal(
            self.spins.reshape(-1, self.n), self.fields.reshape(-1, self.n), slopes, np.repeat(round_.sweeps, reads), np.repeat(round_.firsts, reads),
            (round_.numbers[:, None].astype(np.int64) * reads + np.arange(reads)).ravel() % 2**32, key=round_.key,
            reach=self.chains.reach(1 / max(round_.hottest, COLDEST)), counts=self.counts.reshape(-1, 2),
        )  # fmt: skip

    def polish(self, places: Sequence[int]) -> None:
        """Nothing, as on the CPU."""

    def collect(self, counts: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        counts[numbers, :2] += self.device.download(self.counts).sum(axis=1)
        self.device.write(self.counts, np.zeros(self.counts.shape, np.int64))

    def save(self, place: int, work: Spins, local: NDArray[Any]) -> None:
        work[:] = self.device.download(self.spins[place]).ravel()
        local[:] = self.device.download(self.fields[place])

    def restore(self, work: NDArray[np.int8], local: NDArray[Any]) -> None:
        self.device.write(self.spins, work.reshape(self.spins.shape))
        self.device.write(self.fields, local)


def engine_on(device: Device, engine: Engine, islands: int) -> DeviceEngine:
    """The device's form of an engine."""
    if isinstance(engine, Lanes):
        return LaneIslands(device, engine, islands)
    if isinstance(engine, RealLanes):
        return RealLaneIslands(device, engine, islands)
    assert isinstance(engine, Chains)
    return ChainIslands(device, engine, islands)
