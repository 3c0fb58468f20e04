"""MATLAB files of the Maros-Meszaros collection: P, q, r, A, l, u.

    minimise 1/2 x'Px + q'x + r   subject to   l <= Ax <= u

with 1e20 for infinity and P full symmetric. Where the last n rows of A are the identity, as they are throughout the collection,
their sides are the bounds of the variables.

The container is read here, as far as real matrices go, and not by `scipy.io.loadmat`, which a damaged file can crash, and the interpreter with it.

Sources: the collection in I. Maros and C. Meszaros, A repository of convex quadratic programming problems, Optimization Methods and
Software 11 (1999) 671-681, as converted for the benchmarks of OSQP and qpsolvers; MathWorks, MAT-file format, "Level 5 MAT-file format".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...formats.files import MAX_BYTES
from ..program import QP
from .base import Format, Source, sensed

Vector = NDArray[np.float64]
_NEEDED = ("P", "q", "A", "l", "u")
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_SPARSE, _DENSE = 5, range(6, 16)
_COMPLEX = 0x800


def read(source: Source) -> QP:
    """The program."""
    held = _variables(source)
    missing = [name for name in _NEEDED if name not in held]
    if missing:
        raise source.error(
            None, f"no variable {missing[0]}: a quadratic program in MATLAB's format holds P, q, r, A, l, u"
        )
    P, A = held["P"], held["A"]
    q, low, high = (_vector(source, held, name) for name in ("q", "l", "u"))
    n, m = q.size, low.size
    if P.shape != (n, n) or A.shape[1] != n:
        raise source.error(None, f"the shapes do not agree: P is {_size(P)}, A is {_size(A)}, q has {n} entries")
    if (A.shape[0], high.size) != (m, m):
        raise source.error(None, f"A has {A.shape[0]} rows, l {m} entries and u {high.size}")
    constant = float(_vector(source, held, "r")[0]) if "r" in held else 0.0
    rows: Any = sp.csr_array(A)
    lb = ub = None
    if m >= n and (rows[m - n :] != sp.eye_array(n, format="csr")).nnz == 0:
        rows, low, lb, high, ub = rows[: m - n], low[: m - n], low[m - n :], high[: m - n], high[m - n :]
    return sensed("min", P, q, rows, low, high, lb, ub, constant=constant)


def _vector(source: Source, held: dict[str, Any], name: str) -> Vector:
    value = held[name]
    if (1 not in value.shape and 0 not in value.shape) or (name == "r" and value.shape != (1, 1)):
        wanted = "a number" if name == "r" else "a vector"
        raise source.error(None, f"{name} must be {wanted}, not {_size(value)}")
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value, np.float64).ravel()


def _size(value: Any) -> str:
    return " x ".join(map(str, value.shape))


def _variables(source: Source) -> dict[str, Any]:
    """The variables that a program has, as float64 arrays or CSC matrices of two dimensions."""
    data = source.data
    if data.startswith(b"MATLAB 7.3"):
        raise source.error(None, "is a MATLAB 7.3 file: save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    if order is None or data[:4] == b"\0\0\0\0":
        raise source.error(None, "not a MATLAB file of level 5 (versions 5 to 7)")
    held: dict[str, Any] = {}
    for kind, body in _elements(source, data[_HEADER:], order):
        if kind == _COMPRESSED:
            unpacked = _unpack(source, body)
            held |= {
                k: v
                for inner, part in _elements(source, unpacked, order)
                if inner == _MATRIX
                for k, v in _matrix(source, part, order)
            }
        elif kind == _MATRIX:
            held |= dict(_matrix(source, body, order))
    return held


def _unpack(source: Source, body: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(body, MAX_BYTES)
    except zlib.error:
        raise source.error(None, "the MATLAB file is damaged: a variable cannot be unpacked") from None
    if not stream.eof:
        reason = (
            f"too large: more than {MAX_BYTES >> 30} GiB" if stream.unconsumed_tail else "the MATLAB file is cut short"
        )
        raise source.error(None, reason)
    return unpacked


def _elements(source: Source, data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of one element after the other."""
    at = 0
    while at + 8 <= len(data):
        first, size = (int(x) for x in np.frombuffer(data, f"{order}u4", 2, at))
        kind, small, begin = first & 0xFFFF, first >> 16, at + 8
        if small:  # its bytes are in the second half of its tag
            size, begin = small, at + 4
            at += 8
        else:
            at = begin + size + (-size % 8 if kind != _COMPRESSED else 0)
        if small > 4 or begin + size > len(data):
            raise source.error(None, "the MATLAB file is cut short or damaged")
        yield kind, data[begin : begin + size]
    if data[at:].strip(b"\0"):
        raise source.error(None, "the MATLAB file is cut short or damaged")


def _matrix(source: Source, data: bytes, order: str) -> Iterator[tuple[str, Any]]:
    """Name and value of a matrix if a program has one of that name."""
    parts = list(_elements(source, data, order))
    if len(parts) < 3 or len(parts[0][1]) != 8 or parts[1][0] != 5 or len(parts[1][1]) % 4:
        raise source.error(None, "the MATLAB file is damaged: a variable without shape and name")
    flags = int(np.frombuffer(parts[0][1], f"{order}u4")[0])
    shape = tuple(int(k) for k in np.frombuffer(parts[1][1], f"{order}i4"))
    name = parts[2][1].decode("ascii", "replace")
    if name not in (*_NEEDED, "r"):
        return
    kind = flags & 0xFF
    if flags & _COMPLEX or not (kind == _SPARSE or kind in _DENSE):
        raise source.error(None, f"{name} holds no real numbers")
    if len(shape) != 2 or min(shape) < 0:
        raise source.error(None, f"{name} must have two dimensions")
    numbers = [_numbers(source, name, part, order) for part in parts[3:]]
    if kind != _SPARSE:
        if len(numbers) != 1 or numbers[0].size != shape[0] * shape[1]:
            raise source.error(None, f"the MATLAB file is damaged: {name} is not of its size")
        yield name, numbers[0].astype(np.float64).reshape(shape, order="F")
        return
    try:
        indices, starts, values = numbers
        if values.size != indices.size:  # room for more than there is
            values, indices = values[: starts[-1]], indices[: starts[-1]]
        matrix = sp.csc_array((values.astype(np.float64), indices, starts), shape=shape)
        matrix.check_format(full_check=True)
    except (ValueError, IndexError, TypeError, OverflowError):
        raise source.error(None, f"the MATLAB file is damaged: {name} is no sparse matrix") from None
    yield name, matrix


def _numbers(source: Source, name: str, part: tuple[int, bytes], order: str) -> NDArray[Any]:
    kind, data = part
    form = np.dtype(order + _NUMBERS.get(kind, "V1"))
    if kind not in _NUMBERS or len(data) % form.itemsize:
        raise source.error(None, f"the MATLAB file is damaged: {name} holds no real numbers")
    return np.frombuffer(data, form).astype(form.newbyteorder("="))


FORMAT = Format(
    name="mat",
    suffixes=(".mat",),
    description="MATLAB files of the Maros-Meszaros collection: P, q, r, A, l, u",
    text=False,
    reader=read,
)
