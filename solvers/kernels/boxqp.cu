// The rounds of `boxqp`, one island a block: `boxqp.search`, operation by operation, so that island k's numbers are those of the CPU's search of island k.
// variants: ENTRY=int8 SPARSE=0 HELD=16 | ENTRY=double SPARSE=0 HELD=8 | ENTRY=int8 SPARSE=0 HELD=0 | ENTRY=double SPARSE=0 HELD=0 | ENTRY=double SPARSE=1 HELD=0
#include "box_cross.cuh"
#include "log.cuh"

// budget search 128 registers, 1152 bytes
// budget migrate 64 registers, 0 bytes

#define GROWTH 1.03
#define AGAIN 4.8
#define PARTNERS 2
#define NEAR 0.01
#define FRESH (1u << 30)
#define RANDOM_ENDS 4
#define PATIENCE 8
#define ROUGH 3000
#define FINE 10000
#define SUSPICIOUS 4
#define CHANCES 3
#define MOST_PROBED 5000
#define ROUGH_SLOPE 1e-7
#define FINE_SLOPE 1e-13
enum Stage { BEGIN, ANNEAL, DESCEND, CONJUGATE, END, PROBE };
enum Number { STAGE, ROUND, SWEEPS, FRESH_NOW, FILLED, HITS, PASSES, EFFORT, TIGHT, CROSSED, STEPS, PROBED, NUMBERS };
enum Level { HOT_NOW, LENGTH, BEST, PRODUCT, LEVELS };
enum Count { TESTS, MOVES, DRAWS, READS, CROSSING, PRODUCTS, COUNTS };

struct Rules {
    double hot, cold, kappa, rise, longest, target;
    int64 rounds, hits;
    uint64 key;
    uint32 member;
};

// An island's state; numbers, levels and counts are written by thread 0, before a barrier.
struct Island {
    int64 *numbers, *counts;
    double *levels, *u, *g, *best, *direction, *image, *pool, *values;
    int8* label;
    int *queue, *starts;
    double (*buffer)[32];
    int members;
};

__device__ __forceinline__ void copy(const double* from, double* to, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) to[i] = from[i];
}

// Of the FN timer between hot and cold; rise: e^kappa - 1, the host's, since no two libraries agree on the last bit.
__device__ __forceinline__ double temperature(double hot, double cold, double kappa, double rise, double t) {
    if (!(cold < hot)) return cold;
    double k2 = kappa / (1.0 / cold - 1.0 / hot);
    return k2 / (k2 / hot + ln_plus_one(rise * t));
}

// Choose what the round starts from, and how hot.
__device__ __forceinline__ void begin(const Box& P, const Rules& rules, Island& s, const double* start) {
    const int64 step = s.numbers[ROUND], filled = s.numbers[FILLED];
    const Words words = philox(rules.key, 0, (uint32)step, rules.member, BOX_CHOICE);
    const bool fresh = step == 0 || filled < s.members || words.w0 < FRESH << (s.numbers[HITS] < 1 ? 0 : 1);
    double hot = rules.hot;
    if (step == 0) {
        copy(start, s.u, P.n);
    } else if (!fresh) {
        int64 parent = (int64)((uint64)words.w1 * (uint64)filled >> 32);
        copy(s.pool + parent * P.n, s.u, P.n);
        hot = rules.cold * (1.0 + (double)words.w2 / 4294967296.0 * (AGAIN - 1.0));
    } else {
        const bool ends = words.w1 % RANDOM_ENDS == 0;
        for (int i = threadIdx.x; i < P.n; i += blockDim.x)
            s.u[i] = ends ? (double)(box_half(rules.key, i, (uint32)step, rules.member + 1) >> 15) : 0.5;
    }
    const int64 products = product(P, P.linear, s.u, s.g);
    if (threadIdx.x == 0) {
        s.numbers[FRESH_NOW] = fresh;
        s.numbers[SWEEPS] = s.numbers[PASSES] = s.numbers[EFFORT] = s.numbers[TIGHT] = s.numbers[CROSSED] = 0;
        s.levels[HOT_NOW] = hot;
        s.counts[PRODUCTS] += products;
        s.numbers[STAGE] = step > 0 ? ANNEAL : DESCEND;
    }
    __syncthreads();
}

