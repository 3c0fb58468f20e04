// NeuroSA, one neuron a step: see neurosa.py. A warp walks one read; its threads test the neurons of 32 steps at once.
//
// The first of them that spikes is applied, and those after it are tested again. A neuron's threshold does not depend on the state: it is found once, in
// float, with a slack far above float's errors, and only a gain within the slack is decided by `exceeds`, in double, as on the CPU.
#include "log.cuh"
#include "philox.cuh"

// variants: WORD=int8 WEIGHT=int | WORD=short WEIGHT=int | WORD=int WEIGHT=int | WORD=double WEIGHT=double
// budget neurosa_shared 80 registers, 0 bytes
// budget neurosa_global 80 registers, 0 bytes

// Blocks that a multiprocessor should hold: 32 warps, 24 from Blackwell on, whose compiler needs more registers.
#if __CUDA_ARCH__ >= 1000
#define RESIDENT 6
#else
#define RESIDENT 8
#endif
#define INFINITE __int_as_float(0x7F800000)

struct Seen {
    int change, spin;
};

// The neurons of a read. Integers: word = 2 field + (1 where the spin is down), so that one load gives both, in as few bits as the largest field needs.
template <class W> struct Neurons {
    typedef Seen See;
    typedef int64 Total;
    typedef int Bound;
    W* words;
    __device__ Neurons(uint8* bytes, uint32) : words((W*)bytes) {}
    __device__ int spin(uint32 p) const { return 1 - 2 * (words[p] & 1); }
    __device__ See see(uint32 p) const {
        int word = words[p], down = word & 1;
        return See{((word >> 1) ^ -down) + down, 1 - 2 * down};
    }
    __device__ void flip(uint32 p) { words[p] = (W)(words[p] ^ 1); }
    __device__ void add(uint32 p, int more) { words[p] = (W)(words[p] + 2 * more); }
    // An integer's gain exceeds mu iff it exceeds the integer below mu; gains stay below 2^30.
    static __device__ int low(float mu) { return (int)floorf(fminf(fmaxf(mu, -1073741824.0f), 1073741824.0f)); }
    static __device__ int high(float mu) { return (int)floorf(fmaxf(fminf(mu, 1073741824.0f), -1073741824.0f)); }
    static __device__ int64 total(int64 bits) { return bits; }
    static __device__ int64 bits(int64 total) { return total; }
};

struct SeenReal {
    double change;
    int spin;
};

// Real numbers: n fields, then n spins.
template <> struct Neurons<double> {
    typedef SeenReal See;
    typedef double Total;
    typedef float Bound;
    double* fields;
    int8* spins;
    __device__ Neurons(uint8* bytes, uint32 n) : fields((double*)bytes), spins((int8*)(bytes + 8 * (int64)n)) {}
    __device__ int spin(uint32 p) const { return spins[p]; }
    __device__ See see(uint32 p) const {
        int s = spins[p];
        return See{s * fields[p], s};
    }
    __device__ void flip(uint32 p) { spins[p] = (int8)-spins[p]; }
    __device__ void add(uint32 p, double more) { fields[p] += more; }
    static __device__ float low(float mu) { return fmaxf(mu, -INFINITE); }
    static __device__ float high(float mu) { return fminf(mu, INFINITE); }
    static __device__ double total(int64 bits) { return __longlong_as_double(bits); }
    static __device__ int64 bits(double total) { return __double_as_longlong(total); }
};

// What a step draws: its neuron, and u of 53 bits.
struct Draw {
    uint32 neuron;
    uint64 bits;
    __device__ double u() const { return (double)bits * 0x1p-53; }
};

__device__ __forceinline__ Draw drawn(uint64 key, int64 step, uint32 read, uint32 n) {
    Words words = philox(key, (uint32)step, (uint32)((uint64)step >> 32), read, STEP);
    return Draw{(uint32)(((uint64)words.w1 * n + __umulhi(words.w0, n)) >> 32), ((uint64)words.w2 << 21) | (words.w3 >> 11)};
}

// The rule: whether gain > T(step) ln(x).
__device__ __forceinline__ bool exceeds(double gain, const double* timer, int64 step, double x) {
    return gain > timer[0] / ln_plus_one(timer[1] + timer[2] * (double)step) * ln(x);
}

