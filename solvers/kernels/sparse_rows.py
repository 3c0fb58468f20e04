"""Passes over the stored entries of a CSR matrix that need no room beside it: for presolve and scaling of large programs."""

from __future__ import annotations

from .jit import kernel


@kernel
def row_activities(start, index, value, row, column, l, u, count, least, most, size, place):
    """What rows can add up to, over the variables that are left.

    Parameters
    ----------
    row, column
        Which rows and variables are left.
    count, least, most, size, place : (m,)
        Filled: entries left; least and most activity; the sum of their finite terms' sizes; where the first entry is.
    """
    for i in range(row.size):
        count[i] = 0
        least[i] = most[i] = 0.0
        size[i] = 1.0
        if not row[i]:
            continue
        for e in range(start[i], start[i + 1]):
            j = index[e]
            if not column[j]:
                continue
            if count[i] == 0:
                place[i] = e
            count[i] += 1
            a = value[e]
            low, high = (a * l[j], a * u[j]) if a > 0 else (a * u[j], a * l[j])
            least[i] += low
            most[i] += high
            if abs(low) < 1e300:
                size[i] += abs(low)
            if abs(high) < 1e300:
                size[i] += abs(high)


@kernel
def column_locks(start, index, value, row, AL, AU, touched, up, down):
    """How many rows that are left touch a variable, and how many finite sides would be met by its going up or down."""
    for j in range(touched.size):
        touched[j] = up[j] = down[j] = 0
    for i in range(row.size):
        if not row[i]:
            continue
        below, above = AL[i] > -1e300, AU[i] < 1e300
        for e in range(start[i], start[i + 1]):
            j = index[e]
            touched[j] += 1
            positive = value[e] > 0
            if above if positive else below:
                up[j] += 1
            if below if positive else above:
                down[j] += 1


@kernel
def row_prints(start, index, value, row, column, marks, prints, others, first):
    """Two sums a row over entries divided by its first one: equal for rows that are multiples of each other."""
    for i in range(row.size):
        prints[i] = others[i] = first[i] = 0.0
        if not row[i]:
            continue
        lead = 0.0
        for e in range(start[i], start[i + 1]):
            j = index[e]
            if not column[j]:
                continue
            if lead == 0.0:
                lead = value[e]
            a = value[e] / lead
            prints[i] += a * marks[j]
            others[i] += abs(a) * marks[marks.size - 1 - j]
        first[i] = lead


@kernel
def maxima(start, index, value, left, right, rows, columns):
    """The largest |left_i value_ij right_j| of each row and, taken with what is there, of each column."""
    for i in range(left.size):
        top = 0.0
        for e in range(start[i], start[i + 1]):
            j = index[e]
            a = abs(value[e] * left[i] * right[j])
            top = max(top, a)
            columns[j] = max(columns[j], a)
        rows[i] = top


@kernel
def sums(start, index, value, left, right, rows, columns):
    """The sums of |left_i value_ij right_j| over each row and, added to what is there, over each column."""
    for i in range(left.size):
        total = 0.0
        for e in range(start[i], start[i + 1]):
            j = index[e]
            a = abs(value[e] * left[i] * right[j])
            total += a
            columns[j] += a
        rows[i] = total


@kernel
def scaled(start, index, value, left, right, out):
    """left_i value_ij right_j."""
    for i in range(left.size):
        for e in range(start[i], start[i + 1]):
            out[e] = left[i] * value[e] * right[index[e]]