__device__ __forceinline__ void tally_up(Island& s, int n, const Tally& t) {
    s.counts[TESTS] += n;
    s.counts[MOVES] += t.moves;
    s.counts[PRODUCTS] += t.products;
}

// One sweep of annealed moves.
__device__ __forceinline__ void anneal(const Box& P, const Rules& rules, Island& s) {
    const int64 length = (int64)s.levels[LENGTH], now = s.numbers[SWEEPS];
    const double t = (double)now / (double)(length - 1 > 1 ? length - 1 : 1);
    const Noise z = {rules.key, now * P.n, temperature(s.levels[HOT_NOW], rules.cold, rules.kappa, rules.rise, t), (uint32)s.numbers[ROUND], rules.member};
    const Tally done = sweep<true>(P, s.u, s.g, z, -1, s.buffer);
    if (threadIdx.x == 0) {
        tally_up(s, P.n, done);
        s.counts[DRAWS] += P.n;
        s.counts[READS] += 1;
        s.numbers[SWEEPS] = now + 1;
        if (now + 1 >= length) s.numbers[STAGE] = DESCEND;
    }
    __syncthreads();
}

// One sweep of exact moves, and what to do next.
__device__ __forceinline__ void descend(const Box& P, Island& s) {
    const Tally done = sweep<false>(P, s.u, s.g, Noise{}, -1, s.buffer);
    const bool tight = s.numbers[TIGHT] == 1;
    const int64 passes = s.numbers[PASSES] + 1, effort = s.numbers[EFFORT] + 1;
    int count;
    double slope = steepest(P, s.u, s.g, &count);
    slope = slope > done.steep ? slope : done.steep;
    const bool end = slope <= (tight ? FINE_SLOPE : ROUGH_SLOPE) || effort >= (tight ? FINE : ROUGH);
    const bool conjugate = !end && count > 1 && passes >= PATIENCE;
    const double product = conjugate ? conjugate_start(P, s.u, s.g, s.direction) : 0.0;
    __syncthreads();
    if (threadIdx.x == 0) {
        tally_up(s, P.n, done);
        s.numbers[PASSES] = passes;
        s.numbers[EFFORT] = effort;
        if (end) s.numbers[STAGE] = END;
        if (conjugate) {
            s.numbers[STAGE] = CONJUGATE;
            s.numbers[STEPS] = 0;
            s.levels[PRODUCT] = product;
        }
    }
    __syncthreads();
}

// One step of conjugate gradients.
__device__ __forceinline__ void conjugate(const Box& P, Island& s) {
    int64 products;
    const double product = conjugate_step(P, s.u, s.g, s.direction, s.image, s.levels[PRODUCT], &products);
    const bool tight = s.numbers[TIGHT] == 1;
    const int64 steps = s.numbers[STEPS] + 1, effort = s.numbers[EFFORT] + 1;
    int count;
    const double slope = steepest(P, s.u, s.g, &count);
    const bool done = slope <= 0.1 * (tight ? FINE_SLOPE : ROUGH_SLOPE);
    __syncthreads();
    if (threadIdx.x == 0) {
        s.levels[PRODUCT] = product;
        s.counts[PRODUCTS] += products + P.n;
        s.numbers[EFFORT] = effort;
        s.numbers[STEPS] = steps;
        if (done || product <= 0.0 || steps >= count + PATIENCE || effort >= (tight ? FINE : ROUGH)) {
            s.numbers[STAGE] = DESCEND;
            s.numbers[PASSES] = PATIENCE - 2;
        }
    }
    __syncthreads();
}

