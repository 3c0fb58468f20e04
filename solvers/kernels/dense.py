"""Metropolis sweeps of one chain on a dense graph: a flip adds a row of the matrix to the local fields.

    gain_i = s_i f_i,  f_i = sum_j w_ij s_j + h_i;   flip iff gain_i >= -noise:  f <- f - 2 s_i w_i

one spin after another, but 64 at a time are asked which of them would pass, as one vector; the first that does flips, the fields of the 64 are brought up
to date, the rest are asked again with the same noise. The flips of the last `PENDING` rows are kept back and added to all the fields in one pass, in
the order in which they happened, so that float sums do not depend on when. Noise: `noise.exponential_noise`; the fields are of a kind that holds every
gain, and doubled weights and differences may wrap on the way to sums that fit.
"""

from __future__ import annotations

import numpy as np

from .blocks import BLOCK, add_row, load_block, lowest_bit, passing, store
from .jit import helper, kernel
from .noise import SPAN, exponential_noise
from .philox import TILE

PENDING = 8
_ONE, _SIX, _ALL = np.uint64(1), np.uint64(6), np.uint64(0xFFFFFFFFFFFFFFFF)


@helper
def pack_spins(spins, words):
    """Bit i % 64 of words[i // 64] (uint64) is set where spins[i] (int8) is up."""
    for b in range(words.size):
        word = np.uint64(0)
        for k in range(min(BLOCK, spins.size - BLOCK * b)):
            word |= np.uint64(spins[BLOCK * b + k] > 0) << np.uint64(k)
        words[b] = word


@helper
def unpack_spins(words, spins):
    """The inverse of `pack_spins`."""
    for i in range(spins.size):
        spins[i] = 1 if (words[i // BLOCK] >> np.uint64(i % BLOCK)) & _ONE else -1


@helper
def least_gains(floats, bound, margin, least):
    """least = margin - min(noise, bound) rounded to its kind towards `margin`: what a gain must reach. floats: the noise, float32."""
    if bound >= 0:
        top = np.float32(bound)
        for j in range(SPAN):
            least[j] = margin - np.int32(min(floats[j], top))
    else:
        for j in range(SPAN):
            least[j] = -floats[j]


@helper
def _add_pending(rows, fields, origins, factors, count):
    at = np.uint64(0)
    while at < np.uint64(fields.size):
        f = load_block(fields, at)
        for k in range(count):
            f = add_row(f, load_block(rows, origins[k] + at), factors[k])
        store(fields, at, f)
        at += np.uint64(BLOCK)


@kernel
def dense_sweeps(rows, external, fresh, temperatures, bound, spins, fields, counts, key, read, first):
    """Sweeps first, first + 1, ... of one read, one for each temperature (sweeps,) float32, in units of the gain.

    rows (n * width,): the weights, each row filled up with zeros to a multiple of BLOCK; int8, int16, int32 or float32 (fields are float64 then). external (n,): h, from which and
    from the spins the fields are summed first where `fresh` is True. bound: the greatest
    |gain|; negative for floats. spins (n,) int8, fields (width,): kept up to date. counts (2,) int64: flips and synaptic events, added to. key: uint64.
    """
    n, width = spins.size, fields.size
    kind = fields.dtype.type
    words = np.empty((4, TILE), np.uint32)
    halves = np.empty(SPAN, np.uint16)
    floats = np.empty(SPAN, np.float32)
    exponents = np.empty(SPAN, np.int32)
    least = np.empty(SPAN, fields.dtype)
    up = np.empty(width // BLOCK, np.uint64)
    origins = np.zeros(PENDING, np.uint64)
    factors = np.zeros(PENDING, fields.dtype)
    pending = 0
    if fresh:
        for i in range(width):
            fields[i] = external[i] if i < n else 0
        for i in range(n):
            origins[pending] = i * width
            factors[pending] = kind(spins[i])
            pending += 1
            if pending == PENDING or i == n - 1:
                _add_pending(rows, fields, origins, factors, pending)
                pending = 0
    pack_spins(spins, up)
    flips = 0
    for t in range(temperatures.size):
        for b in range(up.size):
            if b % (SPAN // BLOCK) == 0:
                exponential_noise(key, read, first + t, b, temperatures[t], words, halves, floats, exponents)
                least_gains(floats, bound, np.int32(0), least)
            at = np.uint64(b) << _SIX
            rest = _ALL if n - BLOCK * b >= BLOCK else (_ONE << np.uint64(n - BLOCK * b)) - _ONE
            f = load_block(fields, at)
            for k in range(pending):
                f = add_row(f, load_block(rows, origins[k] + at), factors[k])
            needed = load_block(least, at % np.uint64(SPAN))
            before = up[b]
            after = before
            candidates = passing(f, before, needed) & rest
            while candidates:
                p = lowest_bit(candidates)
                bit = _ONE << p
                origin = (at + p) * np.uint64(width)
                factor = kind(-2) if before & bit else kind(2)
                f = add_row(f, load_block(rows, origin + at), factor)
                after ^= bit
                origins[pending] = origin
                factors[pending] = factor
                pending += 1
                flips += 1
                if pending == PENDING:
                    _add_pending(rows, fields, origins, factors, PENDING)
                    pending = 0
                # Two shifts: a shift by 64 is undefined.
                candidates = passing(f, before, needed) & (rest & (_ALL << p << _ONE))
            up[b] = after
    _add_pending(rows, fields, origins, factors, pending)
    unpack_spins(up, spins)
    counts[0] += flips
    counts[1] += flips * n
