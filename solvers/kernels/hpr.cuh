// HPR-QP's steps, restarts and residuals: the stages of `halpern.py`, each a function that a team of warps runs over rows or variables.
//
// Between two stages that read each other's vectors there is a barrier: the end of a launch, or, where a block has a program of its own, __syncthreads.
// Every sum is over the same terms in the same order whatever the size of the team: a row's as `csr.cuh` has it, a vector's over tiles.
#include "csr.cuh"

#define TILE_OF_SUMS 256
#define CHUNK 1024
#define GRID_OF_SIGMA 481
#define LEAST 1e-12

enum Kind { GENERAL, DIAGONAL, ZERO };
// Vectors of a program, n or m long, one after another: its data, the state, the anchors, the bar point, the state before a step (P...), room.
enum Vectors {
    V_COST, V_LOW, V_HIGH, V_CURVATURE, V_SCALE, V_X, V_W, V_T, V_X0, V_W0, V_T0, V_XB, V_ZR, V_TB, V_WB, V_PX, V_PW, V_PT, V_V,
    V_DW, V_DT, V_PDW, V_PDT, V_ROW_LOW, V_ROW_HIGH, V_ROW_SCALE, V_Y, V_Y0, V_YB, V_PY, V_ACTIVITY, V_END
};
#define OF_COLUMNS V_ROW_LOW
enum Scalars { S_SIGMA, S_LAM_A, S_LAM_P, S_INNER, S_ITERATIONS, S_DUE, S_MERIT, S_LAST, S_PREVIOUS, S_BEST, S_BEST_SIGMA, S_SUMS };
// Sums and maxima: the first ones over the variables, from Q_DYDY on over the rows. t stands for A'y.
enum Sums {
    Q_DXDX, Q_DTDX, Q_PDWDX, Q_PDWDT, Q_PDWDW, Q_CURVED, Q_XPX, Q_CX, Q_BOX, Q_DUAL, Q_DUAL_SCALE,
    Q_DYDY, Q_SIDES, Q_PRIMAL, Q_PRIMAL_SCALE, Q_END
};
#define SCALARS (S_SUMS + Q_END)
enum Mode { RESTARTING, FIRST, CHECKING };

struct Program {
    double *vectors, *s, *tiles, *curve, *chunks;
    int64 n, m;
    int kind;
    __device__ __forceinline__ double* at(int which) const {
        return which < OF_COLUMNS ? vectors + which * n : vectors + OF_COLUMNS * n + (which - OF_COLUMNS) * m;
    }
};

__device__ __forceinline__ int64 tiles_of(int64 size) { return (size + TILE_OF_SUMS - 1) / TILE_OF_SUMS; }

__device__ __forceinline__ Program program(int b, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind) {
    double* tiles = room + b * room_step;
    double* curve = tiles + Q_DYDY * tiles_of(n) + (Q_END - Q_DYDY) * tiles_of(m);
    return Program{work + b * (OF_COLUMNS * n + (V_END - OF_COLUMNS) * m), scalars + b * SCALARS, tiles, curve, curve + GRID_OF_SIGMA, n, m, kind};
}

__device__ __forceinline__ void product(Team team, const Program& q, const Matrix& M, int64 rows, int of, int to) {
    double* out = q.at(to);
    each_row(team, M, rows, q.at(of), [&](int64 row, double a) { out[row] = a; });
}

