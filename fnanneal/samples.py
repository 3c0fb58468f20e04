"""The final states of the reads, distinct and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .result import Number, Sense, Spins

KEPT = 1000
KEPT_BYTES = 2**28


class _Problem(Protocol):
    @property
    def sense(self) -> Sense: ...
    def objective(self, spins: ArrayLike) -> Number: ...


class _Reads(Protocol):
    @property
    def values(self) -> NDArray[Any]: ...
    @property
    def spins(self) -> Callable[[int], Spins]: ...
    @property
    def reads(self) -> int | None: ...


@dataclass(slots=True)
class Samples:
    """Distinct states with their exact objectives and counts; the best `KEPT` of them (fewer if they are huge)."""

    n: int
    reads: int = 0
    _kept: dict[bytes, list[Any]] = field(default_factory=dict)

    @property
    def _limit(self) -> int:
        return max(1, min(KEPT, KEPT_BYTES // (self.n // 8 + 1)))

    def add(self, problem: _Problem, reads: _Reads) -> None:
        """One state a read, its objective recomputed."""
        for r in range(reads.values.size):
            self.count(problem, reads.spins(r))
        self.done(problem.sense, int(reads.values.size) if reads.reads is None else reads.reads)

    def count(self, problem: _Problem, spins: Spins, times: int = 1) -> Number:
        """Take in a state that so many reads ended in; its objective."""
        key = np.packbits(spins > 0).tobytes()
        entry = self._kept.setdefault(key, [None, 0])
        if entry[0] is None:
            entry[0] = problem.objective(spins)
        entry[1] += times
        objective: Number = entry[0]
        return objective

    def done(self, sense: Sense, reads: int) -> None:
        """So many reads more are over, whose states were counted."""
        self.reads += reads
        if len(self._kept) > 2 * self._limit:
            self._kept = dict(self._ranked(sense)[: self._limit])

    def _ranked(self, sense: Sense) -> list[tuple[bytes, list[Any]]]:
        return sorted(self._kept.items(), key=lambda item: item[1][0], reverse=sense == "max")

    def table(self, sense: Sense) -> tuple[Spins, NDArray[Any], NDArray[np.int64]]:
        """States (k, n) int8, objectives (k,) and counts (k,), best first."""
        ranked = self._ranked(sense)[: self._limit]
        bits = self._bits([key for key, _ in ranked])
        states = np.unpackbits(bits, axis=1, count=self.n).astype(np.int8)
        states *= 2
        states -= 1
        return states, np.array([e[0] for _, e in ranked]), np.array([e[1] for _, e in ranked], np.int64)

    def _bits(self, keys: list[bytes]) -> NDArray[np.uint8]:
        return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), (self.n + 7) // 8)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a checkpoint."""
        return {
            "bits": self._bits(list(self._kept)),
            "objectives": np.array([e[0] for e in self._kept.values()]),
            "counts": np.array([e[1] for e in self._kept.values()], np.int64),
            "reads": np.int64(self.reads),  # type: ignore[dict-item]
        }

    @classmethod
    def from_arrays(cls, n: int, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Back from `arrays`."""
        rows = zip(arrays["bits"], arrays["objectives"].tolist(), arrays["counts"].tolist(), strict=True)
        return cls(n=n, reads=int(arrays["reads"]), _kept={b.tobytes(): [o, c] for b, o, c in rows})
