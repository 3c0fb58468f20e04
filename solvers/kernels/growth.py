"""Steps of the growth-transform dynamics; matrices in CSR, the neurons' potentials v (n,) in (-1, 1)."""

from __future__ import annotations

from .jit import helper, kernel

# A potential of just 1 could never leave it: 1 - v^2 would be 0.
INSIDE = 1.0 - 1e-12


@helper
def row_product(indptr, indices, data, row, v):
    """One entry of a product with a CSR matrix."""
    total = 0.0
    for e in range(indptr[row], indptr[row + 1]):
        total += data[e] * v[indices[e]]
    return total


@helper
def drive(Q, dense, b, v, force):
    """b - Qv, Q symmetric; `dense` is Q where few of its entries are 0, else empty."""
    n = v.size
    if dense.size == 0:
        for i in range(n):
            force[i] = b[i] - row_product(Q[0], Q[1], Q[2], i, v)
        return
    for i in range(n):
        force[i] = b[i]
    # Rows added up four at a time: no sum is reordered, so the inner loop needs no leave to become SIMD code.
    four = n - n % 4
    for j in range(0, four, 4):
        v0, v1, v2, v3 = v[j], v[j + 1], v[j + 2], v[j + 3]
        q0, q1, q2, q3 = dense[j], dense[j + 1], dense[j + 2], dense[j + 3]
        for i in range(n):
            force[i] -= (q0[i] * v0 + q1[i] * v1) + (q2[i] * v2 + q3[i] * v3)
    for j in range(four, n):
        vj, qj = v[j], dense[j]
        for i in range(n):
            force[i] -= qj[i] * vj


@kernel
def growth_steps(
    Q,
    dense,
    b,
    D,
    c,
    two_sided,
    psi,
    lam,
    mix,
    v,
    step,
    steps,
    sums,
    spikes,
    record,
    kept,
    record_v,
    record_f,
    record_s,
):
    """Steps `step`, ..., step + steps - 1 of

        G = b - Qv - sum_r psi_r s_r D_r,   s_r = 1 where D_r v > c_r, else -1 in two-sided rows, else 0
        v <- mix (G + lam v)/(v G + lam) + (1 - mix) v

    Q, D: (indptr, indices, data); dense: as in `drive`; v (n,) in place; sums (n,) and spikes (rows,) add up v and s after and in each step. Every `record` steps (0: never),
    v, the objective and the spikes since are kept, before the step, in row `kept` and on of the record. Returns kept, spikes fired, couplings they met.
    """
    n, rows = v.size, c.size
    force = b.copy()
    fired, met = 0, 0
    for k in range(step, step + steps):
        drive(Q, dense, b, v, force)
        if record > 0 and k % record == 0:
            value = 0.0
            for i in range(n):
                record_v[kept, i] = v[i]
                value -= 0.5 * v[i] * (b[i] + force[i])
            record_f[kept] = value
            kept += 1
            record_s[kept] = 0
        for r in range(rows):
            above = row_product(D[0], D[1], D[2], r, v) - c[r]
            spike = 1 if above > 0 else (-1 if two_sided[r] else 0)
            if spike != 0:
                for e in range(D[0][r], D[0][r + 1]):
                    force[D[1][e]] -= spike * psi[r] * D[2][e]
                spikes[r] += spike
                fired += 1
                met += D[0][r + 1] - D[0][r]
                if record > 0:
                    record_s[kept, r] += spike
        for i in range(n):
            new = mix * (force[i] + lam[i] * v[i]) / (v[i] * force[i] + lam[i]) + (1.0 - mix) * v[i]
            v[i] = min(max(new, -INSIDE), INSIDE)
            sums[i] += v[i]
    return kept, fired, met
