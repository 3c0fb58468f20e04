"""What a worker process of `Processes` runs. It loads nothing of the caller's program but what its tasks are made of.

Requests come on standard input and answers leave on standard output, each as its length in 8 bytes and then a pickle. An empty request asks for the end. Where the requests end
without one the parent is gone, and so is the worker, in the middle of a task too.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, Any

HEADER = 8


def receive(stream: IO[bytes]) -> bytes | None:
    """A message; None at the end of the stream."""
    header = stream.read(HEADER)
    if len(header) < HEADER:
        return None
    length = int.from_bytes(header, "little")
    content = stream.read(length)
    return content if len(content) == length else None


def send(stream: IO[bytes], content: bytes) -> None:
    """Write a message."""
    stream.write(len(content).to_bytes(HEADER, "little"))
    stream.write(content)
    stream.flush()


def serve(cores: tuple[int, ...] | None) -> None:
    """The process: on these cores, one request after the other."""
    if cores is not None:
        os.sched_setaffinity(0, cores)  # type: ignore[attr-defined,unused-ignore]
    _follow_parent()
    faulthandler.enable(file=2)
    source, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # What a solver or its library prints goes nowhere, and its children do not keep our pipes.
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(source, requests), daemon=True).start()
    send(answers, b"ready")
    # Tasks run in the main thread, for a solver may want to handle signals.
    while request := requests.get():
        send(answers, _answer(request))


def _listen(source: IO[bytes], requests: SimpleQueue[bytes]) -> None:
    while (request := receive(source)) is not None:
        requests.put(request)
        if not request:
            return
    end_group(os.getpid())
    os._exit(1)


def end_group(leader: int) -> None:
    """Kill a worker with the programs that it has started."""
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(leader, signal.SIGKILL)


def _follow_parent() -> None:
    """Have the system end this process with its parent: `_listen` waits where a library does not let go of the interpreter."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG


def _answer(request: bytes) -> bytes:
    """The pickle of (True, what the function returned) or (False, what it raised)."""
    found: tuple[bool, Any]
    try:
        fn, args, kwargs = pickle.loads(request)
        found = (True, fn(*args, **kwargs))
        return pickle.dumps(found, pickle.HIGHEST_PROTOCOL)
    except BaseException as e:  # noqa: BLE001 (SystemExit too: the worker stays)
        return pickle.dumps((False, _portable(e)), pickle.HIGHEST_PROTOCOL)


def _portable(error: BaseException) -> Exception:
    """The exception, or its text where it would not survive the way."""
    told = "".join(traceback.format_exception(error)).rstrip()
    error.add_note(f"in a worker process:\n{told}")
    if isinstance(error, Exception):
        with suppress(Exception):
            pickle.loads(pickle.dumps(error))
            return error
    plain = RuntimeError(f"{type(error).__name__}: {error}")
    plain.add_note(f"in a worker process:\n{told}")
    return plain
