"""`load`: whatever a user may hold, as one of the models."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import InputError
from . import formats
from .couplings import Couplings, Weights, as_weights
from .models import QUBO, Ising, MaxCut, Problem

Kind = Literal["maxcut", "ising", "qubo"]
PREFIXES = ("gset:", "rudy:", "nx:", "gen:")


def load(spec: Any, kind: Kind | None = None, *, format: str | None = None) -> Problem:
    """A problem from a name, a file, a graph, a matrix or dictionaries.

    Parameters
    ----------
    spec
        One of

        - an `Ising`, `QUBO` or `MaxCut`, as it is;
        - a string: ``gset:G22``, ``G22``, ``K2000``, ``rudy:EXPR``, ``nx:NAME(args)``, ``gen:NAME(args)``, or a path (``FILE#2`` for the
          second instance of a file); or a `pathlib.Path`;
        - bytes: the content of a file;
        - a networkx graph, its edges weighted by ``weight`` (1 where absent): Max-Cut;
        - a SciPy sparse or NumPy matrix (n, n): a graph's symmetric weights by default; with kind "ising" the symmetric couplings J_ij
          (each pair counted once, the diagonal added to the offset); with "qubo" the coefficients of x'Qx, symmetric or triangular;
        - a pair (h, J) of dictionaries, or of a sequence and a dictionary: Ising;
        - a dictionary {(u, v): weight}, with (u, u) for linear terms: QUBO;
        - a dimod binary quadratic model.
    kind
        What to make of it: matrices are read as this, everything else is converted exactly (`fnanneal.problems.models`).
    format
        A file's format, where content and suffix do not tell.

    Returns
    -------
    Ising, QUBO or MaxCut

    Raises
    ------
    InputError
        For anything else, in one line.
    """
    if kind is not None and kind not in ("maxcut", "ising", "qubo"):
        raise InputError(f"unknown kind {kind!r}: maxcut, ising or qubo")
    model = _load(spec, kind, format)
    if kind is None or model.kind == kind:
        return model
    return model.to_maxcut() if kind == "maxcut" else model.to_ising() if kind == "ising" else model.to_qubo()


def _load(spec: Any, kind: Kind | None, format: str | None) -> Problem:
    if isinstance(spec, Ising | QUBO | MaxCut):
        return spec
    if isinstance(spec, str):
        return _named(spec, format)
    if isinstance(spec, os.PathLike | bytes | bytearray):
        return _file(spec, format)
    if hasattr(spec, "is_directed") and hasattr(spec, "edges"):
        from .networks import from_graph

        return from_graph(spec)
    if hasattr(spec, "vartype") and hasattr(spec, "quadratic"):
        return _from_bqm(spec)
    if isinstance(spec, Mapping) and not hasattr(spec, "tocoo"):
        return _from_qubo(spec)
    if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], Iterable) and isinstance(spec[1], Mapping):
        return _from_ising(*spec)
    if isinstance(spec, np.ndarray | list) or hasattr(spec, "tocoo"):
        return _from_matrix(spec, kind or "maxcut")
    raise InputError(
        f"cannot make a problem of {type(spec).__name__}: give a name, a path, a networkx graph, a matrix, (h, J) or a QUBO dictionary"
    )


def _named(text: str, format: str | None) -> Problem:
    spec = text.strip()
    if not spec:
        raise InputError("the problem's name is empty")
    lower = spec.lower()
    path, _, rest = spec.rpartition("#")
    is_file = os.path.exists(spec) or (rest.isdigit() and os.path.exists(path))
    if lower.startswith(PREFIXES) and not is_file:
        prefix, _, body = spec.partition(":")
        return _prefixed(prefix.lower(), body)
    from .known import instances

    if not is_file and lower in {name.lower() for name in instances()}:
        return _prefixed("gset", spec)
    if not is_file and os.sep not in spec and "." not in spec:
        from .instances import near

        close = near(spec)
        hint = f"; did you mean {', '.join(close)}?" if close else "; `fnanneal problems list` shows what there is"
        raise InputError(f"no such file or named problem: {spec}{hint}")
    return _file(spec, format)


def _prefixed(prefix: str, body: str) -> Problem:
    if prefix == "gset":
        from .instances import instance

        return instance(body)
    if prefix == "rudy":
        from .instances import from_rudy

        return from_rudy(body)
    if prefix == "nx":
        from .networks import from_expression

        return from_expression(body)
    from .families import from_expression as from_family

    return from_family(body)


def _file(spec: str | os.PathLike[str] | bytes | bytearray, format: str | None) -> Problem:
    index = None
    if isinstance(spec, str) and not os.path.exists(spec):
        path, mark, rest = spec.rpartition("#")
        if mark and rest.isdigit() and os.path.exists(path):
            spec, index = path, int(rest)
    return formats.read(
        bytes(spec) if isinstance(spec, bytearray) else Path(spec) if isinstance(spec, str) else spec,
        format=format,
        index=index,
    )


def _from_matrix(matrix: Any, kind: Kind) -> Problem:
    """A dense or sparse (n, n) matrix."""
    if isinstance(matrix, np.ma.MaskedArray):
        raise InputError("the matrix is masked: fill it first, with .filled(0)")
    if hasattr(matrix, "tocoo"):
        coo = matrix.tocoo()
        shape, rows, cols, data = coo.shape, coo.coords[0] if hasattr(coo, "coords") else coo.row, coo.col, coo.data
    else:
        try:
            dense = np.asarray(matrix)
        except ValueError as e:
            raise InputError("the matrix has rows of different lengths") from e
        if dense.ndim != 2 or dense.dtype.kind not in "biuf":
            raise InputError(f"a matrix must be two-dimensional and real (got shape {dense.shape}, {dense.dtype})")
        shape = dense.shape
        # NaN is not zero, so it stays in and is refused with its place below.
        rows, cols = np.nonzero(dense)
        data = dense[rows, cols]
    if len(shape) != 2 or shape[0] != shape[1]:
        raise InputError(f"the matrix must be square (got shape {tuple(shape)})")
    n = int(shape[0])
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        k = int(np.argmin(np.isfinite(data)))
        raise InputError(
            f"the matrix is {data[k]} at row {int(rows[k])}, column {int(cols[k])}: every entry must be finite"
        )
    upper, _ = Couplings.build(n, rows[rows < cols], cols[rows < cols], data[rows < cols])
    lower, _ = Couplings.build(n, cols[rows > cols], rows[rows > cols], data[rows > cols])
    _, loops = Couplings.build(n, rows[rows == cols], cols[rows == cols], data[rows == cols])
    if upper.sha256() == lower.sha256():
        pairs = upper.replace_weights(2 * upper.weights) if kind == "qubo" else upper
    elif kind == "qubo" and not (upper.weights.any() and lower.weights.any()):
        pairs = upper if upper.weights.any() else lower
    else:
        raise InputError("the matrix is not symmetric" + (" or triangular" if kind == "qubo" else ""))
    if kind == "qubo":
        return QUBO(couplings=pairs, linear=loops)
    if kind == "ising":
        return Ising(couplings=pairs, offset=loops.sum().item())
    if loops.any():
        import warnings

        from ..errors import ProblemWarning

        count = int(np.count_nonzero(loops))
        warnings.warn(f"{count} self-loop{'s' * (count > 1)} ignored: they are never cut", ProblemWarning, stacklevel=4)
    return MaxCut(couplings=pairs)


def _labelled(
    pairs: list[tuple[Hashable, Hashable, Any]], more: Iterable[Hashable]
) -> tuple[Couplings, Weights, tuple[Hashable, ...]]:
    """Couplings, the loops' weights, and the labels: sorted where they can be, else in the order in which they came."""
    labels = list(dict.fromkeys([*more, *(v for u, w, _ in pairs for v in (u, w))]))
    with suppress(TypeError):
        labels = sorted(labels)  # type: ignore[type-var]
    index = {v: k for k, v in enumerate(labels)}
    rows, cols = [index[u] for u, _, _ in pairs], [index[v] for _, v, _ in pairs]
    couplings, loops = Couplings.build(len(labels), rows, cols, [w for _, _, w in pairs])
    return couplings, loops, tuple(labels)


