"""The cores that this process may use, and which of them other runs have taken."""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger("fnanneal")


def available_threads() -> int:
    """Processors that affinity and the control group allow."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return count


@dataclass(frozen=True, slots=True)
class Claim:
    """Cores that are ours until they are released or this process ends, however it ends.

    Each is the lock of a file: two runs at a time would otherwise put their workers on the same first cores.
    """

    cores: tuple[int, ...]
    _locks: tuple[int, ...]

    def release(self) -> None:
        for lock in self._locks:
            os.close(lock)


def claim(count: int) -> Claim | None:
    """Take `count` cores, of different physical ones as far as possible; None where there are not as many, or the system does not pin."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    import fcntl

    taken: dict[int, int] = {}
    with suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"fnanneal-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        for core in _spread(os.sched_getaffinity(0)):
            if len(taken) == count:
                break
            # The folder may be shared by machines.
            lock = os.open(folder / f"{platform.node()}-core{core}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken[core] = lock
            except OSError:
                os.close(lock)
    found = Claim(tuple(taken), tuple(taken.values()))
    if len(taken) == count:
        return found
    found.release()
    _log.warning("workers are not pinned: they need %d cores, and %d are free", count, len(taken))
    return None


def _spread(cores: Iterable[int]) -> list[int]:
    """First one hardware thread of every physical core, then their second ones."""

    def rank(core: int) -> int:
        try:
            text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
            ends = [part.partition("-") for part in text.strip().split(",")]
            siblings = [k for low, _, high in ends for k in range(int(low), int(high or low) + 1)]
            return siblings.index(core)
        except (OSError, ValueError):
            return 0

    return sorted(cores, key=lambda core: (rank(core), core))
