// HPR-QP (`halpern.py`) for programs of one shape: `active` lists those that run. Either a launch a stage, the programs side by side along y,
// or, for small ones, a block a program and all steps between two checks in one launch.
#include "hpr.cuh"

// budget hpr_far 64 registers, 0 bytes
// budget hpr_primal 64 registers, 0 bytes
// budget hpr_inner 64 registers, 0 bytes
// budget hpr_rows 64 registers, 0 bytes
// budget hpr_columns 64 registers, 0 bytes
// budget hpr_differences 64 registers, 0 bytes
// budget hpr_product 64 registers, 0 bytes
// budget hpr_tiles 176 registers, 0 bytes
// budget hpr_totals 64 registers, 0 bytes
// budget hpr_curve 64 registers, 0 bytes
// budget hpr_choose 64 registers, 0 bytes
// budget hpr_move 64 registers, 0 bytes
// budget hpr_steps 128 registers, 0 bytes

#define PROGRAM program(active[blockIdx.y], work, scalars, room, room_step, n, m, kind)

// Chunks of the long rows of a matrix times vector `of`.
extern "C" __global__ void __launch_bounds__(256) hpr_far(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, int restarting,
    const int* ints, const double* value, int64 value_step, int64 size, int lanes, int longs, int of) {
    Program q = PROGRAM;
    if (restarting && q.s[S_DUE] == 0.0) return;
    far_rows(grid_team(), matrix(ints, value + active[blockIdx.y] * value_step, q.chunks, size, lanes, longs), q.at(of));
}

extern "C" __global__ void __launch_bounds__(256) hpr_product(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, int restarting,
    const int* ints, const double* value, int64 value_step, int64 size, int lanes, int longs, int of, int to) {
    Program q = PROGRAM;
    if (restarting && q.s[S_DUE] == 0.0) return;
    product(grid_team(), q, matrix(ints, value + active[blockIdx.y] * value_step, q.chunks, size, lanes, longs), size, of, to);
}

// Step number `step` of this launch's row of steps, from the x of the last one on.
extern "C" __global__ void __launch_bounds__(256) hpr_primal(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind,
    const int* ints, const double* value, int64 value_step, int lanes, int longs, int step, int keep) {
    Program q = PROGRAM;
    primal(grid_team(), q, matrix(ints, value + active[blockIdx.y] * value_step, q.chunks, n, lanes, longs), q.s[S_INNER] + step, keep);
}

extern "C" __global__ void __launch_bounds__(256) hpr_inner(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind,
    const int* ints, const double* value, int64 value_step, int lanes, int longs) {
    Program q = PROGRAM;
    inner(grid_team(), q, matrix(ints, value + active[blockIdx.y] * value_step, q.chunks, n, lanes, longs));
}

extern "C" __global__ void __launch_bounds__(256) hpr_rows(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind,
    const int* ints, const double* value, int64 value_step, int lanes, int longs, int step, int keep) {
    Program q = PROGRAM;
    rows(grid_team(), q, matrix(ints, value + active[blockIdx.y] * value_step, q.chunks, m, lanes, longs), q.s[S_INNER] + step, keep);
}

extern "C" __global__ void __launch_bounds__(256) hpr_columns(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind,
    const int* ints, const double* value, int64 value_step, int lanes, int longs, int step, int keep, int more, int keep_next) {
    Program q = PROGRAM;
    Matrix At = matrix(ints, value + active[blockIdx.y] * value_step, q.chunks, n, lanes, longs);
    columns(grid_team(), q, At, q.s[S_INNER] + step, keep, more, keep_next);
}

extern "C" __global__ void __launch_bounds__(256) hpr_differences(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, int restarting) {
    Program q = PROGRAM;
    if (restarting && q.s[S_DUE] == 0.0) return;
    differences(grid_team(), q, restarting);
}

extern "C" __global__ void __launch_bounds__(256, 1) hpr_tiles(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, int restarting, int full) {
    Program q = PROGRAM;
    if (restarting && q.s[S_DUE] == 0.0) return;
    tiles(grid_team(), q, restarting, full);
}

// A block a program.
extern "C" __global__ void __launch_bounds__(512) hpr_totals(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, int mode, int steps, int check) {
    Program q = PROGRAM;
    if (mode == RESTARTING && q.s[S_DUE] == 0.0) return;
    totals(block_team(), q);
    __syncthreads();
    if (mode != RESTARTING && threadIdx.x == 0) judge(q, mode, steps, check);
}

extern "C" __global__ void __launch_bounds__(256) hpr_curve(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, const double* grid) {
    Program q = PROGRAM;
    if (q.s[S_DUE] != 0.0) curve(grid_team(), q, grid);
}

// A warp a program.
extern "C" __global__ void __launch_bounds__(32) hpr_choose(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind, const double* grid) {
    Program q = PROGRAM;
    if (q.s[S_DUE] != 0.0) choose(q, grid);
}

extern "C" __global__ void __launch_bounds__(256) hpr_move(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind) {
    Program q = PROGRAM;
    if (q.s[S_DUE] != 0.0) move(grid_team(), q);
}

__device__ __forceinline__ void far_and_sync(Team team, const Program& q, const Matrix& M, int of) {
    if (M.longs == 0) return;
    far_rows(team, M, q.at(of));
    __syncthreads();
}

// So many steps from number `step` on, a block a program; with `held`, its vectors lie in shared memory meanwhile.
extern "C" __global__ void __launch_bounds__(256, 2) hpr_steps(
    const int* active, double* work, double* scalars, double* room, int64 room_step, int64 n, int64 m, int kind,
    const int* P_ints, const double* P_value, int64 P_step, int P_lanes, int P_longs,
    const int* A_ints, const double* A_value, int64 A_step, int A_lanes, int A_longs,
    const int* At_ints, const double* At_value, int64 At_step, int At_lanes, int At_longs, int step, int steps, int held) {
    DYNAMIC_SHARED(pool);
    int b = active[blockIdx.x];
    Program q = program(b, work, scalars, room, room_step, n, m, kind);
    Matrix P = matrix(P_ints, P_value + b * P_step, q.chunks, n, P_lanes, P_longs), A = matrix(A_ints, A_value + b * A_step, q.chunks, m, A_lanes, A_longs);
    Matrix At = matrix(At_ints, At_value + b * At_step, q.chunks, n, At_lanes, At_longs);
    Team team = block_team();
    double* home = q.vectors;
    int64 size = OF_COLUMNS * n + (V_END - OF_COLUMNS) * m;
    if (held) {
        q.vectors = (double*)pool;
        for (int64 k = threadIdx.x; k < size; k += blockDim.x) q.vectors[k] = home[k];
        __syncthreads();
    }
    double first = q.s[S_INNER] + step;
    for (int k = 0; k < steps; ++k) {
        bool keep = k == steps - 1;
        if (kind == GENERAL || k == 0) {
            if (kind == GENERAL) far_and_sync(team, q, P, V_W);
            primal(team, q, P, first + k, keep);
            __syncthreads();
        }
        if (kind == GENERAL) {
            far_and_sync(team, q, P, V_WB);
            inner(team, q, P);
            __syncthreads();
        }
        far_and_sync(team, q, A, V_V);
        rows(team, q, A, first + k, keep);
        __syncthreads();
        far_and_sync(team, q, At, V_YB);
        columns(team, q, At, first + k, keep, !keep, k == steps - 2);
        __syncthreads();
    }
    if (held) {
        for (int64 k = threadIdx.x; k < size; k += blockDim.x) home[k] = q.vectors[k];
    }
}
