"""Moves in the unit box for f(u) = 1/2 u'Pu + c'u, with the gradient g = Pu + c kept up to date: a coordinate's move costs one row of P.

Coordinate i, everything else held, sees the parabola 1/2 a v^2 + b v with a = P_ii and b = g_i - a u_i, so that its exact minimiser is

    v = clip(-b/a, 0, 1) where a > 0 and i is continuous,   else the better end: v = 1 if b + a/2 < 0 else 0

An annealed move is the same with noise in b: b + T s_i ln(x/(1 - x)), x uniform. For a = 0 that is the heat bath at temperature T s_i, since
P(v = 1) = 1/(1 + exp(b/(T s_i))), and for a <= 0 the heat bath of the two ends. s_i = sqrt(sum_{j != i} P_ij^2) makes rows of all sizes freeze together.

Noise: 16 bits of a Philox word for each test, as `noise.exponential_noise` expands them; the upper `BITS` of them choose one of the quantiles `LOGISTIC`.
Draw number d of a round is half d % 512 of the 512 that blocks 8 (d // 512), ... give, at counters (block, round, member, BOX_NOISE).

Sums over coordinates are sums of slices of `SLICE`: an order that a GPU can keep (`box_moves.cuh`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .jit import helper
from .noise import OFFSETS
from .philox import philox_blocks

BOX_NOISE, BOX_CHOICE = 16, 17
SPAN, BITS, SLICE = 512, 12, 64
_SHIFT = np.uint16(16 - BITS)
_QUANTILE = (np.arange(1 << BITS) + 0.5) / (1 << BITS)
LOGISTIC = np.log(_QUANTILE / (1 - _QUANTILE)).astype(np.float32)
# Curvature along a direction p below this share of sum_i reach_i p_i^2 >= |p'Pp| is rounding; and so is a fall of this share of reach d^2.
FLAT = 1e-13
ROUNDING = 1e-16


class Matrix(NamedTuple):
    """P, symmetric: rows (n, n) of int8, float32 or float64, or else rows (0, 0) and CSR with float64 data."""

    rows: NDArray[np.generic]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float64]


@helper
def add_row(P, i, d, g):
    """g += d P_i; returns the number of products."""
    k = np.uint64(i)
    if P.rows.shape[0] > 0:
        row = P.rows[k]
        for j in range(g.size):
            g[j] += row[j] * d
        return g.size
    e, end = np.uint64(P.indptr[k]), np.uint64(P.indptr[k + np.uint64(1)])
    count = np.int64(end - e)
    while e < end:
        g[P.indices[e]] += P.data[e] * d
        e += np.uint64(1)
    return count


@helper
def gradient(P, c, u, g):
    """g = Pu + c; returns the number of products."""
    products = 0
    for i in range(u.size):
        g[i] = c[i]
    for i in range(u.size):
        if u[i] != 0.0:
            products += add_row(P, i, u[i], g)
    return products


@helper
def objective(c, u, g):
    """f from u and its gradient."""
    twice = 0.0
    for start in range(0, u.size, SLICE):
        part = 0.0
        for i in range(start, min(start + SLICE, u.size)):
            part += u[i] * (g[i] + c[i])
        twice += part
    return 0.5 * twice


@helper
def best_value(a, bend, b):
    """The exact minimiser of 1/2 a v^2 + b v; bend: a where positive and the variable continuous, else 0."""
    if bend > 0.0:
        return min(max(-b / bend, 0.0), 1.0)
    return 1.0 if b + 0.5 * a < 0.0 else 0.0


@helper
def draw_halves(key, chunk, step, member, words, halves):
    """Fill halves (SPAN,) uint16 with draws SPAN chunk, ...; words (4, SPAN // 64) uint32 is scratch."""
    blocks = SPAN // 64
    philox_blocks(
        key, np.uint64(blocks * chunk), np.uint64(step), np.uint64(member), np.uint64(BOX_NOISE), blocks, words
    )
    pairs = halves.view(np.uint32)
    for b in range(blocks):
        for w in range(4):
            word = words[w, b]
            for k in range(8):
                pairs[32 * b + 8 * w + k] = word + OFFSETS[8 * w + k]
    for j in range(SPAN // 2):
        x = pairs[j]
        x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
        x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
        pairs[j] = x ^ (x >> np.uint32(16))


@helper
def noisy_sweep(P, diagonal, bend, spread, u, g, temperature, key, first, step, member, words, halves, loaded):
    """One annealed move of every coordinate; draws first, first + 1, ... of the round.

    loaded: the chunk of draws that `halves` holds. Returns (moves, products, chunk loaded now).
    """
    moves = products = 0
    chunk, at = first // SPAN, np.uint64(first % SPAN)
    if chunk != loaded:
        draw_halves(key, chunk, step, member, words, halves)
    for k in range(u.size):
        i = np.uint64(k)
        if at == np.uint64(SPAN):
            chunk += 1
            at = np.uint64(0)
            draw_halves(key, chunk, step, member, words, halves)
        noise = np.float64(LOGISTIC[halves[at] >> _SHIFT])
        at += np.uint64(1)
        a = diagonal[i]
        v = best_value(a, bend[i], g[i] - a * u[i] + temperature * spread[i] * noise)
        d = v - u[i]
        if d != 0.0:
            u[i] = v
            moves += 1
            products += add_row(P, i, d, g)
    return moves, products, chunk


@helper
def descend(P, diagonal, bend, reach, u, g, skip):
    """One exact move of every coordinate but `skip`. Returns (largest mean slope of a move beside reach, moves, products)."""
    steep = 0.0
    moves = products = 0
    for k in range(u.size):
        if k == skip:
            continue
        i = np.uint64(k)
        a = diagonal[i]
        v = best_value(a, bend[i], g[i] - a * u[i])
        d = v - u[i]
        if d != 0.0:
            slope = -np.copysign(1.0, d) * (g[i] + 0.5 * a * d)
            # Of two equal ends the one where it is; and nothing below rounding.
            if slope > ROUNDING * reach[i] * abs(d):
                steep = max(steep, slope / reach[i])
                u[i] = v
                moves += 1
                products += add_row(P, i, d, g)
    return steep, moves, products


@helper
def steepest(bend, reach, u, g):
    """The largest |g_i| of the coordinates between their ends, beside reach, and how many there are of them."""
    largest, count = 0.0, 0
    for i in range(u.size):
        if bend[i] > 0.0 and 0.0 < u[i] < 1.0:
            largest = max(largest, abs(g[i]) / reach[i])
            count += 1
    return largest, count


@helper
def conjugate_start(bend, u, g, direction):
    """Begin conjugate gradients on the coordinates between their ends: direction (n,) is 0 elsewhere. Returns r'r/diag."""
    product = 0.0
    for start in range(0, u.size, SLICE):
        part = 0.0
        for i in range(start, min(start + SLICE, u.size)):
            direction[i] = 0.0
            if bend[i] > 0.0 and 0.0 < u[i] < 1.0:
                direction[i] = -g[i] / bend[i]
                part += g[i] * g[i] / bend[i]
        product += part
    return product


@helper
def conjugate_step(P, bend, reach, u, g, direction, image, product):
    """One step of conjugate gradients with the diagonal as preconditioner, cut short where a coordinate meets its end.

    Where f is not convex along the direction, it is followed, downhill, to the first end. image (n,): scratch. product: r'r/diag. Returns (the new product, or -1 where an end
    was met, products added up).
    """
    n = u.size
    products = 0
    for i in range(n):
        image[i] = 0.0
    for i in range(n):
        if direction[i] != 0.0:
            products += add_row(P, i, direction[i], image)
    curvature = largest = slope = 0.0
    for start in range(0, n, SLICE):
        bent = size = down = 0.0
        for i in range(start, min(start + SLICE, n)):
            bent += direction[i] * image[i]
            size += reach[i] * direction[i] * direction[i]
            down += direction[i] * g[i]
        curvature += bent
        largest += size
        slope += down
    sign = 1.0 if slope <= 0.0 else -1.0
    far, which = np.inf, -1
    for i in range(n):
        d = sign * direction[i]
        if d != 0.0:
            room = (1.0 - u[i]) / d if d > 0.0 else -u[i] / d
            if room < far:
                far, which = room, i
    if which < 0:
        return -1.0, products
    step = far
    if curvature > FLAT * largest:
        step = min(far, abs(slope) / curvature)
    met = step == far
    step *= sign
    for i in range(n):
        if direction[i] != 0.0:
            u[i] = min(max(u[i] + step * direction[i], 0.0), 1.0)
        g[i] += step * image[i]
    if met:
        u[which] = 1.0 if sign * direction[which] > 0.0 else 0.0
        return -1.0, products
    after = 0.0
    for start in range(0, n, SLICE):
        part = 0.0
        for i in range(start, min(start + SLICE, n)):
            if direction[i] != 0.0:
                part += g[i] * g[i] / bend[i]
        after += part
    factor = after / product
    for i in range(n):
        if direction[i] != 0.0:
            direction[i] = factor * direction[i] - g[i] / bend[i]
    return after, products
