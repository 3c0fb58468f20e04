"""Metropolis sweeps of one chain on a dense graph whose couplings have two values: `dense` with a bit a coupling.

    w_ij = low + step b_ij for i != j,  b_ij a bit, b_ii = 0:   f_i = sum_{j != i} w_ij s_j + h_i;   the fields kept are f_i + low s_i

A flip of spin k changes field j by always_k - 2 step x_kj, with x_kj = b_kj and always_k = -2 low where s_k was up, x_kj = 1 - b_kj and always_k =
2 (low + step) where it was down. So the x of many flips need only be counted. The last flips, up to `PENDING`, are kept back; then their rows are
summed for 512 spins at a time by full adders and added to counters, of which plane p holds bit p for every spin. A block's counters become
fields when the block is visited: once a sweep, however many spins have flipped.
"""

from __future__ import annotations

import numpy as np

from .blocks import (
    BLOCK,
    WORDS,
    add_scalar,
    add_where,
    carry2,
    carry3,
    count_ones,
    flipped_words,
    load_block,
    load_words,
    lowest_bit,
    passing,
    store,
    sum2,
    sum3,
)
from .dense import least_gains, pack_spins, unpack_spins
from .jit import helper, kernel
from .noise import SPAN, exponential_noise
from .philox import TILE

PENDING = 15
_ONE, _SIX, _NONE, _ALL = np.uint64(1), np.uint64(6), np.uint64(0), np.uint64(0xFFFFFFFFFFFFFFFF)


@helper
def _row(bits, origins, masks, k, w):
    return flipped_words(load_words(bits, origins[k] + w), masks[k])


@helper
def _count_pending(bits, origins, masks, counters, stride):
    """Add PENDING rows to the counters (planes * stride,) uint64."""
    w = np.uint64(0)
    while w < stride:
        x, y = _row(bits, origins, masks, 1, w), _row(bits, origins, masks, 2, w)
        z = _row(bits, origins, masks, 0, w)
        s, a0 = sum3(x, y, z), carry3(x, y, z)
        x, y = _row(bits, origins, masks, 3, w), _row(bits, origins, masks, 4, w)
        t, a1 = sum3(s, x, y), carry3(s, x, y)
        x, y = _row(bits, origins, masks, 5, w), _row(bits, origins, masks, 6, w)
        s, a2 = sum3(t, x, y), carry3(t, x, y)
        twos, b0 = sum3(a0, a1, a2), carry3(a0, a1, a2)
        x, y = _row(bits, origins, masks, 7, w), _row(bits, origins, masks, 8, w)
        t, a0 = sum3(s, x, y), carry3(s, x, y)
        x, y = _row(bits, origins, masks, 9, w), _row(bits, origins, masks, 10, w)
        s, a1 = sum3(t, x, y), carry3(t, x, y)
        z, b1 = sum3(twos, a0, a1), carry3(twos, a0, a1)
        x, y = _row(bits, origins, masks, 11, w), _row(bits, origins, masks, 12, w)
        t, a0 = sum3(s, x, y), carry3(s, x, y)
        x, y = _row(bits, origins, masks, 13, w), _row(bits, origins, masks, 14, w)
        ones, a1 = sum3(t, x, y), carry3(t, x, y)
        twos, b2 = sum3(z, a0, a1), carry3(z, a0, a1)
        fours, eights = sum3(b0, b1, b2), carry3(b0, b1, b2)
        at = w
        x = load_words(counters, at)
        store(counters, at, sum2(x, ones))
        carry = carry2(x, ones)
        at += stride
        x = load_words(counters, at)
        store(counters, at, sum3(x, twos, carry))
        carry = carry3(x, twos, carry)
        at += stride
        x = load_words(counters, at)
        store(counters, at, sum3(x, fours, carry))
        carry = carry3(x, fours, carry)
        at += stride
        x = load_words(counters, at)
        store(counters, at, sum3(x, eights, carry))
        carry = carry3(x, eights, carry)
        at += stride
        while at < np.uint64(counters.size):
            x = load_words(counters, at)
            store(counters, at, sum2(x, carry))
            carry = carry2(x, carry)
            at += stride
        w += np.uint64(WORDS)


@helper
def _settle(fields, counters, stride, word, always, minus):
    """The fields of block `word`, brought up to date from its counters, which begin again at 0, and a constant; stored and returned."""
    kind = fields.dtype.type
    at = word << _SIX
    f = add_scalar(load_block(fields, at), kind(always))
    each = minus
    k = word
    while k < np.uint64(counters.size):
        f = add_where(f, counters[k], kind(each))
        counters[k] = 0
        each += each
        k += stride
    store(fields, at, f)
    return f


