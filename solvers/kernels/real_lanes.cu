// Sweeps of float lanes: the twin of real_lanes.py, bit for bit.
//
// Group 2 k + half holds lanes 32 half, ..., 32 half + 31 of island k: one word a spin, a bit a lane, 1 where the lane's spin is up. A thread has 8 lanes of a
// spin, one byte of its word, so that what is read an edge serves 8 sums and no thread writes where another does.
#include "noise.cuh"

// budget real_sweeps 64 registers, 0 bytes
// budget real_phase 64 registers, 16 bytes

#define PER 8
#define PARTS 4

// What all sweeps of a launch have in common.
struct Rows {
    const int64* indptr;
    const uint32* edges;  // (e, 2): the byte number of the neighbour's word, and the bits of the float 2 w_ij
    const float* totals;
};

// A group's own: what the draws are numbered by, and the temperatures of the thread's lanes.
struct Sweep {
    uint64 key;
    uint32 island, number;
    int half, part;
    float temperature[PER];
};

__device__ __forceinline__ void set_temperatures(Sweep& sweep, const float* row) {
#pragma unroll
    for (int l = 0; l < PER; ++l) sweep.temperature[l] = row[PER * (PARTS * sweep.half + sweep.part) + l];
}

// Test spin i in the thread's lanes; returns how many flip.
__device__ __forceinline__ int test_spin(uint8* words, const Rows& rows, const Sweep& sweep, int i) {
    uint8* bytes = words + sweep.part;
    float total[PER];
    float up = rows.totals[i];
#pragma unroll
    for (int l = 0; l < PER; ++l) total[l] = up;
    const uint2* edges = (const uint2*)rows.edges;
    int64 end = rows.indptr[i + 1];
#pragma unroll 4
    for (int64 e = rows.indptr[i]; e < end; ++e) {
        uint2 edge = edges[e];
        float value = __uint_as_float(edge.y);
        uint32 byte = bytes[edge.x];
#pragma unroll
        for (int l = 0; l < PER; ++l)
            if (!(byte >> l & 1)) total[l] -= value;
    }
    Words draws = philox(sweep.key, (uint32)i, sweep.number, sweep.island, CHAIN);
    uint32 low = sweep.half ? draws.w2 : draws.w0, high = sweep.half ? draws.w3 : draws.w1;
    uint32 word = sweep.part & 2 ? high : low;
    uint32 own = bytes[4 * (int64)i], flips = 0;
#pragma unroll
    for (int l = 0; l < PER; l += 2) {
        uint32 both = chain_pair(word, (uint32)(PER * (PARTS * sweep.half + sweep.part) + l) / 2);
        float first = unit_noise(both & 0xFFFFu) * sweep.temperature[l];
        float second = unit_noise(both >> 16) * sweep.temperature[l + 1];
        if ((own >> l & 1 ? total[l] : -total[l]) >= -first) flips |= 1u << l;
        if ((own >> (l + 1) & 1 ? total[l + 1] : -total[l + 1]) >= -second) flips |= 2u << l;
    }
    bytes[4 * (int64)i] = (uint8)(own ^ flips);
    return __popc(flips);
}

// All sweeps of group blockIdx.x, its words in shared memory: lengths[k] of them from number firsts[k] on.
//
// order (n,): the spins, those of a phase from bounds[phase] on; no two of them have an edge. temperatures (islands, longest, 64). counts (islands,): flips, added to.
extern "C" __global__ void __launch_bounds__(1024) real_sweeps(
    uint32* words, const int64* indptr, const uint32* edges, const float* totals, const int* order, const int* bounds, int phases,
    int n,
    const uint32* islands, const uint32* firsts, const int* lengths, const float* temperatures, int longest,
    uint64* counts, uint64 key) {
    DYNAMIC_SHARED(shared);
    uint32* spins = (uint32*)shared;
    uint32* mine = words + (int64)blockIdx.x * n;
    int k = (int)blockIdx.x / 2, length = lengths[k];
    if (length == 0) return;
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) spins[i] = mine[i];
    __syncthreads();
    Rows rows{indptr, edges, totals};
    Sweep sweep;
    sweep.key = key;
    sweep.island = islands[k];
    sweep.half = (int)blockIdx.x % 2;
    sweep.part = (int)threadIdx.x % PARTS;
    int stride = (int)blockDim.x / PARTS;
    uint64 flips = 0;
    for (int t = 0; t < length; ++t) {
        sweep.number = firsts[k] + (uint32)t;
        set_temperatures(sweep, temperatures + ((int64)k * longest + t) * 64);
        for (int phase = 0; phase < phases; ++phase) {
            int end = bounds[phase + 1];
            for (int q = bounds[phase] + (int)threadIdx.x / PARTS; q < end; q += stride)
                flips += (uint64)test_spin((uint8*)spins, rows, sweep, order[q]);
            __syncthreads();
        }
    }
    for (int i = (int)threadIdx.x; i < n; i += (int)blockDim.x) mine[i] = spins[i];
    flips = warp_sum(flips);
    if (threadIdx.x % 32 == 0) atomicAdd(&counts[k], flips);
}

// The spins begin to end - 1 of the order, all of one phase, in sweep `step` of group blockIdx.y, whose words stay where they are.
extern "C" __global__ void __launch_bounds__(256) real_phase(
    uint32* words, const int64* indptr, const uint32* edges, const float* totals, const int* order, int begin, int end, int step,
    int n,
    const uint32* islands, const uint32* firsts, const int* lengths, const float* temperatures, int longest,
    uint64* counts, uint64 key) {
    __shared__ uint32 flipped;
    int k = (int)blockIdx.y / 2;
    if (step >= lengths[k]) return;
    if (threadIdx.x == 0) flipped = 0;
    __syncthreads();
    Rows rows{indptr, edges, totals};
    Sweep sweep;
    sweep.key = key;
    sweep.island = islands[k];
    sweep.number = firsts[k] + (uint32)step;
    sweep.half = (int)blockIdx.y % 2;
    sweep.part = (int)threadIdx.x % PARTS;
    set_temperatures(sweep, temperatures + ((int64)k * longest + step) * 64);
    int64 q = begin + ((int64)blockIdx.x * blockDim.x + threadIdx.x) / PARTS;
    uint32 flips = 0;
    if (q < end) flips = (uint32)test_spin((uint8*)(words + (int64)blockIdx.y * n), rows, sweep, order[q]);
    flips = warp_sum(flips);
    if (threadIdx.x % 32 == 0) atomicAdd(&flipped, flips);
    __syncthreads();
    if (threadIdx.x == 0 && flipped) atomicAdd(&counts[k], (uint64)flipped);
}
