// Partition crossover of many lineages at once, a block each: see crossover.py.
//
// Components are trees, each spin's word holding its parent's number: roots are hooked onto lesser roots by compare-and-swap while everyone shortens
// the paths he walks (Jaiganesh and Burtscher, HPDC 2018), so that one pass over the edges is enough and a root is its component's least spin,
// which decides the coin. Nothing depends on who comes first: trees end the same, and sums are of integers.
#include "philox.cuh"

// variants: NUMBER=int SCRATCH=0 | NUMBER=int SCRATCH=1 | NUMBER=int64 SCRATCH=0 | NUMBER=int64 SCRATCH=1
// budget cross 84 registers, 16 bytes
// budget keep 24 registers, 0 bytes
// budget twice_values 40 registers, 16 bytes

// A spin's word: its sign (set where it is -1), and its parent, or NONE where it does not differ.
#define SIGN 0x80000000u
#define NONE 0x7FFFFFFFu
// States that are too large for shared memory have their words in `word_scratch`, which takes more registers for addresses.
#define THREADS (1024 >> SCRATCH)

// Rows of more than `hub` entries, numbered in hubs, are the whole block's work, others that of `lanes` (a power of two up to 32) threads.
struct Graph {
    const int64* indptr;
    const uint32* indices;
    const NUMBER* weights;
    const NUMBER* fields;
    const uint32* hubs;
    uint32 hub_count, hub, lanes, n;
};

struct Counts {
    uint32 parts, followed;
};

// Words that other threads are changing at the same time.
__device__ __forceinline__ uint32 peek(const uint32* word) { return *(const volatile uint32*)word; }
__device__ __forceinline__ void poke(uint32* word, uint32 value) { *(volatile uint32*)word = value; }

__device__ __forceinline__ void add(int* sum, int value) { atomicAdd(sum, value); }
__device__ __forceinline__ void add(int64* sum, int64 value) { atomicAdd((uint64*)sum, (uint64)value); }

__device__ __forceinline__ NUMBER turned(uint32 sign, NUMBER value) { return sign & SIGN ? -value : value; }

// Add everyone's value to a sum in shared memory; whoever reads it waits for all.
__device__ __forceinline__ void add_up(uint64* total, uint64 value) {
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) atomicAdd(total, value);
}

// The place of the set bit that has k set bits below it.
__device__ __forceinline__ uint32 bit_of_rank(uint32 mask, uint32 k) {
    uint32 place = 0;
    for (uint32 width = 16; width; width >>= 1) {
        uint32 below = __popc(mask & ((1u << width) - 1));
        if (k >= below) {
            k -= below;
            mask >>= width;
            place += width;
        }
    }
    return place & 31;
}

// This thread's part of twice the value of the spins whose signs `sign(i)` tells.
template <class Sign> __device__ __forceinline__ uint64 twice_value(const Graph& g, Sign sign) {
    uint64 sum = 0;
    uint32 sub = threadIdx.x % g.lanes;
    for (uint32 i = threadIdx.x / g.lanes; i < g.n; i += blockDim.x / g.lanes) {
        int64 begin = g.indptr[i];
        uint32 degree = (uint32)(g.indptr[i + 1] - begin);
        NUMBER s = sub ? 0 : 2 * g.fields[i];
        if (degree <= g.hub)
            for (uint32 e = sub; e < degree; e += g.lanes) s += turned(sign(g.indices[begin + e]), g.weights[begin + e]);
        sum -= (uint64)turned(sign(i), s);
    }
    for (uint32 h = 0; h < g.hub_count; ++h) {
        uint32 i = g.hubs[h];
        NUMBER s = 0;
        for (int64 e = g.indptr[i] + threadIdx.x, end = g.indptr[i + 1]; e < end; e += blockDim.x)
            s += turned(sign(g.indices[e]), g.weights[e]);
        sum -= (uint64)turned(sign(i), s);
    }
    return sum;
}

