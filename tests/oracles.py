"""Slow, obvious versions of every kernel, in plain Python, from the documentation alone.

    value(s) = -(sum_{i<j} w_ij s_i s_j + sum_i h_i s_i),    gain_i = s_i (sum_j w_ij s_j + h_i)

A problem is a list of pairs (i, j, w), each pair once, and a list of fields h. Every gain is summed afresh from the spins, every
probability comes from `math.exp`, and every random number from its own Philox block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

Number = int | float
Pairs = Sequence[tuple[int, int, Number]]

TILE = 64
SWEEP, STEP, START, CHAIN = 0, 1, 2, 5


def philox4x32(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Ten rounds of Philox4x32 (Salmon et al., SC'11): a key of two words, a counter of four."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def _block(key: int, counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return philox4x32((key % 2**32, key // 2**32), counter)


def spin_word(key: int, read: int, sweep: int, spin: int, purpose: int = SWEEP) -> int:
    """The 32 bits of one spin in one sweep: TILE blocks serve 4 TILE spins."""
    tile, place = divmod(spin, 4 * TILE)
    word, block = divmod(place, TILE)
    return _block(key, (TILE * tile + block, sweep, read, purpose))[word]


def step_draws(key: int, read: int, step: int, n: int) -> tuple[int, float]:
    """The neuron p < n and the uniform u of one NeuroSA step: 64 bits choose p, 53 make u."""
    w0, w1, w2, w3 = _block(key, (step % 2**32, step // 2**32, read, STEP))
    return n * (w1 * 2**32 + w0) // 2**64, ((w2 * 2**32 + w3) >> 11) / 2**53


def chain_draw(key: int, read: int, sweep: int, place: int) -> int:
    """The 16 bits of spin `place` of a dense chain, or of lane `place % 64` of spin `place // 64` of float lanes: `kernels.noise`."""
    mask = 2**32 - 1
    block, place = divmod(place, 64)
    pair, half = divmod(place, 2)
    word = _block(key, (block, sweep, read, CHAIN))[pair // 8]
    x = (word + (pair + 1) * 0x9E3779B9) & mask
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & mask
    x = ((x ^ (x >> 15)) * 0x846CA68B) & mask
    x ^= x >> 16
    return x >> 16 if half else x & 0xFFFF


def random_spins(key: int, read: int, n: int) -> list[int]:
    """First spins: up where the word's top bit is set."""
    return [1 if spin_word(key, read, 0, i, START) >= 2**31 else -1 for i in range(n)]


def value(pairs: Pairs, fields: Sequence[Number], spins: Sequence[int]) -> Number:
    """The value of an assignment: an int where all numbers are, else correctly rounded."""
    terms = [w * spins[i] * spins[j] for i, j, w in pairs] + [h * s for h, s in zip(fields, spins, strict=True)]
    return -sum(terms) if all(isinstance(t, int) for t in terms) else -math.fsum(terms)


def gain(pairs: Pairs, fields: Sequence[Number], spins: Sequence[int], p: int) -> Number:
    """The gain of flipping spin p."""
    local = fields[p] + sum(w * spins[i + j - p] for i, j, w in pairs if p in (i, j))
    return spins[p] * local


@dataclass
class Chain:
    """A walk through the assignments, and the best place it has seen."""

    pairs: Pairs
    fields: Sequence[Number]
    spins: list[int]
    flips: int = 0
    reads: int = 0
    rise: Number = 0
    best: list[int] = field(default_factory=list)
    top: Number = 0

    def __post_init__(self) -> None:
        self.best = list(self.spins)
        self._incident: list[list[tuple[int, int, Number]]] = [[] for _ in self.spins]
        for i, j, w in self.pairs:
            self._incident[i].append((i, j, w))
            self._incident[j].append((i, j, w))

    def gain(self, p: int) -> Number:
        """The gain of spin p, from its own pairs alone."""
        return gain(self._incident[p], self.fields, self.spins, p)

    def flip(self, p: int) -> None:
        """Flip spin p and count; the value rises by twice the gain."""
        self.rise += self.gain(p)
        self.spins[p] = -self.spins[p]
        self.flips += 1
        self.reads += len(self._incident[p])

    def remember(self) -> None:
        """Keep these spins if they are the best so far."""
        if self.rise > self.top:
            self.top, self.best = self.rise, list(self.spins)


