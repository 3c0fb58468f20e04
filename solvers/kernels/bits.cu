// Metropolis sweeps of dense chains whose couplings have two values, low and low + step: see bits.py. A warp a chain: see chain.cuh.
//
// At a visit of a tile, the rows of the flips since the last one are counted by full adders, 32 spins a word, a lane a word and every fourth flip, and the counts of the
// four, unpacked into bytes, are added up. x_kj = b_kj where spin k was up and 1 - b_kj where it was down: `rows` has both, at 2 k + 1 and 2 k, and at 2 n zeros.
// Within the visit, a lane is a spin, and its row's own words of the tile say how many of the neighbours flipped.
#include "chain.cuh"

// variants: FIELD=int8 FAR=0 | FIELD=short FAR=0 | FIELD=int FAR=0 | FIELD=int8 FAR=1 | FIELD=short FAR=1 | FIELD=int FAR=1
// budget bit_sweeps 128 registers, 0 bytes

#define AT_ONCE AGAIN
#define MOST_STEPS 7
// No gain reaches it.
#define NEVER 0x7FFFFFFF

__device__ __forceinline__ void full_add(uint32& carry, uint32& sum, uint32 a, uint32 b, uint32 c) {
    carry = (a & b) | (c & (a | b));
    sum = a ^ b ^ c;
}

// Counts of `steps` AT_ONCE flips from number `from` on: lane 8 g + w gets those of word w as two words of bytes, of spins 2 g + {0, 8, 16, 24} and the next ones.
// column: of the rows, which have fewer than 2**32 words, word lane % 8 of the tile.
__device__ __forceinline__ uint2 count_rows(const uint32* __restrict__ rows, uint32 column, const Chain& own, uint32 from, int steps, uint32 stride, int lane) {
    uint32 ones = 0, twos = 0, fours = 0, eights = 0, sixteens = 0, thirty_twos = 0;
    for (int k = 0; k < steps; ++k, from += AT_ONCE) {
        const Flip* which = own.flips + (from & own.mask) + lane / 8;
        uint32 x[8], a, b, c, d;
#pragma unroll
        for (int r = 0; r < 8; ++r) x[r] = rows[column + stride * which[4 * r]];
        full_add(a, ones, ones, x[0], x[1]);
        full_add(b, ones, ones, x[2], x[3]);
        full_add(c, twos, twos, a, b);
        full_add(a, ones, ones, x[4], x[5]);
        full_add(b, ones, ones, x[6], x[7]);
        full_add(d, twos, twos, a, b);
        full_add(a, fours, fours, c, d);
        b = eights & a;
        eights ^= a;
        thirty_twos ^= sixteens & b;
        sixteens ^= b;
    }
    uint32 bytes[8];
#pragma unroll
    for (int q = 0; q < 8; ++q) {
        bytes[q] = ones >> q & 0x01010101u;
        bytes[q] |= (twos >> q & 0x01010101u) << 1;
        bytes[q] |= (fours >> q & 0x01010101u) << 2;
        bytes[q] |= (eights >> q & 0x01010101u) << 3;
        bytes[q] |= (sixteens >> q & 0x01010101u) << 4;
        bytes[q] |= (thirty_twos >> q & 0x01010101u) << 5;
    }
    // At most 4 * 56 a byte. Each half of the lanes keeps half of the bytes, and gives away the other.
#pragma unroll
    for (int q = 0; q < 4; ++q) {
        uint32 keep = lane & 16 ? bytes[q + 4] : bytes[q], give = lane & 16 ? bytes[q] : bytes[q + 4];
        bytes[q] = keep + __shfl_xor_sync(ALL_LANES, give, 16);
    }
#pragma unroll
    for (int q = 0; q < 2; ++q) {
        uint32 keep = lane & 8 ? bytes[q + 2] : bytes[q], give = lane & 8 ? bytes[q] : bytes[q + 2];
        bytes[q] = keep + __shfl_xor_sync(ALL_LANES, give, 8);
    }
    return make_uint2(bytes[0], bytes[1]);
}