#if SPARSE
// Cross with random members of the pool.
__device__ __forceinline__ void cross(const Box& P, const Rules& rules, Island& s) {
    const int64 filled = s.numbers[FILLED];
    const Words words = philox(rules.key, 1, (uint32)s.numbers[ROUND], rules.member, BOX_CHOICE);
    __syncthreads();
    if (threadIdx.x < 32) {
        int64 followed = 0;
        for (int k = 0; k < PARTNERS; ++k) {
            int64 partner = (int64)((uint64)(k ? words.w1 : words.w0) * (uint64)filled >> 32);
            const double* member = s.pool + partner * P.n;
            followed += P.n + cross_boxes(P, s.u, s.g, member, s.label, s.queue, s.starts, s.image);
            __syncwarp();
        }
        if (threadIdx.x == 0) {
            s.counts[CROSSING] += followed;
            s.numbers[CROSSED] = 1;
            s.numbers[PASSES] = s.numbers[EFFORT] = 0;
            s.numbers[STAGE] = DESCEND;
        }
    }
    __syncthreads();
}
#endif

// Put a point into the pool: in place of its nearest member if that is near and no better, else of the worst if that is worse.
__device__ __forceinline__ void insert(int64* numbers, int64* counts, double* pool, double* values, int members, const double* point, double value, int n) {
    const int64 filled = numbers[FILLED];
    int64 place = filled;
    if (filled >= members) {
        const int slices = (n + SLICE - 1) / SLICE;
        int nearest = 0, worst = 0;
        double least = FAR, distance = 0.0;
        // A lane takes a slice of a member; sums are finished in order.
        int member = 0, slice = 0;
        for (int64 base = 0, tasks = (int64)members * slices; base < tasks; base += 32) {
            double part = 0.0;
            int64 task = base + lane_of();
            if (task < tasks) {
                const double* other = pool + task / slices * n;
                int i = (int)(task % slices) * SLICE;
                for (int end = i + SLICE; i < end && i < n; ++i) {
                    double d = other[i] - point[i];
                    part += d < 0.0 ? -d : d;
                }
            }
            for (int l = 0; l < 32 && base + l < tasks; ++l) {
                distance += __shfl_sync(ALL_LANES, part, l);
                if (++slice < slices) continue;
                if (distance < least) nearest = member, least = distance;
                distance = 0.0;
                slice = 0;
                ++member;
            }
        }
        for (int k = 1; k < members; ++k)
            if (values[k] > values[worst]) worst = k;
        const bool near = least < NEAR * n;
        place = near ? nearest : worst;
        // Where nearest is worst too, it is taken as the nearest.
        if (!(value < values[place] || (place == nearest && value == values[place]))) place = -1;
    }
    __syncthreads();
    if (place >= 0) copy(point, pool + place * n, n);
    if (threadIdx.x == 0) {
        if (place >= 0) values[place] = value;
        if (filled < members)
            numbers[FILLED] = filled + 1;
        else
            counts[CROSSING] += (int64)members * n;
    }
    __syncthreads();
}

