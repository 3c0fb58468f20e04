"""Random problems for the tests of kernels and solvers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fnanneal.problems.couplings import Couplings
from fnanneal.problems.models import Ising
from fnanneal.solvers.system import SpinSystem, spin_system

from . import oracles as oracle


def random_problem(
    rng: np.random.Generator, n: int, degree: float, weights: str, fields: bool
) -> tuple[list[tuple[int, int, oracle.Number]], list[oracle.Number]]:
    """Random pairs and fields with weights "pm1", "large" (integers up to 1e5) or "real"; about a tenth of the spins have no pair."""

    def draw(count: int) -> list[oracle.Number]:
        if weights == "pm1":
            drawn = rng.choice([-1, 1], count)
        elif weights == "large":
            drawn = rng.integers(-100_000, 100_001, count)
        else:
            drawn = rng.normal(size=count)
        return drawn.tolist()  # type: ignore[no-any-return]

    lonely = rng.random(n) < 0.1
    ends = [(i, j) for i in range(n) for j in range(i + 1, n) if not (lonely[i] or lonely[j])]
    keep = rng.random(len(ends)) < degree / max(n - 1, 1)
    chosen = [e for e, k in zip(ends, keep, strict=True) if k]
    pairs = [(i, j, w) for (i, j), w in zip(chosen, draw(len(chosen)), strict=True)]
    return pairs, draw(n) if fields else [0] * n


def serial(function: Callable[[int], None], count: int) -> None:
    for k in range(count):
        function(k)


def ising(pairs: oracle.Pairs, fields: Sequence[oracle.Number]) -> Ising:
    i, j, w = zip(*pairs, strict=True) if pairs else ((), (), ())
    couplings, _ = Couplings.build(len(fields), np.array(i, np.int64), np.array(j, np.int64), np.array(w))
    return Ising(couplings=couplings, fields=np.array(fields))


def timeless(result: dict[str, Any]) -> dict[str, Any]:
    """What a result's JSON says but for what depends on the clock."""
    energy = {k: v for k, v in result["energy"].items() if k not in ("bounds", "measured", "events_to_best")}
    return {**{k: v for k, v in result.items() if k != "time"}, "energy": energy}


@dataclass
class Case:
    """A problem in the kernels' order of spins, for both sides, with first spins."""

    system: SpinSystem
    pairs: oracle.Pairs
    fields: list[oracle.Number]
    spins: NDArray[np.int8]

    @classmethod
    def random(cls, seed: int, n: int, degree: float, weights: str, fields: bool, coloured: bool = True) -> Case:
        rng = np.random.default_rng(seed)
        return cls.of(*random_problem(rng, n, degree, weights, fields), rng, coloured)

    @classmethod
    def of(cls, pairs: oracle.Pairs, h: list[oracle.Number], rng: np.random.Generator, coloured: bool = True) -> Case:
        system = spin_system(ising(pairs, h), coloured=coloured)
        order = list(range(len(h))) if system.order is None else system.order.tolist()
        place = {v: k for k, v in enumerate(order)}
        spins = rng.choice(np.array([-1, 1], np.int8), len(h))
        # Real numbers are kept in a unit that is a power of two; integers as they are.
        assert system.unit == 1 or not system.integral
        pairs = pairs if system.unit == 1 else [(i, j, w / system.unit) for i, j, w in pairs]
        h = h if system.unit == 1 else [x / system.unit for x in h]
        return cls(system, [(place[i], place[j], w) for i, j, w in pairs], [h[v] for v in order], spins)

    @property
    def exact(self) -> bool:
        return self.system.integral
