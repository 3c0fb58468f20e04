"""An island on its way to a worker and back, and what the worker does with it.

A task holds all that its result depends on, so that it can run on any worker, and again where a worker died. Only the problem, which is large and always the same, stays with
the workers: a task names it by its digest, and one that meets a worker without it comes back undone, to be sent again with it.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...problems.couplings import Couplings
from ...problems.model import Model
from .population import Plan, State

if TYPE_CHECKING:
    from ..ensemble import Ensemble

SPINS = ("work", "parents", "best", "champions")
# So many problems stay with a worker.
HELD = 2
CHUNK_S, MOST_SWEEPS = 0.03, 256

_held: OrderedDict[str, tuple[Ensemble, Plan]] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A solver with its problem, and their digest."""

    key: str
    data: bytes

    @classmethod
    def of(cls, solver: Ensemble, problem: Model) -> Self:
        """Without names, and without what has been computed from the problem so far."""
        c = problem.couplings
        bare = Couplings(n=c.n, rows=c.rows, cols=c.cols, weights=c.weights)
        data = pickle.dumps(
            (solver, replace(problem, couplings=bare, variables=None, name="", known=None, ideal=None)), protocol=5
        )
        return cls(key=hashlib.sha256(data).hexdigest(), data=data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Island `number` of a state: its rows of the arrays, spins as bits, and the numbers that all islands share."""

    number: int
    arrays: Mapping[str, NDArray[Any]]
    shared: Mapping[str, Any]

    @classmethod
    def of(cls, state: State, i: int) -> Self:
        arrays, shared = {}, {}
        for f in fields(state):
            value = getattr(state, f.name)
            if "length" not in f.metadata:
                shared[f.name] = value
            else:
                arrays[f.name] = np.packbits(value[i] > 0) if f.name in SPINS else value[i].copy()
        return cls(number=i, arrays=arrays, shared=shared)

    def fill(self, state: State) -> None:
        """Write the island's rows into a state."""
        for name, row in self.arrays.items():
            target = getattr(state, name)[self.number, ...]
            if name in SPINS:
                bits = np.unpackbits(row, count=target.size).view(np.int8).reshape(target.shape)
                np.subtract(2 * bits, 1, out=target)
            else:
                target[...] = row

    def opened(self, plan: Plan, islands: int) -> State:
        """A state of so many islands of which there is but this one: the others' rows are never touched, and so take no memory."""
        state = State.empty(plan, islands, hot=0.0, cold=0.0, key=0, sweeps=0)
        for name, value in self.shared.items():
            setattr(state, name, value)
        self.fill(state)
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """So many seconds of an island, at most to where it waits for the others.

    Attributes
    ----------
    key, content
        The digest of the solver and its problem; and they themselves, None where the worker may have them.
    """

    key: str
    content: Content | None
    islands: int
    parcel: Parcel
    seconds: float


def perform(task: Task) -> Parcel | None:
    """The island after the task; None where the worker lacks the problem."""
    if task.content is not None:
        warm_up(task.content)
    with _lock:
        if task.key not in _held:
            return None
        _held.move_to_end(task.key)
        solver, plan = _held[task.key]
    state = task.parcel.opened(plan, task.islands)
    anneal(solver, plan, state, task.parcel.number, task.seconds)
    return Parcel.of(state, task.parcel.number)


def warm_up(content: Content) -> None:
    """Prepare a problem and compile for it, unless that is done."""
    with _lock:
        if content.key not in _held:
            solver, problem = pickle.loads(content.data)
            plan = solver.prepare(problem)
            solver.warm_up(plan)
            _hold(content.key, solver, plan)


def hold(content: Content, solver: Ensemble, plan: Plan) -> None:
    """Keep what is prepared already, for workers that are threads of this process."""
    with _lock:
        _hold(content.key, solver, plan)


def drop(content: Content) -> None:
    """Forget a problem."""
    with _lock:
        _held.pop(content.key, None)


def _hold(key: str, solver: Ensemble, plan: Plan) -> None:
    _held[key] = solver, plan
    while len(_held) > HELD:
        _held.popitem(last=False)


def anneal(solver: Ensemble, plan: Plan, state: State, i: int, seconds: float) -> None:
    """Sweeps of island i until the time is over, at least one, or until it waits."""
    want, now = 1, time.perf_counter()
    end = now + seconds
    while not state.waits(i):
        began = now
        done = solver.sweep(plan, state, i, want)
        now = time.perf_counter()
        if now >= end:
            return
        want = int(np.clip(done * min(CHUNK_S, end - now) / max(now - began, 1e-6), 1, min(MOST_SWEEPS, 8 * want)))
