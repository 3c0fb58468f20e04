"""Solvers that do all in one call and report by callback, as an iterator: the call runs in a thread of its own."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np

from ...result import Spins
from .peer import Batch

TICK_S = 0.05
LATE_S = 1.0

Show = Callable[[Spins, float], None]


def streamed(work: Callable[[Show], Batch], stop: Callable[[], None], *, limit: float, n: int) -> Generator[Batch]:
    """Batches as they come, and one without states at every tick, so that the driver sees targets and Ctrl-C.

    Parameters
    ----------
    work
        Calls its argument with a state (n,) and the seconds so far, on the solver's own clock, at every one that it finds; at last it returns what is left,
        with `took` the seconds of all.
    stop
        Ends the work early; called from another thread.
    limit
        Seconds after which the solver ends by itself; it is stopped where it is late.
    """
    found: queue.Queue[tuple[Spins, float] | Batch | BaseException] = queue.Queue()

    def call() -> None:
        try:
            found.put(work(lambda state, seconds: found.put((state, seconds))))
        except BaseException as e:  # noqa: BLE001 (raised again where the iterator is read)
            found.put(e)

    thread = threading.Thread(target=call, daemon=True)
    began, last = time.perf_counter(), 0.0
    thread.start()
    try:
        while True:
            try:
                item = found.get(timeout=TICK_S)
            except queue.Empty:
                now = time.perf_counter() - began
                if now > limit + max(0.1 * limit, LATE_S):
                    stop()
                # At the limit itself, the solver's last words are waited for.
                now = max(last, min(now, 0.99 * limit))
                yield Batch(states=np.empty((0, n), np.int8), seconds=np.empty(0), took=now - last, reads=0)
                last = now
                continue
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, Batch):
                left = max(item.took - last, 0.0)
                yield replace(item, seconds=np.full(len(item.states), left), took=left)
                return
            state, seconds = item
            left = max(seconds - last, 0.0)
            last += left
            yield Batch(states=state[None], seconds=np.array([left]), took=left, reads=0)
    finally:
        stop()
        thread.join()
