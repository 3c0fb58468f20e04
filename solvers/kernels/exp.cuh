// exp(x) for x <= 0: `sweep.exp_negative`, operation by operation.
#include "common.cuh"

__device__ __forceinline__ double exp_negative(double x) {
    x = x > -43.0 ? x : -43.0;
    long long k = (long long)(0.5 - x * 1.4426950408889634);
    double r = (x + k * 6.93147180369123816490e-01) + k * 1.90821492927058770002e-10;
    double p = 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return p * __longlong_as_double((1023 - k) << 52);
}
