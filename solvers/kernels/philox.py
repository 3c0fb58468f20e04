"""Philox4x32-10, the counter-based random numbers of every kernel (Salmon et al., SC'11).

A block of four 32-bit words is a pure function of a 64-bit key and four 32-bit counters, so the same numbers come out whatever the number
of threads, the order of work or the size of a chunk. Counters in use:

    sweeping kernels   (block, sweep, read, SWEEP): TILE blocks serve 4 TILE spins; spin i takes word (i % 4 TILE) // TILE
                       of block TILE (i // (4 TILE)) + i % TILE
    neurosa            (step mod 2**32, step // 2**32, read, STEP): one block a step
    first states       (block, 0, read, START): as for sweeps; a spin is up where the word's top bit is set
    lanes              (spin, sweep, group, LANES_SWEEP): one block for the 64 draws of a spin
    dense chains       (spin // 64, sweep, read, CHAIN): one block for the draws of 64 spins
    lanes of floats    (spin, sweep, group, CHAIN): one block for the 64 draws of a spin
    crossover          (2 lineage, step, island, CROSS): two blocks a lineage; the pair after the last chooses the next temperature
    box QPs            (block, round, member, 16): the noise of sweeps; (block, round, member, 17): choices (kernels.boxqp)
"""

from __future__ import annotations

import numpy as np

from .jit import helper

TILE = 64
SWEEP, STEP, START, LANES_SWEEP, CROSS, CHAIN = 0, 1, 2, 3, 4, 5

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


@helper
def philox_blocks(key, first, c1, c2, c3, count, out):
    """Blocks first, ..., first + count - 1 of counter word 0: word w of block b goes to out[w, b].

    key: uint64; first, c1, c2, c3: uint64 below 2**32 (first + count wraps within 32 bits); out: (4, >= count) uint32.
    """
    key0, key1 = key & _LOW, key >> _32
    for b in range(count):
        x0, x1, x2, x3 = (first + np.uint64(b)) & _LOW, c1, c2, c3
        k0, k1 = key0, key1
        for _ in range(10):
            p0, p1 = x0 * _M0, x2 * _M1
            x0, x1, x2, x3 = (p1 >> _32) ^ x1 ^ k0, p1 & _LOW, (p0 >> _32) ^ x3 ^ k1, p0 & _LOW
            k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
        out[0, b] = x0
        out[1, b] = x1
        out[2, b] = x2
        out[3, b] = x3


def one_block(key: int, counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """One block in Python's integers, for what is drawn once a round."""
    mask = 2**32 - 1
    k0, k1 = key & mask, key >> 32
    x0, x1, x2, x3 = counter
    for _ in range(10):
        p0, p1 = x0 * int(_M0), x2 * int(_M1)
        x0, x1, x2, x3 = (p1 >> 32) ^ x1 ^ k0, p1 & mask, (p0 >> 32) ^ x3 ^ k1, p0 & mask
        k0, k1 = (k0 + int(_W0)) & mask, (k1 + int(_W1)) & mask
    return x0, x1, x2, x3
