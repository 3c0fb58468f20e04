"""Worker processes on this machine, each on cores of its own."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any, ParamSpec, TypeVar

from ..errors import InputError
from .cores import available_threads, claim
from .tasks import WorkerDied
from .worker import end_group, receive, send

P = ParamSpec("P")
R = TypeVar("R")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
_STARTS = 3  # of a process, before the executor gives up
_LEAVE_S = 10.0  # for a process to end when asked to
_LOG_BYTES = 4000
_log = logging.getLogger("fnanneal")


class Processes(Executor):
    """An executor of `workers` processes. One that dies fails its own task with `WorkerDied`, and the next task starts it anew.

    The processes import what a task is made of: its function must be one of a module, not of ``__main__``, and a script needs no ``if __name__ == "__main__"``. They start
    when there is a task for them, in a process group of their own, so that Ctrl-C reaches the caller alone; they end with it, even where it is killed. What they print is lost, but for the
    last words of one that died.

    Parameters
    ----------
    workers
        None for as many as there are cores for.
    threads
        Of one worker: the numerical libraries are told, and it is pinned to as many cores.
    pin
        False leaves the processes on all cores. They are not pinned either, and a line is logged, where there are too few cores that no other run has taken.

    Attributes
    ----------
    cores
        Of each worker, or None where they are not pinned.
    """

    def __init__(self, workers: int | None = None, *, threads: int = 1, pin: bool = True) -> None:
        from ..checks import integer

        self.threads = integer(threads, "threads", 1, 1024)
        most = max(1, available_threads() // threads)
        self.workers = most if workers is None else integer(workers, "workers", 1, 4096)
        self._claim = claim(self.workers * threads) if pin else None
        taken = self._claim.cores if self._claim is not None else ()
        self.cores = [taken[k : k + threads] for k in range(0, len(taken), threads)] or None
        self._queue: SimpleQueue[tuple[Future[Any], bytes] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._open = True
        self._killed = False
        self._broken: str | None = None
        self._threads = [
            threading.Thread(target=self._tend, args=(k,), name=f"fnanneal-worker-{k}", daemon=True)
            for k in range(self.workers)
        ]
        self._left = self.workers
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        if getattr(fn, "__module__", None) == "__main__":
            raise InputError(f"workers cannot import {getattr(fn, '__qualname__', fn)!s:.60} of the script that runs: move it to a module")  # fmt: skip
        future: Future[R] = Future()
        try:
            request = pickle.dumps((fn, args, kwargs), pickle.HIGHEST_PROTOCOL)
        except Exception as e:  # noqa: BLE001 (pickling runs the objects' own code)
            future.set_running_or_notify_cancel()
            future.set_exception(e)
            return future
        with self._lock:
            if self._broken is not None:
                raise BrokenExecutor(self._broken)
            if not self._open:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._queue.put((future, request))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            first, self._open = self._open, False
        if cancel_futures:
            self._drop(None)
        if first:
            for _ in self._threads:
                self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an exception nothing is waited for: Ctrl-C means now."""
        if kind is None:
            self.shutdown()
        else:
            self.kill_workers()

    def kill_workers(self) -> None:
        """Shut down at once: tasks that run fail with `WorkerDied`, the others are cancelled."""
        with self._lock:
            self._killed = True
        self.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            children = list(self._children)
        for child in children:
            child.kill()
        self.shutdown()

    def _tend(self, number: int) -> None:
        """One worker's thread: it alone starts the process, speaks with it and ends it."""
        child: _Child | None = None
        try:
            while (item := self._queue.get()) is not None:
                future, request = item
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    child = child or self._start(number)
                    done, value = pickle.loads(child.ask(request))
                except WorkerDied as e:
                    self._forget(child)
                    child = None
                    future.set_exception(e)
                except Exception as e:  # noqa: BLE001 (of unpickling, or the executor is broken)
                    future.set_exception(e)
                    if isinstance(e, BrokenExecutor):
                        self._drop(e)
                else:
                    if done:
                        future.set_result(value)
                    else:
                        future.set_exception(value)
                    del value
                # What waits for work holds nothing of the last task.
                del item, future, request
        finally:
            if child is not None:
                child.close()
                self._forget(child)
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last and self._claim is not None:
                self._claim.release()

    def _start(self, number: int) -> _Child:
        why = ""
        for _ in range(_STARTS):
            try:
                child = _Child(self.threads, self.cores[number] if self.cores else None)
            except OSError as e:
                why = str(e)
                continue
            with self._lock:
                self._children.add(child)
                killed = self._killed
            if killed:
                child.kill()
            try:
                child.greet()
                return child
            except WorkerDied as e:
                self._forget(child)
                if killed:
                    raise
                why = e.log.splitlines()[-1] if e.log else str(e)
        raise BrokenExecutor(f"worker processes do not start: {why}")

    def _forget(self, child: _Child | None) -> None:
        with self._lock:
            self._children -= {child}

    def _drop(self, error: BrokenExecutor | None) -> None:
        """Cancel what waits, or fail it where the executor is broken. The ends of the threads stay in the queue."""
        if error is not None:
            with self._lock:
                self._broken = str(error)
        ends = 0
        with suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                if item is None:
                    ends += 1
                elif error is None:
                    item[0].cancel()
                    item[0].set_running_or_notify_cancel()
                elif item[0].set_running_or_notify_cancel():
                    item[0].set_exception(BrokenExecutor(str(error)))
        for _ in range(ends):
            self._queue.put(None)


