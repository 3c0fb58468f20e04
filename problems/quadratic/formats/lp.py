"""CPLEX's LP format: a program written out as algebra.

    Minimize obj: x + 2 y + [ x ^ 2 - 3 x * y ] / 2 + 7
    Subject To c1: x + y >= 1   c2: -1 <= x - y <= 4
    Bounds x <= 4   y free
    End

A bracket of the objective is halved, and each product in it counts once as written. Terms that come again add up; constants may stand on either
side. Variables are at least 0 unless Bounds says otherwise.

The text is read here and not by HiGHS, which takes ``3 x + 4 x`` in an objective for 4 x, forgets a constant on the left of a constraint, loses a NaN,
takes ``2 [ ... ] / 2`` for a constant 2, and cannot read ``-1 <= x - y <= 4``.

Source: IBM, CPLEX file formats, "LP file format: algebraic representation".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ...formats.table import show
from ..program import INFINITE, QP
from .base import Format, Sense, Source, sensed, sparse

_SECTIONS = {
    "min": "minimize|minimise|minimum|min",
    "max": "maximize|maximise|maximum|max",
    "rows": r"subject\s+to|such\s+that|s\.t\.|st\.|st",
    "bounds": "bounds|bound",
    "end": "end",
    "integer variables": "generals|general|gens|gen|integers|integer|int",
    "binary variables": "binaries|binary|bin",
    "semi-continuous variables": "semi-continuous|semis|semi",
    "special ordered sets": "sos1|sos2|sos",
    "lazy constraints": r"lazy\s+constraints",
    "user cuts": r"user\s+cuts",
    "piecewise-linear objectives": "pwlobj",
    "general constraints": r"general\s+constraints|gencons|gencon",
}
_READ = ("min", "max", "rows", "bounds")
_TITLES = {
    name: re.compile(
        rf"\s*(?:{words})(?=\s|$)\s*(?![:<>=*^])" + ("" if name in _READ[:3] else "(?![+-])"), re.IGNORECASE
    )
    for name, words in sorted(_SECTIONS.items(), key=lambda s: s[0] != "general constraints")
}
_NAMED = r"A-Za-z_!\"#$%&(),;?@'`{}~|"
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[{_NAMED}][{_NAMED}0-9.]*)"
    r"|(?P<sign><\s*=|=\s*<|>\s*=|=\s*>|->|[<>=+\-*^/\[\]:]))",
    re.ASCII,
)
_RELATIONS = {"<": "<", "<=": "<", "=<": "<", ">": ">", ">=": ">", "=>": ">", "=": "="}
_TURNED = {"<": ">", ">": "<", "=": "="}
Token = tuple[str, str, int]  # its kind, its text, its line


def read(source: Source) -> QP:
    """The program."""
    reader = _Reader(source)
    section, tokens = "", list[Token]()
    for line, text in enumerate(source.data.decode("utf-8").split("\n"), 1):
        text = text.partition("\\")[0].rstrip()
        title = next(((name, found.end()) for name, t in _TITLES.items() if (found := t.match(text))), None)
        if text and section == "end":
            raise source.error(line, "something follows End")
        if title is not None:
            reader.close(section, tokens)
            first = not section
            (section, at), tokens = title, []
            text = text[at:]
            if (section in ("min", "max")) != first:
                raise source.error(line, "expected Minimize or Maximize first" if first else "a second objective")
            if first and text.lower().startswith("multi-objectives"):
                raise source.error(line, "several objectives are not supported")
        elif text and not section:
            raise source.error(line, f"expected Minimize or Maximize, not {show(text.strip())}")
        if section in _READ:
            tokens.extend(_tokens(source, line, text))
        elif text.strip():
            raise source.error(line, "something follows End" if section == "end" else f"{section} are not supported")
    if section != "end":
        raise source.error(None, "the file ends before End")
    return reader.program()


def _tokens(source: Source, line: int, text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise source.error(line, f"unexpected {show(text[at:].split()[0])}")
        kind = str(found.lastgroup)
        word = "".join(found[kind].split())
        if word.lower() in ("nan", "inf", "infinity"):
            kind = "number"
        yield kind, word, line
        at = found.end()


class _Reader:
    """What the sections have said so far."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.sense: Sense = "min"
        self.linear: dict[int, float] = {}
        self.quadratic: dict[tuple[int, int], float] = {}
        self.constant = 0.0
        self.columns: dict[str, int] = {}
        self.rows: list[tuple[dict[int, float], float, float]] = []
        self.lower: dict[int, float] = {}
        self.upper: dict[int, tuple[float, int]] = {}
        self.section = ""
        self.tokens: list[Token] = []
        self.at = 0

    def close(self, section: str, tokens: list[Token]) -> None:
        """Read a section that is complete."""
        # with room to look ahead
        self.section, self.at = section, 0
        self.tokens = tokens + 3 * [("end", "", tokens[-1][2] if tokens else 0)]
        if section in ("min", "max"):
            self.sense = "max" if section == "max" else "min"
            self._label()
            self.linear, self.constant = self._sum()
            if self._kind() != "end":
                raise self._unexpected("+ or -")
        while section in ("rows", "bounds") and self._kind() != "end":
            if self.at and not self._new_line() and not self._labelled():
                raise self._unexpected("a new line")
            self._constraint() if section == "rows" else self._bound()

    def _peek(self, ahead: int = 0) -> Token:
        return self.tokens[self.at + ahead]

    def _kind(self) -> str:
        return self.tokens[self.at][0]

    def _next(self, *texts: str) -> bool:
        kind, text, _ = self.tokens[self.at]
        return kind == "sign" and text in texts

    def _take(self, *texts: str) -> str:
        """The next token's text if it is one of these signs, else nothing."""
        if not self._next(*texts):
            return ""
        self.at += 1
        return self.tokens[self.at - 1][1]

    def _new_line(self) -> bool:
        return self._peek()[2] > self._peek(-1)[2]

    def _labelled(self) -> bool:
        return self._kind() == "name" and self._peek(1)[:2] == ("sign", ":")

    def _unexpected(self, wanted: str) -> Exception:
        kind, text, line = self._peek()
        if kind == "end":
            return self.source.error(line or None, f"expected {wanted} before the section ends")
        message = f"expected {wanted}, not {show(text)}"
        if text == "->":
            message = "indicator constraints are not supported"
        elif self.section == "rows" and text in ("[", "^", "*"):
            message = "quadratic constraints are not supported"
        elif text in ("^", "*"):
            message = "products belong in a bracket: [ x ^ 2 + x * y ] / 2"
        return self.source.error(line, message)

    def _label(self) -> None:
        if self._labelled():
            self.at += 2

    def _signs(self) -> float:
        sign = 1.0
        while text := self._take("+", "-"):
            sign = -sign if text == "-" else sign
        return sign

    def _number(self, *, infinite: bool = False) -> float:
        kind, text, line = self._peek()
        if kind != "number":
            raise self._unexpected("a number")
        self.at += 1
        return self.source.number(line, text, infinite=infinite)

    def _value(self) -> float:
        """A side of a constraint or a bound."""
        return self._signs() * self._number(infinite=True)

    def _relation(self) -> str:
        return _RELATIONS[self._take(*_RELATIONS)] if self._next(*_RELATIONS) else ""

    def _value_first(self) -> bool:
        """Whether a number and a relation come next."""
        k = 0
        while self._peek(k)[:2] in (("sign", "+"), ("sign", "-")):
            k += 1
        return self._peek(k)[0] == "number" and self._peek(k + 1)[0] == "sign" and self._peek(k + 1)[1] in _RELATIONS

    def _variable(self) -> int:
        if self._kind() != "name":
            raise self._unexpected("a variable")
        self.at += 1
        return self.columns.setdefault(self.tokens[self.at - 1][1], len(self.columns))

    def _sum(self, *, one_line: bool = False) -> tuple[dict[int, float], float]:
        """Coefficients and constant of a sum, up to a relation, the section's end or, if wanted, a line that begins without sign."""
        linear: dict[int, float] = {}
        constant, first = 0.0, self.at
        while self._kind() != "end" and not self._next(*_RELATIONS):
            if one_line and self.at > first and self._new_line() and not self._next("+", "-"):
                break
            if self.at > first and not self._next("+", "-"):
                raise self._unexpected("+ or -")
            factor = self._signs()
            if self.section != "rows" and self._next("["):
                self._bracket(factor)
                continue
            numbered = self._kind() == "number"
            if numbered:
                factor *= self._number()
            if self._kind() == "name" and not (numbered and self._new_line()):
                column = self._variable()
                linear[column] = linear.get(column, 0.0) + factor
            elif numbered:
                constant += factor
            else:
                raise self._unexpected("a term")
        return linear, constant

    def _bracket(self, sign: float) -> None:
        self.at += 1
        first = self.at
        while not self._take("]"):
            if self.at > first and not self._next("+", "-"):
                raise self._unexpected("+, - or ]")
            factor = sign * self._signs()
            if self._kind() == "number":
                factor *= self._number()
            i = j = self._variable()
            if self._take("*"):
                j = self._variable()
            elif not self._take("^"):
                raise self._unexpected("^ 2 or * in a bracket")
            elif self._number() != 2:
                raise self.source.error(self._peek(-1)[2], "only squares are read: expected 2 after ^")
            place = (min(i, j), max(i, j))
            self.quadratic[place] = self.quadratic.get(place, 0.0) + factor
        if not self._take("/") or self._number() != 2:
            raise self.source.error(self._peek(-1)[2], "a bracket of the objective must end with ] / 2")

    def _constraint(self) -> None:
        self._label()
        line = self._peek()[2]
        low, high = -np.inf, np.inf
        value, outer = (self._value(), self._relation()) if self._value_first() else (0.0, "")
        linear, constant = self._sum(one_line=bool(outer))
        inner = self._relation()
        if not linear:
            raise self.source.error(line, "a constraint without a variable")
        if outer:
            low, high = _sides(value, _TURNED[outer])
        if inner:
            down, up = _sides(self._value(), inner)
            low, high = max(low, down), min(high, up)
        elif not outer:
            raise self._unexpected("<=, >= or =")
        if outer and inner and (inner != outer or outer == "="):
            raise self.source.error(line, "a constraint of two sides needs <= twice or >= twice")
        low, high = low - constant, high - constant
        if low >= INFINITE or high <= -INFINITE:
            raise self.source.error(line, "no finite point satisfies this constraint")
        if low > high:
            raise self.source.error(line, f"the lower side {low:g} exceeds the upper side {high:g}")
        self.rows.append((linear, low, high))

    def _bound(self) -> None:
        value, outer = (self._value(), self._relation()) if self._value_first() else (0.0, "")
        kind, name, line = self._peek()
        if kind == "name" and name not in self.columns:
            raise self.source.error(line, f"{show(name)} is in no constraint and not in the objective")
        column = self._variable()
        if outer:
            self._set(column, _TURNED[outer], value, line)
        if inner := self._relation():
            self._set(column, inner, self._value(), line)
        elif not outer:
            if self._kind() != "name" or self._peek()[1].lower() != "free":
                raise self._unexpected("<=, >=, = or free")
            self.at += 1
            self.lower[column], self.upper[column] = -np.inf, (np.inf, line)

    def _set(self, column: int, relation: str, value: float, line: int) -> None:
        """A bound; one that comes later replaces it."""
        if relation != "<":
            self.lower[column] = value
        if relation != ">":
            self.upper[column] = (value, line)

    def program(self) -> QP:
        """All of it together."""
        n = len(self.columns)
        if n == 0:
            raise self.source.error(None, "no variables")
        names = list(self.columns)
        lb, ub = np.zeros(n), np.full(n, np.inf)
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
            if lb[column] > bound:
                raise self.source.error(
                    line, f"{show(names[column])}: the lower bound {lb[column]:g} exceeds the upper bound {bound:g}"
                )
        cost = np.zeros(n)
        cost[list(self.linear)] = list(self.linear.values())
        # each product counts as written: half of it on either side of the diagonal
        cells = [(i, j, v / 2) for (i, j), v in self.quadratic.items()]
        P = sparse(
            (n, n),
            [c[0] for c in cells] + [c[1] for c in cells],
            [c[1] for c in cells] + [c[0] for c in cells],
            [c[2] for c in cells] * 2,
        )
        A = sparse(
            (len(self.rows), n),
            [k for k, row in enumerate(self.rows) for _ in row[0]],
            [column for row in self.rows for column in row[0]],
            [value for row in self.rows for value in row[0].values()],
        )
        low, high = np.array([row[1] for row in self.rows]), np.array([row[2] for row in self.rows])
        return sensed(self.sense, P, cost, A, low, high, lb, ub, constant=self.constant)


def _sides(value: float, relation: str) -> tuple[float, float]:
    """Lower and upper side of ``expression relation value``."""
    return (-np.inf if relation == "<" else value), (np.inf if relation == ">" else value)


FORMAT = Format(
    name="lp",
    suffixes=(".lp",),
    description="CPLEX's LP format, with [ ... ] / 2 in the objective",
    text=True,
    reader=read,
)
