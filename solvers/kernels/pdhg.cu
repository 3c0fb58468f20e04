// Accelerated PDHG (`accelerated.py`, and its twin pdhg.py) for one program: two launches a step, `rows` and `columns`.
#include "csr.cuh"

// budget pdhg_far 64 registers, 0 bytes
// budget pdhg_product 64 registers, 0 bytes
// budget pdhg_ahead 56 registers, 0 bytes
// budget pdhg_rows 64 registers, 0 bytes
// budget pdhg_columns 64 registers, 0 bytes
// budget pdhg_tiles 96 registers, 0 bytes
// budget pdhg_totals 48 registers, 0 bytes

#define TILE_OF_SUMS 256

// Vectors, n or m long, one after another. MIDDLE is there twice, since P reads one while the next is made.
enum Vectors {
    V_COST, V_LOW, V_HIGH, V_SCALE, V_X, V_BEFORE, V_X_MEAN, V_X0, V_MIDDLE, V_OTHER, V_AHEAD, V_PX, V_T, V_Z,
    V_ROW_LOW, V_ROW_HIGH, V_ROW_SCALE, V_Y, V_Y_MEAN, V_Y0, V_ACTIVITY, V_END
};
#define OF_COLUMNS V_ROW_LOW
enum Sums { Q_DUAL_SQUARE, Q_DXDX, Q_XPX, Q_CX, Q_BOX, Q_DUAL, Q_DUAL_SCALE, Q_PRIMAL_SQUARE, Q_DYDY, Q_SIDES, Q_PRIMAL, Q_PRIMAL_SCALE, Q_END };
#define OF_VARIABLES Q_PRIMAL_SQUARE

__device__ __forceinline__ double* vector_at(double* work, int64 n, int64 m, int which) {
    return which < OF_COLUMNS ? work + which * n : work + OF_COLUMNS * n + (which - OF_COLUMNS) * m;
}
#define AT(which) vector_at(work, n, m, which)

extern "C" __global__ void __launch_bounds__(256) pdhg_far(
    double* work, double* chunks, int64 n, int64 m, const int* ints, const double* value, int64 size, int lanes, int longs, int of) {
    far_rows(grid_team(), matrix(ints, value, chunks, size, lanes, longs), AT(of));
}

extern "C" __global__ void __launch_bounds__(256) pdhg_product(
    double* work, double* chunks, int64 n, int64 m, const int* ints, const double* value, int64 size, int lanes, int longs, int of, int to) {
    double* out = AT(to);
    each_row(grid_team(), matrix(ints, value, chunks, size, lanes, longs), size, AT(of), [&](int64 row, double a) { out[row] = a; });
}

// What a step multiplies by: `middle` by P, `ahead` by A.
__device__ __forceinline__ void ahead_of(double* work, int64 n, int64 m, int64 j, double k, int middle, double x, double before, double mean) {
    double share = 2.0 / (k + 1.0);
    AT(middle)[j] = (1.0 - share) * mean + share * x;
    AT(V_AHEAD)[j] = x + (k - 1.0) / k * (x - before);
}

// Before inner step k, from 1 on.
extern "C" __global__ void __launch_bounds__(256) pdhg_ahead(double* work, int64 n, int64 m, int64 k) {
    each(grid_team(), n, [&](int64 j) { ahead_of(work, n, m, j, k, k & 1 ? V_OTHER : V_MIDDLE, AT(V_X)[j], AT(V_BEFORE)[j], AT(V_X_MEAN)[j]); });
}

extern "C" __global__ void __launch_bounds__(256) pdhg_rows(
    double* work, double* chunks, int64 n, int64 m, const int* ints, const double* value, int lanes, int longs, int64 k, double tau) {
    double t = k * tau, share = 2.0 / (k + 1.0);
    each_row(grid_team(), matrix(ints, value, chunks, m, lanes, longs), m, AT(V_AHEAD), [&](int64 i, double a) {
        double y = AT(V_Y)[i], mean = AT(V_Y_MEAN)[i];
        double b = y - t * (a - clip(a - y / t, AT(V_ROW_LOW)[i], AT(V_ROW_HIGH)[i]));
        AT(V_Y)[i] = b;
        AT(V_Y_MEAN)[i] = mean + share * (b - mean);
    });
}

// x, from A'y and P middle; the two matrices have as many lanes, and `chunks` of their own. With `more`, what the next step multiplies by.
extern "C" __global__ void __launch_bounds__(256, 4) pdhg_columns(
    double* work, double* P_chunks, double* At_chunks, int64 n, int64 m, const int* P_ints, const double* P_value, int P_longs,
    const int* At_ints, const double* At_value, int At_longs, int lanes, int64 k, double eta, int more) {
    double e = k * eta, share = 2.0 / (k + 1.0);
    int now = k & 1 ? V_OTHER : V_MIDDLE, next = k & 1 ? V_MIDDLE : V_OTHER;
    Matrix P = matrix(P_ints, P_value, P_chunks, n, lanes, P_longs), At = matrix(At_ints, At_value, At_chunks, n, lanes, At_longs);
    Team team = grid_team();
    int lane = threadIdx.x % 32, own = lane % lanes, per = 32 / lanes;
#pragma unroll 1
    for (int64 base = team.warp * per; base < n; base += team.warps * per) {
        int64 j = base + lane / lanes;
        double t = dot(At, j, j < n, AT(V_Y), own), p = dot(P, j, j < n, AT(now), own);
        if (j >= n || own) continue;
        double x = AT(V_X)[j], mean = AT(V_X_MEAN)[j];
        double b = clip(x - e * (AT(V_COST)[j] - t + p), AT(V_LOW)[j], AT(V_HIGH)[j]);
        mean += share * (b - mean);
        AT(V_BEFORE)[j] = x;
        AT(V_X)[j] = b;
        AT(V_X_MEAN)[j] = mean;
        if (more) ahead_of(work, n, m, j, k + 1.0, next, b, x, mean);
    }
}