// Sweeps first, first + 1, ... of chains of given reads, one for each temperature; or, with fresh=1, fields summed from the states (chains, n), base being the fields of
// all spins down, and no sweeps. rows (2 n + 1, stride); near (tiles SPAN, WORDS): of each row, the words of its own tile; bound: of a gain.
// spins (chains, width/32) words, local (chains, width): kept up to date; lists (chains, capacity): scratch, if FAR; flips (chains,): added to; bytes: of shared memory a warp.
extern "C" __global__ void __launch_bounds__(128, 4)
bit_sweeps(const uint32* __restrict__ rows, const uint32* __restrict__ near, const int* __restrict__ base, const float* __restrict__ temperatures,
           const uint32* __restrict__ reads, const int8* __restrict__ states, uint32* spins, FIELD* local, uint32* lists, int64* flips, int64 chains, uint32 stride, int n,
           int width, int capacity, int bytes, int sweeps, int fresh, int low, int step, float bound, uint64 key, uint32 first) {
    DYNAMIC_SHARED(shared);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64 chain = (int64)blockIdx.x * (blockDim.x / 32) + warp;
    if (chain >= chains) return;
    int tiles = (n + SPAN - 1) / SPAN;
    uint32* words = spins + chain * (width / 32);
    FIELD* kept = local + chain * width;
    Chain own(shared + warp * bytes, kept, lists + (FAR ? chain * (capacity + AGAIN) : 0), tiles, width, capacity);
    own.load(words, fresh ? states + chain * n : nullptr, kept, n, width, tiles, lane);
    uint32 read = reads[chain];
    // Fields may pass through sums that do not fit on the way to sums that do.
    uint32 twice_low = 2u * low, twice_step = 2u * step, twice_high = twice_low + twice_step;
    // Flips so far, and how many of them went up.
    uint32 now = 0, rises = 0;
    if (fresh) {
        for (int j = lane; j < n; j += 32) own.fields[j] = (FIELD)base[j];
        for (int w = 0; w < tiles * WORDS; ++w) {
            own.note(own.up[w], 0, 32 * w, now, lane);
            now += __popc(own.up[w]);
        }
        rises = now;
        __syncwarp();
    }
    for (int t = 0; t <= sweeps; ++t) {
        float temperature = t < sweeps ? temperatures[t] : 0.0f;
        for (int tile = 0; tile < tiles; ++tile) {
            uint32 f[WORDS];
#pragma unroll
            for (int v = 0; v < WORDS; ++v) {
                int j = SPAN * tile + 32 * v + lane;
                f[v] = j < width ? (uint32)(int)own.fields[j] : 0;
            }
            uint32 from = own.marks[tile], risen = rises - own.raised[tile];
            __syncwarp();
            if (lane == 0) {
                own.marks[tile] = now;
                own.raised[tile] = rises;
            }
            if (from != now) {
                own.write(now + lane, 2 * n);
                uint32 change = twice_low * (2 * risen - (now - from)) + twice_step * risen;
#pragma unroll
                for (int v = 0; v < WORDS; ++v) f[v] += change;
                __syncwarp();
                uint32 column = WORDS * tile + lane % 8;
                for (int rest = now - from; rest > 0; rest -= MOST_STEPS * AT_ONCE, from += MOST_STEPS * AT_ONCE) {
                    int steps = min((rest + AT_ONCE - 1) / AT_ONCE, MOST_STEPS);
                    uint2 counted = count_rows(rows, column, own, from, steps, stride, lane);
                    uint32* place = (uint32*)own.counts + 8 * (lane % 8) + 2 * (lane / 8);
                    place[0] = counted.x;
                    place[1] = counted.y;
                    __syncwarp();
#pragma unroll
                    for (int v = 0; v < WORDS; ++v) f[v] -= twice_step * own.counts[32 * v + 4 * (lane % 8) + lane / 8];
                    __syncwarp();
                }
#pragma unroll
                for (int v = 0; v < WORDS; ++v) {
                    int j = SPAN * tile + 32 * v + lane;
                    if (j < (fresh ? n : width)) own.fields[j] = (FIELD)(int)f[v];
                }
            }
            if (t == sweeps) continue;
            if (tile % (2048 / SPAN) == 0) own.draw(key, tile, first + t, read, lane);
            // One word ahead, as the rows come from afar.
            const uint4* mine = (const uint4*)(near + (int64)(SPAN * tile + lane) * WORDS);
            uint4 next = mine[0], next_high = next;
            int least[WORDS];
#pragma unroll
            for (int v = 0; v < WORDS; v += 2) {
                uint32 pairs = own.pair(tile, v / 2, lane);
                least[v] = low - (int)min(temperature * Chain::noise(pairs, 0, lane), bound);
                least[v + 1] = low - (int)min(temperature * Chain::noise(pairs, 1, lane), bound);
            }
            if (SPAN * (tile + 1) > n) {
#pragma unroll
                for (int v = 0; v < WORDS; ++v)
                    if (SPAN * tile + 32 * v + lane >= n) least[v] = NEVER;
            }
            uint32 ups[WORDS], downs[WORDS], begun = now, risen_before = rises;
#pragma unroll
            for (int v = 0; v < WORDS; ++v) {
                int begin = SPAN * tile + 32 * v;
                if (begin >= n) break;
                uint4 a = next, b = next_high;
                if (v + 1 < WORDS) next = mine[32 * (WORDS / 4) * (v + 1)];
                if (v + 1 < WORDS && v >= 3) next_high = mine[32 * (WORDS / 4) * (v + 1) + 1];
                uint32 row[WORDS] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
                if (now != begun) {
                    int more = 0;
#pragma unroll
                    for (int w = 0; w < v; ++w) more += __popc(row[w] & downs[w]) - __popc(row[w] & ups[w]);
                    f[v] += twice_low * (2 * (rises - risen_before) - (now - begun)) + twice_step * more;
                }
                // In units of its own spin: what a flip of another from down to up adds to the gain.
                uint32 before = own.up[begin / 32], mine_up = before >> lane & 1;
                uint32 gain = mine_up ? f[v] : 0 - f[v];
                uint32 plain = mine_up ? twice_low : 0 - twice_low, marked = mine_up ? twice_high : 0 - twice_high;
                uint32 flipped = 0, candidates = __ballot_sync(ALL_LANES, (int)gain >= least[v]);
                while (candidates) {
                    int p = __ffs(candidates) - 1;
                    uint32 other = __shfl_sync(ALL_LANES, row[v], p), each = other >> lane & 1 ? marked : plain;
                    gain += before >> p & 1 ? 0 - each : each;
                    flipped |= 1u << p;
                    candidates = __ballot_sync(ALL_LANES, (int)gain >= least[v]) & (ALL_BUT_FIRST << p);
                }
                ups[v] = flipped & before;
                downs[v] = flipped & ~before;
                if (flipped) {
                    own.note(flipped, before, begin, now, lane);
                    if (lane == 0) own.up[begin / 32] = before ^ flipped;
                    now += __popc(flipped);
                    rises += __popc(downs[v]);
                }
            }
        }
    }
    own.save(words, kept, width, lane);
    if (lane == 0 && !fresh) flips[chain] += now;
}
