// Random first spins: see start.py.
#include "philox.cuh"

// budget random_spins 40 registers, 0 bytes

// Fill row r = blockIdx.y of spins (rows, n) with the first states of read reads[r].
extern "C" __global__ void __launch_bounds__(256) random_spins(const uint32* reads, int8* spins, int64 n, uint64 key) {
    int8* row = spins + blockIdx.y * n;
    uint32 read = reads[blockIdx.y];
    int64 stride = (int64)gridDim.x * blockDim.x;
    int64 blocks = (n + 4 * TILE - 1) / (4 * TILE) * TILE;
    for (int64 b = (int64)blockIdx.x * blockDim.x + threadIdx.x; b < blocks; b += stride) {
        Words words = philox(key, (uint32)b, 0, read, START);
        int64 at = b / TILE * (4 * TILE) + b % TILE;
        uint32 each[4] = {words.w0, words.w1, words.w2, words.w3};
        for (int w = 0; w < 4; ++w)
            if (at + w * TILE < n) row[at + w * TILE] = each[w] >> 31 ? 1 : -1;
    }
}
