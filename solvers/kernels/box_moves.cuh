// Moves in the unit box by one block of threads: `box_moves`, operation by operation. See there for the mathematics.
//
// What is a number for the whole block (a sum, a decision) every warp works out for itself, from the same data in the same order: no traffic between warps,
// and barriers only where columns change hands. Points have `stride` places, a multiple of 32; those beyond n are 0 and stay 0.
#include "noise.cuh"

#define SLICE 64
#define BOX_NOISE 16
#define BOX_CHOICE 17
#define FLAT 1e-13
#define ROUNDING 1e-16
#define FAR __longlong_as_double(0x7FF0000000000000LL)

#ifdef __CUDACC_RTC__
#define PREFETCH(address) asm volatile("prefetch.global.L1 [%0];" ::"l"(address))
#else
#define PREFETCH(address)
#endif

// f on the unit box: rows (n, stride), or CSR.
struct Box {
    const ENTRY* rows;
    const int64* indptr;
    const int* indices;
    const double *data, *linear, *diagonal, *bend, *spread, *reach;
    const float* logistic;
    double size;
    int n, stride;
};

// What one sweep draws and how hot it is.
struct Noise {
    uint64 key;
    int64 first;
    double temperature;
    uint32 step, member;
};

struct Tally {
    int64 moves, products;
    double steep;
};

__device__ __forceinline__ int lane_of() { return threadIdx.x & 31; }

// A barrier of the block, which may be one warp.
__device__ __forceinline__ void meet() {
    if (blockDim.x == 32)
        __syncwarp();
    else
        __syncthreads();
}

// Four entries of a row, as they are loaded, and as doubles. An integer of 32 bits as a double without the slow conversion: it is the low word of 2^52 + 128 + b.
template <class Entry> struct Four;

template <> struct Four<int8> {
    uint32 all = 0;
    __device__ __forceinline__ void load(const int8* row) { all = __ldg((const uint32*)row); }
    __device__ __forceinline__ double operator[](int r) const {
        return __longlong_as_double(0x4330000000000000LL | (int64)((all ^ 0x80808080u) >> 8 * r & 0xFFu)) - 4503599627370624.0;
    }
};

template <> struct Four<double> {
    double2 low = {0.0, 0.0}, high = {0.0, 0.0};
    __device__ __forceinline__ void load(const double* row) {
        low = __ldg((const double2*)row);
        high = __ldg((const double2*)row + 1);
    }
    __device__ __forceinline__ double operator[](int r) const { return r & 2 ? r & 1 ? high.y : high.x : r & 1 ? low.y : low.x; }
};

// A vector of `stride` columns while rows are added to it: thread t has columns 4 (q B + t) ... + 3 of B threads; HELD of them in registers if not 0: then B HELD >= stride.
struct Columns {
#if HELD
    double own[HELD];
#endif
    double* to;
    int stride;

    __device__ __forceinline__ Columns(double* target, const double* from, int width) : to(target), stride(width) {
#if HELD
#pragma unroll
        for (int q = 0; q < HELD / 4; ++q) {
            int j = 4 * (q * blockDim.x + threadIdx.x);
#pragma unroll
            for (int r = 0; r < 4; ++r) own[4 * q + r] = from && j < stride ? from[j + r] : 0.0;
        }
#else
        if (from != to)
            for (int j = 4 * threadIdx.x; j < stride; j += 4 * blockDim.x)
                for (int r = 0; r < 4; ++r) to[j + r] = from ? from[j + r] : 0.0;
#endif
    }

    __device__ __forceinline__ void add(const ENTRY* row, double d) {
#if HELD
        // All loads before the first sum.
        Four<ENTRY> w[HELD / 4];
#pragma unroll
        for (int q = 0; q < HELD / 4; ++q) {
            int j = 4 * (q * blockDim.x + threadIdx.x);
            if (j < stride) w[q].load(row + j);
        }
#pragma unroll
        for (int q = 0; q < HELD / 4; ++q)
            if (4 * (q * blockDim.x + threadIdx.x) < stride)
#pragma unroll
                for (int r = 0; r < 4; ++r) own[4 * q + r] += w[q][r] * d;
#else
        for (int j = 4 * threadIdx.x; j < stride; j += 4 * blockDim.x) {
            Four<ENTRY> w;
            w.load(row + j);
#pragma unroll
            for (int r = 0; r < 4; ++r) to[j + r] += w[r] * d;
        }
#endif
    }