// x and xb of variable j, from (Pw)_j; wb too, still without its last term, and v = A's argument, where P is general without the term of P wb.
__device__ __forceinline__ void primal_of(const Program& q, int64 j, double Pw, double k, bool keep) {
    double s = q.s[S_SIGMA], h1 = 1.0 / (k + 2.0), h2 = 1.0 - h1;
    double x = q.at(V_X)[j];
    double r = x + s * (q.at(V_T)[j] - Pw - q.at(V_COST)[j]);
    double b = clip(r, q.at(V_LOW)[j], q.at(V_HIGH)[j]);
    double h = 2.0 * b - x;
    q.at(V_ZR)[j] = r;
    q.at(V_XB)[j] = b;
    q.at(V_X)[j] = h2 * h + h1 * q.at(V_X0)[j];
    if (keep) q.at(V_PX)[j] = x;
    if (q.kind == ZERO) {
        q.at(V_V)[j] = h;
        return;
    }
    double p = q.kind == DIAGONAL ? q.at(V_CURVATURE)[j] : q.s[S_LAM_P];
    double w = q.at(V_W)[j], f = 1.0 / (1.0 + s * p);
    double g = (1.0 - f) * w + f * h;
    q.at(V_WB)[j] = g;
    q.at(V_V)[j] = q.kind == DIAGONAL ? h + s * (Pw - p * g) : h + s * Pw;
    if (keep) q.at(V_PW)[j] = w;
}

__device__ __forceinline__ void primal(Team team, const Program& q, const Matrix& P, double k, bool keep) {
    if (q.kind == GENERAL) {
        each_row(team, P, q.n, q.at(V_W), [&](int64 j, double a) { primal_of(q, j, a, k, keep); });
    } else {
        bool curved = q.kind == DIAGONAL;
        each(team, q.n, [&](int64 j) { primal_of(q, j, curved ? q.at(V_CURVATURE)[j] * q.at(V_W)[j] : 0.0, k, keep); });
    }
}

__device__ __forceinline__ void inner(Team team, const Program& q, const Matrix& P) {
    double s = q.s[S_SIGMA];
    double* v = q.at(V_V);
    each_row(team, P, q.n, q.at(V_WB), [&](int64 j, double a) { v[j] -= s * a; });
}

__device__ __forceinline__ void rows(Team team, const Program& q, const Matrix& A, double k, bool keep) {
    double ls = q.s[S_LAM_A] * q.s[S_SIGMA], h1 = 1.0 / (k + 2.0), h2 = 1.0 - h1;
    each_row(team, A, q.m, q.at(V_V), [&](int64 i, double a) {
        double y = q.at(V_Y)[i], r = a - ls * y;
        double b = (clip(r, q.at(V_ROW_LOW)[i], q.at(V_ROW_HIGH)[i]) - r) / ls;
        q.at(V_YB)[i] = b;
        q.at(V_Y)[i] = h2 * (2.0 * b - y) + h1 * q.at(V_Y0)[i];
        if (keep) q.at(V_PY)[i] = y;
    });
}

// A'yb, and what waits for it; then, where P has no entry off its diagonal, `primal_of` for the step that follows.
__device__ __forceinline__ void columns(Team team, const Program& q, const Matrix& At, double k, bool keep, bool more, bool keep_next) {
    double s = q.s[S_SIGMA], h1 = 1.0 / (k + 2.0), h2 = 1.0 - h1;
    each_row(team, At, q.n, q.at(V_YB), [&](int64 j, double a) {
        double t = q.at(V_T)[j], w = 0.0, p = 0.0;
        q.at(V_TB)[j] = a;
        q.at(V_T)[j] = h2 * (2.0 * a - t) + h1 * q.at(V_T0)[j];
        if (keep) q.at(V_PT)[j] = t;
        if (q.kind != ZERO) {
            p = q.kind == DIAGONAL ? q.at(V_CURVATURE)[j] : q.s[S_LAM_P];
            double g = q.at(V_WB)[j] + (q.kind == DIAGONAL ? s / (1.0 + s * p) : s * (1.0 / (1.0 + s * p))) * (a - t);
            q.at(V_WB)[j] = g;
            w = h2 * (2.0 * g - q.at(V_W)[j]) + h1 * q.at(V_W0)[j];
            q.at(V_W)[j] = w;
        }
        if (more && q.kind != GENERAL) primal_of(q, j, p * w, k + 1.0, keep_next);
    });
}

