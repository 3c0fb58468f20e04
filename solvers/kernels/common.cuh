// Number types, and what the kernels have in common. The host's twins of everything here are in the .py files of the same names.
typedef signed char int8;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

#define ALL_LANES 0xFFFFFFFFu

// The block's dynamic shared memory; tests that run kernels on a CPU define it otherwise.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

// The sum over a warp, in every lane.
template <class T> __device__ __forceinline__ T warp_sum(T value) {
    for (int reach = 16; reach; reach >>= 1) value += __shfl_xor_sync(ALL_LANES, value, reach);
    return value;
}
