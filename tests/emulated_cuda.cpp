// Runs a CUDA kernel on the CPU: every thread of a block is a fiber, and each barrier or shuffle switches to the next.
// KERNELS is the file with the kernels. `backwards` runs the threads of a block in reverse order: where the result
// depends on it, a barrier is missing.
#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
static float2 make_float2(float x, float y) { return {x, y}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct Index { int x, y, z; };
static Index threadIdx, blockIdx, gridDim;

struct Fiber { ucontext_t context; jmp_buf here; std::vector<char> stack; bool started, done; };
static std::vector<Fiber> fibers;
static std::vector<float> slots;
static jmp_buf scheduler;
static void (*body)();

static void barrier() {
    if (!_setjmp(fibers[threadIdx.x].here)) _longjmp(scheduler, 1);
}
static void enter() {
    body();
    fibers[threadIdx.x].done = true;
    _longjmp(scheduler, 1);
}
static float from(float value, int lane) {
    int first = threadIdx.x / 32 * 32;
    slots[threadIdx.x] = value;
    barrier();
    float found = slots[first + (lane < 0 || lane > 31 ? threadIdx.x % 32 : lane)];
    barrier();
    return found;
}
static void resume(int i) {
    threadIdx = {i, 0, 0};
    Fiber& fiber = fibers[i];
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.here, 1);
    fiber.started = true;
    setcontext(&fiber.context);
}
static void run_block(int n_threads, bool backwards) {
    for (Fiber& fiber : fibers) {
        fiber.started = fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        makecontext(&fiber.context, enter, 0);
    }
    for (bool busy = true; busy;) {
        busy = false;
        for (int n = 0; n < n_threads; n++) {
            int i = backwards ? n_threads - 1 - n : n;
            if (!fibers[i].done) resume(i);
            busy = busy || !fibers[i].done;
        }
    }
}
static void run_grid(const int* grid, int n_threads, bool backwards, void (*kernel)()) {
    body = kernel;
    gridDim = {grid[0], grid[1], grid[2]};
    fibers.resize(n_threads);
    slots.resize(n_threads);
    for (Fiber& fiber : fibers) fiber.stack.resize(1 << 15);
    for (int z = 0; z < grid[2]; z++)
        for (int y = 0; y < grid[1]; y++)
            for (int x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                run_block(n_threads, backwards);
            }
}

#define __device__
#define KERNEL static
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __syncthreads() barrier()
#define __shfl_up_sync(mask, value, n) from(value, threadIdx.x % 32 - n)
#define __shfl_down_sync(mask, value, n) from(value, threadIdx.x % 32 + n)
static int atomicAdd(int* at, int value) {
    int before = *at;
    *at += value;
    return before;
}
using std::max;
using std::min;
static float square_root(float x) { return std::sqrt(x); }
static float reciprocal(float x) { return 1.0f / x; }
#include KERNELS

static void** t;
static const int* n;
typedef float2* A;
typedef float4* B;
static void call_warp() { warp((float*)t[0], (B)t[1], (A)t[2], (B)t[3], n[0], n[1]); }
static void call_median() { median((A)t[0], (A)t[1], (int*)t[2], n[0], n[1]); }
static void call_iterate() {
    iterate((A)t[0], (B)t[1], (B)t[2], (A)t[3], (B)t[4], (int*)t[5], (float*)t[6], n[0], n[1], n[2], n[3]);
}
static void call_judge() { judge((float*)t[0], (int*)t[1], n[0], n[1], n[2], n[3]); }
static void call_settle() { settle((A)t[0], (B)t[1], (A)t[2], (B)t[3], (int*)t[4], n[0], n[1], n[2]); }
extern "C" void launch(int which, const int* grid, int n_threads, int backwards, void** tensors, const int* numbers) {
    void (*kernels[])() = {call_warp, call_median, call_iterate, call_judge, call_settle};
    t = tensors;
    n = numbers;
    run_grid(grid, n_threads, backwards, kernels[which]);
}