__device__ __forceinline__ void leave(double* tiles, int64 tile, double value, bool largest) {
    value = gathered(value, largest);
    if (threadIdx.x % 32 == 0) tiles[tile] = value;
}

// Sums over tiles for `Accelerated._error` at the means, and the multipliers of the bounds there.
extern "C" __global__ void __launch_bounds__(256) pdhg_tiles(double* work, double* tiles, int64 n, int64 m) {
    Team team = grid_team();
    int lane = threadIdx.x % 32;
    int64 tn = (n + TILE_OF_SUMS - 1) / TILE_OF_SUMS, tm = (m + TILE_OF_SUMS - 1) / TILE_OF_SUMS;
    for (int64 tile = team.warp; tile < tn; tile += team.warps) {
        double square = 0, dxdx = 0, xpx = 0, cx = 0, box = 0, dual = 0, scale = 0;
        int64 end = min((tile + 1) * TILE_OF_SUMS, n);
#pragma unroll 1
        for (int64 j = tile * TILE_OF_SUMS + lane; j < end; j += 32) {
            double x = AT(V_X_MEAN)[j], px = AT(V_PX)[j], c = AT(V_COST)[j], t = AT(V_T)[j], d = AT(V_SCALE)[j];
            double low = AT(V_LOW)[j], high = AT(V_HIGH)[j], g = px + c - t, dx = x - AT(V_X0)[j];
            double z = g > 0.0 ? (is_finite(low) ? g : 0.0) : g < 0.0 ? (is_finite(high) ? g : 0.0) : g;
            AT(V_Z)[j] = z;
            square += (g - z) * (g - z);
            dxdx += dx * dx;
            xpx += x * px;
            cx += c * x;
            if (z != 0.0) box += z * (z < 0.0 ? high : low);
            dual = larger(dual, fabs(g - z) / d);
            scale = larger(scale, larger(fabs(px), larger(fabs(c), fabs(t))) / d);
        }
        leave(tiles + Q_DUAL_SQUARE * tn, tile, square, false);
        leave(tiles + Q_DXDX * tn, tile, dxdx, false);
        leave(tiles + Q_XPX * tn, tile, xpx, false);
        leave(tiles + Q_CX * tn, tile, cx, false);
        leave(tiles + Q_BOX * tn, tile, box, false);
        leave(tiles + Q_DUAL * tn, tile, dual, true);
        leave(tiles + Q_DUAL_SCALE * tn, tile, scale, true);
    }
    double* of_rows = tiles + OF_VARIABLES * tn;
    for (int64 tile = team.warp; tile < tm; tile += team.warps) {
        double square = 0, dydy = 0, sides = 0, primal = 0, scale = 0;
        int64 end = min((tile + 1) * TILE_OF_SUMS, m);
#pragma unroll 1
        for (int64 i = tile * TILE_OF_SUMS + lane; i < end; i += 32) {
            double a = AT(V_ACTIVITY)[i], low = AT(V_ROW_LOW)[i], high = AT(V_ROW_HIGH)[i], e = AT(V_ROW_SCALE)[i];
            double y = AT(V_Y_MEAN)[i], dy = y - AT(V_Y0)[i], v = a - clip(a, low, high);
            square += v * v;
            dydy += dy * dy;
            double side = y < 0.0 ? high : low;
            if (y != 0.0 && is_finite(side)) sides += y * side;
            primal = larger(primal, fabs(v) / e);
            double size = larger(fabs(a), larger(is_finite(low) ? fabs(low) : 0.0, is_finite(high) ? fabs(high) : 0.0));
            scale = larger(scale, size / e);
        }
        leave(of_rows, tile, square, false);
        leave(of_rows + (Q_DYDY - OF_VARIABLES) * tm, tile, dydy, false);
        leave(of_rows + (Q_SIDES - OF_VARIABLES) * tm, tile, sides, false);
        leave(of_rows + (Q_PRIMAL - OF_VARIABLES) * tm, tile, primal, true);
        leave(of_rows + (Q_PRIMAL_SCALE - OF_VARIABLES) * tm, tile, scale, true);
    }
}

// One block: sums, a warp each.
extern "C" __global__ void __launch_bounds__(512) pdhg_totals(const double* tiles, double* sums, int64 n, int64 m) {
    Team team = block_team();
    int64 tn = (n + TILE_OF_SUMS - 1) / TILE_OF_SUMS, tm = (m + TILE_OF_SUMS - 1) / TILE_OF_SUMS;
    for (int64 which = team.warp; which < Q_END; which += team.warps) {
        bool largest = which == Q_DUAL || which == Q_DUAL_SCALE || which == Q_PRIMAL || which == Q_PRIMAL_SCALE;
        const double* from = which < OF_VARIABLES ? tiles + which * tn : tiles + OF_VARIABLES * tn + (which - OF_VARIABLES) * tm;
        double value = of_tiles(from, which < OF_VARIABLES ? tn : tm, largest);
        if (threadIdx.x % 32 == 0) sums[which] = value;
    }
}
