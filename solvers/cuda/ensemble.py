"""`ensemble` on GPUs: its islands are divided among them, and the host's part of a round is the CPU's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...errors import InputError
from ...problems.model import Model
from ...protocols import Report
from ...result import Spins
from ..ensemble import ISLANDS, Ensemble
from ..populations.exchange import exchange
from ..populations.population import Plan, State
from .descents import Descents
from .device import Device
from .lanes import filling
from .lineages import Lineages, Merging, merge_later

# Of what is free on a device.
SPARING = 0.9
# Dense chains that keep a multiprocessor busy, by guess.
CHAINS = 16


@dataclass(slots=True, kw_only=True)
class DeviceState:
    """The host's state, whose large arrays are not kept up to date, and the islands on each device; none before the first sweeps after `load_state`."""

    host: State
    parts: list[Lineages | Descents] = field(default_factory=list)
    meeting: Merging | None = None


class CudaEnsemble:
    """The solver `ensemble` with its populations on GPUs."""

    name = Ensemble.name

    def __init__(self, solver: Ensemble, devices: Sequence[Device]) -> None:
        self.solver, self.devices = solver, tuple(devices)
        self._pool: Executor | None = None

    def settings(self) -> dict[str, Any]:
        return self.solver.settings()

    def prepare(self, problem: Model) -> Plan:
        return self.solver.prepare(problem)

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        # The host keeps a copy of what a checkpoint holds.
        return self.solver.memory(problem, open_ended=open_ended, threads=threads)

    def warm_up(self, system: Plan) -> None:
        self.solver.warm_up(system)

    def init(self, system: Plan, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> DeviceState:
        self._pool = ThreadPoolExecutor(threads)
        islands = self._islands(system, open_ended)
        parts = self._parts(system, islands)
        first = parts[0]

        def optima(plan: Plan) -> Spins:
            # All lanes are annealed for the few that are looked at.
            return first.greedy_optima() if plan is system and isinstance(first, Lineages) else self.solver.optima(plan)

        host = self.solver.blank(system, key, open_ended=open_ended, threads=islands, optima=optima)
        state = DeviceState(host=host, parts=parts)
        given = None if initial is None else system.reduction.inwards(initial)
        for part in state.parts:
            part.begin(host, given)
        return state

    def _islands(self, plan: Plan, open_ended: bool) -> int:
        """Islands of this run: what is asked for, or in an open-ended run what fills the devices.

        Raises
        ------
        InputError
            Where they do not fit.
        """
        fixed, each = self._bytes(plan)
        free = [int(SPARING * device.free_bytes()) for device in self.devices]
        rooms = [max(0, f - fixed) // each for f in free]
        total = self.solver.num_reads or ISLANDS
        if open_ended and self.solver.num_reads is None:
            # The same number to each, as `_parts` deals them out: what suits the smallest.
            fill = min(self._filling(plan, device) for device in self.devices)
            total = max(1, min(fill, *rooms)) * len(self.devices)
        for d, device in enumerate(self.devices):
            count = len(range(d, total, len(self.devices)))
            if count > rooms[d]:
                raise InputError(
                    f"{device.name}: {count} island(s) need {(fixed + count * each) / 2**30:.2f} GiB of its memory, and {free[d] / 2**30:.2f} GiB are "
                    "free: fewer reads (num_reads), or backend=cpu"
                )
        return total

    def _bytes(self, plan: Plan) -> tuple[int, int]:
        """Memory on a device: of the problem, and of each island."""
        part = Descents if plan.dense is not None else Lineages
        return part.problem_bytes(plan), part.island_bytes(plan)

    def _filling(self, plan: Plan, device: Device) -> int:
        if plan.dense is not None:
            return -(-device.multiprocessors * CHAINS // plan.engine.reads)
        return filling(device, plan.system)

    def _parts(self, plan: Plan, count: int) -> list[Lineages | Descents]:
        numbers = [np.arange(d, count, len(self.devices)) for d in range(len(self.devices))]
        parts: list[Lineages | Descents] = []
        for device, mine in zip(self.devices, numbers, strict=True):
            if mine.size and plan.dense is not None:
                parts.append(Descents(device, plan, mine))
            elif mine.size:
                assert self._pool is not None
                parts.append(Lineages(device, plan, mine, self.solver.kappa, self._pool))
        return parts

    def load_state(self, arrays: Mapping[str, Any]) -> DeviceState:
        return DeviceState(host=self.solver.load_state(arrays))

    def on_host(self, state: DeviceState) -> State:
        """The CPU's state, up to date."""
        for part in state.parts:
            part.save(state.host)
        return state.host

    def reread(self, system: Plan, state: DeviceState, problem: Model, until: int) -> Plan:
        """As `Ensemble.reread`, on the host."""
        new = self.solver.reread(system, self.on_host(state), problem, until)
        # What is being merged has the values of the old numbers.
        state.parts, state.meeting = [], None
        return new

    def advance(self, system: Plan, state: DeviceState, budget: int, run: Callable[..., Any]) -> None:
        """About `budget` spin tests of every lineage, all devices at once."""
        host, want = state.host, max(1, budget // system.system.n)
        if not state.parts:
            state.parts = self._parts(system, host.step.size)
            for part in state.parts:
                part.restore(host)
        found = host.found.copy()
        over = [part.queue(host, want) for part in state.parts]
        for part, mine in zip(state.parts, over, strict=True):
            part.finish(host, mine)
        if host.met():
            exchange(system, self.on_host(state), self.solver.exchange)
            for part in state.parts:
                part.restore(host)
        if host.sweeps or system.dense is not None:
            self.solver.meet(system, host, found)
        else:
            self._meet(system, state, bool(np.any(host.found > found)))

    def _meet(self, plan: Plan, state: DeviceState, due: bool) -> None:
        """As `Ensemble.meet` in an open-ended run, beside the devices' work: one at a time."""
        assert self._pool is not None
        host, meeting = state.host, state.meeting
        if meeting is not None and meeting.result.done():
            merged, value = meeting.result.result()
            host.counts[0] += meeting.counts[0]
            host.keep(0, merged[None], np.array([value]))
            state.meeting = meeting = None
        if due and meeting is None and host.step.size > 1:
            state.meeting = merge_later(self._pool, plan, host, self.solver.gathered(host), 0, self.solver.kappa)

    def report(self, system: Plan, state: DeviceState) -> Report:
        report = self.solver.report(system, state.host)

        def candidates() -> Spins:
            self.on_host(state)
            assert report.candidates is not None
            return report.candidates()

        return replace(report, candidates=candidates)