// The word of the root above spin v. What is passed on the way is hung onto its grandparent: it is no root, and never again one, so that nobody
// hooks it, and whichever of its ancestors it ends at will do.
__device__ __forceinline__ uint32 climb(uint32* words, uint32 v) {
    uint32 word = peek(words + v);
    while ((word & NONE) != v) {
        uint32 up = word & NONE, next = peek(words + up);
        if ((next & NONE) != up) poke(words + v, (word & SIGN) | (next & NONE));
        v = up;
        word = next;
    }
    return word;
}

__device__ __forceinline__ void unite(uint32* words, uint32 i, uint32 j) {
    uint32 a = climb(words, i), b = climb(words, j);
    while ((a ^ b) & NONE) {
        if ((a & NONE) < (b & NONE)) {
            uint32 c = a;
            a = b;
            b = c;
        }
        // Fails where a is no root any more.
        uint32 was = atomicCAS(words + (a & NONE), a, (a & SIGN) | (b & NONE));
        if (was == a) return;
        a = climb(words, was & NONE);
    }
}

// Follow entry e of the differing spin i: its weight, where it leads out of all components; else nothing, and the two are one's.
__device__ __forceinline__ NUMBER follow(const Graph& g, uint32* words, uint32 i, int64 e) {
    uint32 j = g.indices[e], word = peek(words + j);
    if ((word & NONE) == NONE) return turned(word, g.weights[e]);
    // Once an edge.
    if (j < i) unite(words, i, j);
    return 0;
}

// Unite what is coupled among the differing spins, and set their gains to what each one's own couplings to the others and field would give.
__device__ __forceinline__ void follow_rows(const Graph& g, uint32* words, NUMBER* gains, Counts& counts) {
    uint32 lane = threadIdx.x % 32, sub = lane % g.lanes, groups = 32 / g.lanes;
    for (uint32 first = threadIdx.x - lane; first < g.n; first += blockDim.x) {
        uint32 mine = first + lane;
        bool wanted = false;
        if (mine < g.n && (peek(words + mine) & NONE) != NONE) {
            uint32 degree = (uint32)(g.indptr[mine + 1] - g.indptr[mine]);
            counts.followed += degree;
            wanted = degree <= g.hub;
        }
        uint32 mask = __ballot_sync(ALL_LANES, wanted), count = __popc(mask);
        for (uint32 k = lane / g.lanes; k - lane / g.lanes < count; k += groups) {
            uint32 i = first + bit_of_rank(mask, k);
            NUMBER s = 0;
            if (k < count)
                for (int64 e = g.indptr[i] + sub, end = g.indptr[i + 1]; e < end; e += g.lanes) s += follow(g, words, i, e);
            for (uint32 reach = g.lanes / 2; reach; reach /= 2) s += __shfl_xor_sync(ALL_LANES, s, reach);
            if (k < count && sub == 0) gains[i] = turned(peek(words + i), s + g.fields[i]);
        }
    }
    for (uint32 h = 0; h < g.hub_count; ++h) {
        uint32 i = g.hubs[h], word = peek(words + i);
        if ((word & NONE) == NONE) continue;
        NUMBER s = threadIdx.x ? 0 : g.fields[i];
        for (int64 e = g.indptr[i] + threadIdx.x, end = g.indptr[i + 1]; e < end; e += blockDim.x) s += follow(g, words, i, e);
        s = warp_sum(s);
        if (lane == 0) add(gains + i, turned(word, s));
    }
}

// Hang every differing spin onto its root, and add its gain to the root's.
__device__ __forceinline__ void gather(const Graph& g, uint32* words, NUMBER* gains, Counts& counts) {
    // Neighbours in number are mostly of one component where there is a large one: not every spin adds to the same place.
    uint32 place = 0;
    NUMBER sum = 0;
    for (uint32 i = threadIdx.x; i < g.n; i += blockDim.x) {
        uint32 word = peek(words + i);
        if ((word & NONE) == NONE) continue;
        uint32 root = i;
        // No shortening: a path's end, once written, must stay.
        for (uint32 up = word & NONE; up != root; up = peek(words + up) & NONE) root = up;
        if (root == i) {
            ++counts.parts;
            continue;
        }
        poke(words + i, (word & SIGN) | root);
        if (root != place) {
            if (sum) add(gains + place, sum);
            place = root;
            sum = 0;
        }
        sum += gains[i];
    }
    if (sum) add(gains + place, sum);
}