    // Columns base ... base + 31 into a buffer, by the eight threads that have them.
    __device__ __forceinline__ void show(int base, double* buffer) {
        int q = base / 4 / (int)blockDim.x, t = (int)threadIdx.x - (base / 4 - q * (int)blockDim.x);
        if (t < 0 || t >= 8) return;
#if HELD
#pragma unroll
        for (int p = 0; p < HELD / 4; ++p)
            if (p == q)
#pragma unroll
                for (int r = 0; r < 4; ++r) buffer[4 * t + r] = own[4 * p + r];
#else
        for (int r = 0; r < 4; ++r) buffer[4 * t + r] = to[base + 4 * t + r];
#endif
    }

    __device__ __forceinline__ void store() {
#if HELD
#pragma unroll
        for (int q = 0; q < HELD / 4; ++q) {
            int j = 4 * (q * blockDim.x + threadIdx.x);
            if (j < stride)
#pragma unroll
                for (int r = 0; r < 4; ++r) to[j + r] = own[4 * q + r];
        }
#endif
    }
};

// The exact minimiser of 1/2 a v^2 + b v; bend: a where positive and the variable continuous, else 0.
__device__ __forceinline__ double best_value(double a, double bend, double b) {
    if (bend > 0.0) {
        double v = -b / bend;
        v = 0.0 > v ? 0.0 : v;
        return 1.0 < v ? 1.0 : v;
    }
    return b + 0.5 * a < 0.0 ? 1.0 : 0.0;
}

__device__ __forceinline__ uint32 box_half(uint64 key, int64 draw, uint32 step, uint32 member) {
    return chain_draw(philox(key, (uint32)(draw / 64), step, member, BOX_NOISE), (int)(draw % 64));
}

// One move of every coordinate but `skip`, in turn: annealed, or exact and downhill. The 32 coordinates of a chunk are looked at together; the first that moves is taken,
// and those behind it are looked at again: so it takes as many steps as there are moves.
template <bool NOISY>
__device__ __noinline__ Tally sweep(const Box& shared, double* u, double* g, const Noise& z, int skip, double (*buffer)[32]) {
    const Box P = shared;
    const int lane = lane_of();
    Tally tally = {0, 0, 0.0};
#if !SPARSE
    Columns columns(g, g, P.stride);
    int turn = 0;
#endif
    for (int base = 0; base < P.n; base += 32) {
        const int i = base + lane;
        const bool on = i < P.n && i != skip;
        double ui = 0.0, a = 0.0, bend = 0.0, reach = 1.0, noise = 0.0;
        if (i < P.n) {
            ui = u[i], a = P.diagonal[i], bend = P.bend[i];
            if (NOISY)
                noise = z.temperature * P.spread[i] * (double)P.logistic[box_half(z.key, z.first + i, z.step, z.member) >> 4];
            else
                reach = P.reach[i];
        }
#if SPARSE
        int64 low = 0, high = 0;
        if (i < P.n) low = P.indptr[i], high = P.indptr[i + 1];
        double gi = i < P.n ? g[i] : 0.0;
        bool fetched = false;
#else
        // Two buffers in turn: nobody is two barriers ahead of another.
        columns.show(base, buffer[turn]);
        __syncthreads();
        double gi = buffer[turn][lane];
        turn ^= 1;
#endif
        bool changed = false;
        for (int from = 0;;) {
            double b = gi - a * ui;
            if (NOISY) b += noise;
            double v = best_value(a, bend, b), d = v - ui, slope = 0.0;
            bool moves = on && lane >= from && d != 0.0;
            if (!NOISY && moves) {
                slope = -(d < 0.0 ? -1.0 : 1.0) * (gi + 0.5 * a * d);
                moves = slope > ROUNDING * reach * (d < 0.0 ? -d : d);
            }
            uint32 movers = __ballot_sync(ALL_LANES, moves);
            if (!movers) break;
            int first = __ffs((int)movers) - 1;
            double step = __shfl_sync(ALL_LANES, d, first);
            if (lane == first) {
                ui = v;
                changed = true;
                double s = slope / reach;
                tally.steep = s > tally.steep ? s : tally.steep;
            }
            ++tally.moves;
            from = first + 1;
#if SPARSE
            if (moves && !fetched) {
                PREFETCH(P.indices + low);
                PREFETCH(P.data + low);
                fetched = true;
            }
            int64 e = __shfl_sync(ALL_LANES, low, first), end = __shfl_sync(ALL_LANES, high, first);
            tally.products += end - e;
            // Every warp has its copy of the old g.
            if (blockDim.x > 32) __syncthreads();
            for (e += threadIdx.x; e < end; e += blockDim.x) g[__ldg(P.indices + e)] += __ldg(P.data + e) * step;
            meet();
            if (i < P.n) gi = g[i];
#else
            const ENTRY* row = P.rows + (int64)(base + first) * P.stride;
            movers &= movers - 1;
            if (movers && 128 * threadIdx.x < P.stride * sizeof(ENTRY))
                PREFETCH((const char*)(row + (int64)(__ffs((int)movers) - 1 - first) * P.stride) + 128 * threadIdx.x);
            const double mine = (double)__ldg(row + i);
            columns.add(row, step);
            gi += mine * step;
            tally.products += P.n;
#endif
        }
        if (threadIdx.x < 32 && changed) u[i] = ui;
    }
#if !SPARSE
    columns.store();
#endif
    __syncthreads();
    for (int far = 16; far; far >>= 1) {
        double other = __shfl_xor_sync(ALL_LANES, tally.steep, far);
        tally.steep = other > tally.steep ? other : tally.steep;
    }
    return tally;
}