// What the bar point is away from the state before the last step, or from the anchors.
__device__ __forceinline__ void differences(Team team, const Program& q, bool anchors) {
    const double *w = q.at(anchors ? V_W0 : V_PW), *t = q.at(anchors ? V_T0 : V_PT);
    each(team, q.n, [&](int64 j) {
        q.at(V_DT)[j] = q.at(V_TB)[j] - t[j];
        if (q.kind != ZERO) q.at(V_DW)[j] = q.at(V_WB)[j] - w[j];
    });
}

__device__ __forceinline__ void store_tile(const Program& q, int which, int64 tile, double value, bool largest) {
    value = gathered(value, largest);
    int64 tn = tiles_of(q.n), tm = tiles_of(q.m);
    double* to = which < Q_DYDY ? q.tiles + which * tn : q.tiles + Q_DYDY * tn + (which - Q_DYDY) * tm;
    if (threadIdx.x % 32 == 0) to[tile] = value;
}

// Sums over tiles of variables.
__device__ __forceinline__ void variable_tiles(Team team, const Program& q, bool anchors, bool full) {
    double s = q.s[S_SIGMA];
    const double* before = q.at(anchors ? V_X0 : V_PX);
    int lane = threadIdx.x % 32;
    for (int64 tile = team.warp; tile < tiles_of(q.n); tile += team.warps) {
        double dxdx = 0, dtdx = 0, pdwdx = 0, pdwdt = 0, pdwdw = 0, curved = 0, xpx = 0, cx = 0, box = 0, dual = 0, scale = 0;
        int64 end = min((tile + 1) * TILE_OF_SUMS, q.n);
#pragma unroll 1
        for (int64 j = tile * TILE_OF_SUMS + lane; j < end; j += 32) {
            double x = q.at(V_XB)[j], dx = x - before[j], dt = q.at(V_DT)[j], px = 0;
            dxdx += dx * dx;
            dtdx += dt * dx;
            if (q.kind != ZERO) {
                double dw = q.at(V_DW)[j], p = q.kind == DIAGONAL ? q.at(V_CURVATURE)[j] : 0.0;
                double pdw = q.kind == DIAGONAL ? p * dw : q.at(V_PDW)[j];
                pdwdx += pdw * dx;
                pdwdt += pdw * dt;
                pdwdw += pdw * (q.kind == DIAGONAL ? pdw : dw);
                curved += q.kind == DIAGONAL ? s * s * p / (1.0 + s * p) * dt * dt : dt * q.at(V_PDT)[j];
                px = q.kind == DIAGONAL ? p * x : full ? q.at(V_V)[j] : 0.0;
            }
            if (full) {
                double c = q.at(V_COST)[j], t = q.at(V_TB)[j], z = (x - q.at(V_ZR)[j]) / s, d = q.at(V_SCALE)[j];
                xpx += x * px;
                cx += c * x;
                if (z != 0.0) box += z * (z < 0.0 ? q.at(V_HIGH)[j] : q.at(V_LOW)[j]);
                dual = larger(dual, fabs(px + c - t - z) / d);
                scale = larger(scale, larger(fabs(px), larger(fabs(c), fabs(t))) / d);
            }
        }
        store_tile(q, Q_DXDX, tile, dxdx, false);
        store_tile(q, Q_DTDX, tile, dtdx, false);
        store_tile(q, Q_PDWDX, tile, pdwdx, false);
        store_tile(q, Q_PDWDT, tile, pdwdt, false);
        store_tile(q, Q_PDWDW, tile, pdwdw, false);
        store_tile(q, Q_CURVED, tile, curved, false);
        store_tile(q, Q_XPX, tile, xpx, false);
        store_tile(q, Q_CX, tile, cx, false);
        store_tile(q, Q_BOX, tile, box, false);
        store_tile(q, Q_DUAL, tile, dual, true);
        store_tile(q, Q_DUAL_SCALE, tile, scale, true);
    }
}

