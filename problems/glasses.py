"""Spin glasses: Ising problems E(s) = sum J_ij s_i s_j, minimised, so that J = -1 is ferromagnetic.

Random numbers come from NumPy's frozen `numpy.random.RandomState` stream: the same arguments give the same problem for ever
(``gauss`` up to the last bits of the platform's logarithm).

Sources: S. F. Edwards and P. W. Anderson, Theory of spin glasses, J. Phys. F 5, 965 (1975); D. Sherrington and S. Kirkpatrick, Solvable model
of a spin-glass, Phys. Rev. Lett. 35, 1792 (1975).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import integer
from ..result import BestKnown
from .couplings import Couplings, Weights, as_weights, frozen
from .expressions import MAX_VERTICES, check_seed, check_size, draw_weights
from .models import Ising

Ends = NDArray[np.int32]


def ising(n: int, rows: NDArray[Any], cols: NDArray[Any], weights: Weights, known: int | None = None) -> Ising:
    """The Ising problem of distinct pairs, without loops, in the order given; (m,) each. ``known`` is a planted optimum."""
    r, c = rows.astype(np.int32, copy=False), cols.astype(np.int32, copy=False)
    couplings = Couplings(n=n, rows=frozen(r), cols=frozen(c), weights=frozen(as_weights(weights)))
    return Ising(
        couplings=couplings, known=None if known is None else BestKnown(value=known, source="planted by construction")
    )


def torus(what: str, sides: Sequence[int]) -> tuple[int, Ends, Ends]:
    """Vertices in C order, and every vertex's edge to the next one: first along the last side, then along the one before, ..."""
    shape = [integer(x, f"{what}: a side", 3, MAX_VERTICES) for x in sides]
    n = math.prod(shape)
    check_size(n, len(shape) * n, what)
    k = np.arange(n, dtype=np.int32)
    grid = k.reshape(shape)
    ahead = [np.roll(grid, -1, axis=axis).ravel() for axis in reversed(range(len(shape)))]
    return n, np.tile(k, len(shape)), np.concatenate(ahead)


def torus2d(rows: int, cols: int, weights: str = "pm1", seed: int = 0) -> Ising:
    """Edwards-Anderson spin glass on a square lattice that wraps around.

    Parameters
    ----------
    rows, cols
        Sides, at least 3. Spin (i, j) is i * cols + j.
    weights
        ``pm1``, ``gauss``, ``gauss(mean,std)``, ``int(lo,hi)`` or ``unit``.
    seed
        0 to 2**32 - 1.

    Raises
    ------
    InputError
        For other arguments, or a torus that is too large.
    """
    n, u, v = torus("torus2d", (rows, cols))
    return ising(n, u, v, draw_weights(weights, u.size, check_seed(seed)))


def torus3d(x: int, y: int, z: int, weights: str = "pm1", seed: int = 0) -> Ising:
    """Edwards-Anderson spin glass on a cubic lattice that wraps around.

    Parameters
    ----------
    x, y, z
        Sides, at least 3. Spin (i, j, k) is (i * y + j) * z + k.
    weights, seed
        As for `torus2d`.

    Raises
    ------
    InputError
        As `torus2d`.
    """
    n, u, v = torus("torus3d", (x, y, z))
    return ising(n, u, v, draw_weights(weights, u.size, check_seed(seed)))


def sk(n: int, weights: str = "pm1", seed: int = 0) -> Ising:
    """Sherrington-Kirkpatrick spin glass: every pair is coupled, by J of variance 1.

    J is not divided by sqrt(n), so that ``pm1`` stays integer. The textbook's energy per spin is E / n^(3/2); its minimum tends to -0.7632.

    Parameters
    ----------
    n
        Spins, at least 1 and at most 10000.
    weights, seed
        As for `torus2d`. Pairs in the order (0,1), (0,2), ..., (1,2), ...

    Raises
    ------
    InputError
        For other arguments.
    """
    n = integer(n, "sk: n", 1, MAX_VERTICES)
    m = n * (n - 1) // 2
    check_size(n, m, "sk")
    later = np.arange(n - 1, -1, -1)
    u = np.repeat(np.arange(n, dtype=np.int32), later)
    v = np.arange(m, dtype=np.int32) - np.repeat((np.cumsum(later) - later).astype(np.int32), later) + u + np.int32(1)
    return ising(n, u, v, draw_weights(weights, m, check_seed(seed)))
