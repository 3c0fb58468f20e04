// Compound moves of integer lanes: the twin of compound.py, bit for bit.
//
// Group 2 k + half holds lanes 32 half, ..., 32 half + 31 of island k: one word a spin, a bit a lane, 1 where the lane's spin is up. Rows are read by a warp 32
// entries at a time, an entry a thread; what comes is a square of 32 entries by 32 lanes, which is turned, so that each thread counts the neighbours
// that are up in its own lane. Centres of one level (`compound.levels`) do not touch what the others read, nor do the neighbours of a centre that are
// asked in one stage (`compound.stages`). So a block does a group in steps, a warp a neighbour; or, where levels are crowded, a warp a centre.
#include "common.cuh"

// budget compound_group 64 registers, 0 bytes
// budget compound_level 96 registers, 0 bytes

// An entry of a row is a spin's number; whether it is asked to follow here; whether this is the row's first entry of a spin that may follow; whether it may.
#define ASKED 0x80000000u
#define FIRST 0x40000000u
#define FOLLOWS 0x20000000u
#define VERTEX 0x03FFFFFFu

// A row: its `plus` edges of weight +1, then those of weight -1.
struct Row {
    const uint32* entries;
    int degree, plus, field;
};

// Bit l of lane k's word becomes bit k of lane l's.
__device__ __forceinline__ uint32 turned(uint32 x, uint32 lane) {
    uint32 mask = 0x0000FFFFu;
#pragma unroll
    for (uint32 reach = 16; reach; reach >>= 1) {
        uint32 y = __shfl_xor_sync(ALL_LANES, x, (int)reach);
        x = lane & reach ? (x & ~mask) | (y >> reach & mask) : (x & mask) | (y << reach & ~mask);
        mask ^= mask << (reach >> 1);
    }
    return x;
}

// Of entries k of a row, one a thread, in the words that are given: how many pull up in the thread's lane. flipped: a spin that counts as flipped.
__device__ __forceinline__ int pulls_up(
    const uint32* spins, const Row& row, uint32 entry, int k, uint32 lane, uint32 flipped = ~0u) {
    uint32 word = 0, at = entry & VERTEX;
    if (k < row.degree) word = (at == flipped) == (k >= row.plus) ? spins[at] : ~spins[at];
    return __popc(turned(word, lane));
}

// What flipping a spin adds in the thread's lane, in units of the gain.
__device__ __forceinline__ int gain_of(const Row& row, uint32 own, int up, uint32 lane) {
    int sum = 2 * up - row.degree + row.field;
    return own >> lane & 1 ? sum : -sum;
}

// ---- a block a group ----

// What a warp does in a step, in 16 bytes: the beginning of the row; FINISH or FIRST | plus << 15 | degree; slot << 26 | the spin; the centre.
#define FINISH 0x80000000u
#define SLOTS 64

struct Task {
    uint4 what;
    uint32 low, high;  // the first 64 entries of the row, two a thread
    int field;
};

// All that does not depend on the spins.
__device__ __forceinline__ void read_ahead(Task& task, const uint32* entries, const int* fields, uint32 lane) {
    const uint32* row = entries + task.what.x;
    uint32 degree = task.what.y & 0x7FFFu;
    task.low = lane < degree ? row[lane] : 0;
    task.high = lane + 32 < degree ? row[lane + 32] : 0;
    task.field = fields[task.what.z & VERTEX];
}

// A neighbour is asked to follow: the centre's word still is what it was.
__device__ __forceinline__ uint32 ask(uint32* spins, uint32* before, int* change, const Task& task, uint32 lane) {
    Row row{0, (int)(task.what.y & 0x7FFFu), (int)(task.what.y >> 15 & 0x7FFFu), task.field};
    uint32 vertex = task.what.z & VERTEX, centre = task.what.w, own = spins[vertex];
    int up = pulls_up(spins, row, task.low, (int)lane, lane, centre);
    if (row.degree > 32) up += pulls_up(spins, row, task.high, (int)lane + 32, lane, centre);
    int gain = gain_of(row, own, up, lane);
    if (gain > 0) atomicAdd(&change[32 * (task.what.z >> 26) + lane], gain);
    uint32 gaining = __ballot_sync(ALL_LANES, gain > 0);
    __syncwarp();
    if (lane) return 0;
    if (task.what.y & FIRST) before[vertex] = own;
    spins[vertex] = own ^ gaining;
    return (uint32)__popc(gaining);
}

