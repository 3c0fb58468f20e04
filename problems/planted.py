"""Spin glasses with a known optimum: couplings made around hidden spins t so that t is a ground state.

Both families add up small pieces, each of which t satisfies as well as any state can; then t is best for the sum, and the energy
that comes with the problem (`Ising.known`) is the sum of the pieces' minima. Conventions and random numbers are those of `glasses`.

Sources: F. Hamze et al., From near to eternity: spin-glass planting, tiling puzzles, and constraint-satisfaction problems, Phys. Rev. E 97,
043303 (2018); I. Hen et al., Probing for quantum speedup in spin-glass problems with planted solutions, Phys. Rev. A 92, 042325 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, real
from ..errors import InputError
from .couplings import Couplings
from .expressions import MAX_VERTICES, check_seed, check_size
from .glasses import ising, torus
from .models import Ising


def tile2d(size: int, mix: Sequence[float] = (1, 1, 1, 1), seed: int = 0) -> Ising:
    """Planted: frustrated plaquettes tile an even square torus like the fields of one colour on a chessboard.

    Every edge belongs to one plaquette of that colour. A plaquette of class k has k couplings of magnitude 1 and 4 - k of magnitude 2; all agree
    with the planted spins but one of magnitude 1. As an odd number of its couplings must be unhappy, no state does better than its k - 6.
    A larger k means more ground states.

    Parameters
    ----------
    size
        The side L, even and at least 4; L^2 spins.
    mix
        Four relative frequencies of the classes 1, 2, 3, 4.
    seed
        0 to 2**32 - 1.

    Raises
    ------
    InputError
        For other arguments.
    """
    size = integer(size, "tile2d: size", 4, MAX_VERTICES)
    if size % 2:
        raise InputError(f"tile2d: size must be even, not {size}")
    check_size(size * size, 2 * size * size, "tile2d")
    if not isinstance(mix, list | tuple) or len(mix) != 4:
        raise InputError("tile2d: mix must be four relative frequencies, such as (1, 1, 1, 1)")
    share = [real(x, "tile2d: a frequency of mix", 0) for x in mix]
    total = sum(share)
    if not 0 < total < math.inf:
        raise InputError("tile2d: mix must have a positive, finite sum")
    stream = np.random.RandomState(check_seed(seed))
    spin = np.arange(size * size, dtype=np.int32).reshape(size, size)
    right, down = np.roll(spin, -1, axis=1), np.roll(spin, -1, axis=0)
    across = np.roll(right, -1, axis=0)
    dark = np.add.outer(np.arange(size), np.arange(size)) % 2 == 0
    corners = [a[dark] for a in (spin, right, across, down)]
    u = np.stack(corners, axis=1)
    v = np.roll(u, -1, axis=1)
    tiles = len(u)
    kind = 1 + np.searchsorted(np.cumsum(share)[:3], total * stream.random_sample(tiles), side="right")
    # Random ranks put the weak couplings, and of them the unhappy one, anywhere on the plaquette.
    rank = np.argsort(stream.random_sample((tiles, 4)), axis=1, kind="stable")
    t = 2 * stream.randint(0, 2, size=size * size, dtype=np.int64) - 1
    magnitude = np.where(rank < kind[:, None], 1, 2)
    couplings = np.where(rank == 0, magnitude, -magnitude) * t[u] * t[v]
    return ising(size * size, u.ravel(), v.ravel(), couplings.ravel(), known=int((kind - 6).sum()))


def _walk(adjacent: NDArray[np.int32], start: int, stream: Callable[[], int]) -> list[int]:
    """A closed walk without repeated vertices: random steps, never straight back, until one meets the path; the tail is cut off."""
    path, place, before = [start], {start: 0}, -1
    while True:
        at = path[-1]
        choices = adjacent[at].tolist()
        after = choices[stream() % len(choices)]
        if after == before:
            continue
        if after in place:
            return path[place[after] :]
        before = at
        place[after] = len(path)
        path.append(after)


def loops(shape: Sequence[int], ratio: float = 1.0, seed: int = 0) -> Ising:
    """Planted: frustrated loops, laid at random over a torus of two or three dimensions and added up.

    A loop of l edges has l - 1 couplings of -1 and one of +1, relative to the planted spins: no state gives it less than -(l - 2).

    Parameters
    ----------
    shape
        Two or three sides, each at least 3: ``(16, 16)``, ``(8, 8, 8)``.
    ratio
        Loops a spin, from 0 to 100. Few loops leave spins untouched, many make the ferromagnetic order easy to find.
    seed
        0 to 2**32 - 1.

    Raises
    ------
    InputError
        For other arguments.
    """
    if not isinstance(shape, list | tuple) or len(shape) not in (2, 3):
        raise InputError("loops: shape must be two or three sides, such as (16, 16) or (8, 8, 8)")
    n, _, v = torus("loops", shape)
    ratio = real(ratio, "loops: ratio", 0)
    if ratio > 100 or ratio * n > 10**7:
        raise InputError(f"loops: {ratio:g} loops a spin are too many: at most 100 a spin and 1e7 in all")
    stream = np.random.RandomState(check_seed(seed))
    adjacent = np.concatenate([v.reshape(-1, n).T, np.argsort(v.reshape(-1, n), axis=1).T], axis=1).astype(np.int32)

    def numbers() -> Iterator[int]:
        while True:
            yield from stream.randint(0, 2**31, size=4096, dtype=np.int64).tolist()

    draw = numbers().__next__
    t = 2 * stream.randint(0, 2, size=n, dtype=np.int64) - 1
    tails: list[int] = []
    heads: list[int] = []
    signs: list[int] = []
    known = 0
    for _ in range(round(ratio * n)):
        loop = _walk(adjacent, draw() % n, draw)
        tails += loop
        heads += loop[1:] + loop[:1]
        sign = [-1] * len(loop)
        sign[draw() % len(loop)] = 1
        signs += sign
        known += 2 - len(loop)
    a, b = np.array(tails, np.int64), np.array(heads, np.int64)
    couplings, _ = Couplings.build(n, a, b, np.array(signs, np.int64) * t[a] * t[b])
    keep = couplings.weights != 0
    return ising(n, couplings.rows[keep], couplings.cols[keep], couplings.weights[keep], known=known)
