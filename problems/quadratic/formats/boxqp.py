"""Box QPs of the ``spar`` collection: n, then c, then the symmetric Q, as numbers between blanks.

    maximise 1/2 x'Qx + c'x   subject to   0 <= x <= 1

Source: D. Vandenbussche and G. L. Nemhauser, A branch-and-cut algorithm for nonconvex quadratic programs with box constraints,
Mathematical Programming 102 (2005) 559-575, and the files of S. Burer's BoxQP_instances.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ...formats.table import as_integer, brief, show
from ..program import QP
from .base import Format, Source, sensed

_PLAIN = b"0123456789+-.eE \t\n\x0b\x0c"


def read(source: Source) -> QP:
    """The program, with sense "max"."""
    tokens = source.data.split()
    n = as_integer(tokens[0].decode())
    if n is None or n < 1:
        line = next(k for k, text in enumerate(source.data.split(b"\n"), 1) if text.split())
        raise source.error(line, f"expected the number of variables, not {show(tokens[0].decode())}")
    if len(tokens) != 1 + n + n * n:
        raise source.error(
            None, f"n = {brief(n)} needs {brief(n)} + {brief(n * n)} numbers after it, found {len(tokens) - 1}"
        )
    values = _numbers(source, tokens[1:])
    matrix = values[n:].reshape(n, n)
    if (matrix != matrix.T).any():
        i, j = (int(k) for k in np.argwhere(matrix != matrix.T)[0])
        raise source.error(
            None,
            f"Q is not symmetric: row {i + 1} has {matrix[i, j]:g} at {j + 1}, row {j + 1} {matrix[j, i]:g} at {i + 1}",
        )
    rows = sp.csr_array((0, n))
    return sensed("max", sp.csr_array(matrix), values[:n], rows, np.zeros(0), np.zeros(0), np.zeros(n), np.ones(n))


def _numbers(source: Source, tokens: list[bytes]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if not source.data.translate(None, _PLAIN):
        try:
            values = np.array(list(map(float, tokens)))
            if np.isfinite(values).all():
                return values
        except ValueError:
            pass
    # some number is wrong: find its line
    return np.array(
        [
            source.number(k, token.decode())
            for k, line in enumerate(source.data.split(b"\n"), 1)
            for token in line.split()
        ][1:]
    )


FORMAT = Format(
    name="boxqp",
    suffixes=(".in",),
    description="box QPs of the spar collection, which maximise",
    text=True,
    reader=read,
)
