// Metropolis sweeps of dense chains with weights of any kind: see dense.py. A warp a chain: see chain.cuh.
//
// At a visit of a tile, a lane is 8 spins side by side and adds their weights of every flip since the last one, as one vector; within the visit it is a spin.
#include "chain.cuh"

// variants: ROW=int8 FIELD=int8 FAR=0 | ROW=int8 FIELD=short FAR=0 | ROW=int8 FIELD=int FAR=0 | ROW=short FIELD=short FAR=0 | ROW=short FIELD=int FAR=0 | ROW=int FIELD=int FAR=0 | ROW=float FIELD=double FAR=0 | ROW=double FIELD=double FAR=0 | ROW=int8 FIELD=int8 FAR=1 | ROW=int8 FIELD=short FAR=1 | ROW=int8 FIELD=int FAR=1 | ROW=short FIELD=short FAR=1 | ROW=short FIELD=int FAR=1 | ROW=int FIELD=int FAR=1 | ROW=float FIELD=double FAR=1 | ROW=double FIELD=double FAR=1
// budget dense_sweeps 128 registers, 0 bytes

template <class T> struct Wide {
    typedef int Sum;
};
template <> struct Wide<double> {
    typedef double Sum;
};
typedef Wide<FIELD>::Sum Sum;

template <class T> struct alignas(8 * sizeof(T) < 16 ? 8 * sizeof(T) : 16) Eight {
    T at[8];
};

// Integers wrap on the way to sums that fit.
template <class T> __device__ __forceinline__ int add(int field, T weight, int factor) {
    return (int)((uint32)field + (uint32)(int)weight * (uint32)factor);
}
template <class T> __device__ __forceinline__ double add(double field, T weight, int factor) {
    return field + (double)weight * (double)factor;
}

// Add eight weights of four rows, in their order, each times its factor.
template <class T, class S> __device__ __forceinline__ void add_four(S* fields, const T* const* rows, const int* factors) {
    Eight<T> four[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) four[k] = *(const Eight<T>*)rows[k];
#pragma unroll
    for (int k = 0; k < 4; ++k)
#pragma unroll
        for (int q = 0; q < 8; ++q) fields[q] = add(fields[q], four[k].at[q], factors[k]);
}
// Of bytes: the four of a spin side by side, and one product of four.
__device__ __forceinline__ void add_four(int* fields, const int8* const* rows, const int* factors) {
    uint2 four[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) four[k] = *(const uint2*)rows[k];
    const int packed = (int)__byte_perm(__byte_perm(factors[0], factors[1], 0x0040), __byte_perm(factors[2], factors[3], 0x0040), 0x5410);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        uint32 a = half ? four[0].y : four[0].x, b = half ? four[1].y : four[1].x;
        uint32 c = half ? four[2].y : four[2].x, d = half ? four[3].y : four[3].x;
        uint32 low = __byte_perm(a, b, 0x5140), low_too = __byte_perm(c, d, 0x5140);
        uint32 high = __byte_perm(a, b, 0x7362), high_too = __byte_perm(c, d, 0x7362);
        int* f = fields + 4 * half;
        f[0] = __dp4a((int)__byte_perm(low, low_too, 0x5410), packed, f[0]);
        f[1] = __dp4a((int)__byte_perm(low, low_too, 0x7632), packed, f[1]);
        f[2] = __dp4a((int)__byte_perm(high, high_too, 0x5410), packed, f[2]);
        f[3] = __dp4a((int)__byte_perm(high, high_too, 0x7632), packed, f[3]);
    }
}

// What a gain must reach. bound: of a gain, of no meaning for floats.
__device__ __forceinline__ int least_gain(int, float noise, float bound) {
    return -(int)min(noise, bound);
}
__device__ __forceinline__ double least_gain(double, float noise, float bound) {
    return (double)-noise;
}

