"""The driver of peers: it keeps their clock, judges every state by the problem itself, and says nothing of what it cannot know.

The clock is the sum of the batches' own seconds. All else that passes while a peer has the word (its Python layer's conversions, say) is `build_s`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import numpy as np

from ...energy.events import Events
from ...energy.ledger import Technology, not_counted
from ...energy.ledger import technology as find_technology
from ...energy.meter import machine_meter
from ...errors import InputError, NothingFound
from ...interrupt import Interrupt
from ...memory import check_memory
from ...problems.model import Model
from ...protocols import Progress
from ...result import Energy, Number, Result, Spins, Status, Times
from ...run import better
from ...samples import Samples
from .peer import Batch, Limits, Peer

NEARLY = 1e-6

_warm: set[type[Peer]] = set()


def drive(
    problem: Model,
    peer: Peer,
    *,
    seed: int,
    time_limit: float | None = None,
    target: Number | None = None,
    open_ended: bool = False,
    callback: Callable[[Progress], Any] | None = None,
    load_s: float | None = None,
    max_memory: int | None = None,
    versions: Mapping[str, str],
    technology: Technology | None = None,
) -> Result:
    """Run a peer on a problem until a limit, the target, the end of its budget, or Ctrl-C. As `fnanneal.run.drive`, but for one thread and the CPU.

    Raises
    ------
    InputError
        Where the peer is not installed, or cannot take the problem; and where it has found nothing at all.
    """
    reason = peer.unfit(problem)
    if reason is not None:
        raise InputError(f"{peer.name} cannot take this problem: {reason}")
    check_memory(peer.memory(problem), max_memory)
    started = time.perf_counter()
    peer.require()
    if type(peer) not in _warm:
        peer.warm_up()
        _warm.add(type(peer))
    compile_s = time.perf_counter() - started
    started = time.perf_counter()
    model = peer.build(problem)
    build_s = time.perf_counter() - started

    found = _Found(problem)
    meter, status, passed = machine_meter(), None, 0.0
    limits = Limits(seconds=time_limit, open_ended=open_ended)
    with (
        meter.window() as drawn,
        Interrupt().watching() as interrupt,
        closing(peer.run(model, limits, seed)) as batches,
    ):
        while status is None:
            started = time.perf_counter()
            batch = next(batches, None)
            passed += time.perf_counter() - started
            if batch is None:
                status = Status.TIME_LIMIT
                break
            found.take(batch)
            if target is not None and found.spins is not None and not better(problem.sense, target, found.objective):
                status = Status.TARGET
            elif batch.finished:
                status = Status.OPTIMAL if batch.proved else Status.COMPLETED
            elif time_limit is not None and found.elapsed >= time_limit:
                status = Status.TIME_LIMIT
            elif interrupt.seen:
                status = Status.INTERRUPTED
            elif callback is not None and found.spins is not None and callback(found.progress(time_limit)):
                status = Status.STOPPED
    if found.spins is None:
        if status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        raise NothingFound(f"{peer.name} has found no assignment in {found.elapsed:.3g} s: give it more time")
    states, objectives, multiplicity = found.samples.table(problem.sense)
    return Result(
        problem=problem,
        solver=peer.name,
        settings=peer.settings(),
        seed=seed,
        backend="cpu",
        status=status,
        objective=found.objective,
        spins=found.spins,
        states=states,
        objectives=objectives,
        multiplicity=multiplicity,
        best_known=problem.best_known,
        time=Times(
            load_s=load_s,
            compile_s=compile_s,
            prepare_s=0.0,
            solve_s=found.elapsed,
            to_best_s=found.trace[-1][0],
            build_s=build_s + max(passed - found.elapsed, 0.0),
        ),
        num_sweeps=found.sweeps,
        num_reads=found.samples.reads,
        weights="ideal",
        energy=Energy(
            account=not_counted(find_technology(technology)),
            bounds=None,
            measured=meter.result(drawn),
            events=Events(spin_tests=found.tests),
            events_to_best=Events(spin_tests=found.tests_to_best),
            real_numbers=True,
        ),
        trace=tuple(found.trace),
        versions={**versions, peer.package: peer.version() or "unknown"},
    )


class _Found:
    """All that has come out so far."""

    def __init__(self, problem: Model) -> None:
        self.problem = problem
        self.samples = Samples(n=problem.n)
        self.spins: Spins | None = None
        self.objective: Number = 0
        self.trace: list[tuple[float, Number]] = []
        self.elapsed = self.sweeps = 0.0
        self.tests = self.tests_to_best = 0

    def take(self, batch: Batch) -> None:
        """Judge every distinct state, in the order in which they came."""
        k = len(batch.states)
        if k:
            bits = np.packbits(batch.states > 0, axis=1)
            _, first, counts = np.unique(bits, axis=0, return_index=True, return_counts=True)
            for j in np.argsort(first):
                r = int(first[j])
                spins = batch.states[r]
                objective = self.samples.count(self.problem, spins, int(counts[j]))
                if self._improves(objective):
                    self._recall(batch, objective)
                    self.spins, self.objective = spins.copy(), objective
                    self.trace.append((self.elapsed + float(batch.seconds[r]), objective))
                    self.tests_to_best = self.tests + round((batch.spin_tests or 0) * (r + 1) / k)
        self.samples.done(self.problem.sense, k if batch.reads is None else batch.reads)
        self.elapsed += batch.took
        self.sweeps += batch.sweeps
        self.tests += batch.spin_tests or 0

    def _improves(self, objective: Number) -> bool:
        return self.spins is None or better(self.problem.sense, objective, self.objective)

    def _recall(self, batch: Batch, final: Number) -> None:
        """The improvements that a peer remembers, where the last of them is what its state is worth."""
        if not batch.history or abs(batch.history[-1][1] - final) > NEARLY * max(abs(final), 1):
            return
        last: Number | None = None
        for t, value in batch.history[:-1]:
            objective = round(value) if isinstance(final, int) else value
            before = self._improves(objective) and better(self.problem.sense, final, objective)
            if before and (last is None or better(self.problem.sense, objective, last)):
                self.trace.append((self.elapsed + t, objective))
                last = objective

    def progress(self, time_limit: float | None) -> Progress:
        assert self.spins is not None
        return Progress(
            elapsed=self.elapsed,
            objective=self.objective,
            best_known=self.problem.best_known,
            spins=self.spins,
            temperature=None,
            spin_tests=self.tests,
            fraction=None if time_limit is None else min(self.elapsed / time_limit, 1.0),
        )