// Judge the local optimum: make it accurate if it is the best, else cross it or put it into the pool.
__device__ __forceinline__ void end(const Box& P, const Rules& rules, Island& s) {
#if SPARSE
    if (s.numbers[CROSSED] == 0 && s.numbers[ROUND] > 0 && s.numbers[FILLED] > 1) {
        cross(P, rules, s);
        return;
    }
#endif
    const double value = objective(P.linear, s.u, s.g, P.n), best = s.levels[BEST], size = value < 0.0 ? -value : value;
    const double same = 1e-9 * (size > P.size ? size : P.size);
    const bool better = value < best - 1e-3 * same, tight = s.numbers[TIGHT] == 1;
    if (better && !tight) {
        const int64 products = product(P, P.linear, s.u, s.g);
        if (threadIdx.x == 0) {
            s.numbers[TIGHT] = 1;
            s.numbers[PASSES] = s.numbers[EFFORT] = 0;
            s.counts[PRODUCTS] += products;
            s.numbers[STAGE] = DESCEND;
        }
        __syncthreads();
        return;
    }
    const bool taken = value < best && tight;
    __syncthreads();
    if (taken) copy(s.u, s.best, P.n);
    if (threadIdx.x == 0) {
        if (better) s.numbers[PROBED] = 0;
        if (value < best - same) s.numbers[HITS] = 0;
        if (taken) s.levels[BEST] = value;
        if (value <= s.levels[BEST] + same) {
            s.numbers[HITS] += s.numbers[FRESH_NOW];
        } else if (s.numbers[ROUND] > 0) {
            double longer = GROWTH * s.levels[LENGTH];
            s.levels[LENGTH] = rules.longest < longer ? rules.longest : longer;
        }
    }
    __syncthreads();
    insert(s.numbers, s.counts, s.pool, s.values, s.members, s.u, value, P.n);
    if (threadIdx.x == 0) {
        s.numbers[ROUND] += 1;
        bool probe = s.numbers[HITS] >= SUSPICIOUS && s.numbers[PROBED] < P.n && P.n <= MOST_PROBED;
        s.numbers[STAGE] = probe ? PROBE : BEGIN;
    }
    __syncthreads();
}

// Move one coordinate of the best point to its farther end, and let the others answer, before it may move back.
__device__ __forceinline__ void probe(const Box& P, Island& s) {
    const int i = (int)s.numbers[PROBED];
    int64 products = 0, moves = 0, tests = 0;
    if (s.numbers[SWEEPS] >= 0) {
        __syncthreads();
        copy(s.best, s.u, P.n);
        products += product(P, P.linear, s.u, s.g);
        copy(s.g, s.image, P.n);
        __syncthreads();
    }
    const double old = s.u[i], now = old < 0.5 ? 1.0 : 0.0;
    products += add_row(P, i, now - old, s.g);
    if (threadIdx.x == 0) s.u[i] = now;
    __syncthreads();
    for (int k = 0; k < 2 * CHANCES; ++k) {
        const Tally done = sweep<false>(P, s.u, s.g, Noise{}, k < CHANCES ? i : -1, s.buffer);
        tests += P.n;
        moves += done.moves;
        products += done.products;
        if (done.moves == 0 && k >= CHANCES) break;
    }
    const double value = objective(P.linear, s.u, s.g, P.n), size = value < 0.0 ? -value : value;
    const bool better = value < s.levels[BEST] - 1e-9 * (size > P.size ? size : P.size);
    __syncthreads();
    if (!better) {
        copy(s.best, s.u, P.n);
        copy(s.image, s.g, P.n);
    }
    if (threadIdx.x == 0) {
        s.counts[TESTS] += tests;
        s.counts[MOVES] += moves;
        s.counts[PRODUCTS] += products;
        s.numbers[PROBED] = i + 1;
        // The mark that u, g and the copy of g in `image` are those of the best point.
        s.numbers[SWEEPS] = better ? 0 : -1;
        if (better) {
            s.numbers[FRESH_NOW] = s.numbers[PASSES] = s.numbers[EFFORT] = s.numbers[TIGHT] = 0;
            s.numbers[CROSSED] = 1;
            s.numbers[STAGE] = DESCEND;
        } else if (i + 1 == P.n) {
            s.numbers[STAGE] = BEGIN;
        }
    }
    __syncthreads();
}

