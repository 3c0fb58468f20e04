"""What a format of quadratic programs is, and the steps that several formats share."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from ....errors import FormatError, InputError
from ...formats.files import appearing
from ...formats.table import show
from ..program import QP

Sense = Literal["min", "max"]
# One vector a variable: a tiny file with an enormous n would fill the memory.
MAX_VARIABLES = 10**7
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file on its way to a reader.

    Attributes
    ----------
    data
        Its bytes, unpacked; for formats of text with ``\\n`` line ends, and UTF-8.
    where
        Name for errors.
    """

    data: bytes
    where: str

    def error(self, line: int | None, message: str) -> FormatError:
        """An error at a line (1-based)."""
        return FormatError(self.where, line, message)

    def number(self, line: int, token: str, what: str = "the number", *, infinite: bool = False) -> float:
        """The number that a token spells, in C's or in Fortran's manner (1.5D+2)."""
        if _NUMBER.fullmatch(token):
            value = float(token.translate(_FORTRAN))
            if not infinite and not math.isfinite(value):
                raise self.error(line, f"{what} {show(token)} is too large")
            return value
        if _INFINITE.fullmatch(token):
            if infinite:
                return float(token)
            raise self.error(line, f"{what} {show(token)} is not finite")
        raise self.error(line, f"{what} {show(token)} is not a number")


_FORTRAN = str.maketrans("dD", "ee")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format.

    Attributes
    ----------
    name
        As in ``format=``.
    suffixes
        With their dots; the first is the usual one.
    description
        One line.
    text
        Whether its files are text.
    reader
        The program of a file, named where the file names it.
    writer
        The bytes of a file; None where the format is only read.
    """

    name: str
    suffixes: tuple[str, ...]
    description: str
    text: bool
    reader: Callable[[Source], QP]
    writer: Callable[[QP], bytes] | None = None


def sensed(
    sense: Sense,
    P: Any,
    q: NDArray[np.float64],
    rows: Any,
    low: ArrayLike,
    high: ArrayLike,
    lb: ArrayLike | None,
    ub: ArrayLike | None,
    *,
    constant: float = 0.0,
    **others: Any,
) -> QP:
    """The program of a file that minimises or maximises: `QP` minimises, so that a maximised objective is negated."""
    if sense == "max":
        # adding 0 keeps zeros positive
        P, q, constant = -P, 0.0 - q, 0.0 - constant
    return QP.of_ranges(P, q, rows, low, high, lb, ub, constant=constant, sense=sense, **others)


def sparse(
    shape: tuple[int, int], rows: list[int], cols: list[int], values: list[float] | NDArray[np.float64]
) -> sp.csr_array:
    """A matrix from triplets; those of one place add up."""
    where = (np.asarray(rows, np.int64), np.asarray(cols, np.int64))
    return sp.csr_array(sp.coo_array((np.asarray(values, np.float64), where), shape=shape))


def store(data: bytes, target: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write a file, which appears whole or not at all, or to a binary stream.

    Raises
    ------
    InputError
        Where the target cannot be written.
    """
    if not isinstance(target, str | os.PathLike):
        target.write(data)
        return
    path = os.fspath(target)
    try:
        with appearing(os.path.realpath(path)) as f:
            f.write(data)
    except OSError as e:
        raise InputError(f"{path}: cannot be written: {(e.strerror or str(e)).lower()}") from None
