// Sums over the rows of a symmetric matrix in compressed form, for many states at once: see rows.py.
//
// variants: WEIGHT=int | WEIGHT=double
// budget local_fields 64 registers, 0 bytes
// budget values_from 48 registers, 256 bytes
#include "common.cuh"

// out_i = sum_j w_ij s_j + h_i, summed in the order of the row, of state blockIdx.y of spins (states, n), into out (states, n).
extern "C" __global__ void __launch_bounds__(256) local_fields(
    const int64* indptr, const uint32* indices, const WEIGHT* weights, const WEIGHT* fields, const int8* spins, WEIGHT* out, int64 n) {
    const int8* row = spins + blockIdx.y * n;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64)gridDim.x * blockDim.x) {
        WEIGHT total = fields[i];
        for (int64 e = indptr[i]; e < indptr[i + 1]; ++e) total += weights[e] * row[indices[e]];
        out[blockIdx.y * n + i] = total;
    }
}

// -(sum_{i<j} w s s + sum h s) of state blockIdx.x from its local fields, in integers: values[blockIdx.x] and the number after it, of (states, 2).
extern "C" __global__ void __launch_bounds__(256) values_from(
    const int* local, const int* fields, const int8* spins, int64* values, int64 n) {
    __shared__ int64 partial[32];
    int64 total = 0, state = blockIdx.x;
    for (int64 i = threadIdx.x; i < n; i += blockDim.x) total += spins[state * n + i] * ((int64)local[state * n + i] + fields[i]);
    total = warp_sum(total);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = total;
    __syncthreads();
    if (threadIdx.x > 0) return;
    total = 0;
    for (int w = 0; w < (int)blockDim.x / 32; ++w) total += partial[w];
    values[2 * state] = values[2 * state + 1] = -total / 2;
}