// Sums over tiles of rows.
__device__ __forceinline__ void row_tiles(Team team, const Program& q, bool anchors, bool full) {
    const double* before = q.at(anchors ? V_Y0 : V_PY);
    int lane = threadIdx.x % 32;
    for (int64 tile = team.warp; tile < tiles_of(q.m); tile += team.warps) {
        double dydy = 0, sides = 0, primal = 0, scale = 0;
        int64 end = min((tile + 1) * TILE_OF_SUMS, q.m);
#pragma unroll 1
        for (int64 i = tile * TILE_OF_SUMS + lane; i < end; i += 32) {
            double y = q.at(V_YB)[i], dy = y - before[i];
            dydy += dy * dy;
            if (full) {
                double a = q.at(V_ACTIVITY)[i], low = q.at(V_ROW_LOW)[i], high = q.at(V_ROW_HIGH)[i], e = q.at(V_ROW_SCALE)[i];
                if (y != 0.0) sides += y * (y < 0.0 ? high : low);
                primal = larger(primal, fabs(a - clip(a, low, high)) / e);
                double size = larger(fabs(a), larger(is_finite(low) ? fabs(low) : 0.0, is_finite(high) ? fabs(high) : 0.0));
                scale = larger(scale, size / e);
            }
        }
        store_tile(q, Q_DYDY, tile, dydy, false);
        store_tile(q, Q_SIDES, tile, sides, false);
        store_tile(q, Q_PRIMAL, tile, primal, true);
        store_tile(q, Q_PRIMAL_SCALE, tile, scale, true);
    }
}

__device__ __forceinline__ void tiles(Team team, const Program& q, bool anchors, bool full) {
    variable_tiles(team, q, anchors, full);
    row_tiles(team, q, anchors, full);
}

// The tiles' sums, a warp each.
__device__ __forceinline__ void totals(Team team, const Program& q) {
    int64 tn = tiles_of(q.n), tm = tiles_of(q.m);
    for (int64 which = team.warp; which < Q_END; which += team.warps) {
        bool largest = which == Q_DUAL || which == Q_DUAL_SCALE || which == Q_PRIMAL || which == Q_PRIMAL_SCALE;
        const double* from = which < Q_DYDY ? q.tiles + which * tn : q.tiles + Q_DYDY * tn + (which - Q_DYDY) * tm;
        double value = of_tiles(from, which < Q_DYDY ? tn : tm, largest);
        if (threadIdx.x % 32 == 0) q.s[S_SUMS + which] = value;
    }
}

// `Halpern._merit` from the sums.
__device__ __forceinline__ double merit_of(const Program& q) {
    const double* sum = q.s + S_SUMS;
    double s = q.s[S_SIGMA], lam_P = q.s[S_LAM_P];
    double value = sum[Q_DXDX] / s + 2.0 * sum[Q_DTDX], dual = s * q.s[S_LAM_A] * sum[Q_DYDY];
    if (q.kind == ZERO) {
        value = at_least(value + dual, 0.0);
    } else {
        value -= 2.0 * sum[Q_PDWDX];
        double rest = dual - 2.0 * s * sum[Q_PDWDT];
        rest += s * (q.kind == DIAGONAL ? sum[Q_PDWDW] : lam_P * sum[Q_PDWDW]);
        value = at_least(value + at_least(rest, 0.0), 0.0);
        value += q.kind == DIAGONAL ? sum[Q_CURVED] : s * s / (1.0 + s * lam_P) * sum[Q_CURVED];
    }
    return is_finite(value) ? sqrt(value) : INFINITE;
}

