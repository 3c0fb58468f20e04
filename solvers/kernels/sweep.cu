// Sweeps of many chains: `sweep.anneal`, one block a chain, all sweeps of a call in one launch.
//
// A step decides a run of independent spins, or the part of one that lies in a window of drawn words, and flips after. Where runs are short, as on dense
// graphs, a step instead tries a block of spins, whatever their edges: up to the first that flips nothing changes, so what is decided up to the end
// of that one's run is decided right. Local fields in integers take their changes in any order, floats in the CPU's, that of the spins that flip: where two
// of them touch one spin, the first that says so goes through that spin's own row. PACKED: an entry of a row is its column and, in the upper eight bits,
// its weight. RESIDENT: spins and fields lie in shared memory during the call.
//
// variants: WEIGHT=int TOTAL=int64 REAL=0 PACKED=1 RESIDENT=1 | WEIGHT=int TOTAL=int64 REAL=0 PACKED=1 RESIDENT=0 | WEIGHT=int TOTAL=int64 REAL=0 PACKED=0 RESIDENT=1 | WEIGHT=int TOTAL=int64 REAL=0 PACKED=0 RESIDENT=0 | WEIGHT=double TOTAL=double REAL=1 PACKED=0 RESIDENT=1 | WEIGHT=double TOTAL=double REAL=1 PACKED=0 RESIDENT=0
// budget anneal 64 registers, 256 bytes
#include "exp.cuh"
#include "philox.cuh"

#define NONE 0xFFFFFFFFu
#define MOST_WARPS 16
#define FULL 4294967296.0

__device__ __forceinline__ double flip_threshold(double x, int heat_bath) {
    double e = exp_negative(-fabs(x));
    return FULL * (heat_bath ? (x > 0 ? 1.0 : e) / (1.0 + e) : (x >= 0 ? 1.0 : e));
}

// The words of spins begin to end - 1 of a sweep, begin at the start of a tile.
__device__ __forceinline__ void draw(uint32* draws, uint32 begin, uint32 end, uint64 key, uint32 sweep, uint32 read) {
    uint32 count = end - begin;
    for (uint32 b = threadIdx.x; b < (count + 4 * TILE - 1) / (4 * TILE) * TILE; b += blockDim.x) {
        uint32 at = b / TILE * (4 * TILE) + b % TILE;
        if (at >= count) continue;
        Words words = philox(key, begin / 4 + b, sweep, read, SWEEP);
        draws[at] = words.w0;
        draws[at + TILE] = words.w1;
        draws[at + 2 * TILE] = words.w2;
        draws[at + 3 * TILE] = words.w3;
    }
}

// How a call decides: thresholds of gains in [-reach, reach] in a table of `entries`, or computed where there is no table.
struct Rule {
    double slope;
    const uint64* table;
    int entries, reach, heat_bath;

    __device__ __forceinline__ uint64 threshold(WEIGHT gain) const {
#if !REAL
        if (reach >= 0) {
            if (entries) return table[min(max(gain, -reach - 1), reach + 1) + reach + 1];
            if (gain < -reach || gain > reach) return gain < 0 ? 0 : 1ull << 32;
        }
#endif
        return (uint64)flip_threshold(slope * gain, heat_bath);
    }
};

// The graph: rows in compressed form, columns ascending where REAL.
struct Rows {
    const int64* indptr;
    const uint32* columns;
    const WEIGHT* weights;

    __device__ __forceinline__ uint32 column(int64 e) const {
#if PACKED
        return columns[e] & 0xFFFFFFu;
#else
        return columns[e];
#endif
    }
    __device__ __forceinline__ WEIGHT weight(int64 e) const {
#if PACKED
        return (int)columns[e] >> 24;
#else
        return weights[e];
#endif
    }
};

#if REAL
// All changes of field j by the flipped spins of the run [begin, end), in ascending order. Bit k of `flipped`: spin begin + k.
__device__ __forceinline__ void gather(
    const Rows& rows, uint32 j, uint32 begin, uint32 end, const uint32* flipped, const int8* spins, double* fields) {
    int64 e = rows.indptr[j], stop = rows.indptr[j + 1], high = stop;
    while (e < high) {
        int64 middle = (e + high) / 2;
        if (rows.columns[middle] < begin) e = middle + 1;
        else high = middle;
    }
    double field = fields[j];
    for (; e < stop && rows.columns[e] < end; ++e) {
        uint32 k = rows.columns[e] - begin;
        if (flipped[k / 32] >> k % 32 & 1) field += 2.0 * spins[rows.columns[e]] * rows.weights[e];
    }
    fields[j] = field;
}
#endif

