"""QPLIB's own format, ``.qplib``: values in a fixed order, one a line; what follows a value on its line is a comment.

    minimise or maximise 1/2 x'Qx + b'x + constant   subject to   l <= Ax <= u and bounds

Q is the lower-left triangle **as it stands**, zero above the diagonal: an entry ``2 1 v`` adds v/2 x2 x1. That is how QPLIB's documentation defines
it and what its published solutions agree with; GALAHAD writes files of the same layout with a symmetric Q of which it lists the lower triangle, whose
off-diagonal entries would have to be doubled here. A line of three letters says what the file holds:

- the objective: L linear, D diagonal and convex, C convex, Q any; a linear one has no list of quadratic terms;
- the variables: C continuous, B binary, M both; I and G, which have integers, are refused;
- the constraints: N none, B bounds, L linear; D, C and Q, which are quadratic, are refused.

Most vectors come as a default value, the number of entries that differ, and those. Files of binary variables have no bounds, files without constraints
no lists about constraints, and only mixed ones a list of types.

Source: https://qplib.zib.de/doc.html; F. Furini et al., QPLIB: a library of quadratic programming instances, Mathematical Programming Computation 11
(2019) 237-265, electronic supplement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ...formats.table import as_integer, brief, show
from ..program import QP
from .base import MAX_VARIABLES, Format, Sense, Source, sensed, sparse

Vector = NDArray[np.float64]
_REFUSED = {
    1: {"I": "integer variables", "G": "integer variables"},
    2: {"D": "quadratic constraints", "C": "quadratic constraints", "Q": "quadratic constraints"},
}
_LETTERS = ("LDCQ", "CBMIG", "NBLDCQ")
_SENSES: dict[str, Sense] = {"minimize": "min", "minimise": "min", "maximize": "max", "maximise": "max"}


def read(source: Source) -> QP:
    """The program, with ``binary`` set where the file has binary variables."""
    lines = _Lines(source)
    name = lines.words("the problem's name", 1)[0]
    kind = _kind(lines)
    sense = _sense(lines)
    n = lines.count("the number of variables", MAX_VARIABLES)
    if n == 0:
        lines.fail("the problem is empty: it has no variables")
    constrained = kind[2] == "L"
    m = lines.count("the number of constraints", MAX_VARIABLES) if constrained else 0
    P = sparse((n, n), *_quadratic(lines, n)) if kind[0] != "L" else sparse((n, n), [], [], [])
    cost = lines.vector("linear coefficients", n)
    constant = lines.value("the objective's constant")
    A = (
        sparse((m, n), *lines.triplets("linear terms of constraints", m, n))
        if constrained
        else sparse((0, n), [], [], [])
    )
    infinity = lines.value("the value for infinity", infinite=True)
    if not infinity > 0:
        lines.fail(f"the value for infinity is {infinity:g}: it must be positive")

    def sides(what: str, size: int) -> Vector:
        found = lines.vector(what, size, infinite=True)
        return np.where(np.abs(found) >= infinity, np.copysign(np.inf, found), found)

    low, high = (sides(f"{side}-hand sides", m) if constrained else np.zeros(0) for side in ("left", "right"))
    if kind[1] == "B":
        lb, ub, binary = np.zeros(n), np.ones(n), np.ones(n, bool)
    else:
        lb, ub = sides("lower bounds", n), sides("upper bounds", n)
        binary = _types(lines, n, lb, ub) if kind[1] == "M" else np.zeros(n, bool)
    lines.vector("starting values", n)
    if constrained:
        lines.vector("starting multipliers of constraints", m)
    lines.vector("starting multipliers of bounds", n)
    lines.names("variables", n)
    # of files without constraints, some have this list and some do not
    if constrained or not lines.ended:
        lines.names("constraints", m)
    if not lines.ended:
        lines.words("", 1)
        lines.fail("surplus line")
    return sensed(sense, P, cost, A, low, high, lb, ub, constant=constant, binary=binary, name=name)


def _kind(lines: _Lines) -> str:
    kind = lines.words("the problem's type", 1)[0].upper()
    if len(kind) != 3 or any(letter not in known for letter, known in zip(kind, _LETTERS, strict=True)):
        lines.fail(f"the problem's type must be three letters such as QCL, not {show(kind)}")
    for k, reasons in _REFUSED.items():
        if kind[k] in reasons:
            lines.fail(f"type {kind}: {reasons[kind[k]]} are not supported")
    return kind


def _sense(lines: _Lines) -> Sense:
    word = lines.words("the sense", 1)[0]
    if word.lower() not in _SENSES:
        lines.fail(f"the sense must be minimize or maximize, not {show(word)}")
    return _SENSES[word.lower()]


def _quadratic(lines: _Lines, n: int) -> tuple[list[int], list[int], list[float]]:
    """Entries of the symmetric matrix with the same quadratic form: half of each on either side."""
    rows, cols, values = lines.triplets("quadratic terms", n, n)
    seen: set[tuple[int, int]] = set()
    for i, j in zip(rows, cols, strict=True):
        place = (i, j) if i >= j else (j, i)
        if place in seen:
            again = f"{place[0] + 1} {place[1] + 1}"
            lines.fail(f"the quadratic term {again} is listed twice, or also as its mirror image", None)
        seen.add(place)
    half = [v / 2 for v in values]
    return rows + cols, cols + rows, half + half


def _types(lines: _Lines, n: int, lb: Vector, ub: Vector) -> NDArray[np.bool_]:
    """Which variables are binary; their bounds are cut down to what 0 and 1 leave."""
    types = lines.vector("variable types", n)
    binary = types == 2
    for i in np.flatnonzero(types != 0):
        if types[i] not in (1, 2):
            lines.fail(f"variable {i + 1} has the type {types[i]:g}: expected 0, 1 or 2")
        if types[i] == 1 and not (lb[i] >= 0 and ub[i] <= 1):
            lines.fail(f"variable {i + 1} is an integer in [{lb[i]:g}, {ub[i]:g}]: integer variables are not supported")
        binary[i] = True
        lb[i], ub[i] = max(np.ceil(lb[i]), 0.0), min(np.floor(ub[i]), 1.0)
        if lb[i] > ub[i]:
            lines.fail(f"variable {i + 1} is binary, and its bounds exclude 0 and 1")
    return np.asarray(binary, bool)


class _Lines:
    """The lines that are neither blank nor comments, one after the other."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lines = source.data.decode("utf-8").split("\n")
        self._next = 0
        self._line = 0
        self._skip()

    def _skip(self) -> None:
        while self._next < len(self._lines):
            text = self._lines[self._next].lstrip()
            if text and text[0] not in "!%#":
                return
            self._next += 1

    @property
    def ended(self) -> bool:
        return self._next >= len(self._lines)

    def fail(self, message: str, line: int | None = -1) -> NoReturn:
        """An error at the line that was read last."""
        raise self.source.error(self._line if line == -1 else line, message)

    def words(self, what: str, count: int) -> list[str]:
        """The first words of the next line."""
        if self.ended:
            raise self.source.error(None, f"the file ends before {what}")
        found = self._lines[self._next].split()[:count]
        self._next += 1
        self._line = self._next
        self._skip()
        if len(found) < count:
            self.fail(f"{what}: expected {count} values, found {len(found)}")
        return found

    def count(self, what: str, limit: int) -> int:
        word = self.words(what, 1)[0]
        value = as_integer(word)
        if value is None or value < 0:
            self.fail(f"{what} must be an integer from 0, not {show(word)}")
        if value > limit:
            self.fail(f"{what} is {brief(value)}: at most {limit} can be read")
        return value

    def value(self, what: str, *, infinite: bool = False) -> float:
        word = self.words(what, 1)[0]
        return self.source.number(self._line, word, what, infinite=infinite)

    def _index(self, word: str, size: int) -> int:
        index = as_integer(word)
        if index is None or not 1 <= index <= size:
            self.fail(f"index {show(word)} is out of range: expected 1 to {size}")
        return index - 1

    def _list(self, what: str, size: int, width: int, take: Callable[[list[str]], None]) -> None:
        """As many lines as the next one says."""
        announced = self.count(f"the number of {what}", size)
        for k in range(announced):
            if self.ended:
                raise self.source.error(None, f"lines are missing: {announced} {what} announced, {k} found")
            take(self.words(what, width))

    def vector(self, what: str, size: int, *, infinite: bool = False) -> Vector:
        """A default and the entries that differ."""
        values = np.full(size, self.value(f"the default of {what}", infinite=infinite))
        given: set[int] = set()

        def take(words: list[str]) -> None:
            index = self._index(words[0], size)
            if index in given:
                self.fail(f"{what}: a second value for {index + 1}")
            given.add(index)
            values[index] = self.source.number(self._line, words[1], infinite=infinite)

        self._list(what, size, 2, take)
        return values

    def triplets(self, what: str, rows: int, cols: int) -> tuple[list[int], list[int], list[float]]:
        """Row, column and value a line."""
        i, j, v = list[int](), list[int](), list[float]()

        def take(words: list[str]) -> None:
            i.append(self._index(words[0], rows))
            j.append(self._index(words[1], cols))
            v.append(self.source.number(self._line, words[2]))

        self._list(what, rows * cols, 3, take)
        return i, j, v

    def names(self, what: str, size: int) -> None:
        """A list of names, which nothing here needs."""

        def take(words: list[str]) -> None:
            self._index(words[0], size)

        self._list(f"names of {what}", size, 2, take)


FORMAT = Format(
    name="qplib",
    suffixes=(".qplib",),
    description="QPLIB's format: objectives L, D, C, Q; variables C, B, M; constraints N, B, L",
    text=True,
    reader=read,
)
