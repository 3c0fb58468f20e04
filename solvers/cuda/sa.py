"""`sa` on GPUs: the anneals of `solvers.sa`, read by read the same, divided among the devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...problems.model import Model
from ...protocols import Report
from ...result import Spins
from ..sa import DEFAULT_READS, Course, SimulatedAnnealing, State
from ..system import SpinSystem
from .device import Array, Device
from .sweep import DeviceChains

# Chains a multiprocessor, in an open-ended run.
CHAINS = 4
# Of the free memory; the rest is for what a call needs beside the states.
SPARING = 0.9
_ARRAYS = ("spins", "best", "fields", "values", "counts")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CudaSystem:
    """A problem on the host, and on each device."""

    host: SpinSystem
    chains: Sequence[DeviceChains]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """The reads of device number `index`: arrays on it, as in `State`."""

    index: int
    reads: slice
    spins: Array
    best: Array
    fields: Array
    values: Array
    counts: Array


@dataclass(slots=True, kw_only=True)
class CudaState(Course):
    """Chains on devices; values and counts are what the last `CudaSA.advance` left there."""

    parts: Sequence[Part]


class CudaSA:
    """`SimulatedAnnealing` on GPUs."""

    def __init__(self, solver: SimulatedAnnealing, devices: Sequence[Device]) -> None:
        self.solver, self.devices = solver, devices
        self._made: Sequence[Part] = ()

    @property
    def name(self) -> str:
        return self.solver.name

    def settings(self) -> dict[str, Any]:
        return self.solver.settings()

    def prepare(self, problem: Model) -> CudaSystem:
        host = self.solver.prepare(problem)
        for device in self.devices:
            self._check(device, host, 1, DeviceChains.graph_bytes(host))
        return self._placed(host)

    def _placed(self, host: SpinSystem) -> CudaSystem:
        return CudaSystem(host=host, chains=[DeviceChains(device, host) for device in self.devices])

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        filling = sum(CHAINS * device.multiprocessors for device in self.devices)
        return self.solver.memory(problem, open_ended=open_ended, threads=filling)

    def warm_up(self, system: CudaSystem) -> None:
        # The temperatures are found on the host.
        self.solver.warm_up(system.host)
        state = self._state(system.host, len(self.devices), 0, False)
        self._begin(system, state, None)
        for part in state.parts:
            slopes = system.chains[part.index].device.zeros((1, 1), np.float64)
            self._anneal(system, state, part, slopes, 0, 0, -1)
        self._made = ()

    def init(self, system: CudaSystem, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> CudaState:
        state = self._state(system.host, self._reads(system.host, open_ended), key, open_ended)
        state.hot, state.cold = self.solver.ends(system.host)
        self._begin(system, state, None if initial is None else system.host.inwards(initial))
        self._collect(state)
        return state

    def _reads(self, host: SpinSystem, open_ended: bool) -> int:
        """Reads of this run: what is asked for, or in an open-ended run what fills the devices.

        Raises
        ------
        InputError
            Where they do not fit.
        """
        if open_ended and self.solver.num_reads is None:
            each = DeviceChains.chain_bytes(host)
            # As many on each device, which is how they are divided.
            room = min(int(SPARING * d.free_bytes()) // each for d in self.devices)
            most = min(CHAINS * d.multiprocessors for d in self.devices)
            return max(1, min(room, most)) * len(self.devices)
        reads = self.solver.num_reads or DEFAULT_READS
        for device, part in zip(self.devices, self._divided(reads), strict=True):
            self._check(device, host, part.stop - part.start)
        return reads

    def _divided(self, reads: int) -> list[slice]:
        bounds = [k * reads // len(self.devices) for k in range(len(self.devices) + 1)]
        return [slice(a, b) for a, b in pairwise(bounds)]

    @staticmethod
    def _check(device: Device, host: SpinSystem, reads: int, more: int = 0) -> None:
        needed, free = reads * DeviceChains.chain_bytes(host) + more, int(SPARING * device.free_bytes())
        if needed > free:
            raise InputError(
                f"{device.name}: {reads} read(s) need {needed / 2**30:.3g} GiB of its memory, and {free / 2**30:.3g} GiB are free: "
                "fewer reads (num_reads), or backend=cpu"
            )

    def _state(self, host: SpinSystem, reads: int, key: int, open_ended: bool) -> CudaState:
        total = np.int64 if host.integral else np.float64
        kinds = {"spins": np.int8, "best": np.int8, "fields": host.weights.dtype, "values": total, "counts": np.int64}
        parts = []
        for index, (device, own) in enumerate(zip(self.devices, self._divided(reads), strict=True)):
            shapes = {a: (own.stop - own.start, host.n if a in ("spins", "best", "fields") else 2) for a in _ARRAYS}
            if own.stop > own.start:
                parts.append(Part(index=index, reads=own, **{a: device.zeros(shapes[a], kinds[a]) for a in _ARRAYS}))
        self._made = parts
        return CudaState(
            values=np.zeros((reads, 2), total),
            counts=np.zeros((reads, 2), np.int64),
            key=key,
            open_ended=open_ended,
            parts=parts,
        )

    def on_host(self, state: CudaState) -> State:
        """The state as the CPU has it."""
        arrays = {a: np.concatenate([self._download(p, a) for p in state.parts]) for a in _ARRAYS}
        return State(**{f.name: getattr(state, f.name) for f in fields(Course)} | arrays)

    def _download(self, part: Part, array: str) -> NDArray[Any]:
        return self.devices[part.index].download(getattr(part, array))

    def load_state(self, arrays: Mapping[str, Any]) -> CudaState:
        held = self.solver.load_state(arrays)
        parts = []
        for index, own in enumerate(self._divided(held.reads)):
            if own.stop > own.start:
                rows = {a: np.ascontiguousarray(getattr(held, a)[own]) for a in _ARRAYS}
                # Where `init` has made such arrays, there may be no room for others.
                made = next((p for p in self._made if p.index == index and p.spins.shape == rows["spins"].shape), None)
                if made is None:
                    made = Part(index=index, reads=own, **{a: self.devices[index].upload(rows[a]) for a in _ARRAYS})
                else:
                    self._write(made, rows)
                parts.append(made)
        return CudaState(**{f.name: getattr(held, f.name) for f in fields(Course)}, parts=parts)

    def _write(self, part: Part, rows: Mapping[str, NDArray[Any]]) -> None:
        for name, host in rows.items():
            self.devices[part.index].write(getattr(part, name), np.ascontiguousarray(host))

    def reread(self, system: CudaSystem, state: CudaState, problem: Model, until: int) -> CudaSystem:
        """As on the CPU."""
        held = self.on_host(state)
        new = self._placed(self.solver.reread(system.host, held, problem, until))
        state.hot, state.cold, state.values = held.hot, held.cold, held.values
        for part in state.parts:
            self._write(part, {"fields": held.fields[part.reads], "values": held.values[part.reads]})
        return new

    def _begin(self, system: CudaSystem, state: CudaState, initial: Spins | None, run: Any = None) -> None:
        """New chains: from the given states (k, n) in turn, else random."""
        numbers = self.solver.numbers(state)
        for part in state.parts:
            chains, device = system.chains[part.index], self.devices[part.index]
            if initial is None:
                chains.draw(part.spins, state.key, numbers[part.reads])
            else:
                rows = np.arange(part.reads.start, part.reads.stop) % initial.shape[0]
                device.write(part.spins, np.ascontiguousarray(initial[rows]))
            device.copy(part.best, part.spins)
            chains.local_fields(part.spins, part.fields)
        for part in state.parts:
            if system.host.integral:
                system.chains[part.index].integer_values(part.spins, part.fields, part.values)
            else:
                both = np.repeat(self._real_values(system.host, part, run)[:, None], 2, axis=1)
                self._write(part, {"values": both})
        self.solver.begin_round(state)

    def _real_values(self, host: SpinSystem, part: Part, run: Any) -> NDArray[np.float64]:
        """`SpinSystem.value` of each row, in NumPy's own order of summation."""
        spins, local = self._download(part, "spins"), self._download(part, "fields")
        values = np.empty(spins.shape[0])

        def one(r: int) -> None:
            values[r] = -float((spins[r] * (local[r] + host.fields)).sum()) / 2

        if run is None:
            for r in range(values.size):
                one(r)
        else:
            run(one, values.size)
        return values

    def _collect(self, state: CudaState) -> None:
        for part in state.parts:
            state.values[part.reads] = self._download(part, "values")
            state.counts[part.reads] = self._download(part, "counts")

    def advance(self, system: CudaSystem, state: CudaState, budget: int, run: Callable[..., Any]) -> None:
        """As on the CPU: whole sweeps, all in one launch a device."""
        solver = self.solver
        if solver.next_round(state):
            self._begin(system, state, None, run)
        first, last, slopes, reach = solver.chunk(system.host, state, budget)
        if solver.refreshes(system.host, first):
            for part in state.parts:
                system.chains[part.index].local_fields(part.spins, part.fields)
                state.values[part.reads, 0] = self._real_values(system.host, part, run)
                self._write(part, {"values": state.values[part.reads]})
        for part in state.parts:
            own = slopes if slopes.shape[0] == 1 else np.ascontiguousarray(slopes[part.reads])
            self._anneal(system, state, part, self.devices[part.index].upload(own), last - first, first, reach)
        self._collect(state)
        state.sweep = last

    def _anneal(
        self, system: CudaSystem, state: CudaState, part: Part, slopes: Array, sweeps: int, first: int, reach: int
    ) -> None:
        system.chains[part.index].anneal(
            part.spins, part.fields, slopes, sweeps, first, self.solver.numbers(state)[part.reads], key=state.key, reach=reach,
            heat_bath=self.solver.rule == "heat-bath", best=part.best, values=part.values, counts=part.counts,
        )  # fmt: skip

    def report(self, system: CudaSystem, state: CudaState) -> Report:
        held: dict[int, NDArray[np.int8]] = {}
        asked = 0

        def spins(r: int) -> Spins:
            # One best state is small; who asks for another wants them all.
            nonlocal asked
            asked += 1
            part = next(p for p in state.parts if p.reads.start <= r < p.reads.stop)
            device, k = self.devices[part.index], r - part.reads.start
            if asked == 1:
                return system.host.outwards(device.download(part.best[k]))
            if part.index not in held:
                held[part.index] = device.download(part.best)
            return system.host.outwards(held[part.index][k])

        return self.solver.report_of(system.host, state, spins)