def _finite(value: Any) -> bool:
    """Whether it is a finite real number; an integer of any size is."""
    return isinstance(value, Integral) or (isinstance(value, Real) and math.isfinite(value))


def _pairs(terms: Mapping[Any, Any], what: str) -> list[tuple[Hashable, Hashable, Any]]:
    out = []
    for key, value in terms.items():
        if not (isinstance(key, tuple) and len(key) == 2):
            raise InputError(f"{what}: the key {key!r} is not a pair of variables"[:200])
        if not _finite(value):
            raise InputError(f"{what}: the weight of {key!r} is {value!r}, which is not a finite number"[:200])
        out.append((*key, value))
    return out


def _from_qubo(terms: Mapping[Any, Any]) -> QUBO:
    couplings, loops, labels = _labelled(_pairs(terms, "QUBO"), ())
    return QUBO(couplings=couplings, linear=loops, variables=labels)


def _from_ising(h: Any, terms: Mapping[Any, Any]) -> Ising:
    biases = dict(h) if isinstance(h, Mapping) else dict(enumerate(h))
    for key, value in biases.items():
        if not _finite(value):
            raise InputError(f"h: the field of {key!r} is {value!r}, which is not a finite number"[:200])
    couplings, loops, labels = _labelled(_pairs(terms, "J"), biases)
    fields = as_weights([biases.get(v, 0) for v in labels], "field")
    return Ising(couplings=couplings, fields=fields, offset=loops.sum().item(), variables=labels)


def _from_bqm(bqm: Any) -> Problem:
    """A dimod binary quadratic model, by its public attributes."""
    labels = tuple(bqm.variables)
    index = {v: k for k, v in enumerate(labels)}
    pairs = [(index[u], index[v], float(w)) for (u, v), w in bqm.quadratic.items()]
    couplings, _ = Couplings.build(len(labels), [p[0] for p in pairs], [p[1] for p in pairs], [p[2] for p in pairs])
    linear = np.array([float(bqm.linear[v]) for v in labels])
    if bqm.vartype.name == "SPIN":
        return Ising(couplings=couplings, fields=linear, offset=float(bqm.offset), variables=labels)
    return QUBO(couplings=couplings, linear=linear, offset=float(bqm.offset), variables=labels)
