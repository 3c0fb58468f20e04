"""NeuroSA's spike rule, one neuron a step.

    p uniform;  gain = s_p (sum_j w_pj s_j + h_p) + shift_p;  mu = T(n) ln(scale u + floor);  spike iff gain > mu:  s_p <- -s_p
    T(n) = c / log1p(k n + k0 - 1), an FN cell's voltage

Source: Chen et al., Nat. Commun. 16 (2025). The law is kept exactly; only the work is arranged otherwise. Since mu depends on the step
through T alone, the spike condition for an integer gain is u < b(T), b = (exp(gain/T) - floor)/scale; b is tabulated at both ends of a
block of steps, and only a u between the two values (about one in a thousand) needs the logarithms. What decides then is `exceeds`, whose
logarithms are the same on every machine; everything else decides only what lies so far from the threshold that no rounding matters.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import helper, kernel
from .log import ln, ln_plus_one
from .philox import STEP, philox_blocks

BATCH = 512
TABLE = 256
BLOCK = 4096
_MARGIN = 1e-9


@helper
def exceeds(gain, c, start, slope, step, x):
    """The rule: whether gain > T(step) ln(x)."""
    return gain > c / ln_plus_one(start + slope * step) * ln(x)


@helper
def _spikes(gain, hot, cold, c, start, slope, step, x):
    """`exceeds`, mostly by a rougher logarithm; T(step) lies between cold and hot."""
    rough = math.log(x)
    a, z = hot * rough, cold * rough
    slack = _MARGIN * abs(a)
    # Where one of them is infinite or NaN, neither comparison holds.
    if gain > max(a, z) + slack:
        return True
    if gain <= min(a, z) - slack:
        return False
    return exceeds(gain, c, start, slope, step, x)


@helper
def _temperature(c, start, slope, step):
    return c / math.log1p(start + slope * step)


@helper
def _probability(gain, temperature, scale, floor):
    return (math.exp(gain / temperature) - floor) / scale


@kernel
def neurosa_steps(
    indptr,
    indices,
    weights,
    spins,
    fields,
    shift,
    best,
    journal,
    gains,
    counts,
    largest,
    timers,
    scale,
    floor,
    key,
    read,
    first,
    steps,
):
    """Steps first, ..., first + steps - 1 of one read.

    indptr (n+1,) int64, indices (2m,) uint32, weights (2m,) int32 or float64: the couplings, both directions.
    spins (n,) int8, fields (n,) of the weights' kind: the state, kept up to date; fields = sum_j w_pj s_j + h_p. shift (n,): of that kind.
    best (n,) int8: the spins of the greatest gain so far. journal (n,) int32: spins flipped since.
    gains (2,): total of s_p fields_p over the spikes, now and at best. counts (3,) int64: length of the journal (n + 1: overflown), spikes, synaptic events.
    largest: bound on |gain| if it is an integer, else -1. timers (1, 3) or (n, 3): c, k0 - 1, k, of one timer for all or of each neuron's own.
    key: uint64.
    """
    n = spins.size
    wide = np.uint64(n)
    half = np.uint64(32)
    one = np.uint64(1)
    own = np.uint32(timers.shape[0] > 1)
    c, start, slope = timers[0, 0], timers[0, 1], timers[0, 2]
    log_scale, log_floor = math.log(scale + floor), math.log(floor)
    hot, cold = math.inf, math.inf
    words = np.empty((4, BATCH), np.uint32)
    chosen = np.empty(BATCH, np.uint32)
    draw = np.empty(BATCH, np.float64)
    low = np.empty(TABLE, np.float64)
    high = np.empty(TABLE, np.float64)
    total, top = gains[0], gains[1]
    length, spikes, events = counts[0], counts[1], counts[2]
    base = 0
    span = 0
    table_end = first
    done = first
    # With timers of their own, all neurons are decided by their draws.
    sure, never = math.inf, -math.inf
    while done < first + steps:
        # A batch ends where the counter's low word would wrap, so that its blocks are consecutive.
        batch = min(BATCH, first + steps - done, 2**32 - done % 2**32)
        philox_blocks(
            key, np.uint64(done % 2**32), np.uint64(done // 2**32), np.uint64(read), np.uint64(STEP), batch, words
        )
        for b in range(batch):
            w0, w1 = np.uint64(words[0, b]), np.uint64(words[1, b])
            chosen[b] = (w1 * wide + ((w0 * wide) >> half)) >> half
            draw[b] = (
                np.uint64(words[2, b]) * np.uint64(2097152) + (np.uint64(words[3, b]) >> np.uint64(11))
            ) * 2.0**-53
        if done >= table_end and own == 0:
            table_end = min(done + BLOCK, first + steps)
            hot = _temperature(c, start, slope, done)
            cold = _temperature(c, start, slope, table_end)
            # |mu| <= these, and gains beyond them are decided without a draw.
            never, sure = hot * log_floor * (1 + _MARGIN), hot * max(log_scale, 0.0) * (1 + _MARGIN)
            span = 0
            if largest >= 0 and cold > 0 and max(sure, -never) < 2**30:
                down = min(largest, int(-never) + 1)
                up = min(largest, int(sure) + 1)
                if down + up + 1 <= TABLE:
                    base, span = down, down + up + 1
                    for k in range(span):
                        a = _probability(k - down, hot, scale, floor)
                        z = _probability(k - down, cold, scale, floor)
                        less, more = min(a, z), max(a, z)
                        low[k] = less * (1 - math.copysign(_MARGIN, less)) - _MARGIN * floor / scale
                        high[k] = more * (1 + math.copysign(_MARGIN, more)) + _MARGIN * floor / scale
        for b in range(batch):
            p = chosen[b]
            s = spins[p]
            change = s * fields[p]
            gain = change + shift[p]
            if span > 0:
                k = np.int64(gain) + base
                if k < 0:
                    continue
                if k < span:
                    u = draw[b]
                    if u >= high[k]:
                        continue
                    if not u < low[k] and not exceeds(gain, c, start, slope, done + b, scale * u + floor):
                        continue
            else:
                if gain <= never:
                    continue
                if not gain > sure:
                    x = scale * draw[b] + floor
                    if own > 0:
                        c, start, slope = timers[p, 0], timers[p, 1], timers[p, 2]
                        hot = cold = _temperature(c, start, slope, done + b)
                    if not _spikes(gain, hot, cold, c, start, slope, done + b, x):
                        continue
            spikes += 1
            total += change
            spins[p] = -s
            if length < n:
                journal[length] = p
                length += 1
            else:
                length = n + 1
            twice = weights.dtype.type(-2 * s)
            e, end = np.uint64(indptr[p]), np.uint64(indptr[p + np.uint32(1)])
            events += np.int64(end - e)
            while e < end:
                fields[indices[e]] += twice * weights[e]
                e += one
            if total > top:
                top = total
                if length > n:
                    for k in range(spins.size):  # a slice would take seconds to compile
                        best[k] = spins[k]
                else:
                    for k in range(length):
                        best[journal[k]] = spins[journal[k]]
                length = 0
        done += batch
    gains[0], gains[1] = total, top
    counts[0], counts[1], counts[2] = length, spikes, events
