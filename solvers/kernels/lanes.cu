// Metropolis sweeps of the lanes: see lanes.py, whose spins these are.
//
// Lanes 32 h to 32 h + 31 of an island are a group, number 2 island + h; words[group n + i] holds spin i of its lanes, a bit each, set where it is up.
// A thread tests one spin in all lanes of a group. Where d is the spin's number of edges, an edge of weight w counting |w| times and a field h as |h| edges
// to a spin that is up, and D how many of them are not satisfied, the loss of a flip is
//
//     loss = 2 D - d;    flip iff loss <= 0 or u < c_loss
//
// which is the rule `loss <= noise` of lanes.py, since c_k falls with k. D is counted in bit planes by full adders, and the planes are turned into a byte a
// lane for the look-up of c. Spins of one phase have no edge among them. They are given to the threads in slices of 32, so that the k-th neighbours of a slice
// lie side by side; a spin with fewer neighbours than others of its slice has itself as the rest, which is never unsatisfied.
//
// variants: PLANES=4 | PLANES=6 | PLANES=8 | PLANES=15
// budget lane_sweeps 128 registers, 1024 bytes
// budget lane_phase 64 registers, 0 bytes
// budget lane_thresholds 40 registers, 0 bytes
#include "exp.cuh"
#include "philox.cuh"

#define ROW 33
#define ALWAYS 65536u
#define GOLDEN 0x9E3779B9u
#define NEGATIVE 0x80000000u
// Whether the table has a row for every loss, from -base to base, so that nothing need be held within bounds.
#define WHOLE (PLANES <= 6)

__device__ __forceinline__ uint32 sum3(uint32 a, uint32 b, uint32 c) { return a ^ b ^ c; }
__device__ __forceinline__ uint32 carry3(uint32 a, uint32 b, uint32 c) { return (a & b) | (c & (a | b)); }

// plane <- its sum with two more bits a lane; returns the carry.
__device__ __forceinline__ uint32 add_two(uint32& plane, uint32 x, uint32 y) {
    uint32 carry = carry3(plane, x, y);
    plane = sum3(plane, x, y);
    return carry;
}

// Add bits of weight 2**FROM to the planes.
template <int FROM> __device__ __forceinline__ void ripple(uint32* planes, uint32 carry) {
#pragma unroll
    for (int p = FROM; p < PLANES; ++p) {
        uint32 next = planes[p] & carry;
        planes[p] ^= carry;
        carry = next;
    }
}

// Whether the edge of an entry is unsatisfied, in each lane. An entry is where the neighbour's word is, in bytes, with NEGATIVE where the weight is.
__device__ __forceinline__ uint32 unsatisfied(const uint32* words, uint32 entry, uint32 own) {
    return *(const uint32*)((const unsigned char*)words + (entry & ~NEGATIVE)) ^ own ^ (uint32)((int)entry >> 31);
}

// Bits of a stand where mask is set, of b elsewhere.
__device__ __forceinline__ uint32 chosen(uint32 mask, uint32 a, uint32 b) { return (a & mask) | (b & ~mask); }

// Byte b of word q becomes what the eight words hold of lane 8 b + q, word p giving bit p.
__device__ __forceinline__ void transpose8(uint32* w) {
#pragma unroll
    for (int s = 0; s < 3; ++s) {
        const int reach = 1 << s;
        const uint32 mask = s == 0 ? 0x55555555u : s == 1 ? 0x33333333u : 0x0F0F0F0Fu;
#pragma unroll
        for (int p = 0; p < 8; ++p) {
            if (p & reach) continue;
            uint32 low = w[p], high = w[p + reach];
            w[p] = chosen(mask, low, high << reach);
            w[p + reach] = chosen(mask, low >> reach, high);
        }
    }
}

// The byte of lane l among eight words that `transpose8` has made.
__device__ __forceinline__ uint32 byte_of(const uint32* w, int l) {
    return l / 8 == 3 ? w[l % 8] >> 24 : l / 8 == 0 ? w[l % 8] & 255u : __byte_perm(w[l % 8], 0, 0x4440 + l / 8);
}

