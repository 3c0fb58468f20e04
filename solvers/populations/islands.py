"""`ensemble` with its islands on the workers of an executor: processes of this machine, or of many.

The state stays here, and so does all that islands do together. `Islands.advance` sends as many islands as there are workers, each for a while (`parcels.perform`); where one
stands when it comes back depends on the clock, but no island goes beyond an exchange before all have come to it. So what is found within a budget of sweeps is what
`Ensemble` itself finds: it depends neither on the workers nor on their deaths.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from ...parallel import Processes, is_worker_death, run_tasks, slots
from ...problems.model import Model
from ...protocols import Report
from ...result import Spins
from ..ensemble import Ensemble
from .exchange import exchange
from .parcels import Content, Parcel, Task, drop, hold, perform, warm_up
from .population import Plan, State

# How long an island is away, and by how much that may make a run that is stopped longer.
SLICE_S = 0.5
RETRIES = 3
_log = logging.getLogger("fnanneal")


class Islands:
    """The solver `ensemble` on an executor, which stays open; `close` it in the end."""

    name = Ensemble.name

    def __init__(self, solver: Ensemble, executor: Executor) -> None:
        self.solver, self.executor = solver, executor
        self._own: Processes | None = None
        self._content: Content | None = None
        self._sent = False
        self._left: Callable[[], float] = lambda: math.inf
        self._warming_s = 0.0

    def settings(self) -> dict[str, Any]:
        return self.solver.settings()

    def memory(self, problem: Model, *, open_ended: bool, threads: int) -> int:
        here = self.solver.memory(problem, open_ended=open_ended, threads=slots(self.executor))
        if not isinstance(self.executor, Processes | ProcessPoolExecutor):
            return here
        # Each has the problem, and about what one island takes.
        return here + slots(self.executor) * (300 * problem.m + 500 * problem.n)

    def warming_s(self) -> float:
        """Seconds spent so far on workers' imports, compiling and preparing."""
        return self._warming_s

    def limited(self, left: Callable[[], float]) -> None:
        """Where there is a limit: what tells the seconds left."""
        self._left = left

    def prepare(self, problem: Model) -> Plan:
        plan = self.solver.prepare(problem)
        self._take(problem, plan)
        return plan

    def _take(self, problem: Model, plan: Plan) -> None:
        if self._content is not None:
            drop(self._content)
        self._content, self._sent = Content.of(self.solver, problem), False
        hold(self._content, self.solver, plan)

    def warm_up(self, system: Plan) -> None:
        self.solver.warm_up(system)
        assert self._content is not None
        began = time.perf_counter()
        # As many as there are workers: each gets one, or nearly so.
        self._run(warm_up, [self._content] * slots(self.executor))
        self._sent = True
        self._warming_s += time.perf_counter() - began

    def init(self, system: Plan, key: int, *, open_ended: bool, threads: int, initial: Spins | None) -> State:
        """As `Ensemble.init`; one island a worker where it would be one a thread."""
        return self.solver.init(system, key, open_ended=open_ended, threads=slots(self.executor), initial=initial)

    def load_state(self, arrays: Mapping[str, Any]) -> State:
        return self.solver.load_state(arrays)

    def reread(self, system: Plan, state: State, problem: Model, until: int) -> Plan:
        """As `Ensemble.reread`; from now on the workers are sent the new numbers."""
        plan = self.solver.reread(system, state, problem, until)
        self._take(problem, plan)
        return plan

    def advance(self, system: Plan, state: State, budget: int, run: Callable[..., Any]) -> None:
        """Send those islands that are furthest behind, as many as there are workers, and wait until they are back."""
        islands, found, done = state.step.size, state.found.copy(), state.swept + state.sweep
        able = [i for i in range(islands) if not state.waits(i)]
        able.sort(key=lambda i: int(done[i]))
        seconds = max(0.0, min(SLICE_S, self._left()))
        for parcel in self._performed(state, able[: slots(self.executor)], seconds):
            parcel.fill(state)
        if state.met():
            exchange(system, state, self.solver.exchange)
        self.solver.meet(system, state, found)

    def report(self, system: Plan, state: State) -> Report:
        return self.solver.report(system, state)

    def close(self) -> None:
        """Forget the problem, and end what workers were started here."""
        if self._content is not None:
            drop(self._content)
        if self._own is not None:
            self._own.shutdown()
            self._own = None

    def _performed(self, state: State, numbers: Sequence[int], seconds: float) -> list[Parcel]:
        content = self._content
        assert content is not None
        tasks = [
            Task(
                key=content.key,
                content=None if self._sent else content,
                islands=state.step.size,
                parcel=Parcel.of(state, i),
                seconds=seconds,
            )
            for i in numbers
        ]
        self._sent = True
        back: list[Parcel] = []
        while tasks:
            again = []
            for task, parcel in zip(tasks, self._run(perform, tasks), strict=True):
                if parcel is None:
                    again.append(replace(task, content=content))
                else:
                    back.append(parcel)
            tasks = again
        return back

    def _run(self, fn: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
        """What `fn` makes of each task, in their order."""
        rebuild = self._replace_pool if isinstance(self.executor, ProcessPoolExecutor) else None
        results: list[Any] = [None] * len(tasks)
        with warnings.catch_warnings():
            # Dask's advice on large tasks: a problem is sent once to a worker, and must be.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            for done in run_tasks(self.executor, fn, tasks, retries=RETRIES, rebuild=rebuild):
                if done.error is not None and is_worker_death(done.error):
                    raise ConnectionError(
                        f"{done.attempts} workers died of the same task: {done.error}"
                    ) from done.error
                if done.error is not None:
                    raise done.error
                results[done.index] = done.value
        if self._own is not None:
            self.executor = self._own
        return results

    def _replace_pool(self) -> Executor:
        """A pool that has lost a process is lost as a whole. What comes after this call runs on processes that are replaced one by one."""
        workers = slots(self.executor)
        _log.warning("the process pool has broken: other processes take its place")
        self._own = self._own or Processes(workers)
        return Processes(workers)
