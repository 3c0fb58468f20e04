"""One pass over the entries of a matrix, for what a box system needs of them."""

from __future__ import annotations

from .jit import kernel


@kernel
def multiples(data, step):
    """Whether each entry is an integer from -127 to 127 times step, exactly."""
    for k in range(data.size):
        whole = round(data[k] / step)
        if abs(whole) > 127 or whole * step != data[k]:
            return False
    return True


@kernel
def sizes(data):
    """The smallest and the largest |entry|."""
    least = largest = abs(data[0])
    for k in range(data.size):
        size = abs(data[k])
        least = min(least, size)
        largest = max(largest, size)
    return least, largest


@kernel
def row_sums(indptr, indices, data, diagonal, squares, sums, below):
    """Of each row (n,): the diagonal entry; of the others the sum of squares and of negative entries; of all the sum of sizes."""
    for i in range(diagonal.size):
        square = total = negative = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            w = data[e]
            total += abs(w)
            if indices[e] == i:
                diagonal[i] = w
            else:
                square += w * w
                negative += min(w, 0.0)
        squares[i] = square
        sums[i] = total
        below[i] = negative


@kernel
def fill_rows(indptr, indices, data, rows):
    """Scatter the entries into rows (n, n), zeros so far."""
    for i in range(rows.shape[0]):
        for e in range(indptr[i], indptr[i + 1]):
            rows[i, indices[e]] = data[e]
