"""Lines of numbers: what nearly every format is made of, read fast and exactly.

`Table` looks at a file's bytes once, with array operations, and knows of each line that is not blank where it lies and how many
tokens it holds. Records ``i j [w]`` are then parsed in bulk where the bytes allow nothing but well-formed numbers of the expected
columns; everything else goes through a parser that reads line by line, accepts the same language, and names the line at fault.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FormatError
from ..couplings import MAX_INT_SUM, Weights

MAX_VARIABLES = 2 * 10**8
CHUNK_LINES = 1 << 18

_TEXT = bytes(range(32, 127)) + b"\t\n\r\x0b\x0c" + bytes(range(128, 256))
_INTEGER_BYTES = b"0123456789- \t\n"
_FLOAT_BYTES = _INTEGER_BYTES + b"+.eE"
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}", re.ASCII)
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
# 18 digits and a sign always fit in 64 bits
_SAFE_LENGTH = 18
_MIXED = "integer weights beyond 2**53 cannot stand exactly beside fractions"


def show(token: str) -> str:
    """A token as an error quotes it: short, and on one line."""
    return repr(token if len(token) <= 24 else token[:21] + "...")


def brief(number: int) -> str:
    """A number as an error quotes it."""
    return str(number) if abs(number) < 10**20 else f"a number of {len(str(abs(number)))} digits"


def plain_text(data: bytes, where: str) -> bytes:
    """Check that these bytes are text, and give them with ``\\n`` line ends.

    Raises
    ------
    FormatError
        For an empty file, binary data, or bytes that are not UTF-8.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data or data.isspace():
        raise FormatError(where, None, "the file is empty")
    if data.translate(None, _TEXT):
        bad = next(k for k, byte in enumerate(data) if byte not in _TEXT)
        raise FormatError(
            where, data.count(b"\n", 0, bad) + 1, f"not a text file (it holds the byte 0x{data[bad]:02x})"
        )
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as e:
            line = data.count(b"\n", 0, e.start) + 1
            raise FormatError(where, line, f"not UTF-8 text (byte 0x{data[e.start]:02x})") from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def without_comments(data: bytes, marks: str = "#%") -> bytes:
    """The text with comment lines emptied, so that line numbers stay as they are."""
    if not any(mark.encode() in data for mark in marks):
        return data
    return re.sub(rf"(?m)^[ \t]*[{re.escape(marks)}].*$".encode(), b"", data)


def as_integer(token: str) -> int | None:
    """The integer that a token spells, or None."""
    return int(token) if _INTEGER.fullmatch(token) else None