// `crossover.cross` of the block's spins and `sign` times the other row: this thread's part of half the rise.
__device__ __forceinline__ int64 cross_with(
    const Graph& g, uint32* words, NUMBER* gains, const int8* other, int sign, uint32 draw, Counts& counts) {
    if (g.hub_count) {
        // Others may still be reading the last crossing's.
        __syncthreads();
        for (uint32 h = threadIdx.x; h < g.hub_count; h += blockDim.x) gains[g.hubs[h]] = 0;
    }
    bool any = false;
    for (uint32 i = threadIdx.x; i < g.n; i += blockDim.x) {
        uint32 own = words[i] & SIGN;
        bool differs = (own == 0) != (other[i] == sign);
        words[i] = own | (differs ? i : NONE);
        any |= differs;
    }
    if (!__syncthreads_or(any)) return 0;
    follow_rows(g, words, gains, counts);
    __syncthreads();
    gather(g, words, gains, counts);
    __syncthreads();
    int64 rise = 0;
    for (uint32 i = threadIdx.x; i < g.n; i += blockDim.x) {
        uint32 word = words[i], root = word & NONE;
        if (root == NONE) continue;
        NUMBER gain = gains[root];
        if (gain > 0 || (gain == 0 && (scramble(draw ^ root) & 1))) {
            words[i] = word ^ SIGN;
            if (root == i) rise += gain;
        }
    }
    return rise;
}

struct Lineages {
    int8* rows;
    const int8* parents;
    const double* values;
    const uint32* islands;
    const int* partners;
    int64 *own, *last;
    uint8* kept;
    uint64* counts;
    uint64 key;
    double half;
    uint32 reads;
    bool first, symmetric;
};

// One lineage's part in `step_lineages`: where it is the first launch, with its own parent, and, as soon as that one is ready, with its partner.
__device__ __forceinline__ void step(const Graph& g, const Lineages& l, uint32* words, NUMBER* gains, uint32 job) {
    uint32 island = job / l.reads, r = job % l.reads;
    const uint32* about = l.islands + 3 * island;
    int partner = l.partners[job];
    int64 base = (int64)about[0] * l.reads;
    int8* row = l.rows + (base + r) * g.n;
    Counts counts = {0, 0};
    auto sign = [words](uint32 i) { return peek(words + i); };
    for (uint32 i = threadIdx.x; i < g.n; i += blockDim.x) words[i] = (row[i] < 0 ? SIGN : 0) | NONE;
    __shared__ uint64 total;
    if (threadIdx.x == 0) total = l.first ? 0 : (uint64)l.own[job];
    __syncthreads();
    if (l.first) add_up(&total, twice_value(g, sign));
    // Who has a lower lineage for a partner waits until that one's parent is the new one.
    bool ready = partner >= (int)r || !l.first;
    for (int turn = l.first ? 0 : 1; turn < (partner >= 0 && ready ? 2 : 1); ++turn) {
        const int8* other = l.parents + (base + r) * g.n;
        if (turn) {
            other = l.parents + (base + partner) * g.n;
            if (partner < (int)r && l.kept[job - r + partner]) other = l.rows + (base + partner) * g.n;
        }
        uint64 rise = 0;
        for (int sign = 1; sign >= (l.symmetric ? -1 : 1); sign -= 2) {
            Words draws = philox(l.key, 2 * r + 1, about[2], about[1], CROSS);
            uint32 draw = sign == 1 ? (turn ? draws.w1 : draws.w0) : (turn ? draws.w3 : draws.w2);
            rise += (uint64)cross_with(g, words, gains, other, sign, draw, counts);
        }
        add_up(&total, 4 * rise);
        __syncthreads();
        if (turn == 0 && threadIdx.x == 0) l.own[job] = (int64)total;
    }
    if (partner < 0 || ready) {
        // Rounded weights may differ between the two halves of an edge: see crossover.py.
        if (sizeof(NUMBER) == 8) {
            if (threadIdx.x == 0) total = 0;
            __syncthreads();
            add_up(&total, twice_value(g, sign));
            __syncthreads();
        }
        if (threadIdx.x == 0) {
            l.last[job] = (int64)total;
            l.kept[job] = (double)(int64)total * l.half >= l.values[job];
        }
    }
    for (uint32 i = threadIdx.x; i < g.n; i += blockDim.x) row[i] = words[i] & SIGN ? -1 : 1;
    uint64 parts = warp_sum((uint64)counts.parts), followed = warp_sum((uint64)counts.followed);
    if (threadIdx.x % 32 == 0) {
        atomicAdd(l.counts + 2 * island, parts);
        atomicAdd(l.counts + 2 * island + 1, followed);
    }
}

