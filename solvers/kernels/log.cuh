// Natural logarithms: `log.py`, operation by operation.
#include "common.cuh"

// k ln 2 + ln(1 + f) + rest, for a rest that is tiny.
__device__ __forceinline__ double log_sum(double k, double f, double rest) {
    double s = f / (2.0 + f);
    double z = s * s;
    double p = 2.0 / 21;
    p = p * z + 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    double half = 0.5 * f * f;
    return k * 6.93147180369123816490e-01 - ((half - (s * (half + p * z) + (k * 1.90821492927058770002e-10 + rest))) - f);
}

// k of a normal x > 0: x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2).
__device__ __forceinline__ int64 log_exponent(double x) {
    return (__double_as_longlong(x) - 0x3FE6A09E667F3BCDll) >> 52;
}

// x 2^-k, for its own k.
__device__ __forceinline__ double log_scaled(double x, int64 k) {
    return __longlong_as_double(__double_as_longlong(x) - (int64)((uint64)k << 52));
}

// ln(x) for 0 < x < inf; x itself where it is inf or NaN, -inf at 0.
__device__ inline double ln(double x) {
    if (!(x <= 1.7976931348623157e308)) return x;
    double shift = 0.0;
    if (x < 2.2250738585072014e-308) {
        if (x == 0.0) return __longlong_as_double((int64)0xFFF0000000000000ull);
        x = x * 18014398509481984.0;
        shift = 54.0;
    }
    int64 k = log_exponent(x);
    return log_sum((double)k - shift, log_scaled(x, k) - 1.0, 0.0);
}

// ln(1 + x) for x > -1; x itself where it is inf or NaN.
__device__ inline double ln_plus_one(double x) {
    if (!(x <= 1.7976931348623157e308)) return x;
    if (-0.25 < x && x < 0.375) return log_sum(0.0, x, 0.0);
    double y = 1.0 + x;
    int64 k = log_exponent(y);
    double lost = x < 1.0 ? x - (y - 1.0) : 1.0 - (y - x);
    return log_sum((double)k, log_scaled(y, k) - 1.0, lost / y);
}
