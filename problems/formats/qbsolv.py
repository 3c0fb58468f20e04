"""qbsolv's .qubo: minimise sum over the listed terms, each counting once.

    c any comment
    p qubo topology maxNodes nNodes nCouplers
    i i w              nNodes lines
    i j w              nCouplers lines; indices 0..maxNodes-1

A variable below maxNodes that never occurs is there all the same. qbsolv refuses repeated terms and i > j; since every listed
term counts once, both have one meaning only and are read: they add up.

Source: D-Wave qbsolv, README, "QUBO Input File Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ...errors import FormatError
from ..couplings import Couplings
from ..models import QUBO
from .base import MAX_QUBO_VARIABLES, Format, Source, diagonal, lines, no_offset, only_problem, readable
from .table import Table, as_integer, brief, show, without_comments

_NAMES = ("maxNodes", "nNodes", "nCouplers")


def read(source: Source) -> tuple[QUBO, None]:
    """The QUBO."""
    only_problem(source)
    data = without_comments(source.data, "cC#%")
    head = re.match(rb"\s*(\S.*)", data)
    if head is None:
        raise FormatError(source.where, None, "the file holds nothing but comments: the line 'p qubo ...' is missing")
    line = data.count(b"\n", 0, head.start(1)) + 1
    n, nodes, couplers = _program(source.where, line, head[1].decode("utf-8").split())
    table = Table(b"\n" * (line - 1) + data[head.end(1) :], source.where)
    u, v, w = table.records(0, nodes + couplers, n, base=0, what="terms")
    found = int(np.count_nonzero(u == v))
    if found != nodes:
        raise FormatError(
            source.where,
            None,
            f"{brief(nodes)} nodes and {brief(couplers)} couplers announced, {found} and {u.size - found} found",
        )
    couplings, linear = Couplings.build(n, u, v, w)
    return QUBO(couplings=couplings, linear=linear), None


def _program(where: str, line: int, tokens: list[str]) -> tuple[int, int, int]:
    if [t.lower() for t in tokens[:2]] != ["p", "qubo"]:
        raise FormatError(where, line, "expected 'p qubo topology maxNodes nNodes nCouplers'")
    if len(tokens) != 6:
        raise FormatError(
            where, line, f"expected 'p qubo topology maxNodes nNodes nCouplers', found {len(tokens)} columns"
        )
    values = [as_integer(t) for t in tokens[3:]]
    for name, value, token in zip(_NAMES, values, tokens[3:], strict=True):
        if value is None or value < 0:
            raise FormatError(where, line, f"{name} {show(token)} is not an integer of 0 or more")
    n, nodes, couplers = (value or 0 for value in values)
    if n < 1:
        raise FormatError(where, line, "the problem is empty: maxNodes is 0")
    if n > MAX_QUBO_VARIABLES:
        raise FormatError(
            where, line, f"maxNodes {brief(n)} is too large: at most {MAX_QUBO_VARIABLES} variables can be read"
        )
    return n, nodes, couplers


def write(problem: QUBO) -> Iterator[str]:
    """Nodes, then couplers with i < j in their own order."""
    no_offset(problem, "qubo")
    readable(problem.couplings.weights, problem.linear)
    c = problem.couplings
    count, records = diagonal(problem.linear, base=0)
    yield f"p qubo 0 {c.n} {count} {c.m}\n"
    yield from records
    yield from lines(np.minimum(c.rows, c.cols), np.maximum(c.rows, c.cols), c.weights, base=0)


FORMAT = Format(
    name="qubo",
    suffixes=(".qubo",),
    kind="qubo",
    description="qbsolv's QUBO: 'p qubo 0 maxNodes nNodes nCouplers', then 'i j w' from 0; minimise, each term once",
    reader=read,
    writer=write,
)
