"""rudy, slowly: linked lists and one random number at a time, as the specification has it."""

from __future__ import annotations

from fractions import Fraction
from math import floor

M = 2**31


class GBFlip:
    def __init__(self, seed: int) -> None:
        self.a = [0] * 56
        prev, nxt, s = seed % M, 1, seed % M
        self.a[55] = prev
        i = 21
        while i != 0:
            self.a[i] = nxt
            nxt = (prev - nxt) % M
            s = (s >> 1) + (2**30 if s & 1 else 0)
            nxt = (nxt - s) % M
            prev = self.a[i]
            i = (i + 21) % 55
        for _ in range(5):
            self.cycle()

    def cycle(self) -> int:
        for i in range(1, 25):
            self.a[i] = (self.a[i] - self.a[i + 31]) % M
        for i in range(25, 56):
            self.a[i] = (self.a[i] - self.a[i - 24]) % M
        self.pointer = 54
        return self.a[55]

    def next(self) -> int:
        if self.pointer == 0:
            return self.cycle()
        self.pointer -= 1
        return self.a[self.pointer + 1]

    def unif(self, m: int) -> int:
        while True:
            r = self.next()
            if r < M - M % m:
                return r % m


class Graph:
    """Every vertex's arcs, newest first; ``fixed`` is the output of the graphs that have an order of their own."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.arcs: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        self.fixed: list[tuple[int, int, int]] | None = None

    def add(self, u: int, v: int, w: int = 1) -> None:
        self.arcs[u].insert(0, (v, w))
        self.arcs[v].insert(0, (u, w))

    def has(self, u: int, v: int) -> bool:
        return any(x == v for x, _ in self.arcs[u])

    def edges(self) -> list[tuple[int, int, int]]:
        if self.fixed is not None:
            return self.fixed
        return [(u, v, w) for u in range(self.n) for v, w in self.arcs[u] if v > u]

    def weigh(self, weights: list[int]) -> None:
        new = {}
        for (u, v, _), w in zip(self.edges(), weights, strict=True):
            new[u, v] = new[v, u] = w
        self.arcs = [[(v, new[u, v]) for v, _ in self.arcs[u]] for u in range(self.n)]


def rnd_graph(n: int, density: Fraction, seed: int) -> Graph:
    g, r = Graph(n), GBFlip(seed)
    m = floor(n * (n - 1) * density / 200 + Fraction(1, 2))
    while m:
        u, v = r.unif(n), r.unif(n)
        if u != v and not g.has(u, v):
            g.add(u, v)
            m -= 1
    return g


def planar(n: int, density: Fraction, seed: int) -> Graph:
    r = GBFlip(seed)
    faces, edges = [(0, 1, 2)], [(0, 1), (0, 2), (1, 2)]
    for w in range(1, n - 2):
        f = r.unif(2 * w - 1)
        a, b, c = faces[f]
        d = w + 2
        edges += [(a, d), (b, d), (c, d)]
        faces[f] = (a, b, d)
        faces += [(a, c, d), (b, c, d)]
    while len(edges) > density * 3 * (n - 2) / 100:
        e = r.unif(len(edges))
        edges[e] = edges[-1]
        edges.pop()
    g = Graph(n)
    for u, v in edges:
        g.add(u, v)
    return g


def toroidal(h: int, w: int) -> Graph:
    g = Graph(h * w)
    for i in range(h):
        for j in range(w):
            g.add(i * w + j, i * w + (j + 1) % w)
    for i in range(h):
        for j in range(w):
            g.add(i * w + j, (i + 1) % h * w + j)
    return g


def clique(n: int) -> Graph:
    g = Graph(n)
    for d in range(1, n):
        for i in range(n - d):
            g.add(i, i + d, d)
    return g


def spinglass(three: bool, r: int, c: int, layers: int, percent: Fraction, seed: int) -> Graph:
    g, rng = Graph(r * c * layers), GBFlip(seed)
    m = (3 if three else 2) * r * c * layers
    weights = [0] + [-1 if k < floor(m * percent / 100) else 1 for k in range(m)]
    for j in range(m, 1, -1):
        k = rng.unif(j) + 1
        weights[j], weights[k] = weights[k], weights[j]
    pairs = []
    for layer in range(layers):
        base = r * c * layer
        for i in range(r * c):
            pairs.append((base + i, base + i // c * c + (i + 1) % c))
        for i in range(r * c):
            pairs.append((base + i, base + (i + c) % (r * c)))
        if three:
            for i in range(r * c):
                pairs.append((base + i, (base + i + r * c) % (r * c * layers)))
    g.fixed = [(u, v, w) for (u, v), w in zip(pairs, weights[1:], strict=True)]
    return g


def union(a: Graph, b: Graph) -> Graph:
    g = Graph(a.n)
    for v in range(a.n):
        for u, w in a.arcs[v] + b.arcs[v]:
            if u < v:
                continue
            if g.has(v, u):
                least = min(w, *(x for y, x in g.arcs[v] if y == u))
                for p, q in ((u, v), (v, u)):
                    g.arcs[p] = [(y, least if y == q else x) for y, x in g.arcs[p]]
            else:
                g.add(v, u, w)
    return g


def text(expression: str) -> bytes:
    stack: list[Graph] = []
    tokens = expression.split()
    while tokens:
        op = tokens.pop(0)

        def number() -> int:
            return int(tokens.pop(0))

        def share() -> Fraction:
            return Fraction(tokens.pop(0))

        if op == "-rnd_graph":
            stack.append(rnd_graph(number(), share(), number()))
        elif op == "-planar":
            stack.append(planar(number(), share(), number()))
        elif op == "-toroidal_grid_2D":
            stack.append(toroidal(number(), number()))
        elif op == "-clique":
            stack.append(clique(number()))
        elif op == "-spinglass2pm":
            stack.append(spinglass(False, number(), number(), 1, share(), number()))
        elif op == "-spinglass3pm":
            stack.append(spinglass(True, number(), number(), number(), share(), number()))
        elif op == "-random":
            lo, hi, rng = number(), number(), GBFlip(number())
            stack[-1].weigh([lo if lo == hi else lo + rng.unif(hi - lo + 1) for _ in stack[-1].edges()])
        elif op == "-times":
            k = number()
            stack[-1].weigh([w * k for _, _, w in stack[-1].edges()])
        elif op == "-plus":
            k = number()
            stack[-1].weigh([w + k for _, _, w in stack[-1].edges()])
        else:
            assert op == "+"
            b = stack.pop()
            stack.append(union(stack.pop(), b))
    (g,) = stack
    lines = [f"{u + 1} {v + 1} {w}\n" for u, v, w in g.edges()]
    return (f"{g.n} {len(lines)} \n" + "".join(lines)).encode()
