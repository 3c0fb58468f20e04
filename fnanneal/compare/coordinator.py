"""Run a plan: claim what is missing, hand it to the executor, keep every answer the moment it comes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from ..checks import integer
from ..parallel import describe, is_worker_death, open_executor, process_token, run_tasks
from .cells import Cell
from .plan import Estimate, Plan, estimate
from .records import Record
from .store import Store
from .work import Answer, Task, empty, perform

WAIT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How a plan stands: its cells, those with a row, those of them that failed or were not for their solver, and those that this call ran."""

    cells: int
    finished: int
    failed: int
    unfit: int
    ran: int


def run(
    plan: Plan,
    out: str | os.PathLike[str],
    *,
    executor: str | Executor | None = None,
    workers: int | None = None,
    retries: int = 2,
    retry_failed: bool = False,
    callback: Callable[[Record, Tally], object] | None = None,
) -> Tally:
    """Run the cells of a plan that are not in the store yet.

    Parameters
    ----------
    plan
        What to compare.
    out
        The store's directory, made if there is none. Killed at any moment, the same call goes on from there; another process may work on the same directory.
    executor
        None: processes of this machine, pinned to cores of their own; ``dask:ADDRESS``; ``mpi``; or any `concurrent.futures.Executor`, whose workers can
        import fnanneal.
    workers
        Processes on this machine; one for every `threads` cores by default.
    retries
        How often a cell is run again whose worker died.
    retry_failed
        Whether to run again what has failed, and what a solver could not take.
    callback
        Called with each record as it comes, and how the plan then stands.

    Returns
    -------
    Tally

    Raises
    ------
    InputError
        For a plan with solvers that are missing, a directory that holds something else, an executor that cannot be had.

    Notes
    -----
    Ctrl-C stops at once; what is finished is kept.
    """
    plan.checked()
    integer(retries, "retries", 0, 100)
    cells = {c.key: c for c in plan.cells()}
    with Store.open(out, create=True) as store:
        store.add_plan(plan.about(), cells)
        if retry_failed:
            store.forget({key for key, outcome in store.outcomes().items() if outcome != "done"} & cells.keys())
        tally = tally_of(store, cells)
        if tally.finished == tally.cells:
            return tally
        with store.beating(), open_executor(executor, workers=workers, threads=plan.threads) as pool:
            while True:
                finished = store.finished()
                missing = {key: cell for key, cell in cells.items() if key not in finished}
                if not missing:
                    return replace(tally_of(store, cells), ran=tally.ran)
                before = tally.ran
                for record in _answers(store, pool, missing, retries):
                    tally = replace(tally_of(store, cells), ran=tally.ran + 1)
                    if callback is not None:
                        callback(record, tally)
                if tally.ran == before:
                    # All that is missing is in the hands of another process, which may die yet.
                    time.sleep(WAIT_S)


def _answers(store: Store, pool: Executor, missing: Mapping[str, Cell], retries: int) -> Iterator[Record]:
    """Run what nobody else does, and give each record when it is kept."""
    home, where = process_token(), describe(pool)

    def claimed() -> Iterator[Task]:
        for key, cell in missing.items():
            if store.claim(key):
                yield Task(cell=cell, home=home, where=where)

    def again(task: Task, death: BaseException) -> bool:
        return not overran(task.cell, death)

    for done in run_tasks(pool, perform, claimed(), retries=retries, retry_if=again):
        answer: Answer
        if done.value is not None:
            answer = done.value
        else:
            assert done.error is not None
            answer = Answer(record=empty(done.task.cell, where, why(done.task.cell, done.error)))
        record = replace(answer.record, attempts=done.attempts)
        store.add(record, spins=answer.spins, point=answer.point)
        yield record


def overran(cell: Cell, death: BaseException) -> bool:
    """Whether a worker was ended because the cell went on far beyond its limit: it would again."""
    return getattr(death, "seconds", 0.0) >= cell.hard_s > 0


def why(cell: Cell, error: BaseException) -> str:
    """One line on what became of a cell without an answer."""
    if is_worker_death(error):
        if overran(cell, error):
            return f"ended from outside after {cell.hard_s:.0f} s, far beyond its limit"
        return f"the worker died: {error}".splitlines()[0][:300]
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def tally_of(store: Store, keys: Collection[str]) -> Tally:
    """How the cells of these keys stand in a store."""
    outcomes = store.outcomes()
    mine = [outcomes[k] for k in keys if k in outcomes]
    return Tally(cells=len(keys), finished=len(mine), failed=mine.count("failed"), unfit=mine.count("unfit"), ran=0)


def expected(plan: Plan, out: str | os.PathLike[str] | None = None) -> Estimate:
    """What a plan would take, by what its directory, if there is one, holds already."""
    cells = plan.cells()
    if out is None or not Store.exists(out):
        return estimate(cells, {}, ())
    with Store.open(out) as store:
        by_key = {c.key: (c.identity, c.solver.label) for c in store.planned()}
        seen = {by_key[r.cell]: r.wall_s for r in store.records() if r.cell in by_key and r.outcome == "done"}
        return estimate(cells, seen, store.finished())
