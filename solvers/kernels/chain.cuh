// What the kernels of dense chains have in common. A warp walks a chain, tile after tile of SPAN spins, WORDS words of 32.
//
// FIELD: the kind of the local fields. FAR=1: fields and flips lie in global memory, FAR=0: in the block's own.
// The flips of about the last sweep stand in a ring, as 2 spin + (was up); a tile's fields hold all flips up to its mark, the place of the ring where its last
// visit began, and at a visit take in those since, in their order. What flips within the visit is added for the later spins of the tile on the way, and again
// at the next visit, so that float sums are the same as of fields that are always up to date.
#include "noise.cuh"

#define SPAN 256
#define WORDS 8
// Places at the front of the ring that stand once more beyond its end, so that so many in a row can be read without a wrap.
#define AGAIN 32
#define ALL_BUT_FIRST 0xFFFFFFFEu

template <bool far> struct Kept {
    typedef uint16 Flip;
};
template <> struct Kept<true> {
    typedef uint32 Flip;
};
typedef Kept<FAR == 1>::Flip Flip;

// A warp's share of the dynamic shared memory; `dense.Room` is the host's twin.
struct Chain {
    uint4* draws;   // 32, for 2048 spins
    uint8* counts;  // SPAN
    uint32* up;     // tiles WORDS
    FIELD* fields;  // width
    Flip* flips;    // mask + 1, a power of two, at least n + AGAIN; and AGAIN
    uint32* marks;  // tiles
    uint32* raised; // tiles
    uint32 mask;

    __device__ __forceinline__ Chain(unsigned char* own, FIELD* far_fields, uint32* far_flips, int tiles, int width, int capacity) {
        draws = (uint4*)own;
        counts = own + 512;
        up = (uint32*)(own + 768);
        own += 768 + 4 * WORDS * tiles;
        fields = FAR ? far_fields : (FIELD*)own;
        own += FAR ? 0 : width * sizeof(FIELD);
        flips = FAR ? (Flip*)far_flips : (Flip*)own;
        own += FAR ? 0 : (capacity + AGAIN) * sizeof(Flip);
        marks = (uint32*)own;
        raised = marks + tiles;
        mask = capacity - 1;
    }

    // Spins from words, or where there is none, from bytes of a state; fields from where they are kept.
    __device__ __forceinline__ void load(const uint32* words, const int8* state, const FIELD* kept, int n, int width, int tiles, int lane) {
        for (int w = 0; w < tiles * WORDS; ++w) {
            int i = 32 * w + lane;
            uint32 word = 32 * w >= n ? 0 : state ? __ballot_sync(ALL_LANES, i < n && state[i] > 0) : words[w];
            if (lane == 0) up[w] = word;
        }
        for (int t = lane; t < tiles; t += 32) marks[t] = raised[t] = 0;
        if (!FAR)
            for (int j = lane; j < width; j += 32) fields[j] = kept[j];
        __syncwarp();
    }

    __device__ __forceinline__ void save(uint32* words, FIELD* kept, int width, int lane) {
        __syncwarp();
        for (int w = lane; w < width / 32; w += 32) words[w] = up[w];
        if (!FAR)
            for (int j = lane; j < width; j += 32) kept[j] = fields[j];
    }

    // Write down those of spins begin to begin + 31 that have flipped, as number now, now + 1, ...
    __device__ __forceinline__ void note(uint32 flipped, uint32 before, int begin, uint32 now, int lane) {
        if (flipped >> lane & 1) write(now + __popc(flipped & ((1u << lane) - 1)), 2 * (begin + lane) + (before >> lane & 1));
    }

    __device__ __forceinline__ void write(uint32 number, int flip) {
        number &= mask;
        flips[number] = (Flip)flip;
        if (number < AGAIN) flips[number + mask + 1] = (Flip)flip;
    }

    // Philox blocks for the 2048 spins from tile `tile` on.
    __device__ __forceinline__ void draw(uint64 key, int tile, uint32 sweep, uint32 read, int lane) {
        Words words = philox(key, (uint32)(SPAN / 64 * tile + lane), sweep, read, CHAIN);
        draws[lane] = make_uint4(words.w0, words.w1, words.w2, words.w3);
        __syncwarp();
    }

    // The draws of spins 2 lane and 2 lane + 1 of 64 spins, number b of a tile.
    __device__ __forceinline__ uint32 pair(int tile, int b, int lane) const {
        return chain_pair(((const uint32*)draws)[4 * ((SPAN / 64 * tile + b) % 32) + lane / 8], lane);
    }

    // E(u) of spin 32 half + lane of the 64.
    static __device__ __forceinline__ float noise(uint32 pairs, int half, int lane) {
        uint32 both = __shfl_sync(ALL_LANES, pairs, 16 * half + lane / 2);
        return unit_noise(both >> 16 * (lane & 1) & 0xFFFFu);
    }
};

// The lanes of a word that begins at spin `begin` whose spins exist.
__device__ __forceinline__ uint32 existing(int n, int begin) {
    return n - begin >= 32 ? ALL_LANES : (1u << (n - begin)) - 1;
}
