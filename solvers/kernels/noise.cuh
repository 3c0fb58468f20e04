// Exponential noise: `noise.exponential_noise`, operation by operation.
#include "philox.cuh"

// The draws of places 2 pair (low half) and 2 pair + 1 (high half) of the 64 of a block; word: the block's word pair / 8.
__device__ __forceinline__ uint32 chain_pair(uint32 word, uint32 pair) {
    return scramble(word + (pair + 1) * 0x9E3779B9u);
}

// The 16-bit draw of place 0 .. 63 of a block.
__device__ __forceinline__ uint32 chain_draw(Words words, int place) {
    uint32 low = place & 16 ? words.w1 : words.w0, high = place & 16 ? words.w3 : words.w2;
    uint32 both = chain_pair(place & 32 ? high : low, (uint32)place >> 1);
    return place & 1 ? both >> 16 : both & 0xFFFFu;
}

// E(u) of a 16-bit draw.
__device__ __forceinline__ float unit_noise(uint32 u) {
    // u + 1 = m 2**e with m in [sqrt(1/2), sqrt(2)).
    int above = __float_as_int((float)(u + 1)) - 0x3F3504F3;
    float r = __int_as_float((above & 0x7FFFFF) + 0x3F3504F3) - 1.0f;
    float p = r * -0.14338411f + 0.22070417f;
    p = p * r + -0.25397843f;
    p = p * r + 0.3325677f;
    p = p * r + -0.49990362f;
    p = p * r + 1.0000046f;
    return (float)(16 - (above >> 23)) * 0.6931471805599453f - p * r;
}