class Table:
    """The lines of a text that are not blank.

    Parameters
    ----------
    data
        Text with ``\\n`` line ends (`plain_text`), comments emptied.
    where
        The file's name, for errors.

    Attributes
    ----------
    numbers : (k,)
        1-based line number of each line.
    counts : (k,)
        Tokens in it.
    """

    def __init__(self, data: bytes, where: str) -> None:
        if not data.endswith(b"\n"):
            data += b"\n"
        self.where = where
        self._data = data
        raw = np.frombuffer(data, np.uint8)
        blank = raw <= 32
        begins = ~blank
        begins[1:] &= blank[:-1]
        tokens = np.flatnonzero(begins)
        newlines = np.flatnonzero(raw == 10)
        counts = np.diff(np.searchsorted(tokens, newlines), prepend=0)
        kept = np.flatnonzero(counts)
        self.numbers: NDArray[np.intp] = kept + 1
        self.counts: NDArray[np.intp] = counts[kept]
        self._starts = np.concatenate([[0], newlines[:-1] + 1])[kept]
        self._ends = newlines[kept]
        self._integers = False
        if not data.translate(None, _INTEGER_BYTES):
            minus = raw == 45
            ends = np.flatnonzero(~blank[:-1] & blank[1:]) + 1
            stray = (minus & ~begins).any() or (minus[:-1] & blank[1:]).any()
            self._integers = not stray and bool((ends - tokens).max(initial=0) <= _SAFE_LENGTH)

    def __len__(self) -> int:
        return int(self.numbers.size)

    def error(self, k: int, message: str) -> FormatError:
        """An error at line k of the table (0-based)."""
        return FormatError(self.where, int(self.numbers[k]), message)

    def tokens(self, k: int) -> list[str]:
        """The words of line k."""
        return self._data[self._starts[k] : self._ends[k]].decode("utf-8").split()

    def header(self, k: int, names: Sequence[str]) -> list[int]:
        """The integers of line k, one a name.

        Raises
        ------
        FormatError
            For a missing line, another number of tokens, tokens that are no integers or negative.
        """
        layout = " ".join(names)
        if k >= len(self):
            raise FormatError(self.where, None, f"the file ends before the line {layout!r}")
        tokens = self.tokens(k)
        if len(tokens) != len(names):
            raise self.error(k, f"expected {layout!r}, found {len(tokens)} columns")
        values = []
        for name, token in zip(names, tokens, strict=True):
            value = as_integer(token)
            if value is None:
                raise self.error(k, f"{name} {show(token)} is not an integer")
            if value < 0:
                raise self.error(k, f"{name} is negative ({show(token)})")
            values.append(value)
        return values

    def check_size(self, k: int, n: int, limit: int = MAX_VARIABLES) -> None:
        """Refuse a number of variables that is 0 or more than memory could hold."""
        if n < 1:
            raise self.error(k, "the problem is empty: n is 0")
        if n > limit:
            raise self.error(k, f"n = {brief(n)} is too large: at most {limit} variables can be read")

    def records(
        self,
        first: int,
        count: int,
        n: int,
        *,
        base: int,
        columns: Collection[int] = (3,),
        what: str = "edges",
        last: bool = True,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Weights]:
        """The records ``i j [w]`` on the ``count`` lines from ``first`` on.

        Parameters
        ----------
        first, count
            Which lines of the table; ``count`` is what the header announced.
        n, base
            Indices lie in [base, base + n).
        columns
            Allowed column counts: 2 (weight 1), 3, or both.
        what
            Name of the records, for errors.
        last
            Whether the file must end here.

        Returns
        -------
        (count,) int64, (count,) int64
            Indices, 0-based.
        (count,) int64 or float64
            Weights.

        Raises
        ------
        FormatError
            At the first line that is no such record; for missing or surplus lines.
        """
        found = min(count, len(self) - first)
        u, v = np.empty(found, np.int64), np.empty(found, np.int64)
        parts: list[Weights] = []
        for a in range(first, first + found, CHUNK_LINES):
            b = min(a + CHUNK_LINES, first + found)
            rows, cols, w = self._fast(a, b, columns) or self._slow(a, b, n, base, columns)
            for name, end in ((u, rows), (v, cols)):
                bad = (end < base) | (end >= base + n)
                if bad.any():
                    k = int(np.argmax(bad))
                    raise self.error(a + k, _range(str(end[k]), n, base))
                name[a - first : b - first] = end - base
            parts.append(w)
        if found < count:
            raise FormatError(self.where, None, f"lines are missing: {brief(count)} {what} announced, {found} found")
        if last and len(self) > first + count:
            raise self.error(first + count, f"surplus line: only {count} {what} were announced")
        weights: NDArray[Any] = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        if weights.dtype != np.int64 and any(p.dtype == np.int64 and _beyond(p) for p in parts):
            raise FormatError(self.where, None, _MIXED)
        return u, v, weights

    def _fast(
        self, a: int, b: int, columns: Collection[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Weights] | None:
        """Lines a to b in bulk, or None where only the slow parser can tell."""
        counts = self.counts[a:b]
        width = int(counts[0])
        if width not in columns or (counts != width).any():
            return None
        text = self._data[self._starts[a] : self._ends[b - 1]]
        if self._integers:
            block = np.fromstring(text, np.int64, sep=" ").reshape(b - a, width)
            return block[:, 0], block[:, 1], block[:, 2].copy() if width == 3 else np.ones(b - a, np.int64)
        if width != 3 or text.translate(None, _FLOAT_BYTES):
            return None
        tokens = text.split()
        try:
            u = np.array(list(map(int, tokens[0::3])), np.int64)
            v = np.array(list(map(int, tokens[1::3])), np.int64)
            w = np.array(list(map(float, tokens[2::3])))
        except (ValueError, OverflowError):
            return None
        # large integers must not pass through a float: the slow parser keeps them
        return (u, v, w) if float(np.abs(w).max()) < 2**53 else None

    def _slow(
        self, a: int, b: int, n: int, base: int, columns: Collection[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Weights]:
        """Lines a to b one by one."""
        u, v = np.empty(b - a, np.int64), np.empty(b - a, np.int64)
        w: list[int | float] = []
        for k in range(a, b):
            tokens = self.tokens(k)
            if len(tokens) not in columns:
                layout = " or ".join(repr("i j w"[: 2 * c - 1]) for c in sorted(columns))
                raise self.error(k, f"expected {layout}, found {len(tokens)} columns")
            for ends, token in ((u, tokens[0]), (v, tokens[1])):
                index = as_integer(token)
                if index is None:
                    raise self.error(k, f"index {show(token)} is not an integer")
                if not base <= index < base + n:
                    raise self.error(k, _range(token, n, base))
                ends[k - a] = index
            w.append(self.weight(k, tokens[2]) if len(tokens) == 3 else 1)
        if all(isinstance(x, int) for x in w):
            return u, v, np.array(w, np.int64)
        for k, x in enumerate(w):
            if isinstance(x, int) and abs(x) >= 2**53:
                raise self.error(a + k, _MIXED)
        return u, v, np.array(w, np.float64)

    def weight(self, k: int, token: str) -> int | float:
        """The number that a token of line k spells: an int where it has neither point nor exponent."""
        value: int | float | None = as_integer(token)
        if value is None:
            if not _FLOAT.fullmatch(token):
                finite = token.lower().lstrip("+-") not in ("nan", "inf", "infinity")
                raise self.error(k, f"weight {show(token)} is not {'a number' if finite else 'finite'}")
            value = float(token)
        if isinstance(value, int) and abs(value) >= MAX_INT_SUM:
            raise self.error(k, f"weight {show(token)} is too large: magnitudes must stay below 2**60")
        if not math.isfinite(value):
            raise self.error(k, f"weight {show(token)} is too large")
        return value


def _beyond(integers: Weights) -> bool:
    return bool(integers.size) and int(np.abs(integers).max()) >= 2**53


def _range(token: str, n: int, base: int) -> str:
    return f"index {show(token)} is out of range: expected {base} to {base + n - 1}"
