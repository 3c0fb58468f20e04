"""Exponential noise for the sweeps of one chain on a dense graph: P(noise >= x) = exp(-x/T), quantised to 2**-16.

    noise = T E(u),  E(u) = -ln((u + 1)/2**16),  u uniform in 0 .. 2**16 - 1

so that a loss x passes a test `loss <= noise` for floor(2**16 exp(-x/T)) of the u. One Philox block a (64 spins, sweep, read) gives four words;
the draws of spins 2l and 2l + 1 of the 64 are the low and the high half of word l // 8 plus `OFFSETS[l]`, scrambled by a 32-bit bijection. ln is a
polynomial of degree 6 on [0.7, 1.42), in sums and products of float32 alone: E is off by less than 5e-6, and the same on every machine.
"""

from __future__ import annotations

import numpy as np

from .jit import helper
from .philox import CHAIN, philox_blocks

BLOCK, SPAN = 64, 512
_HALF = BLOCK // 2
# Odd multiples of the golden ratio: far apart, and far from each other's images under the scramble.
OFFSETS = (np.arange(1, _HALF + 1, dtype=np.uint64) * np.uint64(0x9E3779B9) & np.uint64(0xFFFFFFFF)).astype(np.uint32)

_LOW = np.uint64(0xFFFFFFFF)
_LN2 = np.float32(0.6931471805599453)
_SQRT_HALF, _MANTISSA = np.int32(0x3F3504F3), np.int32(0x7FFFFF)
_ONE = np.float32(1)
# ln(1 + r)/r, fitted at Chebyshev nodes of [-0.293, 0.4143].
_C0, _C1, _C2 = np.float32(1.0000046), np.float32(-0.49990362), np.float32(0.3325677)
_C3, _C4, _C5 = np.float32(-0.25397843), np.float32(0.22070417), np.float32(-0.14338411)


@helper
def exponential_noise(key, read, sweep, block, temperature, words, halves, floats, exponents):
    """Fill floats (SPAN,) float32 with the noise of spins BLOCK block, ..., of one sweep at a temperature (float32).

    Scratch: words (4, >= SPAN/BLOCK) uint32, halves (SPAN,) uint16, exponents (SPAN,) int32.
    """
    pairs = halves.view(np.uint32)
    bits = floats.view(np.int32)
    philox_blocks(
        key, np.uint64(block), np.uint64(sweep) & _LOW, np.uint64(read), np.uint64(CHAIN), SPAN // BLOCK, words
    )
    for b in range(SPAN // BLOCK):
        for w in range(4):
            word = words[w, b]
            for k in range(8):
                pairs[np.uint64(_HALF * b + 8 * w + k)] = word + OFFSETS[8 * w + k]
    # A loop of its own, which LLVM turns into vectors; in the loop above it would not.
    for j in range(SPAN // 2):
        x = pairs[j]
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
        x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
        pairs[j] = x ^ (x >> np.uint32(16))
    for j in range(SPAN):
        floats[j] = np.float32(halves[j]) + _ONE
    for j in range(SPAN):
        # u + 1 = m 2**e with m in [sqrt(1/2), sqrt(2)).
        above = np.int32(bits[j] - _SQRT_HALF)
        exponents[j] = 16 - (above >> np.int32(23))
        bits[j] = (above & _MANTISSA) + _SQRT_HALF
    for j in range(SPAN):
        r = floats[j] - _ONE
        p = r * _C5 + _C4
        p = p * r + _C3
        p = p * r + _C2
        p = p * r + _C1
        p = p * r + _C0
        floats[j] = temperature * (np.float32(exponents[j]) * _LN2 - p * r)