// All neighbours have been asked: keep the move, or take it back.
__device__ __forceinline__ uint32 finish(
    uint32* spins, const uint32* before, int* change, const Task& task, const uint32* entries, uint32 lane) {
    Row row{entries + task.what.x, (int)(task.what.y & 0x7FFFu), (int)(task.what.y >> 15 & 0x7FFFu), task.field};
    uint32 centre = task.what.w, own = spins[centre], flips = 0;
    int up = 0;
    for (int base = 0; base < row.degree; base += 32) {
        int k = base + (int)lane;
        uint32 entry = base == 0 ? task.low : base == 32 ? task.high : k < row.degree ? row.entries[k] : 0;
        up += pulls_up(entry & FOLLOWS ? before : spins, row, entry, k, lane);
    }
    int* sum = &change[32 * (task.what.z >> 26) + lane];
    uint32 kept = __ballot_sync(ALL_LANES, *sum + gain_of(row, own, up, lane) > 0);
    *sum = 0;
    __syncwarp();
    if (kept != ALL_LANES) {
        for (int base = 0; base < row.degree; base += 32) {
            int k = base + (int)lane;
            uint32 entry = base == 0 ? task.low : base == 32 ? task.high : k < row.degree ? row.entries[k] : 0;
            if (!(entry & FIRST)) continue;
            uint32 at = entry & VERTEX, undone = (spins[at] ^ before[at]) & ~kept;
            spins[at] ^= undone;
            flips += (uint32)__popc(undone);
        }
    }
    if (lane) return flips;
    spins[centre] = own ^ kept;
    return flips + 32 + (uint32)__popc(~kept);
}

// Every warp has its first tasks of the next steps read ahead, each load a step before the one that needs it: a step takes little longer than a load.
__device__ __forceinline__ uint64 all_steps(
    uint32* spins, uint32* before, int* change, const uint32* entries, const int* fields, const uint4* tasks,
    const int* bounds, int steps) {
    uint32 lane = threadIdx.x % 32;
    int warp = (int)threadIdx.x / 32, warps = (int)blockDim.x / 32;
    const uint4 nothing = make_uint4(0, 0, 0, 0);
    uint64 flips = 0;
    int begin = bounds[0], end = bounds[1], later = bounds[min(2, steps)], last = bounds[min(3, steps)];
    Task task, next;
    task.what = begin + warp < end ? tasks[begin + warp] : nothing;
    read_ahead(task, entries, fields, lane);
    next.what = end + warp < later ? tasks[end + warp] : nothing;
    for (int step = 0; step < steps; ++step) {
        int beyond = bounds[min(step + 4, steps)];
        read_ahead(next, entries, fields, lane);
        uint4 after = later + warp < last ? tasks[later + warp] : nothing;
        for (int q = begin + warp; q < end; q += warps) {
            if (q != begin + warp) {
                task.what = tasks[q];
                read_ahead(task, entries, fields, lane);
            }
            flips += task.what.y & FINISH ? finish(spins, before, change, task, entries, lane)
                                          : ask(spins, before, change, task, lane);
        }
        __syncthreads();
        task = next;
        next.what = after;
        begin = end;
        end = later;
        later = last;
        last = beyond;
    }
    return flips;
}

// One pass over the centres by a block a group: blockIdx.x / 2 is a place in the list `islands`.
//
// fields (n,). tasks, four numbers each: those of step s from bounds[s] on. before: as words, scratch. resident: whether the spins come into shared
// memory. counts, by island: flips, added to.
extern "C" __global__ void __launch_bounds__(1024) compound_group(
    uint32* words, uint32* before, const uint32* entries, const int* fields, const uint32* tasks, const int* bounds,
    int steps, int n, const int* islands, int resident, uint64* counts) {
    DYNAMIC_SHARED(shared);
    int* change = (int*)shared;
    int island = islands[blockIdx.x / 2], threads = (int)blockDim.x;
    int64 at = (2 * (int64)island + (int)blockIdx.x % 2) * n;
    const uint4* todo = (const uint4*)tasks;
    for (int k = (int)threadIdx.x; k < 32 * SLOTS; k += threads) change[k] = 0;
    uint64 flips;
    if (resident) {
        uint32* spins = (uint32*)(change + 32 * SLOTS);
        for (int i = (int)threadIdx.x; i < n; i += threads) spins[i] = words[at + i];
        __syncthreads();
        flips = all_steps(spins, spins + n, change, entries, fields, todo, bounds, steps);
        for (int i = (int)threadIdx.x; i < n; i += threads) words[at + i] = spins[i];
    } else {
        __syncthreads();
        flips = all_steps(words + at, before + at, change, entries, fields, todo, bounds, steps);
    }
    flips = warp_sum(flips);
    if (threadIdx.x % 32 == 0) atomicAdd(&counts[island], flips);
}

// ---- a warp a centre ----