// Go on with the rounds of island first + blockIdx.x for about `budget` products; out (2, islands): whether all is done, and products, or as long as they take.
// points (islands, 5, stride): u, g, best, direction, image; pool (islands, members, n). g is in shared memory where `near`.
extern "C" __global__ void __launch_bounds__(512, 1) search(
    const ENTRY* rows, const int64* indptr, const int* indices, const double* data, const double* facts, const float* logistic, double size, int n, int stride,
    const double* start, double hot, double cold, double kappa, double rise, double longest, double target, int64 rounds, int64 hits, uint64 key, uint32 first,
    int64* numbers, double* levels, int64* counts, double* points, double* pool, double* values, int8* label, int* queue, int* starts, int members, int near,
    int64 budget, int64* out) {
    DYNAMIC_SHARED(memory);
    __shared__ double buffer[2][32], own_levels[LEVELS];
    __shared__ int64 own_numbers[NUMBERS], own_counts[COUNTS];
    // Structures in shared memory too: in registers there is no room for them.
    __shared__ Box P;
    __shared__ Rules rules;
    __shared__ Island s;
    const int64 b = blockIdx.x, wide = stride;
    double* const u = points + 5 * b * wide;
    if (threadIdx.x == 0) {
        P = Box{rows, indptr, indices, data, facts, facts + wide, facts + 2 * wide, facts + 3 * wide, facts + 4 * wide, logistic, size, n, stride};
        rules = Rules{hot, cold, kappa, rise, longest, target, rounds, hits, key, 2 * (first + (uint32)b)};
        s = Island{own_numbers, own_counts, own_levels, u, near ? (double*)memory : u + wide, u + 2 * wide, u + 3 * wide, u + 4 * wide,
                   pool + b * members * n, values + b * members, label + b * n, queue + b * n, starts + b * (n + 1), buffer, members};
        for (int k = 0; k < NUMBERS; ++k) own_numbers[k] = numbers[b * NUMBERS + k];
        for (int k = 0; k < COUNTS; ++k) own_counts[k] = counts[b * COUNTS + k];
        for (int k = 0; k < LEVELS; ++k) own_levels[k] = levels[b * LEVELS + k];
    }
    __syncthreads();
    if (near) copy(u + wide, s.g, stride);
    __syncthreads();
    int64 spent = 0;
    bool done = false;
    for (;;) {
        const int64 stage = s.numbers[STAGE], before = s.counts[PRODUCTS];
        if (stage == BEGIN) {
            done = s.numbers[ROUND] >= rules.rounds || s.numbers[HITS] >= rules.hits || s.levels[BEST] <= rules.target;
            if (done || spent >= budget) break;
        }
        // All have read before thread 0 writes.
        __syncthreads();
        if (stage == BEGIN)
            begin(P, rules, s, start);
        else if (stage == ANNEAL)
            anneal(P, rules, s);
        else if (stage == DESCEND)
            descend(P, s);
        else if (stage == CONJUGATE)
            conjugate(P, s);
        else if (stage == END)
            end(P, rules, s);
        else
            probe(P, s);
        spent += s.counts[PRODUCTS] - before + 4 * (int64)n;
        if (spent >= budget && s.numbers[STAGE] != BEGIN) break;
    }
    __syncthreads();
    if (near) copy(s.g, u + wide, stride);
    if (threadIdx.x == 0) {
        for (int k = 0; k < NUMBERS; ++k) numbers[b * NUMBERS + k] = own_numbers[k];
        for (int k = 0; k < COUNTS; ++k) counts[b * COUNTS + k] = own_counts[k];
        for (int k = 0; k < LEVELS; ++k) levels[b * LEVELS + k] = own_levels[k];
        out[b] = done;
        out[gridDim.x + b] = spent;
    }
}

// Island b puts a best point of others, number (b + shift) mod `count`, into its pool: `best` has one every `step` numbers, `levels` its value.
extern "C" __global__ void __launch_bounds__(512, 1) migrate(
    const double* best, int64 step, const double* levels, int count, int shift, int n, int members, int64* numbers, int64* counts, double* pool, double* values) {
    const int64 b = blockIdx.x, from = (b + shift) % count;
    const double value = levels[from * LEVELS + BEST];
    if (!(value < FAR)) return;
    insert(numbers + b * NUMBERS, counts + b * COUNTS, pool + b * members * n, values + b * members, members, best + from * step, value, n);
}
