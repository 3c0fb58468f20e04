"""What a format is, and the steps that several formats share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import FormatError, InputError, ProblemWarning
from ..couplings import Couplings, Weights
from ..models import QUBO, MaxCut, Problem
from .table import Table

Kind = Literal["maxcut", "qubo", "ising", "any"]

# a QUBO keeps one linear term a variable, so a tiny file with an enormous n would fill the memory
MAX_QUBO_VARIABLES = 2 * 10**7
BLOCK = 1 << 16
_TWICE_EXACT = 2**52


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file's text on its way to a reader.

    Attributes
    ----------
    data
        Text with ``\\n`` line ends.
    where
        Name for errors.
    index
        Which problem of several, 1-based, or None.
    """

    data: bytes
    where: str
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format.

    Attributes
    ----------
    name
        As in ``format=``.
    suffixes
        With their dots; the first is the usual one.
    kind
        What it can hold.
    description
        One line.
    reader
        Reads a `Source`; None where the format is only written. The second result is the problem's number in a file
        of several, else None.
    writer
        Gives the text in pieces; None where the format is only read.
    """

    name: str
    suffixes: tuple[str, ...]
    kind: Kind
    description: str
    reader: Callable[[Source], tuple[Problem, int | None]] | None
    writer: Callable[[Any], Iterable[str]] | None

    @property
    def can_read(self) -> bool:
        """Whether files of this format can be read."""
        return self.reader is not None

    @property
    def can_write(self) -> bool:
        """Whether they can be written."""
        return self.writer is not None


def only_problem(source: Source) -> None:
    """Refuse an index other than 1 for a format that holds one problem."""
    if source.index not in (None, 1):
        raise FormatError(source.where, None, f"problem {source.index} was asked for, but the file holds only one")


def cut(source: Source, n: int, u: NDArray[np.int64], v: NDArray[np.int64], w: Weights) -> MaxCut:
    """A Max-Cut problem; self-loops are ignored with one warning."""
    loops = int(np.count_nonzero(u == v))
    couplings, _ = Couplings.build(n, u, v, w)
    if loops:
        message = f"{source.where}: {loops} self-loop{'s' if loops > 1 else ''} ignored: no cut can contain one"
        warnings.warn(message, ProblemWarning, stacklevel=2)
    return MaxCut(couplings=couplings)


def symmetric_qubo(
    table: Table, first: int, n: int, u: NDArray[np.int64], v: NDArray[np.int64], w: Weights, sign: int
) -> QUBO:
    """The QUBO of sign * x'Qx, where an off-diagonal entry stands for both triangles.

    Raises
    ------
    FormatError
        Where a pair comes in both orientations: twice or four times its weight, the file does not say.
    """
    refuse_mirrored(table, first, n, u, v)
    factor: Weights = np.where(u == v, sign, 2 * sign)
    couplings, linear = Couplings.build(n, u, v, w * factor)
    return QUBO(couplings=couplings, linear=linear)


def refuse_mirrored(table: Table, first: int, n: int, u: NDArray[np.int64], v: NDArray[np.int64]) -> None:
    """Refuse a pair that is listed both as i j and as j i."""
    up, down = u < v, u > v
    if not (up.any() and down.any()):
        return
    key = np.minimum(u, v) * n + np.maximum(u, v)
    both = np.flatnonzero(down & np.isin(key, key[up]))
    if both.size:
        pair = key == key[both[0]]
        k = max(int(np.argmax(pair & up)), int(both[0]))
        i, j = (int(x) + 1 for x in (u[k], v[k]))
        raise table.error(
            first + k, f"{i} {j} is also listed as {j} {i}: this format lists each pair once, for both triangles"
        )


def halves(problem: QUBO, sign: int) -> tuple[Weights, Weights]:
    """Off-diagonal and diagonal entries of the symmetric matrix Q with sign * x'Qx = the QUBO's energy.

    Raises
    ------
    InputError
        Where half of an entry would not be exact.
    """
    w: NDArray[Any] = problem.couplings.weights
    if w.dtype == np.int64 and not (w & 1).any():
        return sign * (w >> 1), sign * problem.linear
    if w.dtype == np.int64 and np.abs(w).max() >= _TWICE_EXACT:
        raise InputError("odd weights beyond 2**52 cannot be halved exactly: write to .json")
    half = w / 2
    if (2 * half != w).any():
        raise InputError("weights too small to be halved exactly: write to .json")
    readable(half, problem.linear)
    return sign * half, sign * problem.linear


def readable(a: Weights, b: Weights) -> None:
    """Refuse to write fractions beside integers that a float cannot hold: a reader could not keep both."""
    if a.dtype != b.dtype:
        whole = a if a.dtype == np.int64 else b
        if whole.size and int(np.abs(whole).max()) >= 2**53:
            raise InputError("fractions beside integers beyond 2**53 cannot be read back exactly: write to .json")


def no_offset(problem: QUBO, name: str) -> None:
    """Refuse an offset in a format that has no place for it."""
    if problem.offset:
        raise InputError(
            f"the {name} format has no place for the offset {problem.offset}: write to .json, or set the offset to 0"
        )


def lines(u: NDArray[Any], v: NDArray[Any], w: Weights, *, base: int = 1) -> Iterator[str]:
    """Records ``i j w``: integers as integers, floats in the shortest form that reads back the same."""
    floats = w.dtype != np.int64
    for a in range(0, w.size, BLOCK):
        part = slice(a, a + BLOCK)
        rows, cols = u[part].astype(np.int64) + base, v[part].astype(np.int64) + base
        if floats:
            yield "".join(
                f"{i} {j} {x!r}\n" for i, j, x in zip(rows.tolist(), cols.tolist(), w[part].tolist(), strict=True)
            )
        else:
            block = np.column_stack([rows, cols, w[part]])
            yield ("%d %d %d\n" * len(block)) % tuple(block.ravel().tolist())


def diagonal(linear: Weights, *, base: int = 1) -> tuple[int, Iterator[str]]:
    """How many linear terms are not zero, and their records ``i i w``."""
    at = np.flatnonzero(linear)
    return int(at.size), lines(at, at, linear[at], base=base)
