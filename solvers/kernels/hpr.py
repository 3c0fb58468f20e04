"""Steps of HPR-QP (`solvers.qp.hpr` has the method), fused so that a step reads each stored entry of P and of A once.

Row j of P gives (Pw)_j, which is all that x_j, xb_j and wb_j wait for; while it is at hand, P being symmetric, wb_j times the same entries goes into P wb. Row i of A
gives a_i, which is all that yb_i waits for; then yb_i times the same entries goes into A'yb.
"""

from __future__ import annotations

from .jit import kernel

GENERAL, DIAGONAL, ZERO = 0, 1, 2


@kernel
def hpr_steps(
    steps, first, sigma, lam_A, lam_P, kind,
    P_start, P_index, P_value, p, A_start, A_index, A_value, c, AL, AU, l, u,
    x, w, y, Aty, x0, w0, y0, Aty0,
    xb, wb, yb, Atyb, zr, px, pw_old, py, pAty,
    Pw, Pwb, v,
):  # fmt: skip
    """`steps` steps from inner step `first` on.

    Parameters
    ----------
    kind
        GENERAL, DIAGONAL (of `p`) or ZERO.
    x, w, Aty : (n,), y : (m,)
        The state, updated; with 0: the anchors.
    xb, wb, Atyb, zr : (n,), yb : (m,)
        Of the last step.
    px, pw_old, pAty : (n,), py : (m,)
        The state before the last step.
    Pw, Pwb, v : (n,)
        Room.
    """
    n, m = x.size, y.size
    s = sigma
    f = 1.0 / (1.0 + s * lam_P)
    ls = lam_A * s
    for t in range(steps):
        k = first + t
        h1 = 1.0 / (k + 2.0)
        h2 = 1.0 - h1
        if t == steps - 1:
            px[:] = x
            pw_old[:] = w
            py[:] = y
            pAty[:] = Aty
        if kind == GENERAL:
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
        elif kind == DIAGONAL:
            for j in range(n):
                q = p[j] * w[j]
                r = x[j] + s * (Aty[j] - q - c[j])
                b = min(max(r, l[j]), u[j])
                h = 2.0 * b - x[j]
                fj = 1.0 / (1.0 + s * p[j])
                g = (1.0 - fj) * w[j] + fj * h
                zr[j] = r
                xb[j] = b
                wb[j] = g
                v[j] = h + s * (q - p[j] * g)
                x[j] = h2 * h + h1 * x0[j]
        else:
            for j in range(n):
                r = x[j] + s * (Aty[j] - c[j])
                b = min(max(r, l[j]), u[j])
                h = 2.0 * b - x[j]
                zr[j] = r
                xb[j] = b
                v[j] = h
                x[j] = h2 * h + h1 * x0[j]
        for j in range(n):
            Atyb[j] = 0.0
        for i in range(m):
            a = 0.0
            for e in range(A_start[i], A_start[i + 1]):
                a += A_value[e] * v[A_index[e]]
            r = a - ls * y[i]
            b = (min(max(r, AL[i]), AU[i]) - r) / ls
            yb[i] = b
            y[i] = h2 * (2.0 * b - y[i]) + h1 * y0[i]
            if b != 0.0:
                for e in range(A_start[i], A_start[i + 1]):
                    Atyb[A_index[e]] += A_value[e] * b
        if kind == ZERO:
            for j in range(n):
                Aty[j] = h2 * (2.0 * Atyb[j] - Aty[j]) + h1 * Aty0[j]
        else:
            for j in range(n):
                fj = f if kind == GENERAL else 1.0 / (1.0 + s * p[j])
                g = wb[j] + s * fj * (Atyb[j] - Aty[j])
                wb[j] = g
                w[j] = h2 * (2.0 * g - w[j]) + h1 * w0[j]
                Aty[j] = h2 * (2.0 * Atyb[j] - Aty[j]) + h1 * Aty0[j]