// out = from + P v, from (stride,) or nothing; returns the number of products. Begins and ends with a barrier.
__device__ __noinline__ int64 product(const Box& P, const double* from, const double* v, double* out) {
    const int lane = lane_of();
    __syncthreads();
    int64 count = 0;
#if SPARSE
    // Rows of a symmetric matrix: column j adds up in the order in which rows i would be added.
    for (int j = threadIdx.x; j < P.n; j += blockDim.x) {
        double sum = from ? from[j] : 0.0;
        for (int64 e = P.indptr[j]; e < P.indptr[j + 1]; ++e) {
            double x = v[__ldg(P.indices + e)];
            if (x != 0.0) sum += __ldg(P.data + e) * x;
        }
        out[j] = sum;
    }
    for (int i = lane; i < P.n; i += 32)
        if (v[i] != 0.0) count += P.indptr[i + 1] - P.indptr[i];
    count = warp_sum(count);
#else
    Columns columns(out, from, P.stride);
    for (int base = 0; base < P.n; base += 32) {
        double mine = v[base + lane];
        uint32 some = __ballot_sync(ALL_LANES, mine != 0.0);
        count += __popc(some);
        for (; some; some &= some - 1) {
            int l = __ffs((int)some) - 1;
            columns.add(P.rows + (int64)(base + l) * P.stride, __shfl_sync(ALL_LANES, mine, l));
        }
    }
    count *= P.n;
    columns.store();
#endif
    __syncthreads();
    return count;
}

// Adds d times row i to g, between barriers; returns the number of products.
__device__ __forceinline__ int64 add_row(const Box& P, int i, double d, double* g) {
    __syncthreads();
#if SPARSE
    int64 e = P.indptr[i], end = P.indptr[i + 1], count = end - e;
    for (e += threadIdx.x; e < end; e += blockDim.x) g[P.indices[e]] += P.data[e] * d;
#else
    int64 count = P.n;
    for (int j = threadIdx.x; j < P.n; j += blockDim.x) g[j] += (double)P.rows[(int64)i * P.stride + j] * d;
#endif
    __syncthreads();
    return count;
}