// Sweeps first, first + 1, ... of chains of given reads, one for each temperature; or, with fresh=1, fields summed from the states (chains, n), and no sweeps.
// rows (n, width); external (n,). The rest: as for bit_sweeps.
extern "C" __global__ void __launch_bounds__(128, 4)
dense_sweeps(const ROW* __restrict__ rows, const FIELD* __restrict__ external, const float* __restrict__ temperatures, const uint32* __restrict__ reads,
             const int8* __restrict__ states, uint32* spins, FIELD* local, uint32* lists, int64* flips, int64 chains, int n, int width, int capacity, int bytes,
             int sweeps, int fresh, float bound, uint64 key, uint32 first) {
    DYNAMIC_SHARED(shared);
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64 chain = (int64)blockIdx.x * (blockDim.x / 32) + warp;
    if (chain >= chains) return;
    int tiles = (n + SPAN - 1) / SPAN;
    uint32* words = spins + chain * (width / 32);
    FIELD* kept = local + chain * width;
    Chain own(shared + warp * bytes, kept, lists + (FAR ? chain * (capacity + AGAIN) : 0), tiles, width, capacity);
    own.load(words, fresh ? states + chain * n : nullptr, kept, n, width, tiles, lane);
    uint32 read = reads[chain], now = 0;
    int times = fresh ? 1 : 2;
    if (fresh) {
        for (int j = lane; j < width; j += 32) own.fields[j] = j < n ? external[j] : (FIELD)0;
        for (int w = 0; w < tiles * WORDS && 32 * w < n; ++w) {
            uint32 exist = existing(n, 32 * w);
            own.note(exist, ~own.up[w], 32 * w, now, lane);
            now += __popc(exist);
        }
        __syncwarp();
    }
    for (int t = 0; t <= sweeps; ++t) {
        float temperature = t < sweeps ? temperatures[t] : 0.0f;
        for (int tile = 0; tile < tiles; ++tile) {
            uint32 from = own.marks[tile];
            __syncwarp();
            if (lane == 0) own.marks[tile] = now;
            int j = SPAN * tile + 8 * lane;
            if (from != now && j < width) {
                Eight<FIELD>* place = (Eight<FIELD>*)(own.fields + j);
                Eight<FIELD> old = *place;
                // A matrix has fewer than 2**32 entries.
                const ROW* mine = rows + j;
                Sum f[8];
#pragma unroll
                for (int q = 0; q < 8; ++q) f[q] = old.at[q];
                for (; now - from >= 4; from += 4) {
                    const ROW* four[4];
                    int factors[4];
#pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        uint32 flip = own.flips[(from + k) & own.mask];
                        four[k] = mine + flip / 2 * (uint32)width;
                        factors[k] = flip & 1 ? -times : times;
                    }
                    add_four(f, four, factors);
                }
                for (; from != now; ++from) {
                    uint32 flip = own.flips[from & own.mask];
                    Eight<ROW> row = *(const Eight<ROW>*)(mine + flip / 2 * (uint32)width);
                    int factor = flip & 1 ? -times : times;
#pragma unroll
                    for (int q = 0; q < 8; ++q) f[q] = add(f[q], row.at[q], factor);
                }
#pragma unroll
                for (int q = 0; q < 8; ++q) old.at[q] = (FIELD)f[q];
                *place = old;
            }
            __syncwarp();
            if (t == sweeps) continue;
            if (tile % (2048 / SPAN) == 0) own.draw(key, tile, first + t, read, lane);
            uint32 begun = now;
            for (int begin = SPAN * tile; begin < min(SPAN * (tile + 1), n); begin += 32) {
                const ROW* column = rows + begin + lane;
                float noise = temperature * own.noise(own.pair(tile, begin / 64 % (WORDS / 2), lane), begin / 32 % 2, lane);
                Sum least = least_gain((Sum)0, noise, bound);
                Sum f = own.fields[begin + lane];
#pragma unroll 4
                for (uint32 k = begun; k != now; ++k) {
                    uint32 flip = own.flips[k & own.mask];
                    f = add(f, column[flip / 2 * (uint32)width], flip & 1 ? -2 : 2);
                }
                uint32 before = own.up[begin / 32], mine_up = before >> lane & 1;
                uint32 exist = existing(n, begin), flipped = 0;
                uint32 candidates = __ballot_sync(ALL_LANES, (mine_up ? f : -f) >= least) & exist;
                while (candidates) {
                    int p = __ffs(candidates) - 1;
                    f = add(f, column[(uint32)(begin + p) * (uint32)width], before >> p & 1 ? -2 : 2);
                    flipped |= 1u << p;
                    candidates = __ballot_sync(ALL_LANES, (mine_up ? f : -f) >= least) & exist & (ALL_BUT_FIRST << p);
                }
                if (flipped) {
                    own.note(flipped, before, begin, now, lane);
                    if (lane == 0) own.up[begin / 32] = before ^ flipped;
                    now += __popc(flipped);
                    __syncwarp();
                }
            }
        }
    }
    own.save(words, kept, width, lane);
    if (lane == 0 && !fresh) flips[chain] += now;
}