@helper
def _sum_fields(bits, stride, low, step, external, spins, up, fields):
    total = 0
    for i in range(spins.size):
        total += spins[i]
    for i in range(spins.size):
        above, every = np.uint64(0), np.uint64(0)
        for w in range(up.size):
            word = bits[np.uint64(i) * stride + np.uint64(w)]
            above += count_ones(word & up[w])
            every += count_ones(word)
        fields[i] = low * total + step * (2 * np.int64(above) - np.int64(every)) + external[i]


@kernel
def pack_couplings(indptr, indices, weights, low, bits):
    """Set bit j % 64 of bits[i, j // 64] (rows, stride) uint64, zeros before, where w_ij is not `low`; rows beyond the graph's stay as they are."""
    for i in range(indptr.size - 1):
        for e in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            if weights[e] != low:
                j = np.uint64(indices[e])
                bits[i, j >> _SIX] |= _ONE << (j & np.uint64(63))


@kernel
def bit_sweeps(bits, own, low, step, external, fresh, temperatures, bound, spins, fields, counts, key, read, first):
    """Sweeps first, first + 1, ... of one read, one for each temperature (sweeps,) float32, in units of the gain.

    bits ((n + 1) * stride,) uint64: b_ij is bit j % 64 of word j // 64 of row i; stride, a multiple of WORDS, covers width; the last row is 0.
    own (width,) uint64: of row i, word i // 64. low, step: int64. external (n,): h, from which and from the spins the fields are summed first where
    `fresh` is True. bound: the greatest |gain|. spins (n,) int8; fields (width,) integers,
    width a multiple of BLOCK, low s_i more than the local fields: both kept up to date. counts (2,) int64: flips and synaptic events, added to.
    key: uint64.
    """
    n, width = spins.size, fields.size
    kind = fields.dtype.type
    stride = np.uint64(bits.size // (n + 1))
    planes = 5
    # Between two visits of a block, each spin flips at most once, and PENDING - 1 flips may stand over from before.
    while n + PENDING >= 1 << planes:
        planes += 1
    words = np.empty((4, TILE), np.uint32)
    halves = np.empty(SPAN, np.uint16)
    floats = np.empty(SPAN, np.float32)
    exponents = np.empty(SPAN, np.int32)
    least = np.empty(SPAN, fields.dtype)
    up = np.empty(width // BLOCK, np.uint64)
    origins = np.zeros(PENDING, np.uint64)
    masks = np.zeros(PENDING, np.uint64)
    always = np.zeros(PENDING, np.int64)
    counters = np.zeros(planes * np.int64(stride), np.uint64)
    total = np.int64(0)
    settled = np.zeros(up.size, np.int64)
    batch = 0
    visited = np.zeros(up.size, np.int64)
    minus = -2 * step
    from_up, from_down = -2 * low, 2 * (low + step)
    pack_spins(spins, up)
    if fresh:
        _sum_fields(bits, stride, low, step, external, spins, up, fields)
    pending = 0
    flips = 0
    for t in range(temperatures.size):
        for b in range(up.size):
            if b % (SPAN // BLOCK) == 0:
                exponential_noise(key, read, first + t, b, temperatures[t], words, halves, floats, exponents)
                least_gains(floats, bound, np.int32(low), least)
            word = np.uint64(b)
            at = word << _SIX
            rest = _ALL if n - BLOCK * b >= BLOCK else (_ONE << np.uint64(n - BLOCK * b)) - _ONE
            if visited[b] != batch:
                visited[b] = batch
                f = _settle(fields, counters, stride, word, total - settled[b], minus)
                settled[b] = total
            else:
                f = load_block(fields, at)
            for k in range(pending):
                f = add_where(add_scalar(f, kind(always[k])), bits[origins[k] + word] ^ masks[k], kind(minus))
            needed = load_block(least, at % np.uint64(SPAN))
            before = up[b]
            after = before
            candidates = passing(f, before, needed) & rest
            while candidates:
                p = lowest_bit(candidates)
                bit = _ONE << p
                mask = _NONE if before & bit else _ALL
                change = from_up if before & bit else from_down
                f = add_where(add_scalar(f, kind(change)), own[at + p] ^ mask, kind(minus))
                after ^= bit
                origins[pending] = (at + p) * stride
                masks[pending] = mask
                always[pending] = change
                pending += 1
                flips += 1
                if pending == PENDING:
                    _count_pending(bits, origins, masks, counters, stride)
                    for k in range(PENDING):
                        total += always[k]
                    batch += 1
                    pending = 0
                # Two shifts: a shift by 64 is undefined.
                candidates = passing(f, before, needed) & (rest & (_ALL << p << _ONE))
            up[b] = after
    for k in range(PENDING):
        if k >= pending:
            origins[k] = np.uint64(n) * stride
            masks[k] = _NONE
        else:
            total += always[k]
    _count_pending(bits, origins, masks, counters, stride)
    for b in range(up.size):
        _settle(fields, counters, stride, np.uint64(b), total - settled[b], minus)
    unpack_spins(up, spins)
    counts[0] += flips
    counts[1] += flips * n
