"""MPS, and QPS, which is MPS with a quadratic objective.

    minimise or maximise c'x + 1/2 x'Qx - (right-hand side of the objective)   subject to rows and bounds

Q comes from QUADOBJ (or QSECTION of the objective's row), which lists one triangle, off-diagonal entries once, or from QMATRIX, which lists
both. Free format, or fixed where names hold blanks. The first row of type N (or the one that OBJNAME names) is the objective; others of that type
are no constraints and are left out. Variables are at least 0 unless BOUNDS says otherwise.

The numbers are read here and not by HiGHS, which drops coefficients of 1e-12 and less without asking (1487 of them in KSIP alone), takes
``OBJSENSE MAXIMISE`` for minimise, ``2abc`` for 2 and a misspelt column for a new one, and loses a NaN.

Sources: IBM, CPLEX file formats, "MPS file format" and "Quadratic objective information in MPS files"; I. Maros and C. Meszaros, A repository of
convex quadratic programming problems, Optimization Methods and Software 11 (1999) 671-681.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...formats.table import show
from ..program import INFINITE, QP
from .base import MAX_VARIABLES, Format, Sense, Source, sensed, sparse

Vector = NDArray[np.float64]
_SENSES: dict[str, Sense] = {
    "min": "min", "minimize": "min", "minimise": "min", "minimum": "min",
    "max": "max", "maximize": "max", "maximise": "max", "maximum": "max",
}  # fmt: skip
_REFUSED = {
    "QCMATRIX": "quadratic constraints", "CSECTION": "cones", "SOS": "special ordered sets", "SOS1": "special ordered sets", "SOS2": "special ordered sets",
    "SETS": "special ordered sets", "INDICATORS": "indicator constraints", "GENCONS": "general constraints", "PWLOBJ": "piecewise-linear objectives",
    "PWLNAM": "piecewise-linear objectives", "PWLCON": "piecewise-linear constraints", "LAZYCONS": "lazy constraints", "USERCUTS": "user cuts",
    "SCENARIOS": "scenarios", "MULTIOBJ": "several objectives",
}  # fmt: skip
_INTEGER = {
    "BV": "binary",
    "LI": "integer",
    "UI": "integer",
    "SC": "semi-continuous",
    "SI": "semi-integer",
    "SN": "semi-continuous",
}
# where the six fields of a fixed line begin and end
_FIXED = ((1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61))


def read(source: Source) -> QP:
    """The program."""
    lines = source.data.decode("utf-8").split("\n")
    reader = _Reader(source, fixed=_has_blanks(lines))
    section: Callable[[int, list[str]], None] | None = None
    for number, line in enumerate(lines, 1):
        if line[:1] == "*" or not line or line.isspace():
            continue
        if not line[0].isspace():
            words = line.split()
            if words[0].upper() == "ENDATA":
                return reader.program()
            section = reader.open(number, words)
        elif section is None:
            raise source.error(number, "expected the name of a section, such as ROWS")
        else:
            section(number, reader.fields(line))
    raise source.error(None, "the file ends before ENDATA")


def _has_blanks(lines: Iterable[str]) -> bool:
    """Whether a row's name holds a blank, which only the fixed format allows."""
    inside = False
    for line in lines:
        if line and not line[0].isspace() and line[0] != "*":
            if inside:
                return False
            inside = line.split()[0].upper() == "ROWS"
        elif inside and line[:1] != "*" and len(line.split()) > 2:
            return True
    return False