// The lanes of spin i that flip. place: its thread's place in the slice; table: the bytes of `fill_thresholds`; last: its last row.
__device__ __forceinline__ uint32 flipping(
    const uint32* words, const uint4* entries, int width, uint32 own, int edges, int field, const unsigned char* table,
    int last, int base, uint64 key, uint32 i, uint32 sweep, uint32 island, uint32 half) {
    uint32 planes[PLANES <= 8 ? 8 : 16];
#pragma unroll
    for (int p = 0; p < (PLANES <= 8 ? 8 : 16); ++p) planes[p] = 0;
    int e = 0;
    for (; e + 2 <= width; e += 2) {
        uint4 x = entries[32 * e], y = entries[32 * (e + 1)];
        uint32 a = add_two(planes[0], unsatisfied(words, x.x, own), unsatisfied(words, x.y, own));
        uint32 b = add_two(planes[0], unsatisfied(words, x.z, own), unsatisfied(words, x.w, own));
        uint32 c = add_two(planes[0], unsatisfied(words, y.x, own), unsatisfied(words, y.y, own));
        uint32 d = add_two(planes[0], unsatisfied(words, y.z, own), unsatisfied(words, y.w, own));
        uint32 f = add_two(planes[1], a, b), g = add_two(planes[1], c, d);
        ripple<3>(planes, add_two(planes[2], f, g));
    }
    if (e < width) {
        uint4 x = entries[32 * e];
        uint32 a = add_two(planes[0], unsatisfied(words, x.x, own), unsatisfied(words, x.y, own));
        uint32 b = add_two(planes[0], unsatisfied(words, x.z, own), unsatisfied(words, x.w, own));
        ripple<2>(planes, add_two(planes[1], a, b));
    }
    if (field) {
        uint32 against = field > 0 ? ~own : own, many = (uint32)abs(field), carry = 0;
#pragma unroll
        for (int p = 0; p < PLANES; ++p) {
            uint32 x = (many >> p) & 1 ? against : 0, next = carry3(planes[p], x, carry);
            planes[p] = sum3(planes[p], x, carry);
            carry = next;
        }
    }
    transpose8(planes);
    if (PLANES > 8) transpose8(planes + 8);
    Words words4 = philox(key, i, sweep, island, LANES_SWEEP);
    const uint32 begin = (16 * half + 1) * GOLDEN;
    const uint32 drawn[4] = {words4.w0 + begin, words4.w1 + begin, words4.w2 + begin, words4.w3 + begin};
    // Of two rows per unsatisfied edge, counted from the one of loss -edges; or from loss 0, where the table would be too long.
    const uint32 least = (uint32)((base - edges) * ROW * 4);
    uint32 flips = 0;
#pragma unroll
    for (int k = 15; k >= 0; --k) {
        uint32 pair = scramble(drawn[k % 4] + k * GOLDEN);
#pragma unroll
        for (int odd = 1; odd >= 0; --odd) {
            const int lane = 2 * k + odd;
            uint32 count = byte_of(planes, lane), at;
            if (PLANES > 8) count |= byte_of(planes + 8, lane) << 8;
            if (WHOLE)
                at = count * (2 * ROW * 4) + least;
            else
                at = (uint32)min(max((int)(2 * count) - edges, 0), last) * (ROW * 4);
            uint32 threshold = *(const uint32*)(table + at + 4 * lane);
            // The sign of the difference: whether u < threshold.
            flips = __funnelshift_l((odd ? pair >> 16 : pair & 0xFFFFu) - threshold, flips, 1);
        }
    }
    return flips;
}

// A warp fills the table of a sweep for the temperatures of its lanes: row base + k holds c_k, 0 from the row on whose number, less base, is returned. Rows up to
// `base` hold ALWAYS, and those beyond `dirty` are 0, as `clear_table` has left them.
__device__ __forceinline__ int fill_thresholds(const double* temperatures, uint32* table, int base, int levels, int dirty, int lane) {
    double t = temperatures[lane], power = 65536.0;
    double ratio = t > 0 ? exp_negative(-1 / t) : 0.0;
    int last = levels + 1;
    for (int k = 1; k <= levels; ++k) {
        power *= ratio;
        uint32 c = (uint32)(power < 65535.0 ? power : 65535.0);
        table[ROW * (base + k) + lane] = c;
        if (!__ballot_sync(ALL_LANES, c != 0)) {
            last = k;
            break;
        }
    }
    if (WHOLE)
        for (int k = last + 1; k < dirty; ++k) table[ROW * (base + k) + lane] = 0;
    else
        table[ROW * last + lane] = 0;
    return last;
}

// What `fill_thresholds` expects, by `count` threads of which this is one.
__device__ __forceinline__ void clear_table(uint32* table, int base, int rows, int thread, int count) {
    for (int q = thread; q < ROW * rows; q += count) table[q] = q < ROW * (base + 1) ? ALWAYS : 0;
}

