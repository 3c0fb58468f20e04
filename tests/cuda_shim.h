// CUDA C on a CPU, for tests: a fibre for every thread of a block, blocks one after another.
//
// What it has: indices, static and dynamic shared memory, block and warp barriers, shuffles and votes, atomics, the intrinsics that the kernels use.
// Threads, warps and blocks run in ascending or in descending order, each warp as far as it can, so that a missing barrier, and blocks that lean on each other, give other results;
// a barrier that not all threads reach, or after which some have returned, is an error, and so is a shuffle from a thread that is not there.
#pragma once
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <tuple>
#include <utility>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct uint2 { unsigned x, y; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline uint2 make_uint2(unsigned x, unsigned y) { return uint2{x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return uint4{x, y, z, w}; }
static dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __constant__ static
#define __launch_bounds__(...)
#define __shared__ static
#define __restrict__
#define __align__(n) alignas(n)
#define warpSize 32
#define DYNAMIC_SHARED(name) unsigned char* name = shim::dynamic

namespace shim {
enum State : uint8_t { READY, AT_BLOCK, AT_WARP, DONE };
enum Error { OK = 0, RETURNED_EARLY = 1, DIVERGED = 2, ABSENT_LANE = 4 };
constexpr size_t STACK = 128 * 1024;

// Contexts: a dozen instructions where the processor is known (swapcontext asks the kernel at every switch, 50 times as slow).
#if defined(__x86_64__)
typedef void* Context;
extern "C" void shim_switch(Context* from, Context to);
asm(".text\n.local shim_switch\n.type shim_switch,@function\nshim_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
static void switch_to(Context& from, Context& to) { shim_switch(&from, to); }
static void prepare(Context& context, char* stack, void (*start)()) {
    void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + STACK) & ~uintptr_t(15));
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(start);
    for (int k = 0; k < 6; ++k) *--top = nullptr;
    context = top;
}
#else
typedef ucontext_t Context;
static void switch_to(Context& from, Context& to) { swapcontext(&from, &to); }
static void prepare(Context& context, char* stack, void (*start)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, start, 0);
}
#endif

struct Fibre {
    Context context;
    dim3 thread;
    State state;
};
static std::vector<Fibre> fibres;
static std::vector<std::vector<char>> stacks;
static Context scheduler;
static unsigned current, count;
static const std::function<void()>* body;
static uint64_t exchanged[1024];
static unsigned char* dynamic;
static int error;

static void wait(State s) {
    unsigned me = current;
    fibres[me].state = s;
    switch_to(fibres[me].context, scheduler);
}
static void entry() {
    (*body)();
    wait(DONE);
}

// Threads first to end - 1 of a warp, until all of them wait for the block or are done.
static bool run_warp(unsigned first, unsigned end, bool descending) {
    for (;;) {
        unsigned ready = 0, waiting = 0;
        for (unsigned k = first; k < end; ++k) {
            unsigned t = descending ? first + end - 1 - k : k;
            if (fibres[t].state != READY) continue;
            current = t;
            threadIdx = fibres[t].thread;
            switch_to(scheduler, fibres[t].context);
        }
        for (unsigned t = first; t < end; ++t) {
            ready += fibres[t].state == READY;
            waiting += fibres[t].state == AT_WARP;
        }
        if (ready) continue;
        if (!waiting) return true;
        // All masks are full: a thread that has returned or waits for its block is missed.
        if (waiting != end - first) { error |= DIVERGED; return false; }
        for (unsigned t = first; t < end; ++t) fibres[t].state = READY;
    }
}

// One block: a warp runs as far as it can before the next one begins, so that whoever needs a barrier of the block, and has none, is far ahead or behind.
static bool run_block(bool descending) {
    const unsigned warps = (count + 31) / 32;
    for (;;) {
        for (unsigned k = 0; k < warps; ++k) {
            unsigned first = 32 * (descending ? warps - 1 - k : k);
            if (!run_warp(first, std::min(count, first + 32), descending)) return false;
        }
        unsigned done = 0;
        for (unsigned t = 0; t < count; ++t) done += fibres[t].state == DONE;
        if (done == count) return true;
        if (done) { error |= RETURNED_EARLY; return false; }
        for (unsigned t = 0; t < count; ++t) fibres[t].state = READY;
    }
}

