"""Steps of accelerated PDHG (`solvers.qp.accelerated` has the method): a step reads each stored entry of P and of A once."""

from __future__ import annotations

from .jit import kernel


@kernel
def pdhg_steps(
    steps, first, tau, eta, P_start, P_index, P_value, A_start, A_index, A_value, c, AL, AU, l, u,
    x, y, x_before, x_mean, y_mean, middle, ahead, Aty,
):  # fmt: skip
    """`steps` steps from inner step `first` (from 1) on.

    Parameters
    ----------
    tau, eta
        Dual and primal step sizes at inner step 1; they grow in proportion to it.
    x, x_before, x_mean : (n,), y, y_mean : (m,)
        The state, updated.
    middle, ahead, Aty : (n,)
        Room.
    """
    n, m = x.size, y.size
    for k in range(first, first + steps):
        theta = (k - 1.0) / k
        share = 2.0 / (k + 1.0)
        t, e = k * tau, k * eta
        for j in range(n):
            middle[j] = (1.0 - share) * x_mean[j] + share * x[j]
            ahead[j] = x[j] + theta * (x[j] - x_before[j])
            Aty[j] = 0.0
        for i in range(m):
            a = 0.0
            for q in range(A_start[i], A_start[i + 1]):
                a += A_value[q] * ahead[A_index[q]]
            r = a - y[i] / t
            b = y[i] - t * (a - min(max(r, AL[i]), AU[i]))
            y[i] = b
            y_mean[i] += share * (b - y_mean[i])
            if b != 0.0:
                for q in range(A_start[i], A_start[i + 1]):
                    Aty[A_index[q]] += A_value[q] * b
        for j in range(n):
            g = c[j] - Aty[j]
            for q in range(P_start[j], P_start[j + 1]):
                g += P_value[q] * middle[P_index[q]]
            b = min(max(x[j] - e * g, l[j]), u[j])
            x_before[j] = x[j]
            x[j] = b
            x_mean[j] += share * (b - x_mean[j])
