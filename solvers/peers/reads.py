"""Peers that work in independent reads: how many at a time, and until when.

The first read tells the speed. Then come batches of about a twentieth of the limit, a second at most, so that targets and Ctrl-C are seen; never more reads
than are expected to fit. With a number of reads, the sizes of the batches follow from it alone, so that the states do not depend on the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace

from ...errors import InputError
from .peer import MAX_READS, MAX_SWEEPS, Batch, Limits

BATCHES = 20
LONGEST_S = 1.0
MOST_READS = 2**16
MOST_BYTES = 2**26
TRIAL_SWEEPS = 100

# Of tiny problems, a peer's calls may take far longer than its reads.
WALL_SHARE = 4.0


def in_reads(
    read: Callable[[int, int], Batch],
    limits: Limits,
    *,
    num_reads: int | None,
    default: int,
    n: int,
    most_reads: int = MOST_READS,
) -> Generator[Batch]:
    """Batches of reads until the limit or the number of reads is used up, or `WALL_SHARE` times the limit has passed on the wall.

    Parameters
    ----------
    read
        (reads, k) -> the k-th batch, of so many reads.
    num_reads
        As the peer is set; `default` are made where there is neither this nor a limit.
    n
        Number of spins.
    most_reads
        Of one batch.
    """
    if num_reads is None and not limits.open_ended:
        num_reads = default
    most = max(1, min(most_reads, MOST_BYTES // n))
    chunk = LONGEST_S if limits.seconds is None else min(limits.seconds / BATCHES, LONGEST_S)
    planned = None if num_reads is None else max(1, math.ceil((num_reads - 1) / BATCHES))
    began, spent, done, k = time.perf_counter(), 0.0, 0, 0
    while num_reads is None or done < num_reads:
        count = 1
        if done:
            each = max(spent / done, 1e-12)
            count = max(1, int(min(chunk / each, most))) if planned is None else min(planned, most, num_reads - done)  # type: ignore[operator]
            if limits.seconds is not None:
                count = min(count, int((limits.seconds - spent) / each))
                if count < 1 or time.perf_counter() - began > WALL_SHARE * limits.seconds + LONGEST_S:
                    return
        batch = read(count, k)
        spent, done, k = spent + batch.took, done + count, k + 1
        yield replace(batch, finished=done == num_reads)


def in_one_read(read: Callable[[int, int], Batch], limits: Limits, name: str) -> Generator[Batch]:
    """One read that takes the whole time: read(sweeps, k), scaled from trials of `TRIAL_SWEEPS` and then of a fiftieth of the time.

    Raises
    ------
    InputError
        Without a time limit.
    """
    if limits.seconds is None:
        raise InputError(f"{name}: num_sweeps=all is one read that takes the whole time: it needs a time limit")
    batch = read(TRIAL_SWEEPS, 0)
    yield batch
    spent, speed = batch.took, TRIAL_SWEEPS / max(batch.took, 1e-9)
    # Hot sweeps take longer than cold ones: a longer trial tells the speed better.
    if (sweeps := int(speed * limits.seconds / 50)) > 2 * TRIAL_SWEEPS:
        batch = read(min(sweeps, MAX_SWEEPS), 1)
        yield batch
        spent, speed = spent + batch.took, sweeps / max(batch.took, 1e-9)
    if (sweeps := int(0.97 * speed * (limits.seconds - spent))) > 0:
        yield read(min(sweeps, MAX_SWEEPS), 2)


def split(tests: int, sweep: int, num_sweeps: int | None) -> tuple[int, int]:
    """Reads and sweeps that make at most so many spin tests, `sweep` of them a sweep: as many reads as fit, each with its share of what is left over.

    Raises
    ------
    InputError
        Where they are less than a sweep.
    """
    sweeps = tests // sweep
    if sweeps < 1:
        raise InputError(f"{tests} spin tests are less than one sweep of {sweep}")
    reads = 1 if num_sweeps is None else max(1, sweeps // num_sweeps)
    return min(reads, MAX_READS), min(sweeps // reads, MAX_SWEEPS)
