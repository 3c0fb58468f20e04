"""Updates of variables and multipliers that live in FN-DAM cells; see `solvers.qp.cells` for what they compute and `fnanneal.fndam` for the cells' law."""

from __future__ import annotations

import math

from .jit import helper, kernel


@helper
def add_row(matrix, dense, row, factor, out):
    """out += factor times a row of a matrix, in CSR or, where `dense` is not empty, in full; how many entries that were."""
    if dense.size > 0:
        entries = dense[row]
        for i in range(out.size):
            out[i] += factor * entries[i]
        return out.size
    indptr, indices, data = matrix
    for e in range(indptr[row], indptr[row + 1]):
        out[indices[e]] += factor * data[e]
    return indptr[row + 1] - indptr[row]


@helper
def pulse(k2, k1, rise, width, voltage):
    """The voltage of a node after a pulse: `Nodes.pulse`."""
    inverse = k2 / (voltage + rise)
    fall = math.log1p(k1 * width * math.exp(-inverse))
    return voltage - k2 * fall / (inverse * (inverse + fall))


@helper
def update(i, change, carry, index, top, most, full, lsb, k2, k1, rise, unit, rest, volts, noise, pulses, ends):
    """Cell i integrates `change` [levels], fires a pulse of whole units if it can, rests, and is read; the change of its reading [levels]."""
    total = carry[i] + change
    if index[i] == 0 and total < 0:
        ends[0, i] += 1
        total = 0.0
    elif index[i] == top and total > 0:
        ends[1, i] += 1
        total = 0.0
    total = min(max(total, -most), most)
    units = math.trunc(total)
    carry[i] = total - units
    if units != 0:
        side = 0 if units > 0 else 1
        volts[side, i] = pulse(k2[side, i], k1[side, i], rise[side, i], unit[side, i] * abs(units), volts[side, i])
        pulses[i] += 1
    volts[0, i] -= rest[0, i]
    volts[1, i] -= rest[1, i]
    level = math.floor((volts[1, i] - volts[0, i] + noise + full) / lsb + 0.5)
    new = min(max(int(level), 0), top)
    moved = new - index[i]
    index[i] = new
    return moved


@kernel
def cell_updates(
    P, At, A, resolution, rate, keep, top, most, full, lsb, k2, k1, rise, unit, rest, volts, carry, index,
    gradient, above, noise, updates, sums, squares, ends, pulses,
):  # fmt: skip
    """`updates` times: x cells take -rate gradient, y cells rate (2 above - above before x moved); changes of readings are sent to gradient and above.

    P, At, A: (CSR, dense) of P, of A's transpose, of A; resolution, rate (n + m,): units a level, and levels a unit of gradient or row; keep: what each
    cell gets an update, a level away from the middle; k2, k1, rise, unit, rest, volts (2, n + m): set and reset nodes, rest being what they lose in an update's
    time; gradient (n,) = Px + q + A'y, above (m,) = Ax - b, in place; noise (updates, n + m) [V] or (0, 0). Adds readings, from the middle, and their squares to sums and
    squares, and to ends how often a cell was held at its first (0, i) or last (1, i) level. Returns how many readings changed, and how many entries those met.
    """
    n, m = gradient.size, above.size
    before = above.copy()
    moved = index.copy()
    spikes, met = 0, 0
    for s in range(updates):
        for r in range(m):
            before[r] = above[r]
        for i in range(n):
            extra = noise[s, i] if noise.size > 0 else 0.0
            change = keep * (index[i] - 0.5 * top) - rate[i] * gradient[i]
            moved[i] = update(
                i, change, carry, index, top, most, full, lsb, k2, k1, rise, unit, rest, volts, extra, pulses, ends
            )
        for i in range(n):
            if moved[i] != 0:
                step = moved[i] * resolution[i]
                spikes += 1
                met += add_row(P[0], P[1], i, step, gradient) + add_row(At[0], At[1], i, step, above)
        for r in range(m):
            i = n + r
            extra = noise[s, i] if noise.size > 0 else 0.0
            change = keep * (index[i] - 0.5 * top) + rate[i] * (2.0 * above[r] - before[r])
            moved[i] = update(
                i, change, carry, index, top, most, full, lsb, k2, k1, rise, unit, rest, volts, extra, pulses, ends
            )
        for r in range(m):
            if moved[n + r] != 0:
                spikes += 1
                met += add_row(A[0], A[1], r, moved[n + r] * resolution[n + r], gradient)
        for i in range(n + m):
            away = index[i] - 0.5 * top
            sums[i] += away
            squares[i] += away * away
    return spikes, met