def flip_probability(x: float, heat_bath: bool) -> float:
    """The probability of a flip whose b gain is x."""
    if heat_bath:
        return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
    return 1.0 if x >= 0 else math.exp(x)


def anneal(
    pairs: Pairs,
    fields: Sequence[Number],
    spins: Sequence[int],
    slopes: Iterable[float],
    *,
    heat_bath: bool,
    key: int,
    read: int,
    first: int = 0,
) -> Chain:
    """Sweeps first, first + 1, ..., one for each slope b: spins 0, 1, ..., n - 1 in turn, one at a time."""
    chain = Chain(pairs, fields, list(spins))
    for sweep, slope in enumerate(slopes, first):
        for i in range(len(spins)):
            threshold = math.floor(2**32 * flip_probability(slope * chain.gain(i), heat_bath))
            if spin_word(key, read, sweep, i) < threshold:
                chain.flip(i)
        chain.remember()
    return chain


def temperature(step: int, k2: float, k0_minus_1: float, k1: float) -> float:
    """The FN cell: T(n) = k2 / ln(1 + k0_minus_1 + k1 n)."""
    return k2 / math.log1p(k0_minus_1 + k1 * step)


Timer = tuple[float, float, float]


def neurosa(
    pairs: Pairs,
    fields: Sequence[Number],
    spins: Sequence[int],
    steps: range,
    *,
    timer: Timer | Sequence[Timer] = (0.3125, 1 / 8e4, 0.002 / 8e4),
    scale: float = 2.5,
    floor: float = 1e-6,
    shift: Sequence[Number] | None = None,
    key: int,
    read: int,
) -> Chain:
    """NeuroSA: each step one neuron, which spikes iff its gain (plus its shift) exceeds T(n) ln(scale u + floor); T of one timer, or of each neuron's own."""
    chain = Chain(pairs, fields, list(spins))
    extra = [0] * len(spins) if shift is None else shift
    for step in steps:
        p, u = step_draws(key, read, step, len(spins))
        own = timer if isinstance(timer[0], float) else timer[p]
        if chain.gain(p) + extra[p] > temperature(step, *own) * math.log(scale * u + floor):
            chain.flip(p)
            chain.remember()
    return chain


def assignments(n: int) -> Iterator[tuple[int, ...]]:
    """All of {-1, +1}^n."""
    return product((-1, 1), repeat=n)


def optima(pairs: Pairs, fields: Sequence[Number]) -> tuple[Number, list[tuple[int, ...]]]:
    """The greatest value and every assignment that has it."""
    values = {s: value(pairs, fields, s) for s in assignments(len(fields))}
    top = max(values.values())
    return top, [s for s, v in values.items() if v == top]


def boltzmann(pairs: Pairs, fields: Sequence[Number], beta: float) -> dict[tuple[int, ...], float]:
    """The probability of every assignment, exp(-beta E)/Z with E = -value."""
    weights = {s: math.exp(beta * value(pairs, fields, s)) for s in assignments(len(fields))}
    z = math.fsum(weights.values())
    return {s: w / z for s, w in weights.items()}


def is_colouring(pairs: Pairs, colours: Sequence[int]) -> bool:
    """Whether no pair has one colour at both ends."""
    return all(colours[i] != colours[j] for i, j, _ in pairs)


def smallest_free_colours(n: int, pairs: Pairs, order: Sequence[int]) -> list[int]:
    """Greedy colouring: to each vertex in turn the smallest colour that no neighbour has."""
    colours: dict[int, int] = {}
    for v in order:
        taken = {colours[i + j - v] for i, j, _ in pairs if v in (i, j) and i + j - v in colours}
        colours[v] = next(c for c in range(n) if c not in taken)
    return [colours[v] for v in range(n)]