@dataclass(slots=True)
class _Reader:
    """What the sections have said so far. Rows and columns are counted as they come; the objective is row -1, other free rows are -2."""

    source: Source
    fixed: bool
    name: str = ""
    sense: Sense = "min"
    wanted: str | None = None
    objective: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    cost: list[float] = field(default_factory=list)
    entries: tuple[list[int], list[int], list[float]] = field(default_factory=lambda: ([], [], []))
    sides: dict[int, float] = field(default_factory=dict)
    spans: dict[int, float] = field(default_factory=dict)
    lower: dict[int, float] = field(default_factory=dict)
    upper: dict[int, tuple[float, int]] = field(default_factory=dict)
    sets: dict[str, str] = field(default_factory=dict)
    triangle: dict[tuple[int, int], float] = field(default_factory=dict)
    full: dict[tuple[int, int], float] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def open(self, line: int, words: list[str]) -> Callable[[int, list[str]], None]:
        """The parser of a section's lines."""
        title = words[0].upper()
        if title in _REFUSED:
            raise self.source.error(line, f"section {title}: {_REFUSED[title]} are not supported")
        if title == "NAME":
            self.name = " ".join(words[1:])
            return self._nothing
        if title == "OBJSENSE":
            if words[1:]:
                self._sense(line, words[1:])
                return self._nothing
            return self._sense
        if title.lower() in _SENSES:  # below OBJSENSE, at the beginning of its line
            self._sense(line, words)
            return self._nothing
        if title == "QSECTION":
            row = " ".join(words[1:])
            if self._row(line, row) != -1:
                raise self.source.error(
                    line, f"section QSECTION of the row {show(row)}: quadratic constraints are not supported"
                )
            title = "QUADOBJ"
        sections: dict[str, Callable[[int, list[str]], None]] = {
            "OBJNAME": self._objname, "ROWS": self._rows, "COLUMNS": self._columns, "RHS": self._rhs, "RANGES": self._ranges, "BOUNDS": self._bounds,
            "QUADOBJ": self._quadobj, "QMATRIX": self._qmatrix,
        }  # fmt: skip
        if title not in sections:
            raise self.source.error(line, f"unknown section {show(words[0])}")
        if title in self.done or (title == "OBJNAME" and "ROWS" in self.done):
            raise self.source.error(
                line, f"a second section {title}" if title in self.done else "section OBJNAME comes after ROWS"
            )
        if title not in ("ROWS", "OBJNAME") and "ROWS" not in self.done:
            raise self.source.error(line, f"section {title} comes before ROWS")
        self.done.add(title)
        return sections[title]

    def fields(self, line: str) -> list[str]:
        """The words of a line, of a fixed one without the empty ones at its end."""
        if not self.fixed or "'MARKER'" in line:
            return line.split()
        found = [line[a:b].strip() for a, b in _FIXED]
        while found and not found[-1]:
            found.pop()
        return found

    def _nothing(self, line: int, words: list[str]) -> None:
        raise self.source.error(line, "expected the name of a section, such as ROWS, at the beginning of the line")

    def _sense(self, line: int, words: list[str]) -> None:
        word = " ".join(words).strip().lower()
        if word not in _SENSES:
            raise self.source.error(line, f"OBJSENSE must be MIN or MAX, not {show(word)}")
        self.sense = _SENSES[word]

    def _objname(self, line: int, words: list[str]) -> None:
        self.wanted = " ".join(words).strip()

    def _rows(self, line: int, words: list[str]) -> None:
        if len(words) != 2 or words[0].upper() not in ("N", "L", "G", "E"):
            raise self.source.error(line, "expected a row's type (N, L, G or E) and its name")
        kind, name = words[0].upper(), words[1]
        if name in self.rows:
            raise self.source.error(line, f"a second row {show(name)}")
        if kind == "N":
            chosen = self.objective is None if self.wanted is None else name == self.wanted
            self.objective = name if chosen else self.objective
            self.rows[name] = -1 if chosen else -2
            return
        self.rows[name] = len(self.kinds)
        self.kinds.append(kind)
        self.names.append(name)

    def _row(self, line: int, name: str) -> int:
        if name not in self.rows:
            raise self.source.error(line, f"no row {show(name)}")
        return self.rows[name]

    def _column(self, line: int, name: str) -> int:
        if name not in self.columns:
            raise self.source.error(line, f"no column {show(name)}")
        return self.columns[name]

    def _columns(self, line: int, words: list[str]) -> None:
        words = self._trim(words)
        if len(words) > 2 and "'MARKER'" in words[1:3]:
            if "'INTORG'" in words:
                raise self.source.error(line, "integer variables ('INTORG') are not supported")
            if "'SOSORG'" in words:
                raise self.source.error(line, "special ordered sets ('SOSORG') are not supported")
            return
        if len(words) not in (3, 5):
            raise self.source.error(line, "expected a column and one or two pairs of row and value")
        column = self.columns.get(words[0])
        if column is None:
            column = self.columns[words[0]] = len(self.cost)
            self.cost.append(0.0)
            self.seen.clear()
            if column >= MAX_VARIABLES:
                raise self.source.error(line, f"more than {MAX_VARIABLES} columns")
        elif column != len(self.cost) - 1:
            raise self.source.error(line, f"column {show(words[0])} comes again: its entries must stand together")
        for name, token in zip(words[1::2], words[2::2], strict=True):
            row, value = self._row(line, name), self.source.number(line, token)
            if row == -2:
                continue
            if row in self.seen:
                raise self.source.error(line, f"a second entry of column {show(words[0])} in row {show(name)}")
            self.seen.add(row)
            if row == -1:
                self.cost[column] = value
            else:
                rows, columns, values = self.entries
                rows.append(row)
                columns.append(column)
                values.append(value)

    def _trim(self, words: list[str]) -> list[str]:
        """Without the first field of a fixed line, which only rows and bounds use."""
        return words[1:] if self.fixed and not words[0] else words

    def _pairs(self, section: str, line: int, words: list[str], *, infinite: bool) -> Iterable[tuple[str, int, float]]:
        """Row names, rows and values of a line of RHS or RANGES, whose first word may be the name of a vector."""
        words = self._trim(words)
        if len(words) not in (2, 3, 4, 5):
            raise self.source.error(line, "expected one or two pairs of row and value")
        if len(words) % 2:
            self._vector(section, line, words.pop(0))
        for name, token in zip(words[::2], words[1::2], strict=True):
            yield name, self._row(line, name), self.source.number(line, token, infinite=infinite)

    def _vector(self, section: str, line: int, name: str) -> None:
        if self.sets.setdefault(section, name) != name:
            raise self.source.error(
                line, f"a second vector {show(name)} in {section}, beside {show(self.sets[section])}: one can be read"
            )

    def _rhs(self, line: int, words: list[str]) -> None:
        for name, row, value in self._pairs("RHS", line, words, infinite=True):
            if row in self.sides and row != -2:
                raise self.source.error(line, f"a second right-hand side of row {show(name)}")
            if row == -1 and not abs(value) < np.inf:
                raise self.source.error(line, "the objective's constant is not finite")
            self.sides[row] = value

    def _ranges(self, line: int, words: list[str]) -> None:
        for name, row, value in self._pairs("RANGES", line, words, infinite=True):
            if row < 0:
                raise self.source.error(line, f"a range of {show(name)}, which is no constraint")
            if row in self.spans:
                raise self.source.error(line, f"a second range of row {show(name)}")
            self.spans[row] = value

    def _bounds(self, line: int, words: list[str]) -> None:
        kind, words = words[0].upper(), words[1:]
        if kind in _INTEGER:
            named = next((w for w in words[:2] if w in self.columns), "")
            raise self.source.error(
                line, f"{_INTEGER[kind]} variables are not supported: {show(named)} has a bound of type {kind}"
            )
        valued = kind in ("LO", "UP", "FX")
        if not valued and kind not in ("FR", "MI", "PL"):
            raise self.source.error(line, f"unknown type of bound {show(kind)}")
        # the vector's name may be missing, and a value may follow where none is needed
        least = 1 + valued
        if len(words) > least and (valued or words[1] in self.columns):
            self._vector("BOUNDS", line, words.pop(0))
        if not least <= len(words) <= 2:
            raise self.source.error(line, "expected a bound's type, its vector, a column" + " and a value" * valued)
        column = self._column(line, words[0])
        value = self.source.number(line, words[1], infinite=True) if valued else np.inf
        if kind in ("LO", "FX", "FR", "MI"):
            self._once(line, self.lower, column, words[0], "lower")
            self.lower[column] = value if valued else -np.inf
        if kind in ("UP", "FX", "FR", "PL"):
            self._once(line, self.upper, column, words[0], "upper")
            self.upper[column] = (value, line)

    def _once(self, line: int, bounds: Container[int], column: int, name: str, which: str) -> None:
        if column in bounds:
            raise self.source.error(line, f"a second {which} bound of {show(name)}")

    def _cell(self, line: int, words: list[str], cells: dict[tuple[int, int], float]) -> None:
        words = self._trim(words)
        if len(words) != 3:
            raise self.source.error(line, "expected two columns and a value")
        place = (self._column(line, words[0]), self._column(line, words[1]))
        if place in cells:
            raise self.source.error(line, f"a second entry for {words[0][:24]} {words[1][:24]}")
        cells[place] = self.source.number(line, words[2])

    def _quadobj(self, line: int, words: list[str]) -> None:
        self._cell(line, words, self.triangle)
        i, j = next(reversed(self.triangle))
        if i != j and (j, i) in self.triangle:
            a, b = self._trim(words)[:2]
            raise self.source.error(
                line, f"{a[:24]} {b[:24]} is also listed as {b[:24]} {a[:24]}: QUADOBJ lists one triangle, QMATRIX both"
            )

    def _qmatrix(self, line: int, words: list[str]) -> None:
        self._cell(line, words, self.full)

    def program(self) -> QP:
        """All of it together."""
        n = len(self.cost)
        if n == 0:
            raise self.source.error(None, "no columns")
        if self.wanted is not None and self.objective is None:
            raise self.source.error(
                None, f"no row {show(self.wanted)} of type N, which OBJNAME wants for the objective"
            )
        if self.triangle and self.full:
            raise self.source.error(None, "both QUADOBJ and QMATRIX")
        low, high = self._sides()
        lb, ub = self._box(n)
        rows, cols, values = self.entries
        cells = self._quadratic()
        P = sparse((n, n), [i for i, _ in cells], [j for _, j in cells], list(cells.values()))
        A = sparse((len(self.kinds), n), rows, cols, values)
        constant = -self.sides[-1] if self.sides.get(-1) else 0.0
        cost = np.array(self.cost)
        return sensed(self.sense, P, cost, A, low, high, lb, ub, constant=constant, name=self.name)

    def _quadratic(self) -> dict[tuple[int, int], float]:
        """The full symmetric matrix."""
        names = list(self.columns)
        for (i, j), value in self.full.items():
            if self.full.get((j, i), 0.0) != value:
                raise self.source.error(
                    None,
                    f"QMATRIX is not symmetric: {names[i][:24]} {names[j][:24]} is {value:g}, "
                    f"{names[j][:24]} {names[i][:24]} is {self.full.get((j, i), 0.0):g}",
                )
        return self.full or self.triangle | {(j, i): value for (i, j), value in self.triangle.items()}

    def _sides(self) -> tuple[Vector, Vector]:
        low, high = np.full(len(self.kinds), -np.inf), np.full(len(self.kinds), np.inf)
        for row, kind in enumerate(self.kinds):
            side, span = self.sides.get(row, 0.0), self.spans.get(row)
            if kind in "GE":
                low[row] = side
            if kind in "LE":
                high[row] = side
            if span is not None:
                if kind == "G" or (kind == "E" and span >= 0):
                    high[row] = side + abs(span)
                else:
                    low[row] = side - abs(span)
            if low[row] >= INFINITE or high[row] <= -INFINITE:
                raise self.source.error(
                    None, f"row {show(self.names[row])}: the right-hand side {side:g} counts as infinite"
                )
        return low, high

    def _box(self, n: int) -> tuple[Vector, Vector]:
        lb, ub = np.zeros(n), np.full(n, np.inf)
        names = list(self.columns)
        for column, bound in self.lower.items():
            lb[column] = bound
        for column, (bound, line) in self.upper.items():
            ub[column] = bound
            if bound < 0 and column not in self.lower:
                raise self.source.error(
                    line,
                    f"{show(names[column])} has the upper bound {bound:g} and no lower one: "
                    "some take that for 0, some for -infinity; give one",
                )
        if (lb > ub).any():
            k = int(np.argmax(lb > ub))
            raise self.source.error(
                None, f"column {show(names[k])}: the lower bound {lb[k]:g} exceeds the upper bound {ub[k]:g}"
            )
        return lb, ub


FORMAT = Format(
    name="mps",
    suffixes=(".mps", ".qps"),
    description="MPS and QPS, fixed or free, with QUADOBJ, QMATRIX or QSECTION",
    text=True,
    reader=read,
)
