"""What factorising a sparse symmetric matrix will cost, by eliminating its graph in order of approximate degree, with a limit.

The graph is kept as a quotient graph: eliminating variable p makes one element of all that it touched; a variable's degree is bounded by its variables plus what its
elements have beyond the new one.

Source: Amestoy, Davis and Duff, An approximate minimum degree ordering algorithm, SIAM J. Matrix Anal. Appl. 17 (1996).
"""

from __future__ import annotations

import numpy as np

from .jit import kernel


@kernel
def elimination_cost(start, index, most_flops, most_fill):
    """(flops, entries) of the factor of a matrix with this pattern, or (inf, entries so far) beyond the limits.

    Parameters
    ----------
    start, index
        CSR of the full symmetric pattern, with or without the diagonal.
    most_flops, most_fill
        Where to give up.
    """
    n = start.size - 1
    dense = max(16, int(10 * np.sqrt(n)))
    work = np.empty(index.size + n, np.int32)
    begin, variables, elements = np.zeros(n, np.int64), np.zeros(n, np.int32), np.zeros(n, np.int32)
    gone = np.zeros(n, np.bool_)
    heavy = 0
    for i in range(n):
        if start[i + 1] - start[i] > dense:
            gone[i] = True
            heavy += 1
    free = 0
    degree = np.zeros(n, np.int32)
    for i in range(n):
        begin[i] = free
        if gone[i]:
            continue
        k = free
        for e in range(start[i], start[i + 1]):
            j = index[e]
            if j != i and not gone[j]:
                work[k] = j
                k += 1
        variables[i] = k - free
        degree[i] = k - free
        # One place more, since elements stand in front of the variables.
        free = k + 1
    head, after, before = np.full(n + 1, -1, np.int32), np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    for i in range(n):
        if not gone[i]:
            d = degree[i]
            after[i] = head[d]
            if head[d] >= 0:
                before[head[d]] = i
            head[d] = i
    store = np.empty(int(most_fill) + n + 1, np.int32)
    at, size = np.zeros(n, np.int64), np.zeros(n, np.int32)
    dead = np.zeros(n, np.bool_)
    mark, outside = np.full(n, -1, np.int32), np.zeros(n, np.int64)
    seen = np.full(n, -1, np.int32)
    used, fill, flops = 0, 0.0, 0.0
    left = n - heavy
    low = 0
    while left > 0:
        while head[low] < 0:
            low += 1
        p = head[low]
        head[low] = after[p]
        if after[p] >= 0:
            before[after[p]] = -1
        gone[p] = True
        left -= 1
        # The new element.
        at[p] = used
        k = used
        mark[p] = p
        for e in range(begin[p], begin[p] + elements[p]):
            q = work[e]
            if dead[q]:
                continue
            for t in range(at[q], at[q] + size[q]):
                j = store[t]
                if not gone[j] and mark[j] != p:
                    mark[j] = p
                    store[k] = j
                    k += 1
            dead[q] = True
        for e in range(begin[p] + elements[p], begin[p] + elements[p] + variables[p]):
            j = work[e]
            if not gone[j] and mark[j] != p:
                mark[j] = p
                store[k] = j
                k += 1
        length = k - used
        size[p] = length
        used = k
        fill += length + heavy + 1
        flops += float(length + heavy) ** 2
        if flops > most_flops or fill > most_fill:
            return np.inf, fill
        if length == left:
            break
        # How much of each neighbouring element lies outside the new one.
        for t in range(at[p], used):
            i = store[t]
            for e in range(begin[i], begin[i] + elements[i]):
                q = work[e]
                if dead[q]:
                    continue
                if seen[q] != p:
                    seen[q] = p
                    outside[q] = size[q]
                outside[q] -= 1
        for t in range(at[p], used):
            i = store[t]
            b = begin[i]
            bound = 0
            k = b
            for e in range(b, b + elements[i]):
                q = work[e]
                if dead[q]:
                    continue
                if outside[q] <= 0:
                    continue
                work[k] = q
                k += 1
                bound += outside[q]
            kept = k - b
            first = b + elements[i]
            # Variables are packed behind one free place for the new element.
            count = 0
            for e in range(first, first + variables[i]):
                j = work[e]
                if not gone[j] and mark[j] != p:
                    work[first + count] = j
                    count += 1
            if k == first:
                for e in range(first + count, first, -1):
                    work[e] = work[e - 1]
                work[k] = p
            else:
                work[k] = p
                if k + 1 != first:
                    for e in range(count):
                        work[k + 1 + e] = work[first + e]
            elements[i] = kept + 1
            variables[i] = count
            d = min(left - 1, bound + count + length - 1)
            d = max(d, 0)
            # Move to the list of its new degree.
            if before[i] >= 0:
                after[before[i]] = after[i]
            else:
                head[degree[i]] = after[i]
            if after[i] >= 0:
                before[after[i]] = before[i]
            degree[i] = d
            before[i] = -1
            after[i] = head[d]
            if head[d] >= 0:
                before[head[d]] = i
            head[d] = i
            low = min(low, d)
    # What is left is a clique, with the heavy ones.
    rest = float(left + heavy)
    fill += rest * (rest + 1) / 2
    flops += rest * (rest + 1) * (2 * rest + 1) / 6
    if flops > most_flops or fill > most_fill:
        return np.inf, fill
    return flops, fill
