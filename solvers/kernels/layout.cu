// States between rows of bytes, (I, 64, n) int8, and the words of the lanes, (2 I, n): see lanes.cu.
//
// budget pack_lanes 64 registers, 0 bytes
// budget unpack_lanes 64 registers, 0 bytes
#include "common.cuh"

// Group blockIdx.y = 2 k + half of the islands that are listed.
extern "C" __global__ void __launch_bounds__(256) pack_lanes(const int* islands, const int8* rows, uint32* words, int64 n) {
    int64 group = 2 * (int64)islands[blockIdx.y / 2] + blockIdx.y % 2;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64)gridDim.x * blockDim.x) {
        uint32 word = 0;
        for (int l = 0; l < 32; ++l) word |= (uint32)(rows[(32 * group + l) * n + i] > 0) << l;
        words[group * n + i] = word;
    }
}

extern "C" __global__ void __launch_bounds__(256) unpack_lanes(const int* islands, const uint32* words, int8* rows, int64 n) {
    int64 group = 2 * (int64)islands[blockIdx.y / 2] + blockIdx.y % 2;
    for (int64 i = (int64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64)gridDim.x * blockDim.x) {
        uint32 word = words[group * n + i];
        for (int l = 0; l < 32; ++l) rows[(32 * group + l) * n + i] = word >> l & 1 ? 1 : -1;
    }
}
