// The temperature of an anneal: `box_timer`, operation by operation.
#include "common.cuh"

// ln(1 + x) for x >= 0.
__device__ __forceinline__ double log1p_plain(double x) {
    if (x > 1e308) return x;
    int halvings = 0;
    double s;
    if (x < 0.4) {
        s = x / (2.0 + x);
    } else {
        double m = 1.0 + x;
        for (; m > 1.42; ++halvings) m *= 0.5;
        s = (m - 1.0) / (m + 1.0);
    }
    double q = s * s, p = 1.0 / 23.0;
#pragma unroll
    for (int k = 21; k > 0; k -= 2) p = p * q + 1.0 / k;
    return halvings * 0.6931471805599453 + 2.0 * s * p;
}

// Of the FN timer between hot and cold; rise: e^kappa - 1, the host's, since no two libraries agree on the last bit.
__device__ __forceinline__ double temperature(double hot, double cold, double kappa, double rise, double t) {
    if (!(cold < hot)) return cold;
    double k2 = kappa / (1.0 / cold - 1.0 / hot);
    return k2 / (k2 / hot + log1p_plain(rise * t));
}
