// What a GPU can do at most of the work that a spin test cannot do without: half a draw of 32 random bits.
typedef unsigned int uint32;
typedef long long int64;

extern "C" __global__ void __launch_bounds__(256) draws(uint32* out, int rounds) {
    uint32 x[8], total = 0;
    for (int k = 0; k < 8; ++k) x[k] = blockIdx.x * blockDim.x + threadIdx.x + k;
    for (int r = 0; r < rounds; ++r) {
        for (int k = 0; k < 8; ++k) {
            x[k] = (x[k] ^ (x[k] >> 16)) * 0x7FEB352Du;
            x[k] = (x[k] ^ (x[k] >> 15)) * 0x846CA68Bu;
            x[k] ^= x[k] >> 16;
        }
    }
    for (int k = 0; k < 8; ++k) total ^= x[k];
    out[(int64)blockIdx.x * blockDim.x + threadIdx.x] = total;
}
