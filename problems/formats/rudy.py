"""Edge lists as rudy writes them: the Gset, Biq Mac's Max-Cut instances, the DIMACS torus set.

    n m
    u v [w]        m lines, vertices 1..n; the weight is 1 where it is left out

Source: G. Rinaldi's rudy; "File format" pages of the Biq Mac library and of McSparse (.mc). Those forbid self-loops and repeated
edges; here the first are ignored with a warning, the second add up.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..couplings import Couplings
from ..models import MaxCut
from .base import Format, Source, cut, lines, only_problem
from .table import Table, without_comments


def read(source: Source) -> tuple[MaxCut, None]:
    """The Max-Cut problem."""
    only_problem(source)
    table = Table(without_comments(source.data), source.where)
    n, m = table.header(0, ("n", "m"))
    table.check_size(0, n)
    u, v, w = table.records(1, m, n, base=1, columns=(2, 3))
    return cut(source, n, u, v, w), None


def text(c: Couplings) -> Iterator[str]:
    """Byte for byte as rudy writes it, with the blank that ends its first line; edges in their own order and orientation."""
    yield f"{c.n} {c.m} \n"
    yield from lines(c.rows, c.cols, c.weights)


def write(problem: MaxCut) -> Iterator[str]:
    """The graph's text."""
    return text(problem.couplings)


FORMAT = Format(
    name="rudy",
    suffixes=(".rudy", ".mc", ".txt", ".gset"),
    kind="maxcut",
    description="rudy's edge list (Gset, Biq Mac .mc): 'n m', then 'u v [w]' from 1",
    reader=read,
    writer=write,
)
