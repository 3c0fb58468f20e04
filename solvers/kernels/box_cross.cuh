// Partition crossover by one warp: `box_cross.cross_boxes`, operation by operation.
#include "box_moves.cuh"

#define ALIKE 0.02

// Move u, and its gradient g, towards v in every component where that lowers f; nothing is done where all differences are one component. Returns the entries followed.
// Scratch: label (n), queue (n), starts (n + 1), shares (n).
__device__ __forceinline__ int64 cross_boxes(const Box& P, double* u, double* g, const double* v, int8* label, int* queue, int* starts, double* shares) {
    const int n = P.n, lane = lane_of();
    const uint32 below = (1u << lane) - 1;
    int64 followed = 0;
    int parts = 0, tail = 0;
    for (int i = lane; i < n; i += 32) {
        double d = v[i] - u[i];
        label[i] = (d < 0.0 ? -d : d) > ALIKE ? 1 : 0;
    }
    __syncwarp();
    for (int base = 0; base < n; base += 32)
        for (;;) {
            uint32 left = __ballot_sync(ALL_LANES, base + lane < n && label[base + lane] == 1);
            if (!left) break;
            int head = tail;
            __syncwarp();
            if (lane == 0) {
                int first = base + __ffs((int)left) - 1;
                starts[parts] = tail;
                label[first] = 2;
                queue[tail] = first;
            }
            ++tail;
            __syncwarp();
            double slope = 0.0, curvature = 0.0;
            bool whole = false;
            while (head < tail) {
                const int i = queue[head++];
                const double d = v[i] - u[i];
                const int64 end = P.indptr[i + 1];
                whole = whole || P.bend[i] == 0.0;
                double image = 0.0;
                followed += end - P.indptr[i];
                for (int64 e = P.indptr[i]; e < end; e += 32) {
                    int j = 0, marked = 0;
                    double term = 0.0;
                    if (e + lane < end) {
                        j = P.indices[e + lane];
                        marked = label[j];
                        if (marked) term = P.data[e + lane] * (v[j] - u[j]);
                    }
                    uint32 fresh = __ballot_sync(ALL_LANES, marked == 1), apart = __ballot_sync(ALL_LANES, marked != 0);
                    if (marked == 1) {
                        label[j] = 2;
                        queue[tail + __popc(fresh & below)] = j;
                    }
                    tail += __popc(fresh);
                    // In the order of the row.
                    for (; apart; apart &= apart - 1) image += __shfl_sync(ALL_LANES, term, __ffs((int)apart) - 1);
                    __syncwarp();
                }
                slope += g[i] * d;
                curvature += image * d;
            }
            double t = slope + 0.5 * curvature < 0.0 ? 1.0 : 0.0;
            if (curvature > 0.0 && !whole) {
                t = -slope / curvature;
                t = 0.0 > t ? 0.0 : t;
                t = 1.0 < t ? 1.0 : t;
            }
            if (lane == 0) shares[parts] = t;
            ++parts;
        }
    if (lane == 0) starts[parts] = tail;
    __syncwarp();
    if (parts < 2) return followed;
    for (int part = 0; part < parts; ++part) {
        const double t = shares[part];
        if (!(t > 0.0)) continue;
        for (int k = starts[part], last = starts[part + 1]; k < last; ++k) {
            const int i = queue[k];
            const double d = v[i] - u[i], now = t == 1.0 ? v[i] : u[i] + t * d, step = now - u[i];
            const int64 end = P.indptr[i + 1];
            followed += end - P.indptr[i];
            for (int64 e = P.indptr[i] + lane; e < end; e += 32) g[P.indices[e]] += P.data[e] * step;
            __syncwarp();
            if (lane == 0) u[i] = now;
            __syncwarp();
        }
    }
    return followed;
}