// All steps of one read, by one warp. bytes: its neurons; ledger: total gain of the spikes, now and at best, length of the journal, spikes, synaptic events.
__device__ __forceinline__ void walk(
    const int64* indptr, const uint32* indices, const WEIGHT* weights, const WEIGHT* shift, int shifted, const double* timers, int own, uint8* bytes,
    int8* best, int* journal, int64* ledger, double scale, double ground, uint64 key, uint32 read, uint32 n, int64 first, int steps) {
    typedef Neurons<WORD> Here;
    Here neurons(bytes, n);
    int lane = threadIdx.x % 32;
    // The step first + done + ready is the next; where its gain was within the slack, `verdict` says what the rule says, else -1.
    int done = 0, ready = 0, verdict = -1;
    while (done < steps) {
        Here::Total total = Here::total(ledger[0]), top = Here::total(ledger[1]);
        uint32 length = (uint32)ledger[2];
        int spikes = 0;
        int64 events = 0;
        bool unsure = false;
        for (; done < steps; done += 32, ready = 0) {
            int64 step = first + (done + lane);
            Draw draw = drawn(key, step, read, n);
            uint32 p = draw.neuron;
            const double* timer = timers + 3 * (own ? (int64)p : 0);
            float c = (float)timer[0], z = (float)(timer[1] + timer[2] * (double)step);
            float t = c / log1pf(z);
            float x = (float)scale * ((float)draw.bits * 0x1p-53f) + (float)ground;
            float mu = t * logf(x);
            float slack = 2e-6f * (t + fabsf(mu)) + 1e-30f;
            // Beyond these a float has lost its digits; and where mu is infinite or NaN, nothing is decided here either.
            bool fine = fminf(fminf(c, z), x) > 1e-30f && z < INFINITE;
            Here::Bound low = Here::low(fine ? mu - slack : -INFINITE), high = Here::high(fine ? mu + slack : INFINITE);
            if (verdict >= 0 && lane == ready) low = high = verdict ? Here::low(-INFINITE) : Here::high(INFINITE);
            verdict = -1;
            bool open = lane >= ready && lane < steps - done;
            for (;;) {
                Here::See seen = neurons.see(p);
                auto gain = seen.change;
                if (shifted) gain += shift[p];
                uint32 stopping = __ballot_sync(ALL_LANES, open && (Here::Bound)gain > low);
                if (!stopping) break;
                int at = __ffs((int)stopping) - 1;
                open = open && lane > at;
                unsure = !(__ballot_sync(ALL_LANES, (Here::Bound)gain > high) >> at & 1);
                if (unsure) {
                    ready = at;
                    break;
                }
                uint32 q = __shfl_sync(ALL_LANES, p, at);
                WEIGHT twice = (WEIGHT)(-2 * __shfl_sync(ALL_LANES, seen.spin, at));
                total += __shfl_sync(ALL_LANES, seen.change, at);
                int64 e = indptr[q], end = indptr[q + 1];
                ++spikes;
                events += end - e;
                // No two edges of a neuron lead to the same neighbour, and none to itself.
                for (e += lane; e < end; e += 32) neurons.add(indices[e], twice * weights[e]);
                if (lane == 0) {
                    neurons.flip(q);
                    if (length < n) journal[length] = (int)q;
                }
                length = length < n ? length + 1 : n + 1;
                __syncwarp();
                if (total > top) {
                    top = total;
                    if (length > n)
                        for (uint32 k = lane; k < n; k += 32) best[k] = (int8)neurons.spin(k);
                    else
                        for (uint32 k = lane; k < length; k += 32) best[journal[k]] = (int8)neurons.spin(journal[k]);
                    length = 0;
                    __syncwarp();
                }
            }
            if (unsure) break;
        }
        __syncwarp();
        if (lane == 0) {
            ledger[0] = Here::bits(total);
            ledger[1] = Here::bits(top);
            ledger[2] = length;
            ledger[3] += spikes;
            ledger[4] += events;
        }
        __syncwarp();
        if (unsure) {
            // Left for last, and the sums put aside for it: the logarithms need many registers, once in hundreds of steps.
            int64 step = first + (done + ready);
            Draw draw = drawn(key, step, read, n);
            auto gain = neurons.see(draw.neuron).change;
            if (shifted) gain += shift[draw.neuron];
            verdict = exceeds((double)gain, timers + 3 * (own ? (int64)draw.neuron : 0), step, scale * draw.u() + ground);
        }
    }
}

// Steps first, ..., first + steps - 1 of reads read, ..., read + reads - 1, the neurons in shared memory meanwhile: stride bytes a warp.
//
// indptr (n+1,), indices, weights (2m,): the couplings, both directions. shift (n,), read where `shifted`. timers (1, 3), or with `own` (n, 3).
// states (reads, stride), best (reads, n), journal (reads, n), ledger (reads, 5): see `walk`. ground: the rule's floor.
extern "C" __global__ void __launch_bounds__(128, RESIDENT) neurosa_shared(
    const int64* indptr, const uint32* indices, const WEIGHT* weights, const WEIGHT* shift, int shifted, const double* timers, int own, uint8* states,
    int64 stride, int8* best, int* journal, int64* ledger, double scale, double ground, uint64 key, uint32 read, uint32 reads, uint32 n, int64 first,
    int steps) {
    DYNAMIC_SHARED(room);
    int64 r = (int64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (r >= reads) return;
    uint8* mine = room + threadIdx.x / 32 * stride;
    uint4* here = (uint4*)mine;
    uint4* there = (uint4*)(states + r * stride);
    for (int64 k = threadIdx.x % 32; k < stride / 16; k += 32) here[k] = there[k];
    __syncwarp();
    walk(indptr, indices, weights, shift, shifted, timers, own, mine, best + r * n, journal + r * n, ledger + 5 * r, scale, ground, key,
         read + (uint32)r, n, first, steps);
    for (int64 k = threadIdx.x % 32; k < stride / 16; k += 32) there[k] = here[k];
}

// The same where shared memory has no room: the neurons stay where they are.
extern "C" __global__ void __launch_bounds__(128, RESIDENT) neurosa_global(
    const int64* indptr, const uint32* indices, const WEIGHT* weights, const WEIGHT* shift, int shifted, const double* timers, int own, uint8* states,
    int64 stride, int8* best, int* journal, int64* ledger, double scale, double ground, uint64 key, uint32 read, uint32 reads, uint32 n, int64 first,
    int steps) {
    int64 r = (int64)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (r >= reads) return;
    walk(indptr, indices, weights, shift, shifted, timers, own, states + r * stride, best + r * n, journal + r * n, ledger + 5 * r, scale, ground, key,
         read + (uint32)r, n, first, steps);
}
