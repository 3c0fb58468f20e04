"""Tasks on an executor: as many in flight as it has use for, and a task whose worker died runs again."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_LOST = {
    ("distributed", "KilledWorker"),
    ("distributed", "CommClosedError"),
    ("distributed", "FutureCancelledError"),
}
_LOOK_S = 1.0  # how often slots are counted anew


class WorkerDied(Exception):
    """A worker process ended while it was at work on a task.

    Attributes
    ----------
    code
        Its exit code, negative for a signal (as `subprocess.Popen.returncode`).
    seconds
        Since it was given the task.
    log
        The end of what it wrote to its standard error.
    """

    def __init__(self, code: int, seconds: float, log: str = "") -> None:
        self.code, self.seconds, self.log = code, seconds, log
        super().__init__(f"the worker process {_end(code)} after {seconds:.3g} s")

    def __reduce__(self) -> tuple[type[WorkerDied], tuple[int, float, str]]:
        return type(self), (self.code, self.seconds, self.log)


def _end(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T, R]):
    """What became of a task.

    Attributes
    ----------
    index, task
        Which one it was, counted from 0 in the order given.
    value, error
        What `fn` returned; or what it raised, or the last death of its worker (`is_worker_death`), and then `value` is None.
    attempts
        How often it was run.
    """

    index: int
    task: T
    value: R | None
    error: BaseException | None
    attempts: int


def is_worker_death(error: BaseException) -> bool:
    """Whether an exception of a future says that its worker was lost, not that its function failed."""
    if isinstance(error, WorkerDied | BrokenExecutor | CancelledError):
        return True
    # Dask's, without loading it.
    return any((c.__module__.partition(".")[0], c.__name__) in _LOST for c in type(error).__mro__)


def run_tasks(
    executor: Executor,
    fn: Callable[[T], R],
    tasks: Iterable[T],
    *,
    retries: int = 2,
    in_flight: int | None = None,
    retry_if: Callable[[T, BaseException], bool] | None = None,
    on_retry: Callable[[T, BaseException, int], None] | None = None,
    rebuild: Callable[[], Executor] | None = None,
) -> Iterator[Done[T, R]]:
    """Run `fn(task)` for each task, and yield what became of each as it ends, in no certain order.

    Tasks are drawn from `tasks` as they are needed. Closing the iterator, and any exception such as KeyboardInterrupt, cancels what has not begun.

    Parameters
    ----------
    fn
        A function of a module, for the workers import it.
    retries
        How often a task runs again whose worker died. An exception that `fn` raises is its result: it does not run again.
    in_flight
        How many tasks are given to the executor at a time; None for twice its `slots`, read anew as workers come and go.
    retry_if
        Says of a task and the death of its worker whether it may run again; None for always.
    on_retry
        Told of a task, the death, and the attempts so far, before the task runs again.
    rebuild
        Makes a new executor where one breaks as a whole, as `ProcessPoolExecutor` does; the new ones are closed here. None: a ProcessPoolExecutor is made anew with its own
        settings, any other's BrokenExecutor is raised.
    """
    from ..checks import integer
    from .opening import slots

    integer(retries, "retries", 0, 1000)
    if in_flight is not None:
        integer(in_flight, "tasks in flight", 1, 10**6)
    crew = _Crew(executor, fn, rebuild)
    source = enumerate(tasks)
    again: deque[_Run[T]] = deque()
    finished: list[Done[T, R]] = []
    try:
        while True:
            room = in_flight if in_flight is not None else 2 * slots(crew.executor)
            while len(crew.running) < room and not (crew.alone or crew.broken):
                run = again.popleft() if again else next((_Run(k, task) for k, task in source), None)
                if run is None:
                    break
                crew.submit(run)
            if crew.alone and not (crew.running or crew.broken):
                crew.submit(crew.alone.popleft())
            yield from finished
            finished.clear()
            if crew.broken and not crew.running:
                crew.mend(crew.broken)
                continue
            if not crew.running:
                return
            for run, value, error in crew.ended():
                if error is not None and is_worker_death(error):
                    # Dask has tried as often itself before it says so.
                    run.attempts += getattr(error, "allowed_failures", 0)
                    if run.attempts <= retries and (retry_if is None or retry_if(run.task, error)):
                        if on_retry is not None:
                            on_retry(run.task, error, run.attempts)
                        again.append(run)
                        continue
                finished.append(Done(index=run.index, task=run.task, value=value, error=error, attempts=run.attempts))
    finally:
        crew.leave()


@dataclass(slots=True)
class _Run(Generic[T]):
    index: int
    task: T
    attempts: int = 0


class _Crew(Generic[T, R]):
    """An executor with what runs on it.

    Where one breaks as a whole nobody knows whose task broke it: those that ran then run again one at a time (`alone`), and a break counts for the one that ran alone.
    """

    def __init__(self, executor: Executor, fn: Callable[[T], R], rebuild: Callable[[], Executor] | None) -> None:
        self.executor, self.fn = executor, fn
        self.rebuild = rebuild or _like(executor)
        self.running: dict[Future[R], _Run[T]] = {}
        self.alone: deque[_Run[T]] = deque()
        self.broken: BrokenExecutor | None = None
        self._ours = self._unused = False

    def submit(self, run: _Run[T]) -> None:
        try:
            self.running[self.executor.submit(self.fn, run.task)] = run
            run.attempts += 1
            self._unused = False
        except BrokenExecutor as e:
            if self._unused:  # no other will be better
                raise
            self.broken = e
            self.alone.append(run)

    def ended(self) -> Iterator[tuple[_Run[T], R | None, BaseException | None]]:
        """What has ended since, or nothing after a while."""
        ended = wait(self.running, timeout=_LOOK_S, return_when=FIRST_COMPLETED).done
        if any(isinstance(_error(future), BrokenExecutor) for future in ended):
            ended = wait(self.running).done
        broken = [f for f in ended if isinstance(_error(f), BrokenExecutor)]
        for future in ended:
            run, error = self.running.pop(future), _error(future)
            if isinstance(error, BrokenExecutor):
                self.broken = error
                if len(broken) > 1 or self.rebuild is None:
                    run.attempts -= 1
                    self.alone.append(run)
                    continue
            yield run, future.result() if error is None else None, error

    def mend(self, error: BrokenExecutor) -> None:
        """A new executor for a broken one, on which nothing is left; without a way to one, its exception."""
        if self.rebuild is None:
            raise error
        self.executor.shutdown(wait=False)
        self.executor, self.broken = self.rebuild(), None
        self._ours = self._unused = True

    def leave(self) -> None:
        for future in self.running:
            future.cancel()
        if self._ours:
            self.executor.shutdown(wait=not self.running, cancel_futures=True)


def _error(future: Future[Any]) -> BaseException | None:
    return CancelledError("its worker was lost") if future.cancelled() else future.exception()


def _like(executor: Executor) -> Callable[[], Executor] | None:
    """Another ProcessPoolExecutor of the same settings; None for any other kind."""
    if type(executor) is not ProcessPoolExecutor:
        return None
    about: Any = executor
    return lambda: ProcessPoolExecutor(
        about._max_workers,
        about._mp_context,
        about._initializer,
        about._initargs,
        max_tasks_per_child=about._max_tasks_per_child,
    )
