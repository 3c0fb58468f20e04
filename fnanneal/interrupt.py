"""Ctrl-C as a flag."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self


class Interrupt:
    """Turns the first Ctrl-C into a flag, so that a chunk ends whole; the second one interrupts at once."""

    def __init__(self) -> None:
        self.seen = False

    @contextmanager
    def watching(self) -> Iterator[Self]:
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = signal.getsignal(signal.SIGINT)

        def note(signum: int, frame: Any) -> None:
            if self.seen:
                raise KeyboardInterrupt
            self.seen = True

        signal.signal(signal.SIGINT, note)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