static int launch(dim3 grid, dim3 block, size_t bytes, bool descending, const std::function<void()>& f) {
    count = block.x * block.y * block.z;
    gridDim = grid;
    blockDim = block;
    body = &f;
    error = OK;
    while (stacks.size() < count) stacks.emplace_back(STACK);
    if (fibres.size() < count) fibres.resize(count);
    unsigned blocks = grid.x * grid.y * grid.z;
    for (unsigned k = 0; k < blocks && !error; ++k) {
        unsigned b = descending ? blocks - 1 - k : k;
        blockIdx = dim3(b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y));
        // A fresh piece of exactly this size, so that a sanitizer sees what lies beyond it, full of rubbish.
        dynamic = static_cast<unsigned char*>(aligned_alloc(16, (bytes + 15) / 16 * 16 + 16));
        std::memset(dynamic, 0xCD, bytes);
        unsigned char* own = dynamic;
        for (unsigned t = 0; t < count; ++t) {
            Fibre& q = fibres[t];
            q.thread = dim3(t % block.x, t / block.x % block.y, t / (block.x * block.y));
            q.state = READY;
            prepare(q.context, stacks[t].data(), entry);
        }
        run_block(descending);
        free(own);
    }
    return error;
}

template <class T> inline T exchange(T value, unsigned source) {
    static_assert(sizeof(T) <= 8, "at most 64 bits are exchanged");
    unsigned me = current, from = (me & ~31u) + source;
    exchanged[me] = 0;
    std::memcpy(&exchanged[me], &value, sizeof(T));
    wait(AT_WARP);
    if (from >= count) { error |= ABSENT_LANE; from = me; }
    T out;
    std::memcpy(&out, &exchanged[from], sizeof(T));
    wait(AT_WARP);
    return out;
}

template <class... A, size_t... K>
int invoke(void (*kernel)(A...), void** args, std::index_sequence<K...>, dim3 g, dim3 b, size_t bytes, bool descending) {
    std::function<void()> f = [&] { kernel(*static_cast<std::decay_t<A>*>(args[K])...); };
    return launch(g, b, bytes, descending, f);
}
template <class... A>
int start(void (*kernel)(A...), void** args, unsigned gx, unsigned gy, unsigned b, size_t bytes, int descending) {
    return invoke(kernel, args, std::index_sequence_for<A...>{}, dim3(gx, gy), dim3(b), bytes, descending != 0);
}
}  // namespace shim

#define SHIM_EXPORT(kernel)                                                                                              \
    extern "C" int shim_##kernel(void** args, unsigned gx, unsigned gy, unsigned b, size_t bytes, int descending) {      \
        return shim::start(kernel, args, gx, gy, b, bytes, descending);                                                  \
    }

