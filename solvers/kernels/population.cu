// Populations of dense chains: values of lineages, the best of an island, resampling. See rows.values_from, population.State.keep and resample.py.
#include "exp.cuh"
#include "philox.cuh"

// variants: FIELD=int8 EXTERNAL=int | FIELD=short EXTERNAL=int | FIELD=int EXTERNAL=int | FIELD=double EXTERNAL=double
// budget chain_values 48 registers, 0 bytes
// budget choose 80 registers, 528 bytes

#define READS 32

// The terms of a lane's spins: integers in any order, floats in the order of the spins, which a warp can take 32 at a time.
__device__ __forceinline__ int64 warp_total(int64 total, int64 term, int count) {
    return total + warp_sum(term);
}
__device__ __forceinline__ double warp_total(double total, double term, int count) {
    for (int l = 0; l < count; ++l) total += __shfl_sync(ALL_LANES, term, l);
    return total;
}

template <class T> struct Wide {
    typedef int64 Sum;
};
template <> struct Wide<double> {
    typedef double Sum;
};
typedef Wide<FIELD>::Sum Sum;

// -(sum_{i<j} w s s + sum h s) of chains, from their fields, which hold shift s_i more. spins (chains, width/32) words, local (chains, width), external (n,).
extern "C" __global__ void __launch_bounds__(128)
chain_values(const uint32* spins, const FIELD* local, const EXTERNAL* external, double* values, int64 chains, int n, int width, int64 shift) {
    int lane = threadIdx.x % 32;
    int64 chain = (int64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (chain >= chains) return;
    Sum both = 0;
    for (int begin = 0; begin < n; begin += 32) {
        Sum term = 0;
        int i = begin + lane;
        if (i < n) {
            Sum field = (Sum)local[chain * width + i] + (Sum)external[i];
            term = spins[chain * (width / 32) + begin / 32] >> lane & 1 ? field : -field;
        }
        both = warp_total(both, term, min(32, n - begin));
    }
    if (lane == 0) values[chain] = (double)-(both - (Sum)(shift * n)) / 2;
}

// `resample.resample`.
__device__ __forceinline__ void resample(const double* values, double slope, double uniform, int* copies, int* source) {
    double top = values[0], total = 0, reached = 0;
    for (int k = 1; k < READS; ++k) top = max(top, values[k]);
    for (int k = 0; k < READS; ++k) total += exp_negative(slope * (values[k] - top));
    int taken = 0, spare = 0;
    for (int k = 0; k < READS; ++k) {
        copies[k] = 0;
        reached += exp_negative(slope * (values[k] - top));
        for (; taken < READS && (taken + uniform) * total < reached * READS; ++taken) ++copies[k];
    }
    // Rounding may leave the last mark beyond the last sum.
    copies[READS - 1] += READS - taken;
    for (int k = 0; k < READS; ++k) {
        source[k] = k;
        if (copies[k] == 0) {
            while (copies[spare] < 2) ++spare;
            source[k] = spare;
            --copies[spare];
        }
    }
}

template <class T> __device__ __forceinline__ void copy_row(T* to, const T* from, int count) {
    for (int j = threadIdx.x; j < count; j += blockDim.x) to[j] = from[j];
}

// A block an island: keep its best state so far, best (islands, width/32), and with resampling=1 copy good lineages over bad ones. place, round: counters of the uniform number.
extern "C" __global__ void __launch_bounds__(256)
choose(const double* values, const uint32* islands, double* best_values, uint32* best, uint32* spins, FIELD* local, int width, int resampling, double slope, uint64 key,
       uint32 place, uint32 round) {
    __shared__ double own[READS];
    __shared__ int copies[READS], source[READS], winner;
    int64 island = blockIdx.x;
    int words = width / 32;
    spins += island * READS * words;
    local += island * READS * width;
    if (threadIdx.x < READS) own[threadIdx.x] = values[island * READS + threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) {
        int r = 0;
        for (int k = 1; k < READS; ++k)
            if (own[k] > own[r]) r = k;
        winner = own[r] > best_values[island] ? r : -1;
        if (winner >= 0) best_values[island] = own[r];
        if (resampling) {
            double uniform = philox(key, place, round, islands[island], CROSS).w0 / 4294967296.0;
            resample(own, slope, uniform, copies, source);
        }
    }
    __syncthreads();
    if (winner >= 0) copy_row(best + island * words, spins + winner * words, words);
    if (!resampling) return;
    // The winner itself may be replaced.
    __syncthreads();
    for (int k = 0; k < READS; ++k) {
        int from = source[k];
        if (from == k) continue;
        copy_row(spins + k * words, spins + from * words, words);
        copy_row((uint4*)(local + (int64)k * width), (const uint4*)(local + (int64)from * width), (int)(width * sizeof(FIELD) / 16));
    }
}
