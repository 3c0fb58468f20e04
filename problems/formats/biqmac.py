"""Biq Mac's binary quadratic programs: minimise x'Qx over x in {0, 1}^n.

    n m
    i j q          m lines, 1..n; q stands at (i, j) and at (j, i), so that it counts twice off the diagonal

Source: "Description of the input" of the Biq Mac solver and the library's .sparse files; .bq is McSparse's name for the layout.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..models import QUBO
from .base import MAX_QUBO_VARIABLES, Format, Source, diagonal, halves, lines, no_offset, only_problem, symmetric_qubo
from .table import Table, without_comments


def read(source: Source) -> tuple[QUBO, None]:
    """The QUBO."""
    only_problem(source)
    table = Table(without_comments(source.data), source.where)
    n, m = table.header(0, ("n", "m"))
    table.check_size(0, n, MAX_QUBO_VARIABLES)
    u, v, w = table.records(1, m, n, base=1, what="entries")
    return symmetric_qubo(table, 1, n, u, v, w, 1), None


def write(problem: QUBO) -> Iterator[str]:
    """Diagonal first, then the pairs in their own order."""
    no_offset(problem, "biqmac")
    c = problem.couplings
    off, on = halves(problem, 1)
    count, records = diagonal(on)
    yield f"{c.n} {c.m + count}\n"
    yield from records
    yield from lines(c.rows, c.cols, off)


FORMAT = Format(
    name="biqmac",
    suffixes=(".sparse", ".bq"),
    kind="qubo",
    description="Biq Mac's QUBO: 'n m', then 'i j q' from 1; minimise x'Qx",
    reader=read,
    writer=write,
)
