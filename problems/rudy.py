"""G. Rinaldi's graph generator rudy, bit for bit: the Gset, K2000 and any other expression of its language.

Random numbers are those of Knuth's GB_FLIP (The Stanford GraphBase, 1993), a subtractive generator

    x_k = x_{k-55} - x_{k-24}   mod 2^31,     given out in blocks of 55, each backwards,

which is computed 24 numbers at a time. A graph is kept in rudy's *edge order* (for u = 0..n-1, along u's list, newest arc first, every arc to
v > u): output, random weights and all operators go by it, and nothing else of the lists matters.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .couplings import Couplings, as_weights, frozen
from .expressions import check_size
from .formats.rudy import text
from .models import MaxCut

_MODULUS = 2**31
_MAX_WEIGHT = 2**60
_BITMAP = 4 * 10**8  # bytes: a larger table of seen pairs gives way to sorting
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,12}\.?[0-9]{0,15}|\.[0-9]{1,15})")

Ints = NDArray[np.int64]
Ends = NDArray[np.int32]


class Flip:
    """The stream of GB_FLIP for one seed (taken modulo 2^31)."""

    __slots__ = ("_left", "_stream", "_x")

    def __init__(self, seed: int) -> None:
        previous = s = seed % _MODULUS
        a, following, i = [0] * 55 + [previous], 1, 21
        while i:
            a[i] = following
            s = (s >> 1) | ((s & 1) << 30)
            following = (previous - following - s) % _MODULUS
            previous, i = a[i], (i + 21) % 55
        self._x = np.array(a[1:], np.uint32)
        # Five cycles are thrown away, but for the last one's numbers after its first.
        self._left = self._cycles(5)[4 * 55 + 1 :]
        self._stream = self._numbers()

    def _cycles(self, count: int) -> NDArray[np.uint32]:
        x = np.empty(55 * (count + 1) + 24, np.uint32)
        x[:55] = self._x
        for k in range(55, 55 * (count + 1), 24):
            np.subtract(x[k - 55 : k - 31], x[k - 24 : k], out=x[k : k + 24])
        self._x = x[55 * count : 55 * (count + 1)].copy()
        return (x[55 : 55 * (count + 1)].reshape(count, 55)[:, ::-1] & np.uint32(_MODULUS - 1)).ravel()

    def draws(self, count: int) -> NDArray[np.uint32]:
        """The next numbers, (count,)."""
        if count > self._left.size:
            more = self._cycles(-((self._left.size - count) // 55))
            self._left = np.concatenate([self._left, more])
        taken, self._left = self._left[:count], self._left[count:]
        return taken

    def _numbers(self) -> Iterator[int]:
        while True:
            yield from self.draws(4096).tolist()

    def unif(self, m: int) -> int:
        """One uniform integer in [0, m). It reads ahead: do not mix it with `uniform` or `draws`."""
        limit = _MODULUS - _MODULUS % m
        while (r := next(self._stream)) >= limit:
            pass
        return r % m

    def uniform(self, m: int, count: int) -> Ints:
        """What ``count`` calls of `unif` (m) would give, (count,)."""
        limit = _MODULUS - _MODULUS % m
        out = np.empty(count, np.int64)
        done = 0
        while done < count:
            r = self.draws(count - done)
            r = r[r < limit]
            out[done : done + r.size] = r % m
            done += r.size
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    """Distinct pairs in the order of the output, (m,) each."""

    n: int
    rows: Ends
    cols: Ends
    weights: Ints


def _ordered(n: int, u: NDArray[Any], v: NDArray[Any], weights: Ints | None = None) -> _Graph:
    """Edges in the order of their making, put in edge order. Weights are 1 unless given."""
    lo, hi = np.minimum(u, v), np.maximum(u, v)
    order = lo.size - 1 - np.argsort(lo[::-1], kind="stable")
    w = np.ones(lo.size, np.int64) if weights is None else weights[order]
    return _Graph(n=n, rows=lo[order].astype(np.int32), cols=hi[order].astype(np.int32), weights=w)


def _percentage(value: Fraction, what: str) -> None:
    if not 0 <= value <= 100:
        raise InputError(f"rudy: the {what} is a percentage from 0 to 100, not {float(value):g}")


def _rnd_graph(n: int, density: Fraction, seed: int) -> _Graph:
    check_size(n, 0, "rudy: -rnd_graph")
    _percentage(density, "density")
    pairs = n * (n - 1) // 2
    m = math.floor(n * (n - 1) * density / 200 + Fraction(1, 2))
    check_size(n, m, "rudy: -rnd_graph")
    flip = Flip(seed)
    table = np.zeros(n * n, bool) if n * n <= min(_BITMAP, 64 * m) else None
    found, keys = 0, np.empty(m, np.int64)
    while found < m:
        wanted = int((m - found) * (pairs / (pairs - found)) * 1.05) + 64
        if table is not None:
            wanted = min(wanted, 2**20)
        u, v = flip.uniform(n, 2 * wanted).reshape(-1, 2).T
        new = (np.minimum(u, v) * n + np.maximum(u, v))[u != v]
        if table is not None:
            new = new[~table[new]]
        elif found:
            new = new[~np.isin(new, keys[:found])]
        new = new[np.sort(np.unique(new, return_index=True)[1])][: m - found]
        if table is not None:
            table[new] = True
        keys[found : found + new.size] = new
        found += new.size
    return _ordered(n, keys // n, keys % n)


def _planar(n: int, density: Fraction, seed: int) -> _Graph:
    if n < 3:
        raise InputError(f"rudy: -planar needs at least 3 vertices, not {n}")
    _percentage(density, "density")
    check_size(n, 3 * (n - 2), "rudy: -planar")
    unif = Flip(seed).unif
    # Machine integers: at millions of vertices, lists of tuples would take gigabytes.
    a, b, c = array("i", [0]), array("i", [1]), array("i", [2])
    ends = array("i", [0, 0, 1])
    for d in range(3, n):
        f = unif(len(a))
        x, y, z = a[f], b[f], c[f]
        ends.extend((x, y, z))
        c[f] = d
        a.extend((x, y))
        b.extend((z, z))
        c.extend((d, d))
    u = np.array(ends, np.int64)
    v = np.concatenate([[1, 2, 2], np.repeat(np.arange(3, n), 3)])
    kept = array("i", range(u.size))
    limit = math.floor(density * 3 * (n - 2) / 100)
    while len(kept) > limit:
        e = unif(len(kept))
        last = kept.pop()
        if e < len(kept):
            kept[e] = last
    chosen = np.array(kept, np.int64)
    return _ordered(n, u[chosen], v[chosen])


def _sides(what: str, *sides: int) -> None:
    if min(sides) < 3:
        raise InputError(
            f"rudy: {what} needs sides of at least 3 (shorter ones make loops or double edges), not {min(sides)}"
        )
    n = math.prod(sides)
    check_size(n, len(sides) * n, f"rudy: {what}")


def _toroidal_grid_2d(height: int, width: int) -> _Graph:
    _sides("-toroidal_grid_2D", height, width)
    k = np.arange(height * width, dtype=np.int32).reshape(height, width)
    right, down = np.roll(k, -1, axis=1), np.roll(k, -1, axis=0)
    return _ordered(k.size, np.concatenate([k, k], axis=None), np.concatenate([right, down], axis=None))


def _clique(n: int) -> _Graph:
    check_size(n, n * (n - 1) // 2, "rudy: -clique")
    later = np.arange(n - 1, -1, -1)
    rows = np.repeat(np.arange(n, dtype=np.int32), later)
    # The newest arc of u is the longest: v = n-1 down to u+1.
    step = np.arange(rows.size, dtype=np.int32) - np.repeat(np.cumsum(later) - later, later).astype(np.int32)
    cols = (n - 1 - step).astype(np.int32)
    return _Graph(n=n, rows=rows, cols=cols, weights=(cols - rows).astype(np.int64))


def _spinglass(rows: int, cols: int, layers: int, stacked: bool, percent: Fraction, seed: int) -> _Graph:
    _percentage(percent, "share of negative weights")
    n = rows * cols * layers
    k = np.arange(n, dtype=np.int32).reshape(layers, rows * cols)
    grid = k.reshape(layers, rows, cols)
    heads = [np.roll(grid, -1, axis=2).reshape(k.shape), np.roll(grid, -1, axis=1).reshape(k.shape)]
    if stacked:
        heads.append(np.roll(k, -1, axis=0))
    m = len(heads) * n
    negative = math.floor(m * percent / 100)
    signs = bytearray(negative) + bytearray(b"\2") * (m - negative)
    unif = Flip(seed).unif
    for j in range(m - 1, 0, -1):
        i = unif(j + 1)
        signs[i], signs[j] = signs[j], signs[i]
    weights = np.frombuffer(signs, np.uint8).astype(np.int64) - 1
    u = np.concatenate([k] * len(heads), axis=1).ravel()
    return _Graph(n=n, rows=u, cols=np.concatenate(heads, axis=1).ravel(), weights=weights)


def _spinglass2(rows: int, cols: int, percent: Fraction, seed: int) -> _Graph:
    _sides("-spinglass2pm", rows, cols)
    return _spinglass(rows, cols, 1, False, percent, seed)


def _spinglass3(rows: int, cols: int, layers: int, percent: Fraction, seed: int) -> _Graph:
    _sides("-spinglass3pm", rows, cols, layers)
    return _spinglass(rows, cols, layers, True, percent, seed)


def _reweighted(g: _Graph, change: Callable[[Any], Any]) -> _Graph:
    """A monotone change of every weight, after a look at what it does to the extremes."""
    if g.weights.size and max(abs(change(int(w))) for w in (g.weights.min(), g.weights.max())) >= _MAX_WEIGHT:
        raise InputError("rudy: weights too large: magnitudes must stay below 2**60")
    return _Graph(n=g.n, rows=g.rows, cols=g.cols, weights=change(g.weights))


def _random(g: _Graph, lo: int, hi: int, seed: int) -> _Graph:
    span = hi - lo + 1
    if not 1 <= span <= _MODULUS:
        raise InputError(f"rudy: -random needs lo <= hi, at most 2**31 values, not {lo} to {hi}")
    drawn = Flip(seed).uniform(span, g.weights.size) if span > 1 else np.zeros(g.weights.size, np.int64)
    return _reweighted(_Graph(n=g.n, rows=g.rows, cols=g.cols, weights=drawn), lambda w: w + lo)


def _times(g: _Graph, k: int) -> _Graph:
    return _reweighted(g, lambda w: w * k)


def _plus(g: _Graph, k: int) -> _Graph:
    return _reweighted(g, lambda w: w + k)


def _union(a: _Graph, b: _Graph) -> _Graph:
    if a.n != b.n:
        raise InputError(f"rudy: + needs two graphs on the same vertices, not {a.n} and {b.n}")
    rows, cols, weights = (np.concatenate([getattr(a, x), getattr(b, x)]) for x in ("rows", "cols", "weights"))
    if not rows.size:
        return a
    made = np.argsort(rows, kind="stable")  # at every vertex first a's arcs, then b's
    rows, cols, weights = rows[made], cols[made], weights[made]
    key = rows.astype(np.int64) * a.n + cols
    order = np.argsort(key, kind="stable")
    start = np.flatnonzero(np.diff(key[order], prepend=-1))
    check_size(a.n, start.size, "rudy: +")
    first, least = order[start], np.minimum.reduceat(weights[order], start)
    back = np.argsort(first)
    keep = first[back]
    return _ordered(a.n, rows[keep], cols[keep], least[back])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operator:
    function: Callable[..., _Graph]
    operands: int
    parameters: str


_OPERATORS = {
    "-rnd_graph": _Operator(function=_rnd_graph, operands=0, parameters="n D seed"),
    "-planar": _Operator(function=_planar, operands=0, parameters="n D seed"),
    "-toroidal_grid_2D": _Operator(function=_toroidal_grid_2d, operands=0, parameters="h w"),
    "-clique": _Operator(function=_clique, operands=0, parameters="n"),
    "-spinglass2pm": _Operator(function=_spinglass2, operands=0, parameters="r c P seed"),
    "-spinglass3pm": _Operator(function=_spinglass3, operands=0, parameters="r c l P seed"),
    "-random": _Operator(function=_random, operands=1, parameters="lo hi seed"),
    "-times": _Operator(function=_times, operands=1, parameters="k"),
    "-plus": _Operator(function=_plus, operands=1, parameters="k"),
    "+": _Operator(function=_union, operands=2, parameters=""),
}


def _parameters(name: str, names: list[str], tokens: list[str]) -> list[int | Fraction]:
    usage = f"{name} takes {' '.join(names)}"
    if len(tokens) < len(names):
        raise InputError(f"rudy: {usage}: {names[len(tokens)]} is missing")
    values: list[int | Fraction] = []
    for parameter, token in zip(names, tokens, strict=True):
        decimal = parameter in "DP"
        if not (_DECIMAL if decimal else _INTEGER).fullmatch(token):
            kind = "a decimal number" if decimal else "an integer of at most 18 digits"
            raise InputError(f"rudy: {usage}: {parameter} must be {kind}, not {token[:40]!r}")
        values.append(Fraction(token) if decimal else int(token))
    return values


def _evaluate(expression: str) -> _Graph:
    tokens = expression.split()
    stack: list[_Graph] = []
    at = 0
    while at < len(tokens):
        name = tokens[at]
        operator = _OPERATORS.get(name)
        if operator is None:
            raise InputError(f"rudy: unknown operator {name[:40]!r}; there are {', '.join(_OPERATORS)}")
        names = operator.parameters.split()
        values = _parameters(name, names, tokens[at + 1 : at + 1 + len(names)])
        at += 1 + len(names)
        if len(stack) < operator.operands:
            wants = "two graphs" if operator.operands == 2 else "a graph"
            raise InputError(f"rudy: {name} needs {wants} before it")
        if name.startswith("-spinglass") and len(tokens) != 1 + len(names):
            raise InputError(f"rudy: {name} must stand alone, with no operator or other graph")
        operands = [stack.pop() for _ in range(operator.operands)][::-1]
        stack.append(operator.function(*operands, *values))
    if len(stack) != 1:
        what = (
            "the expression is empty"
            if not stack
            else f"{len(stack)} graphs are left, join them with + (reverse Polish)"
        )
        raise InputError(f"rudy: {what}")
    return stack[0]


def generate(expression: str, name: str = "") -> MaxCut:
    """The graph of a rudy expression, its edges in rudy's own order and orientation.

    Parameters
    ----------
    expression
        As on rudy's command line, in reverse Polish order: ``-rnd_graph 800 6 8001 -random 0 1 8001 -times 2 -plus -1``.
    name
        The problem's name; by default ``rudy:`` and the expression.

    Returns
    -------
    MaxCut

    Raises
    ------
    InputError
        For an expression that rudy would not take, or more than 5e7 edges or 1e8 vertices.
    """
    g = _evaluate(expression)
    couplings = Couplings(n=g.n, rows=frozen(g.rows), cols=frozen(g.cols), weights=frozen(as_weights(g.weights)))
    return MaxCut(couplings=couplings, name=name or "rudy:" + " ".join(expression.split()))


def to_text(couplings: Couplings) -> bytes:
    """The exact text that rudy writes for a graph (`formats.rudy`)."""
    return "".join(text(couplings)).encode()