// All sweeps of a group by one block, whose last warp prepares the thresholds of the next sweep; words in shared memory.
//
// phases (count + 1): slices of each; slices (k + 1): where the entries of each begin, in fours a thread; numbers, edges, fields (32 k): spin, or -1, and its d
// and h, of each place; islands (I): counter word; firsts, sweeps (I): counter of the first sweep, how many; temperatures (I, most, 64); words (2 I, n); flips (I).
// base: where loss 0 stands in a table of `rows` rows, of which `levels` above it are in use. Shared memory: two tables and n words.
extern "C" __global__ void __launch_bounds__(512, 1) lane_sweeps(
    const int* phases, int count, const int* slices, const uint32* entries, const int* numbers, const int* edges,
    const int* fields, const uint32* islands, const uint32* firsts, const int* sweeps, const double* temperatures, int most,
    uint32* words, int n, int base, int levels, int rows, uint64 key, uint64* flips) {
    DYNAMIC_SHARED(memory);
    __shared__ int lasts[2];
    const uint32 size = (uint32)rows * ROW;
    uint32* tables = (uint32*)memory;
    uint32* spins = tables + 2 * size;
    const int group = blockIdx.x, at = group / 2, half = group % 2;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, workers = blockDim.x / 32 - 1;
    const int todo = sweeps[at];
    if (!todo) return;
    const double* mine = temperatures + ((int64)at * most * 2 + half) * 32;
    uint32* home = words + (int64)group * n;
    for (int i = threadIdx.x; i < n; i += blockDim.x) spins[i] = home[i];
    clear_table(tables, base, rows, threadIdx.x, blockDim.x);
    clear_table(tables + size, base, rows, threadIdx.x, blockDim.x);
    __syncthreads();
    if (warp == workers) {
        int last = fill_thresholds(mine, tables, base, levels, 0, lane);
        if (lane == 0) lasts[0] = last, lasts[1] = 0;
    }
    __syncthreads();
    uint32 changed = 0, now = 0;
    for (int t = 0; t < todo; ++t) {
        const int last = lasts[t & 1];
        for (int phase = 0; phase < count; ++phase) {
            if (warp == workers) {
                if (phase == 0 && t + 1 < todo) {
                    int dirty = lasts[(t + 1) & 1];
                    int next = fill_thresholds(mine + (int64)(t + 1) * 64, tables + (size - now), base, levels, dirty, lane);
                    __syncwarp();
                    if (lane == 0) lasts[(t + 1) & 1] = next;
                }
            } else {
                for (int s = phases[phase] + warp; s < phases[phase + 1]; s += workers) {
                    int place = 32 * s + lane, i = numbers[place];
                    if (i < 0) continue;
                    uint32 own = spins[i];
                    uint32 turned = flipping(
                        spins, (const uint4*)entries + slices[s] + lane, (slices[s + 1] - slices[s]) / 32, own, edges[place],
                        fields[place], memory + 4 * now, last, base, key, (uint32)i, firsts[at] + t, islands[at], half);
                    spins[i] = own ^ turned;
                    changed += __popc(turned);
                }
            }
            __syncthreads();
        }
        now = size - now;
    }
    for (int i = threadIdx.x; i < n; i += blockDim.x) home[i] = spins[i];
    changed = warp_sum(changed);
    if (lane == 0 && changed) atomicAdd(flips + at, (uint64)changed);
}

// The thresholds of sweep t of every group, for `lane_phase`: tables (2 I, rows, ROW), lasts (2 I).
extern "C" __global__ void __launch_bounds__(32) lane_thresholds(
    const int* sweeps, const double* temperatures, int most, int t, int base, int levels, int rows, uint32* tables, int* lasts) {
    const int group = blockIdx.x, at = group / 2;
    if (t >= sweeps[at]) return;
    const double* mine = temperatures + (((int64)at * most + t) * 2 + group % 2) * 32;
    uint32* table = tables + (int64)group * rows * ROW;
    if (t == 0) clear_table(table, base, rows, threadIdx.x, 32);
    __syncwarp();
    int last = fill_thresholds(mine, table, base, levels, t ? lasts[group] : 0, threadIdx.x);
    __syncwarp();
    if (threadIdx.x == 0) lasts[group] = last;
}

// One phase of sweep t of every group: as `lane_sweeps`, where its words have no place in shared memory. A grid of (any, groups).
extern "C" __global__ void __launch_bounds__(256, 4) lane_phase(
    int begin, int end, const int* slices, const uint32* entries, const int* numbers, const int* edges, const int* fields,
    const uint32* islands, const uint32* firsts, const int* sweeps, int t, const uint32* tables, const int* lasts,
    uint32* words, int n, int base, int rows, uint64 key, uint64* flips) {
    const int group = blockIdx.y, at = group / 2, lane = threadIdx.x % 32;
    if (t >= sweeps[at]) return;
    uint32* spins = words + (int64)group * n;
    const unsigned char* table = (const unsigned char*)(tables + (int64)group * rows * ROW);
    const int last = lasts[group], stride = gridDim.x * (blockDim.x / 32);
    uint32 changed = 0;
    for (int s = begin + blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; s < end; s += stride) {
        int place = 32 * s + lane, i = numbers[place];
        if (i < 0) continue;
        uint32 own = spins[i];
        uint32 turned = flipping(
            spins, (const uint4*)entries + slices[s] + lane, (slices[s + 1] - slices[s]) / 32, own, edges[place], fields[place],
            table, last, base, key, (uint32)i, firsts[at] + t, islands[at], group % 2);
        spins[i] = own ^ turned;
        changed += __popc(turned);
    }
    changed = warp_sum(changed);
    if (lane == 0 && changed) atomicAdd(flips + at, (uint64)changed);
}
