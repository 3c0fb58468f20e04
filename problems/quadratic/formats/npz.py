"""NumPy's ``.npz``: a quadratic program bit for bit.

    minimise (or maximise: sense) 1/2 x'Px + q'x + constant   subject to   Gx <= h, Ax = b, lb <= x <= ub

A matrix is one dense array (``P``), or the parts of a SciPy CSR matrix: ``P_data``, ``P_indices``, ``P_indptr`` and ``P_shape``
(with ``P_format`` = "csc", of a CSC one). Only ``q`` must be there. ``sense`` "max" maximises what the file says. ``binary`` (n,) bool
marks variables that must be at one of their two bounds. No pickled objects are read.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
import scipy.sparse as sp

from ....errors import FormatError
from ...formats.files import MAX_BYTES
from ..program import QP
from .base import Format, Source

_MATRICES = ("P", "G", "A")
_VECTORS = ("q", "h", "b", "lb", "ub")
_PARTS = ("data", "indices", "indptr", "shape")
_OTHERS = ("constant", "sense", "binary", "name")
_KEYS = {*_MATRICES, *_VECTORS, *_OTHERS, *(f"{m}_{p}" for m in _MATRICES for p in (*_PARTS, "format"))}


def read(source: Source) -> QP:
    """The program."""
    held = _arrays(source)
    unknown = sorted(held.keys() - _KEYS)
    if unknown:
        raise source.error(
            None, f"unknown array {unknown[0][:40]!r}: there are {', '.join((*_MATRICES, *_VECTORS, *_OTHERS))}"
        )
    if "q" not in held:
        raise source.error(None, "no array q")
    for name in (*_VECTORS, "constant"):
        if name in held:
            _real(source, held, name)
    matrices = {name: _matrix(source, held, name) for name in _MATRICES}
    sense = _text(source, held, "sense", "min")
    if sense != "min" and sense != "max":
        raise source.error(None, f"sense must be min or max, not {sense[:40]!r}")
    constant = held.get("constant", np.zeros(()))
    if constant.size != 1 or not np.isfinite(constant).all():
        raise source.error(None, "constant must be one finite number")
    P, q, k = matrices["P"], held["q"].astype(np.float64), float(constant.reshape(()))
    if sense == "max":
        P, q, k = None if P is None else -P, -q, -k
    return QP.of(
        P, q, matrices["G"], held.get("h"), matrices["A"], held.get("b"), held.get("lb"), held.get("ub"),
        constant=k, binary=held.get("binary"), sense="max" if sense == "max" else "min", name=_text(source, held, "name", ""),
    )  # fmt: skip


def _arrays(source: Source) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MAX_BYTES:
                raise source.error(None, f"too large: more than {MAX_BYTES >> 30} GiB unpacked")
        with np.load(io.BytesIO(source.data), allow_pickle=False) as loaded:
            held = {name: loaded[name] for name in loaded.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as e:
        raise source.error(None, f"the .npz archive is damaged: {_first(e)}") from None
    except FormatError:
        raise
    except ValueError as e:
        pickled = "pickle" in str(e).lower()
        reason = "an array holds Python objects, which are not read" if pickled else f"not an .npz file: {_first(e)}"
        raise source.error(None, reason) from None
    for name, value in held.items():
        if not isinstance(value, np.ndarray):
            raise source.error(None, f"{name[:40]} is no array")
    return held


def _first(e: Exception) -> str:
    return (str(e) or type(e).__name__).splitlines()[0][:120]


def _matrix(source: Source, held: dict[str, Any], name: str) -> Any:
    parts = [part for part in _PARTS if f"{name}_{part}" in held]
    if name in held:
        if parts:
            raise source.error(None, f"{name} is there twice: as an array and as the parts of a sparse matrix")
        _real(source, held, name)
        return held[name].astype(np.float64)
    if not parts:
        return None
    if len(parts) < len(_PARTS):
        missing = next(part for part in _PARTS if part not in parts)
        raise source.error(None, f"{name}_{missing} is missing: a sparse matrix has {', '.join(_PARTS)}")
    for part in _PARTS:
        _real(source, held, f"{name}_{part}", "biuf" if part == "data" else "iu")
    data, indices, indptr, shape = (held[f"{name}_{part}"] for part in _PARTS)
    kind = _text(source, held, f"{name}_format", "csr")
    if kind not in ("csr", "csc") or shape.shape != (2,):
        raise source.error(None, f"{name}_format must be csr or csc, and {name}_shape two integers")
    maker = sp.csr_array if kind == "csr" else sp.csc_array
    try:
        matrix = maker((data.astype(np.float64), indices, indptr), shape=(int(shape[0]), int(shape[1])))
        matrix.check_format(full_check=True)
    except (ValueError, OverflowError, TypeError) as e:
        raise source.error(None, f"{name} is no sparse matrix: {_first(e)}") from None
    return matrix


def _real(source: Source, held: dict[str, Any], name: str, kinds: str = "biuf") -> None:
    if held[name].dtype.kind not in kinds:
        raise source.error(
            None, f"{name} must hold {'real numbers' if 'f' in kinds else 'integers'}, not {held[name].dtype}"
        )


def _text(source: Source, held: dict[str, Any], name: str, default: str) -> str:
    if name not in held:
        return default
    if held[name].dtype.kind != "U" or held[name].size != 1:
        raise source.error(None, f"{name} must be a string")
    return str(held[name].reshape(()))


def write(problem: QP) -> bytes:
    """The bytes of a file; the same program gives the same ones."""
    sign = -1.0 if problem.sense == "max" else 1.0
    arrays: dict[str, Any] = {
        "q": sign * problem.q,
        "h": problem.h,
        "b": problem.b,
        "lb": problem.lb,
        "ub": problem.ub,
        "constant": np.float64(sign * problem.constant),
        "sense": np.str_(problem.sense),
        "name": np.str_(problem.name),
    }
    for name, matrix in (("P", sign * problem.P), ("G", problem.G), ("A", problem.A)):
        parts = (matrix.data, matrix.indices, matrix.indptr, np.array(matrix.shape, np.int64))
        arrays |= {f"{name}_{part}": value for part, value in zip(_PARTS, parts, strict=True)}
    if problem.binary is not None:
        arrays["binary"] = problem.binary
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


FORMAT = Format(
    name="npz",
    suffixes=(".npz",),
    description="NumPy archive of P, q, G, h, A, b, lb, ub: bit for bit, read and written",
    text=False,
    reader=read,
    writer=write,
)
