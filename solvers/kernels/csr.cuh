// Products of sparse matrices, stored by rows, with vectors, by a team of warps; see `solvers/cuda/csr.py`.
//
// A row's sum is over the same terms in the same order whatever the size of the team: over `lanes` lanes, then a tree; of a long row over its chunks.
#include "common.cuh"

// As in csr.py.
#define LONG 64
#define INFINITE __longlong_as_double(0x7FF0000000000000ll)

struct Team {
    int64 warp, warps;
};
__device__ __forceinline__ Team block_team() { return Team{threadIdx.x / 32, blockDim.x / 32}; }
__device__ __forceinline__ Team grid_team() {
    int64 each = blockDim.x / 32;
    return Team{blockIdx.x * each + threadIdx.x / 32, gridDim.x * each};
}

// Rows of a sparse matrix. Long ones, listed in `far`, are cut into chunks: number k has those from chunk[k] on, chunk c the entries from[c] to until[c], and
// chunks[c] is for its sum.
struct Matrix {
    const int *start, *far, *chunk, *from, *until, *index;
    const double* value;
    double* chunks;
    int lanes, longs;
};

__device__ __forceinline__ Matrix matrix(const int* ints, const double* value, double* chunks, int64 rows, int lanes, int longs) {
    const int* far = ints + rows + 1;
    const int* chunk = far + longs;
    int count = longs ? __ldg(chunk + longs) : 0;
    const int* from = chunk + longs + 1;
    return Matrix{ints, far, chunk, from, from + count, from + 2 * count, value, chunks, lanes, longs};
}

// NaN stays NaN in all of these.
__device__ __forceinline__ double clip(double r, double low, double high) {
    double b = r < low ? low : r;
    return b > high ? high : b;
}
__device__ __forceinline__ double at_least(double a, double least) { return a < least ? least : a; }
__device__ __forceinline__ double larger(double a, double b) { return a > b || a != a ? a : b; }
__device__ __forceinline__ bool is_finite(double a) { return fabs(a) <= 1.7976931348623157e308; }

// A warp's sum, or its largest, in every lane.
__device__ __forceinline__ double gathered(double value, bool largest) {
    for (int reach = 16; reach; reach >>= 1) {
        double other = __shfl_xor_sync(ALL_LANES, value, reach);
        value = largest ? larger(value, other) : value + other;
    }
    return value;
}

// The sum, or the largest, of what tiles have left, by a warp.
__device__ __forceinline__ double of_tiles(const double* from, int64 count, bool largest) {
    double value = 0.0;
    for (int64 k = threadIdx.x % 32; k < count; k += 32) value = largest ? larger(value, from[k]) : value + from[k];
    return gathered(value, largest);
}

// Chunks of long rows times v.
__device__ __forceinline__ void far_rows(Team team, const Matrix& M, const double* v) {
    int lane = threadIdx.x % 32;
    int64 count = M.chunk[M.longs];
    for (int64 c = team.warp; c < count; c += team.warps) {
        double a = 0.0;
        for (int e = M.from[c] + lane; e < M.until[c]; e += 32) a += __ldg(M.value + e) * v[__ldg(M.index + e)];
        a = warp_sum(a);
        if (lane == 0) M.chunks[c] = a;
    }
}

// A row times v, in each of its lanes; long rows from their chunks.
__device__ __forceinline__ double dot(const Matrix& M, int64 row, bool there, const double* v, int lane) {
    double a = 0.0;
    if (there) {
        int begin = __ldg(M.start + row), end = __ldg(M.start + row + 1);
        if (M.longs == 0 || end - begin <= LONG * M.lanes) {
            for (int e = begin + lane; e < end; e += M.lanes) a += __ldg(M.value + e) * v[__ldg(M.index + e)];
        } else {
            int k = 0;
            for (int high = M.longs - 1; k < high;) {
                int middle = (k + high) / 2;
                if (__ldg(M.far + middle) < row) k = middle + 1;
                else high = middle;
            }
            for (int c = __ldg(M.chunk + k) + lane; c < __ldg(M.chunk + k + 1); c += M.lanes) a += M.chunks[c];
        }
    }
    for (int reach = M.lanes / 2; reach; reach /= 2) a += __shfl_xor_sync(ALL_LANES, a, reach);
    return a;
}

// f(row, the row times v) in one lane a row.
template <class F> __device__ __forceinline__ void each_row(Team team, const Matrix& M, int64 rows, const double* v, F f) {
    int lane = threadIdx.x % 32, own = lane % M.lanes, per = 32 / M.lanes;
#pragma unroll 1
    for (int64 base = team.warp * per; base < rows; base += team.warps * per) {
        int64 row = base + lane / M.lanes;
        double a = dot(M, row, row < rows, v, own);
        if (row < rows && own == 0) f(row, a);
    }
}

template <class F> __device__ __forceinline__ void each(Team team, int64 size, F f) {
#pragma unroll 1
    for (int64 j = team.warp * 32 + threadIdx.x % 32; j < size; j += team.warps * 32) f(j);
}