__device__ __forceinline__ Row row_of(const uint32* entries, uint4 record) {
    return Row{entries + record.x, (int)(record.y & 0x7FFFu), (int)(record.y >> 15), (int)record.z};
}

// A neighbour that is asked to follow, and its row's 64 entries at most, two a thread: read ahead of its turn.
struct Follower {
    uint32 vertex, low, high;
    Row row;
};

__device__ __forceinline__ Follower follower_of(const uint32* entries, uint32 entry, uint4 record, int k, uint32 lane) {
    Follower f;
    f.vertex = __shfl_sync(ALL_LANES, entry, k) & VERTEX;
    uint4 r;
    r.x = __shfl_sync(ALL_LANES, record.x, k);
    r.y = __shfl_sync(ALL_LANES, record.y, k);
    r.z = __shfl_sync(ALL_LANES, record.z, k);
    r.w = 0;
    f.row = row_of(entries, r);
    f.low = (int)lane < f.row.degree ? f.row.entries[lane] : 0;
    f.high = (int)lane + 32 < f.row.degree ? f.row.entries[lane + 32] : 0;
    return f;
}

// The move of centre c. Returns flips; the sum over the warp is meant.
__device__ __forceinline__ uint32 move(
    uint32* spins, uint32* before, const uint4* rows, const uint32* entries, uint32 c, uint32 lane) {
    Row row = row_of(entries, rows[c]);
    uint32 old = spins[c], flips = lane ? 0 : 32;
    int up = 0;
    for (int base = 0; base < row.degree; base += 32) {
        int k = base + (int)lane;
        up += pulls_up(spins, row, k < row.degree ? row.entries[k] : 0, k, lane);
    }
    int change = gain_of(row, old, up, lane);
    __syncwarp();
    if (lane == 0) spins[c] = ~old;
    __syncwarp();
    for (int base = 0; base < row.degree; base += 32) {
        int k = base + (int)lane;
        uint32 entry = k < row.degree ? row.entries[k] : 0, at = entry & VERTEX;
        uint4 record = make_uint4(0, 0, 0, 0);
        if (entry & ASKED) record = rows[at];
        // Nobody but the entries of this very spin can have changed it.
        if (entry & FIRST) before[at] = spins[at];
        uint32 asked = __ballot_sync(ALL_LANES, (entry & ASKED) != 0);
        if (!asked) continue;
        Follower next = follower_of(entries, entry, record, __ffs((int)asked) - 1, lane);
        while (asked) {
            Follower f = next;
            asked &= asked - 1;
            if (asked) next = follower_of(entries, entry, record, __ffs((int)asked) - 1, lane);
            uint32 own = spins[f.vertex];
            int pulls = pulls_up(spins, f.row, f.low, (int)lane, lane);
            if (f.row.degree > 32) pulls += pulls_up(spins, f.row, f.high, (int)lane + 32, lane);
            int gain = gain_of(f.row, own, pulls, lane);
            change += max(gain, 0);
            uint32 gaining = __ballot_sync(ALL_LANES, gain > 0);
            __syncwarp();
            if (lane == 0 && gaining) {
                spins[f.vertex] = own ^ gaining;
                flips += (uint32)__popc(gaining);
            }
            __syncwarp();
        }
    }
    uint32 kept = __ballot_sync(ALL_LANES, change > 0);
    if (kept == ALL_LANES) return flips;
    for (int k = (int)lane; k < row.degree; k += 32) {
        uint32 entry = row.entries[k], at = entry & VERTEX;
        if (entry & FIRST) {
            uint32 undone = (spins[at] ^ before[at]) & ~kept;
            spins[at] ^= undone;
            flips += (uint32)__popc(undone);
        }
    }
    if (lane == 0) {
        spins[c] = old ^ kept;
        flips += (uint32)__popc(~kept);
    }
    return flips;
}

// The centres begin to end - 1 of the list, all of one level; blockIdx.y is the group as above.
//
// records (n, 4): where the row begins, plus << 15 | degree, the field, nothing.
extern "C" __global__ void __launch_bounds__(256, 2) compound_level(
    uint32* words, uint32* before, const uint32* entries, const uint32* records, const uint32* centres, int begin,
    int end, int n, const int* islands, uint64* counts) {
    int island = islands[blockIdx.y / 2];
    int64 at = (2 * (int64)island + (int)blockIdx.y % 2) * n;
    int64 q = begin + ((int64)blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (q >= end) return;
    uint32 flips = move(words + at, before + at, (const uint4*)records, entries, centres[q], threadIdx.x % 32);
    flips = warp_sum(flips);
    if (threadIdx.x % 32 == 0) atomicAdd(&counts[island], (uint64)flips);
}
