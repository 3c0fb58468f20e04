"""Sums over the rows of a symmetric matrix in compressed form: indptr (n+1,) int64, indices (e,) uint32, weights (e,), fields (n,) of the weights' type."""

from __future__ import annotations

import numpy as np

from .jit import kernel


@kernel
def local_fields(indptr, indices, weights, fields, spins, out):
    """out_i = sum_j w_ij s_j + h_i of spins (n,) int8."""
    for i in range(fields.size):
        total = fields[i]
        for e in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            total = fields.dtype.type(total + weights[e] * spins[indices[e]])
        out[i] = total


@kernel
def values_from(local, spins, fields, shift, values):
    """-(sum_{i<j} w s s + sum h s) of states spins (r, n), into values (r,), from local (r, width): sum_j w_ij s_j + h_i + shift s_i."""
    n = fields.size
    for r in range(spins.shape[0]):
        both = np.int64(0) * local.dtype.type(0)
        for i in range(np.uint64(n)):
            both += spins[r, i] * (local[r, i] + fields[i])
        values[r] = -(both - shift * n) / 2


@kernel
def largest_row(indptr, weights, fields):
    """The largest of sum_j |w_ij| + |h_i|, as a float64."""
    largest = 0.0
    for i in range(fields.size):
        total = abs(float(fields[i]))
        for e in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            total += abs(float(weights[e]))
        largest = max(largest, total)
    return largest