class _Child:
    """One process, as its thread sees it."""

    def __init__(self, threads: int, cores: tuple[int, ...] | None) -> None:
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        path = [os.path.abspath(p) for p in sys.path if isinstance(p, str)]
        code = f"import sys; sys.path[:] = {path!r}; from {__package__}.worker import serve; serve({cores!r})"
        apart: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x200}
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        ours: list[IO[bytes]] = []
        theirs: list[int] = []
        try:
            for mine, mode in ((1, "wb"), (0, "rb")):
                ends = os.pipe()
                ours.append(os.fdopen(ends[mine], mode))
                theirs.append(ends[1 - mine])
            self._requests, self._answers = ours
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=theirs[0], stdout=theirs[1], stderr=self._log, env=environment, **apart,
            )  # fmt: skip
        except BaseException:
            for end in (*ours, self._log):
                end.close()
            raise
        finally:
            for number in theirs:
                os.close(number)
        self._ending = threading.Lock()
        self._ended = False

    def greet(self) -> None:
        """Wait until the process is there."""
        self._receive(time.monotonic())

    def ask(self, request: bytes) -> bytes:
        """The answer to a request. Raises `WorkerDied` where none comes, and then the process has ended."""
        began = time.monotonic()
        with suppress(OSError):
            send(self._requests, request)
        return self._receive(began)

    def kill(self) -> None:
        """From any thread."""
        with self._ending:
            if not self._ended:
                end_group(self._process.pid)
                self._process.kill()

    def close(self) -> None:
        """Ask the process to end, and wait for it."""
        with suppress(OSError):
            send(self._requests, b"")
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        self._end()

    def _receive(self, began: float) -> bytes:
        answer = receive(self._answers)
        if answer is None:
            seconds = time.monotonic() - began
            code, log = self._end()
            raise WorkerDied(code, seconds, log)
        # Only the last task's words are kept. The process writes where this file stands: it has no other position.
        self._log.seek(0)
        self._log.truncate()
        return answer

    def _end(self) -> tuple[int, str]:
        """See to it that the process and its group are gone; its exit code and last words."""
        self.kill()
        with self._ending:
            code = self._process.wait()
            self._ended = True
        for stream in (self._requests, self._answers):
            with suppress(OSError):
                stream.close()
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_BYTES))
        log = self._log.read().decode(errors="replace").strip()
        self._log.close()
        return code, log
