// Philox4x32-10: see philox.py, which also says which counters are whose.
#include "common.cuh"

#define TILE 64
enum Purpose { SWEEP = 0, STEP = 1, START = 2, LANES_SWEEP = 3, CROSS = 4, CHAIN = 5 };

struct Words {
    uint32 w0, w1, w2, w3;
};

__device__ __forceinline__ Words philox(uint64 key, uint32 c0, uint32 c1, uint32 c2, uint32 c3) {
    uint32 k0 = (uint32)key, k1 = (uint32)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        uint32 high0 = __umulhi(0xD2511F53u, c0), low0 = 0xD2511F53u * c0;
        uint32 high1 = __umulhi(0xCD9E8D57u, c2), low1 = 0xCD9E8D57u * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Words{c0, c1, c2, c3};
}

// The scramble of `lanes` and `noise`: a bijection of 32 bits.
__device__ __forceinline__ uint32 scramble(uint32 x) {
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}