// The sum over i < n of term(i): slice by slice of `SLICE`, in every thread.
template <class Term> __device__ __forceinline__ double total(int n, Term term) {
    double sum = 0.0;
    const int slices = (n + SLICE - 1) / SLICE;
    for (int base = 0; base < slices; base += 32) {
        double part = 0.0;
        for (int i = (base + lane_of()) * SLICE, end = i + SLICE; i < end && i < n; ++i) part += term(i);
        for (int l = 0; l < 32 && base + l < slices; ++l) sum += __shfl_sync(ALL_LANES, part, l);
    }
    return sum;
}

__device__ __forceinline__ double objective(const double* c, const double* u, const double* g, int n) {
    return 0.5 * total(n, [=](int i) { return u[i] * (g[i] + c[i]); });
}

__device__ __forceinline__ bool between(double bend, double u) { return bend > 0.0 && 0.0 < u && u < 1.0; }

// The largest |g_i| of the coordinates between their ends, beside reach, and how many there are of them.
__device__ __forceinline__ double steepest(const Box& P, const double* u, const double* g, int* count) {
    double largest = 0.0;
    int many = 0;
    for (int i = lane_of(); i < P.n; i += 32)
        if (between(P.bend[i], u[i])) {
            double s = (g[i] < 0.0 ? -g[i] : g[i]) / P.reach[i];
            largest = s > largest ? s : largest;
            ++many;
        }
    for (int far = 16; far; far >>= 1) {
        double other = __shfl_xor_sync(ALL_LANES, largest, far);
        largest = other > largest ? other : largest;
    }
    *count = warp_sum(many);
    return largest;
}

// Begin conjugate gradients on the coordinates between their ends; returns r'r/diag.
__device__ __forceinline__ double conjugate_start(const Box& P, const double* u, const double* g, double* direction) {
    for (int i = threadIdx.x; i < P.n; i += blockDim.x)
        direction[i] = between(P.bend[i], u[i]) ? -g[i] / P.bend[i] : 0.0;
    return total(P.n, [=](int i) { return between(P.bend[i], u[i]) ? g[i] * g[i] / P.bend[i] : 0.0; });
}

// One step of conjugate gradients; returns the new r'r/diag, or -1 where an end was met. Begins and ends with a barrier.
__device__ __forceinline__ double conjugate_step(const Box& P, double* u, double* g, double* p, double* image, double before, int64* products) {
    const int n = P.n;
    *products = product(P, nullptr, p, image);
    double curvature = total(n, [=](int i) { return p[i] * image[i]; });
    double largest = total(n, [=](int i) { return P.reach[i] * p[i] * p[i]; });
    double slope = total(n, [=](int i) { return p[i] * g[i]; });
    double sign = slope <= 0.0 ? 1.0 : -1.0, far = FAR;
    int which = n;
    for (int i = lane_of(); i < n; i += 32) {
        double d = sign * p[i];
        if (d != 0.0) {
            double room = d > 0.0 ? (1.0 - u[i]) / d : -u[i] / d;
            if (room < far) far = room, which = i;
        }
    }
    for (int reach = 16; reach; reach >>= 1) {
        double room = __shfl_xor_sync(ALL_LANES, far, reach);
        int i = __shfl_xor_sync(ALL_LANES, which, reach);
        if (room < far || (room == far && i < which)) far = room, which = i;
    }
    if (which == n) return -1.0;
    double step = far;
    if (curvature > FLAT * largest) {
        step = (slope < 0.0 ? -slope : slope) / curvature;
        step = step < far ? step : far;
    }
    const bool met = step == far;
    step *= sign;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        if (p[i] != 0.0) {
            double v = u[i] + step * p[i];
            v = 0.0 > v ? 0.0 : v;
            u[i] = 1.0 < v ? 1.0 : v;
        }
        g[i] += step * image[i];
        if (met && i == which) u[i] = sign * p[i] > 0.0 ? 1.0 : 0.0;
    }
    __syncthreads();
    if (met) return -1.0;
    double after = total(n, [=](int i) { return p[i] != 0.0 ? g[i] * g[i] / P.bend[i] : 0.0; });
    const double factor = after / before;
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x)
        if (p[i] != 0.0) p[i] = factor * p[i] - g[i] / P.bend[i];
    __syncthreads();
    return after;
}