// After so many steps, by one thread: the merit, and at a check whether to restart, which is `Halpern._restart_due`.
__device__ __forceinline__ void judge(const Program& q, int mode, int steps, int check) {
    double* s = q.s;
    s[S_INNER] += steps;
    s[S_ITERATIONS] += steps;
    double merit = merit_of(q);
    if (mode == FIRST) {
        if (s[S_DUE] != 0.0) {
            s[S_LAST] = merit;
            s[S_PREVIOUS] = INFINITE;
        }
        return;
    }
    s[S_MERIT] = merit;
    if (merit < s[S_BEST]) {
        s[S_BEST] = merit;
        s[S_BEST_SIGMA] = s[S_SIGMA];
    }
    bool due = s[S_ITERATIONS] <= check || merit <= 0.2 * s[S_LAST] || (merit <= 0.8 * s[S_LAST] && merit > s[S_PREVIOUS]);
    if (!due) {
        s[S_PREVIOUS] = merit;
        due = s[S_INNER] >= 0.2 * s[S_ITERATIONS];
    }
    s[S_DUE] = due ? 1.0 : 0.0;
}

// The term of a diagonal P in the cost of each sigma.
__device__ __forceinline__ void curve(Team team, const Program& q, const double* grid) {
    int lane = threadIdx.x % 32;
    for (int64 k = team.warp; k < GRID_OF_SIGMA; k += team.warps) {
        double g = grid[k], sum = 0.0;
        for (int64 j = lane; j < q.n; j += 32) {
            double p = q.at(V_CURVATURE)[j], dt = q.at(V_DT)[j];
            sum += g * g * p / (1.0 + g * p) * dt * dt;
        }
        sum = warp_sum(sum);
        if (lane == 0) q.curve[k] = sum;
    }
}

// The sigma of a restart, by one warp; the library's exp and log, whose last digit decides nothing.
__device__ __forceinline__ void choose(const Program& q, const double* grid) {
    double *s = q.s, *sum = q.s + S_SUMS;
    double b = at_least(sum[Q_DXDX], LEAST), a = s[S_LAM_A] * sum[Q_DYDY];
    if (q.kind != ZERO) a += -2.0 * sum[Q_PDWDT] + (q.kind == DIAGONAL ? sum[Q_PDWDW] : s[S_LAM_P] * sum[Q_PDWDW]);
    a = at_least(a, LEAST);
    double least = INFINITE;
    int best = GRID_OF_SIGMA;
    for (int k = threadIdx.x % 32; k < GRID_OF_SIGMA; k += 32) {
        double g = grid[k], cost = a * g + b / g;
        if (q.kind == GENERAL) cost += sum[Q_CURVED] * (g * g) / (1.0 + s[S_LAM_P] * g);
        if (q.kind == DIAGONAL) cost += q.curve[k];
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    for (int reach = 16; reach; reach >>= 1) {
        double other = __shfl_xor_sync(ALL_LANES, least, reach);
        int where = __shfl_xor_sync(ALL_LANES, best, reach);
        if (other < least || (other == least && where < best)) {
            least = other;
            best = where;
        }
    }
    if (threadIdx.x % 32) return;
    double estimate = best < GRID_OF_SIGMA ? grid[best] : s[S_SIGMA];
    double ratio = s[S_BEST] > 0.0 && is_finite(s[S_MERIT]) ? s[S_MERIT] / s[S_BEST] : 1.0;
    double share = exp(-0.05 * ratio);
    s[S_SIGMA] = exp(share * log(estimate) + (1.0 - share) * log(s[S_BEST_SIGMA]));
    s[S_INNER] = 0.0;
}

// The bar point becomes the state and the anchor.
__device__ __forceinline__ void move(Team team, const Program& q) {
    each(team, q.n, [&](int64 j) {
        q.at(V_X)[j] = q.at(V_X0)[j] = q.at(V_XB)[j];
        q.at(V_T)[j] = q.at(V_T0)[j] = q.at(V_TB)[j];
        if (q.kind != ZERO) q.at(V_W)[j] = q.at(V_W0)[j] = q.at(V_WB)[j];
    });
    each(team, q.m, [&](int64 i) { q.at(V_Y)[i] = q.at(V_Y0)[i] = q.at(V_YB)[i]; });
}
