"""OR-Library's unconstrained binary quadratic programs: maximise x'Qx over x in {0, 1}^n.

    number of problems
    n m                for each problem
    i j q              m lines, 1..n; Q is symmetric, so that q counts twice off the diagonal

Our QUBO minimises: it is read negated, its energy is minus the published value, and it is negated again when written.

Source: J. E. Beasley, OR-Library, "bqpinfo".
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import FormatError
from ..models import QUBO
from .base import MAX_QUBO_VARIABLES, Format, Source, diagonal, halves, lines, no_offset, symmetric_qubo
from .table import Table, brief, without_comments


def read(source: Source) -> tuple[QUBO, int | None]:
    """The QUBO that ``source.index`` names; without one, the file must hold just one."""
    table = Table(without_comments(source.data), source.where)
    (several,) = table.header(0, ("number of problems",))
    if several < 1:
        raise table.error(0, "the file holds no problem: its number of problems is 0")
    index = source.index
    if index is None and several > 1:
        raise FormatError(
            source.where,
            None,
            f"the file holds {brief(several)} problems: pick one with index= (on the command line: FILE#1 to FILE#{brief(several)})",
        )
    index = 1 if index is None else index
    if not 1 <= index <= several:
        raise FormatError(
            source.where, None, f"problem {index} was asked for, but the file holds 1 to {brief(several)}"
        )
    at = 1
    for _ in range(index - 1):
        _, m = table.header(at, ("n", "m"))
        at += 1 + m
    n, m = table.header(at, ("n", "m"))
    table.check_size(at, n, MAX_QUBO_VARIABLES)
    u, v, w = table.records(at + 1, m, n, base=1, what="entries", last=index == several)
    return symmetric_qubo(table, at + 1, n, u, v, w, -1), index if several > 1 else None


def write(problem: QUBO) -> Iterator[str]:
    """A file of one problem: diagonal first, then the pairs in their own order."""
    no_offset(problem, "bqp")
    c = problem.couplings
    off, on = halves(problem, -1)
    count, records = diagonal(on)
    yield f"1\n{c.n} {c.m + count}\n"
    yield from records
    yield from lines(c.rows, c.cols, off)


FORMAT = Format(
    name="bqp",
    suffixes=(".bqp",),
    kind="qubo",
    description="OR-Library's bqp: number of problems, then of each 'n m' and 'i j q' from 1; maximise x'Qx",
    reader=read,
    writer=write,
)