inline void __syncthreads() { shim::wait(shim::AT_BLOCK); }
inline void __syncwarp(unsigned = 0xFFFFFFFFu) { shim::wait(shim::AT_WARP); }
inline void __threadfence() {}
inline void __threadfence_block() {}
template <class T> inline T __shfl_sync(unsigned, T v, int source) { return shim::exchange(v, (unsigned)source & 31u); }
template <class T> inline T __shfl_xor_sync(unsigned, T v, int m) { return shim::exchange(v, (shim::current & 31u) ^ (unsigned)m); }
template <class T> inline T __shfl_down_sync(unsigned, T v, unsigned d) {
    unsigned l = shim::current & 31u;
    return shim::exchange(v, l + d < 32 ? l + d : l);
}
template <class T> inline T __shfl_up_sync(unsigned, T v, unsigned d) {
    unsigned l = shim::current & 31u;
    return shim::exchange(v, l >= d ? l - d : l);
}
inline unsigned __ballot_sync(unsigned, int p) {
    unsigned me = shim::current, w = me & ~31u, bits = 0;
    shim::exchanged[me] = p != 0;
    shim::wait(shim::AT_WARP);
    for (unsigned l = 0; l < 32 && w + l < shim::count; ++l) bits |= (unsigned)shim::exchanged[w + l] << l;
    shim::wait(shim::AT_WARP);
    return bits;
}
inline int __any_sync(unsigned m, int p) { return __ballot_sync(m, p) != 0; }
inline int __all_sync(unsigned m, int p) { return __ballot_sync(m, !p) == 0; }
inline int __syncthreads_or(int p) {
    static int any;
    __syncthreads();
    if (shim::current == 0) any = 0;
    __syncthreads();
    any |= p != 0;
    __syncthreads();
    return any;
}
inline int __syncthreads_count(int p) {
    static int total;
    __syncthreads();
    if (shim::current == 0) total = 0;
    __syncthreads();
    total += p != 0;
    __syncthreads();
    return total;
}
template <class T> struct Same { typedef T type; };
template <class T> inline T atomicAdd(T* p, typename Same<T>::type v) { T o = *p; *p = (T)(o + v); return o; }
inline int atomicAdd(int* p, int v) { int o = *p; *p = (int)((unsigned)o + (unsigned)v); return o; }
template <class T> inline T atomicMin(T* p, typename Same<T>::type v) { T o = *p; if (v < o) *p = v; return o; }
template <class T> inline T atomicMax(T* p, typename Same<T>::type v) { T o = *p; if (v > o) *p = v; return o; }
template <class T> inline T atomicOr(T* p, typename Same<T>::type v) { T o = *p; *p = o | v; return o; }
template <class T> inline T atomicAnd(T* p, typename Same<T>::type v) { T o = *p; *p = o & v; return o; }
template <class T> inline T atomicXor(T* p, typename Same<T>::type v) { T o = *p; *p = o ^ v; return o; }
template <class T> inline T atomicExch(T* p, typename Same<T>::type v) { T o = *p; *p = v; return o; }
template <class T> inline T atomicCAS(T* p, typename Same<T>::type c, typename Same<T>::type v) { T o = *p; if (o == c) *p = v; return o; }
template <class T> inline T __ldg(const T* p) { return *p; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((uint64_t)a * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) { return (unsigned long long)(((unsigned __int128)a * b) >> 64); }
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned k) { return (unsigned)((((uint64_t)high << 32 | low) << (k & 31)) >> 32); }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned k) { return (unsigned)(((uint64_t)high << 32 | low) >> (k & 31)); }
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    uint64_t bytes = (uint64_t)b << 32 | a;
    unsigned out = 0;
    for (int k = 0; k < 4; ++k) out |= (unsigned)(bytes >> (8 * (selector >> (4 * k) & 7)) & 255) << (8 * k);
    return out;
}
inline int __dp4a(int a, int b, int c) {
    for (int k = 0; k < 4; ++k) c = (int)((unsigned)c + (unsigned)((int)(int8_t)(a >> 8 * k) * (int8_t)(b >> 8 * k)));
    return c;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
template <class To, class From> inline To bit_copy(From x) { To out; static_assert(sizeof(To) == sizeof(From), ""); std::memcpy(&out, &x, sizeof out); return out; }
inline int __float_as_int(float x) { return bit_copy<int>(x); }
inline unsigned __float_as_uint(float x) { return bit_copy<unsigned>(x); }
inline float __int_as_float(int x) { return bit_copy<float>(x); }
inline float __uint_as_float(unsigned x) { return bit_copy<float>(x); }
inline long long __double_as_longlong(double x) { return bit_copy<long long>(x); }
inline double __longlong_as_double(long long x) { return bit_copy<double>(x); }
using std::max;
using std::min;
