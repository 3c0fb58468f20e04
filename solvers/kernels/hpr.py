"""Steps of HPR-QP (`solvers.qp.halpern` has the method), fused so that a step reads each stored entry of P and of A once.

Row j of P gives (Pw)_j, which is all that x_j, xb_j and wb_j wait for; while it is at hand, P being symmetric, wb_j times the same entries goes into P wb. Row i of A
gives a_i, which is all that yb_i waits for; then yb_i times the same entries goes into A'yb.

There is a kernel for a general P, one for a diagonal P and one for none; all have the same arguments:

    steps, first           so many steps, from this inner step on
    sigma, lam_A, lam_P
    P, p, A                start, index, value; the diagonal p; start, index, value
    c, AL, AU, l, u
    x, w, y, Aty           the state, updated; with 0: the anchors
    xb, wb, yb, Atyb, zr   of the last step
    px, pw, py, pAty       the state before the last step
    Pwb, v                 room
"""

from __future__ import annotations

from .jit import helper, kernel


@helper
def keep(x, w, y, Aty, px, pw, py, pAty):
    """The state before a step. (Loops: slices would take two seconds more to compile.)"""
    for j in range(x.size):
        px[j], pw[j], pAty[j] = x[j], w[j], Aty[j]
    for i in range(y.size):
        py[i] = y[i]


@helper
def rows_pass(start, index, value, v, ls, AL, AU, y, y0, yb, Atyb, h1, h2):
    """yb from A v and y, then y; and A'yb."""
    for j in range(Atyb.size):
        Atyb[j] = 0.0
    for i in range(y.size):
        a = 0.0
        for e in range(start[i], start[i + 1]):
            a += value[e] * v[index[e]]
        r = a - ls * y[i]
        b = (min(max(r, AL[i]), AU[i]) - r) / ls
        yb[i] = b
        y[i] = h2 * (2.0 * b - y[i]) + h1 * y0[i]
        if b != 0.0:
            for e in range(start[i], start[i + 1]):
                Atyb[index[e]] += value[e] * b


@kernel
def hpr_general(
    steps, first, sigma, lam_A, lam_P, P_start, P_index, P_value, p, A_start, A_index, A_value, c, AL, AU, l, u,
    x, w, y, Aty, x0, w0, y0, Aty0, xb, wb, yb, Atyb, zr, px, pw, py, pAty, Pwb, v,
):  # fmt: skip
    """With a symmetric P, both triangles stored."""
    n, s = x.size, sigma
    f = 1.0 / (1.0 + s * lam_P)
    for k in range(first, first + steps):
        h1 = 1.0 / (k + 2.0)
        h2 = 1.0 - h1
        if k == first + steps - 1:
            keep(x, w, y, Aty, px, pw, py, pAty)
        for j in range(n):
            Pwb[j] = 0.0
        for j in range(n):
            q = 0.0
            for e in range(P_start[j], P_start[j + 1]):
                q += P_value[e] * w[P_index[e]]
            r = x[j] + s * (Aty[j] - q - c[j])
            b = min(max(r, l[j]), u[j])
            h = 2.0 * b - x[j]
            g = (1.0 - f) * w[j] + f * h
            zr[j] = r
            xb[j] = b
            wb[j] = g
            v[j] = h + s * q
            x[j] = h2 * h + h1 * x0[j]
            for e in range(P_start[j], P_start[j + 1]):
                Pwb[P_index[e]] += P_value[e] * g
        for j in range(n):
            v[j] -= s * Pwb[j]
        rows_pass(A_start, A_index, A_value, v, lam_A * s, AL, AU, y, y0, yb, Atyb, h1, h2)
        for j in range(n):
            g = wb[j] + s * f * (Atyb[j] - Aty[j])
            wb[j] = g
            w[j] = h2 * (2.0 * g - w[j]) + h1 * w0[j]
            Aty[j] = h2 * (2.0 * Atyb[j] - Aty[j]) + h1 * Aty0[j]


@kernel
def hpr_diagonal(
    steps, first, sigma, lam_A, lam_P, P_start, P_index, P_value, p, A_start, A_index, A_value, c, AL, AU, l, u,
    x, w, y, Aty, x0, w0, y0, Aty0, xb, wb, yb, Atyb, zr, px, pw, py, pAty, Pwb, v,
):  # fmt: skip
    """With P = diag(p), and an f for each variable."""
    n, s = x.size, sigma
    for k in range(first, first + steps):
        h1 = 1.0 / (k + 2.0)
        h2 = 1.0 - h1
        if k == first + steps - 1:
            keep(x, w, y, Aty, px, pw, py, pAty)
        for j in range(n):
            q = p[j] * w[j]
            r = x[j] + s * (Aty[j] - q - c[j])
            b = min(max(r, l[j]), u[j])
            h = 2.0 * b - x[j]
            f = 1.0 / (1.0 + s * p[j])
            g = (1.0 - f) * w[j] + f * h
            zr[j] = r
            xb[j] = b
            wb[j] = g
            v[j] = h + s * (q - p[j] * g)
            x[j] = h2 * h + h1 * x0[j]
        rows_pass(A_start, A_index, A_value, v, lam_A * s, AL, AU, y, y0, yb, Atyb, h1, h2)
        for j in range(n):
            g = wb[j] + s / (1.0 + s * p[j]) * (Atyb[j] - Aty[j])
            wb[j] = g
            w[j] = h2 * (2.0 * g - w[j]) + h1 * w0[j]
            Aty[j] = h2 * (2.0 * Atyb[j] - Aty[j]) + h1 * Aty0[j]


@kernel
def hpr_linear(
    steps, first, sigma, lam_A, lam_P, P_start, P_index, P_value, p, A_start, A_index, A_value, c, AL, AU, l, u,
    x, w, y, Aty, x0, w0, y0, Aty0, xb, wb, yb, Atyb, zr, px, pw, py, pAty, Pwb, v,
):  # fmt: skip
    """With P = 0: a linear program; w is not used."""
    n, s = x.size, sigma
    for k in range(first, first + steps):
        h1 = 1.0 / (k + 2.0)
        h2 = 1.0 - h1
        if k == first + steps - 1:
            keep(x, w, y, Aty, px, pw, py, pAty)
        for j in range(n):
            r = x[j] + s * (Aty[j] - c[j])
            b = min(max(r, l[j]), u[j])
            h = 2.0 * b - x[j]
            zr[j] = r
            xb[j] = b
            v[j] = h
            x[j] = h2 * h + h1 * x0[j]
        rows_pass(A_start, A_index, A_value, v, lam_A * s, AL, AU, y, y0, yb, Atyb, h1, h2)
        for j in range(n):
            Aty[j] = h2 * (2.0 * Atyb[j] - Aty[j]) + h1 * Aty0[j]
