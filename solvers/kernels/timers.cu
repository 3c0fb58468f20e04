// The temperatures of a population's timers: see `lineages.timers`.
//
// budget timer_temperatures 40 registers, 0 bytes
// budget as_floats 32 registers, 0 bytes
// budget as_slopes 40 registers, 0 bytes
#include "common.cuh"

// The nearest number of 24 binary digits, ties to the even one, of a normal number.
__device__ __forceinline__ double rounded(double x) {
    uint64 bits = (uint64)__double_as_longlong(x), below = bits & 0x1FFFFFFFull, half = 0x10000000ull;
    bits -= below;
    if (below > half || (below == half && (bits >> 29 & 1))) bits += 0x20000000ull;
    return __longlong_as_double((long long)bits);
}

// out (I, most, R) = 1/(start + (1/cold - start) way) in the first annealed sweeps of a round, 0 after. ways (I, most); first, sweeps, annealed (I): of the round
// of each island, sweeps `first` on, how many of them, and how many of the round's are annealed; starts (I, R).
extern "C" __global__ void __launch_bounds__(256) timer_temperatures(
    const double* ways, const int* first, const int* sweeps, const int* annealed, const double* starts, double inverse_cold,
    int reads, int most, double* out) {
    const int at = blockIdx.y;
    for (int64 q = (int64)blockIdx.x * blockDim.x + threadIdx.x; q < (int64)sweeps[at] * reads; q += (int64)gridDim.x * blockDim.x) {
        int t = (int)(q / reads), r = (int)(q % reads);
        double start = starts[at * reads + r], value = 0;
        if (first[at] + t < annealed[at]) value = rounded(1 / (start + (inverse_cold - start) * ways[(int64)at * most + t]));
        out[((int64)at * most + t) * reads + r] = value;
    }
}

// For the lanes of floats: no more than `hottest`.
extern "C" __global__ void __launch_bounds__(256) as_floats(const double* temperatures, int64 size, double hottest, float* out) {
    for (int64 q = (int64)blockIdx.x * blockDim.x + threadIdx.x; q < size; q += (int64)gridDim.x * blockDim.x)
        out[q] = (float)min(max(temperatures[q], 0.0), hottest);
}

// For chains: 1/T of temperatures (I, most, R), in the order (I, R, most), T held between coldest and 1/coldest.
extern "C" __global__ void __launch_bounds__(256) as_slopes(
    const double* temperatures, int islands, int most, int reads, double coldest, double* out) {
    int64 size = (int64)islands * most * reads;
    for (int64 q = (int64)blockIdx.x * blockDim.x + threadIdx.x; q < size; q += (int64)gridDim.x * blockDim.x) {
        int64 t = q % most, r = q / most % reads, at = q / most / reads;
        out[q] = 1 / min(max(temperatures[(at * most + t) * reads + r], coldest), 1 / coldest);
    }
}
