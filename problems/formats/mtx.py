"""Matrix Market: a symmetric matrix read as a weighted graph.

    %%MatrixMarket matrix coordinate|array real|double|integer|pattern general|symmetric
    n n m              coordinate: then m lines 'i j [w]' from 1; array: 'n n', then the columns, one value a line

Entry (i, j) is the weight of edge i j, once; a pattern's weights are 1; the diagonal is ignored with a warning. ``symmetric`` lists
one triangle, ``general`` both, which must agree. Lines are parsed here and not by ``scipy.io.mmread``, which reads ``1.5xyz`` as 1.5,
1.5 as 1 in an integer file, and drops surplus columns, all silently; the tests compare with it where it is right.

Source: R. F. Boisvert, R. Pozo, K. A. Remington, The Matrix Market exchange formats: initial design, NISTIR 5935 (1996).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import FormatError
from ..couplings import Weights, as_weights
from ..models import MaxCut
from .base import Format, Source, cut, lines, only_problem, refuse_mirrored
from .table import Table, brief, show, without_comments

Triples = tuple[NDArray[np.int64], NDArray[np.int64], Weights]


def read(source: Source) -> tuple[MaxCut, None]:
    """The Max-Cut problem of the matrix."""
    only_problem(source)
    layout, field, symmetry = _banner(source)
    table = Table(without_comments(source.data, "%"), source.where)
    names = ("rows", "columns", "entries") if layout == "coordinate" else ("rows", "columns")
    n, columns, *rest = table.header(0, names)
    if n != columns:
        raise table.error(0, f"the matrix is not square: {brief(n)} rows, {brief(columns)} columns")
    table.check_size(0, n)
    if layout == "coordinate":
        u, v, w = table.records(1, rest[0], n, base=1, columns=(2,) if field == "pattern" else (3,), what="entries")
    else:
        u, v, w = _array(table, n, symmetry)
    if field == "integer" and w.dtype != np.int64:
        raise FormatError(source.where, None, "the matrix is said to be integer, but some entries are not")
    if symmetry == "symmetric":
        refuse_mirrored(table, 1, n, u, v)
    else:
        u, v, w = _upper(source.where, n, u, v, w)
    return cut(source, n, u, v, w), None


def _banner(source: Source) -> tuple[str, str, str]:
    """Layout, field and symmetry, where they are ones that make a graph."""
    words = source.data.split(b"\n", 1)[0].decode("utf-8").lower().split()
    if not words or words[0] != "%%matrixmarket":
        raise FormatError(source.where, 1, "expected the line '%%MatrixMarket matrix ...'")
    if len(words) != 5:
        raise FormatError(
            source.where, 1, f"expected '%%MatrixMarket matrix LAYOUT FIELD SYMMETRY', found {len(words)} words"
        )
    _, what, layout, field, symmetry = words
    allowed = (
        (what, ("matrix",)),
        (layout, ("coordinate", "array")),
        (field, ("real", "double", "integer", "pattern")),
        (symmetry, ("general", "symmetric")),
    )
    for word, choice in allowed:
        if word not in choice:
            raise FormatError(source.where, 1, f"{show(word)} makes no graph: expected {' or '.join(choice)}")
    if layout == "array" and field == "pattern":
        raise FormatError(source.where, 1, "an array has values: it cannot be a pattern")
    return layout, field, symmetry


def _array(table: Table, n: int, symmetry: str) -> Triples:
    """The dense layout: column by column, of a symmetric matrix only from the diagonal down; zeros are no edges."""
    expected = n * (n + 1) // 2 if symmetry == "symmetric" else n * n
    found = len(table) - 1
    if found < expected:
        raise FormatError(table.where, None, f"lines are missing: {expected} values expected, {found} found")
    if found > expected:
        raise table.error(1 + expected, f"surplus line: only {expected} values were expected")
    values: list[int | float] = []
    for k in range(1, 1 + expected):
        tokens = table.tokens(k)
        if len(tokens) != 1:
            raise table.error(k, f"expected one value, found {len(tokens)} columns")
        values.append(table.weight(k, tokens[0]))
    try:
        w = as_weights(values)
    except ValueError as e:
        raise FormatError(table.where, None, str(e)) from None
    if symmetry == "symmetric":
        cols, rows = np.triu_indices(n)
    else:
        cols, rows = np.divmod(np.arange(n * n), n)
    kept = w != 0
    return rows[kept], cols[kept], w[kept]


def _upper(where: str, n: int, u: NDArray[np.int64], v: NDArray[np.int64], w: Weights) -> Triples:
    """The entries above the diagonal and on it, in the file's order; refuses a matrix that is not symmetric."""
    if float(np.abs(w.astype(np.float64)).sum()) >= 2**60 and w.dtype == np.int64:
        raise FormatError(where, None, "weights too large: the sum of their magnitudes must stay below 2**60")
    # one signed sum a pair: zero everywhere if and only if the triangles agree
    off = u != v
    key = (np.minimum(u, v) * n + np.maximum(u, v))[off]
    pairs, place = np.unique(key, return_inverse=True)
    above = u[off] < v[off]
    sums = [np.zeros(pairs.size, w.dtype) for _ in range(2)]
    for total, side in zip(sums, (above, ~above), strict=True):
        np.add.at(total, place[side], w[off][side])
    differ = sums[0] != sums[1]
    if differ.any():
        k = int(np.argmax(differ))
        i, j = (int(x) + 1 for x in divmod(int(pairs[k]), n))
        a, b = (total[k].item() for total in sums)
        raise FormatError(where, None, f"the matrix is not symmetric: entry {i} {j} is {a}, entry {j} {i} is {b}")
    kept = u <= v
    return u[kept], v[kept], w[kept]


def write(problem: MaxCut) -> Iterator[str]:
    """The lower triangle, as ``symmetric`` has it, in the pairs' own order."""
    c = problem.couplings
    yield f"%%MatrixMarket matrix coordinate {'integer' if c.integral else 'real'} symmetric\n{c.n} {c.n} {c.m}\n"
    yield from lines(np.maximum(c.rows, c.cols), np.minimum(c.rows, c.cols), c.weights)


FORMAT = Format(
    name="mtx",
    suffixes=(".mtx",),
    kind="maxcut",
    description="Matrix Market: a symmetric matrix as a graph; the diagonal is ignored",
    reader=read,
    writer=write,
)
