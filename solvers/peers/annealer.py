"""What the peers that anneal in reads of so many sweeps share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from ...errors import InputError
from ...problems.model import Model
from .peer import Batch, Limits, Peer, check_counts
from .reads import MOST_READS, in_one_read, in_reads, split

READS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Annealer(Peer):
    """Its own settings are the first two of every annealer.

    Parameters
    ----------
    num_reads
        None: as many as the limit has time for, or 10 without one.
    num_sweeps
        Of a read; or "all", one read that takes the whole time.
    """

    num_reads: int | None = None
    num_sweeps: int | Literal["all"] = 1000

    budget_rule: ClassVar[str] = (
        "time: as many reads of num_sweeps as fit, or with num_sweeps=all one read scaled to it; "
        "spin tests: reads x sweeps x spins; neither: 10 reads"
    )
    most_reads: ClassVar[int] = MOST_READS

    def __post_init__(self) -> None:
        check_counts(self, "num_reads", *(() if self.num_sweeps == "all" else ("num_sweeps",)))
        if self.num_sweeps == "all" and self.num_reads is not None:
            raise InputError("num_reads cannot be given with num_sweeps=all, which is one read")

    @abstractmethod
    def reader(self, model: Any, seed: int) -> Callable[[int, int, int], Batch]:
        """(reads, sweeps, k) -> the k-th batch."""

    def sweep(self, n: int) -> int:
        """Spin tests of one sweep of n spins."""
        return n

    def for_tests(self, problem: Model, tests: int) -> Self:
        """As many reads of num_sweeps as fit, each with its share of the sweeps that are left over."""
        reads, sweeps = split(tests, self.sweep(problem.n), None if self.num_sweeps == "all" else self.num_sweeps)
        return replace(self, num_reads=reads, num_sweeps=sweeps)

    def run(self, model: tuple[Any, int], limits: Limits, seed: int) -> Generator[Batch]:
        built, n = model
        read, sweeps = self.reader(built, seed), self.num_sweeps

        def counted(reads: int, sweeps: int, k: int) -> Batch:
            done = reads * sweeps
            return replace(read(reads, sweeps, k), spin_tests=done * self.sweep(n), sweeps=done)

        if sweeps == "all":
            return in_one_read(lambda sweeps, k: counted(1, sweeps, k), limits, self.name)
        return in_reads(
            lambda reads, k: counted(reads, sweeps, k),
            limits,
            num_reads=self.num_reads,
            default=READS,
            n=n,
            most_reads=self.most_reads,
        )