// Chain r = blockIdx.x: row r of spins, fields, best (chains, n), values (chains, 2), counts (chains, 2); sweeps[r] sweeps from firsts[r] on, with the
// slopes in row r % slope_rows of slopes (slope_rows, stride), as read reads[r]. until (n): the end of each spin's run. window: how many words are
// drawn at a time, a multiple of 4 TILE. lanes: 2**lanes threads, at least, share the row of a spin that flips. marks (chains, 2, (n + 31) / 32), zeros:
// for floats that are not resident. keep: whether best and values are wanted. Blocks are powers of two. With fewer registers than two blocks leave, it would spill.
extern "C" __global__ void __launch_bounds__(512, 2) anneal(
    const int64* indptr, const uint32* columns, const WEIGHT* weights, const uint32* until, uint32 n, const double* slopes,
    int64 stride, int64 slope_rows, const uint32* sweeps, const uint32* firsts, const uint32* reads, int heat_bath, int reach,
    int entries, int lanes, uint32 window, int speculate, int keep, int8* all_spins, WEIGHT* all_fields, int8* all_best,
    TOTAL* all_values, int64* all_counts, uint32* all_marks, uint64 key) {
    __shared__ TOTAL partial[MOST_WARPS];
    __shared__ uint32 found[3], earliest[3];
    DYNAMIC_SHARED(memory);
    const int64 chain = blockIdx.x;
    const uint32 me = threadIdx.x, lane = me % 32, warp = me / 32, warps = blockDim.x / 32;
    const uint32 last = sweeps[chain], first = firsts[chain], read = reads[chain];
    if (last == 0) return;

    uint64* table = (uint64*)memory;
    WEIGHT* fields = (WEIGHT*)(table + entries);
#if RESIDENT
    uint32* draws = (uint32*)(fields + n);
#else
    uint32* draws = (uint32*)fields;
#endif
    uint32* flipped = draws + window;
#if REAL
    const uint32 mark_words = (n + 31) / 32;
#endif
#if REAL && RESIDENT
    uint32 *once = flipped + window / 32, *twice = once + mark_words;
    unsigned short* chosen = (unsigned short*)(twice + mark_words);
#else
    unsigned short* chosen = (unsigned short*)(flipped + window / 32);
#if REAL
    uint32 *once = all_marks + chain * 2 * mark_words, *twice = once + mark_words;
#endif
#endif
    int8* best = all_best + chain * n;
#if RESIDENT
    int8* spins = (int8*)(chosen + window);
    for (uint32 i = me; i < n; i += blockDim.x) {
        spins[i] = all_spins[chain * n + i];
        fields[i] = all_fields[chain * n + i];
    }
#if REAL
    for (uint32 i = me; i < 2 * mark_words; i += blockDim.x) once[i] = 0;
#endif
#else
    int8* spins = all_spins + chain * n;
    fields = all_fields + chain * n;
#endif
    if (me < 3) {
        found[me] = 0;
        earliest[me] = NONE;
    }

    const Rows rows = {indptr, columns, weights};
    Rule rule = {0.0, table, entries, reach, heat_bath};
    // In integers `gained` is this thread's share, and in floats the first warp's running value.
    TOTAL value = all_values[chain * 2], top = all_values[chain * 2 + 1], gained = REAL ? value : 0;
    int64 flips = 0;
    uint64 events = 0;
    uint32 slot = 0;

    for (uint32 t = 0; t < last; ++t) {
        rule.slope = slopes[chain % slope_rows * stride + t];
        for (int k = (int)me; k < entries; k += (int)blockDim.x)
            table[k] = k == 0 ? 0 : k == entries - 1 ? 1ull << 32 : (uint64)flip_threshold(rule.slope * (k - reach - 1), heat_bath);
        uint32 begin = 0, origin = 0, close = min(window, n), run = until[0];
        draw(draws, 0, close, key, first + t, read);
        __syncthreads();
        while (begin < n) {
            // The counters of the next step: what they held was last read before the last barrier.
            uint32 next = slot == 2 ? 0 : slot + 1;
            if (me == 0) {
                found[next] = 0;
                earliest[next] = NONE;
            }
            uint32 stop = min(speculate ? begin + blockDim.x : run, close);
            for (uint32 base = begin; base < stop; base += blockDim.x) {
                uint32 i = base + me;
                bool accepted = false;
                WEIGHT gain = 0;
                if (i < stop) {
                    gain = spins[i] * fields[i];
                    accepted = draws[i - origin] < rule.threshold(gain);
                }
                if (speculate) {
                    uint32 mask = __ballot_sync(ALL_LANES, accepted);
                    if (mask && lane == 0) atomicMin(&earliest[slot], i + (uint32)__ffs((int)mask) - 1);
                    __syncthreads();
                    uint32 one = earliest[slot];
                    if (one == NONE) break;
                    stop = min(until[one], stop);
                    accepted = accepted && i < stop;
                }
                uint32 mask = __ballot_sync(ALL_LANES, accepted);
                if (REAL && lane == 0 && i < stop) flipped[(i - begin) / 32] = mask;
                if (mask) {
                    uint32 place = 0;
                    if (lane == 0) place = atomicAdd(&found[slot], (uint32)__popc(mask));
                    place = __shfl_sync(ALL_LANES, place, 0);
                    if (accepted) {
                        chosen[place + __popc(mask & ((1u << lane) - 1))] = (unsigned short)(i - origin);
                        spins[i] = -spins[i];
                        if (!REAL) gained += 2 * (int64)gain;
                    }
                }
            }
            // Long before it is needed.
            run = stop < n ? until[stop] : n;
            bool settled = speculate && earliest[slot] == NONE;
            if (!settled) __syncthreads();
            const uint32 count = settled ? 0 : found[slot];
            slot = next;
            if (count) {
                flips += count;
                // A row for each group of threads, at least 2**lanes of them, and more where few spins flip.
                uint32 spread = 31 - __clz(blockDim.x), many = 32 - __clz(count - 1);
                uint32 width = max((uint32)lanes, many < spread ? spread - many : 0), mine = me & ((1u << width) - 1);
#if REAL
                // The first warp adds up the value in the order of the spins.
                if (warp == 0)
                    for (uint32 base = begin; base < stop; base += 32) {
                        uint32 mask = flipped[(base - begin) / 32], i = base + lane;
                        double term = mask >> lane & 1 ? -2.0 * spins[i] * fields[i] : 0.0;
                        for (; mask; mask &= mask - 1) gained += __shfl_sync(ALL_LANES, term, __ffs((int)mask) - 1);
                    }
                for (uint32 c = me >> width; c < count; c += blockDim.x >> width) {
                    uint32 i = origin + chosen[c];
                    for (int64 e = indptr[i] + mine; e < indptr[i + 1]; e += 1 << width) {
                        uint32 j = columns[e], bit = 1u << j % 32;
                        if (atomicOr(&once[j / 32], bit) & bit) atomicOr(&twice[j / 32], bit);
                    }
                }
                __syncthreads();
#endif
                for (uint32 c = me >> width; c < count; c += blockDim.x >> width) {
                    uint32 i = origin + chosen[c];
                    int64 e = indptr[i], end = indptr[i + 1];
                    if (mine == 0) events += (uint64)(end - e);
                    WEIGHT change = 2 * spins[i];
                    for (e += mine; e < end; e += 1 << width) {
                        uint32 j = rows.column(e);
#if REAL
                        uint32 bit = 1u << j % 32;
                        if (!(atomicAnd(&once[j / 32], ~bit) & bit)) continue;
                        if (atomicAnd(&twice[j / 32], ~bit) & bit) gather(rows, j, begin, stop, flipped, spins, fields);
                        else fields[j] += change * weights[e];
#else
                        atomicAdd(&fields[j], change * rows.weight(e));
#endif
                    }
                }
            }
            begin = stop;
            if (begin == close && begin < n) {
                origin = begin;
                close = min(n - begin, window) + begin;
                draw(draws, begin, close, key, first + t, read);
            }
            // At the end of a sweep another barrier follows.
            if ((count || begin == origin) && begin < n) __syncthreads();
        }
        TOTAL share = REAL ? gained : warp_sum(gained);
        if (lane == 0) partial[warp] = share;
        __syncthreads();
        if (REAL) value = partial[0];
        else {
            for (uint32 w = 0; w < warps; ++w) value += partial[w];
            gained = 0;
        }
        if (keep && value > top) {
            top = value;
            for (uint32 i = me; i < n; i += blockDim.x) best[i] = spins[i];
        }
    }

#if RESIDENT
    for (uint32 i = me; i < n; i += blockDim.x) {
        all_spins[chain * n + i] = spins[i];
        all_fields[chain * n + i] = fields[i];
    }
#endif
    events = (uint64)warp_sum((int64)events);
    if (lane == 0) atomicAdd((uint64*)all_counts + chain * 2 + 1, events);
    if (me == 0) {
        all_counts[chain * 2] += flips;
        if (keep) {
            all_values[chain * 2] = value;
            all_values[chain * 2 + 1] = top;
        }
    }
}
