"""How much memory there is, and whether a plan fits."""

from __future__ import annotations

import math
from pathlib import Path

from .errors import InputError


def check_memory(needed: int, limit: int | None) -> None:
    """Refuse a plan that would not fit.

    Raises
    ------
    InputError
        Where `needed` bytes exceed `limit`, or 90 % of the memory that is free.
    """
    allowed = limit if limit is not None else int(0.9 * available_memory())
    if needed > allowed:
        raise InputError(
            f"this solve needs about {needed / 2**30:.2f} GiB, and {allowed / 2**30:.2f} GiB are allowed: "
            "fewer reads, or a higher --max-memory (max_memory)"
        )


def available_memory() -> float:
    """Bytes of memory free for use, infinity where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return math.inf