// `step_lineages` for the jobs listed in order (jobs,), or, in the first launch, for all of 0 ... jobs - 1; job k reads + r is lineage r of the
// k-th island. rows, parents (islands, reads, n); values, partners (k, reads), a partner -1 for none; islands (k, 3): place in rows and parents,
// number in the random counters, step. own and last (k, reads): twice the value after crossing with the own parent, and after all; kept (k, reads):
// whether it is the lineage's next parent, which `keep` makes it; counts (k, 2), added to: components, couplings followed.
// word_scratch, where SCRATCH, and gain_scratch, where gains are not in shared memory behind the words: (blocks, n).
extern "C" __global__ void __launch_bounds__(THREADS, 1) cross(
    const int64* indptr, const uint32* indices, const NUMBER* weights, const NUMBER* fields, const uint32* hubs, uint32 hub_count, uint32 hub,
    uint32 lanes, uint32 n, int8* rows, const int8* parents, const double* values, const uint32* islands, const int* partners, const int* order,
    uint32 jobs, uint32 reads, int first, int symmetric, uint64 key, double half, int gains_shared, uint32* word_scratch, NUMBER* gain_scratch, int64* own,
    int64* last, uint8* kept, uint64* counts) {
    DYNAMIC_SHARED(memory);
    Graph g = {indptr, indices, weights, fields, hubs, hub_count, hub, lanes, n};
    Lineages l = {rows, parents, values, islands, partners, own, last, kept, counts, key, half, reads, first != 0, symmetric != 0};
    int64 slot = (int64)blockIdx.x * n;
    uint32* words = SCRATCH ? word_scratch + slot : (uint32*)memory;
    NUMBER* gains = gains_shared ? (NUMBER*)(memory + ((int64)n * 4 + 15) / 16 * 16) : gain_scratch + slot;
    for (uint32 k = blockIdx.x; k < jobs; k += gridDim.x) step(g, l, words, gains, first ? k : (uint32)order[k]);
}

// The end of a step: rows that are kept are the next parents.
extern "C" __global__ void __launch_bounds__(256) keep(
    const int8* rows, int8* parents, const uint32* islands, const uint8* kept, uint32 jobs, uint32 reads, uint32 n) {
    for (uint32 job = blockIdx.y; job < jobs; job += gridDim.y) {
        if (!kept[job]) continue;
        int64 base = ((int64)islands[3 * (job / reads)] * reads + job % reads) * n;
        for (uint32 i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) parents[base + i] = rows[base + i];
    }
}

// Twice the value of states rows (states, n).
extern "C" __global__ void __launch_bounds__(1024, 1) twice_values(
    const int64* indptr, const uint32* indices, const NUMBER* weights, const NUMBER* fields, const uint32* hubs, uint32 hub_count, uint32 hub,
    uint32 lanes, uint32 n, const int8* rows, uint32 states, int64* twice) {
    Graph g = {indptr, indices, weights, fields, hubs, hub_count, hub, lanes, n};
    __shared__ uint64 total;
    for (uint32 k = blockIdx.x; k < states; k += gridDim.x) {
        const int8* row = rows + (int64)k * n;
        if (threadIdx.x == 0) total = 0;
        __syncthreads();
        add_up(&total, twice_value(g, [row](uint32 i) { return (uint32)(int)row[i]; }));
        __syncthreads();
        if (threadIdx.x == 0) twice[k] = (int64)total;
    }
}
