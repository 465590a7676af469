// TV-L1 for CUDA, many pairs at once. The algorithm: extract/flow/_tvl1.py.
//
// Per pixel of each pair: u, float2 (flow, px); p, float4 (dual variables: x and y part of u.x's, then of u.y's);
// coef, float4 (residual at u = 0, gradient in x and y, minus one over the squared gradient); moving, float4 (second
// frame, its gradient in x and y, unused). Images are H x W without gaps.
//
// u and p have two sides each; a kernel reads one and writes the other, and which is which, the caller knows. Pairs whose
// u rests are left out, and their values stay on the side where they were: `state` is the number of active pairs, then
// their numbers, then for every pair its place: -1 while it is active, else u's side + 2 * p's side.
//
// The text is completed at run time: constants THETA, RATE (tau / theta), LIMIT (lambda * theta), THRESHOLD (epsilon^2),
// ROWS, WARPS, and the median's comparisons MEDIAN_COLUMN(v), MEDIAN_REST(v), MEDIAN_WIRE come first. It compiles as C++
// too, for tests.

#ifdef __CUDACC_RTC__
#define KERNEL extern "C" __global__
__device__ __forceinline__ float square_root(float x) {
    float r;
    asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
__device__ __forceinline__ float reciprocal(float x) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
#endif

#define EPSILON 1.1920929e-07f      // least squared gradient

// Bicubic weights (a = -0.75) of the taps -1, 0, 1 and 2 for a position t between taps 0 and 1.
__device__ __forceinline__ void cubic(float t, float* w) {
    float s = 1.0f - t;
    w[0] = -0.75f * t * s * s;
    w[1] = (1.25f * t - 2.25f) * t * t + 1.0f;
    w[2] = (1.25f * s - 2.25f) * s * s + 1.0f;
    w[3] = -0.75f * s * t * t;
}

// One thread is one pixel, blockIdx.z the pair. Taps outside the frame count as zero: their weight is, and another pixel is read.
KERNEL void __launch_bounds__(256) warp(
    const float* __restrict__ first, const float4* __restrict__ moving, const float2* __restrict__ u,
    float4* __restrict__ coef, int width, int height) {
    int x = blockIdx.x * 32 + threadIdx.x % 32, y = blockIdx.y * 8 + threadIdx.x / 32;
    if (x >= width || y >= height) return;
    size_t image = (size_t)blockIdx.z * width * height, here = image + (size_t)y * width + x;
    float2 at = u[here];
    float px = x + at.x, py = y + at.y, fx = floorf(px), fy = floorf(py), wx[4], wy[4];
    cubic(px - fx, wx);
    cubic(py - fy, wy);
    int x0 = (int)fminf(fmaxf(fx, -3.0f), width + 1.0f) - 1, y0 = (int)fminf(fmaxf(fy, -3.0f), height + 1.0f) - 1;
    int at_x[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        at_x[i] = min(max(x0 + i, 0), width - 1);
        wx[i] = at_x[i] == x0 + i ? wx[i] : 0.0f;
    }
    float value = 0.0f, gx = 0.0f, gy = 0.0f;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int at_y = min(max(y0 + j, 0), height - 1);
        float weight = at_y == y0 + j ? wy[j] : 0.0f, a = 0.0f, b = 0.0f, c = 0.0f;
        const float4* row = moving + image + (size_t)at_y * width;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float4 tap = row[at_x[i]];
            a += tap.x * wx[i];
            b += tap.y * wx[i];
            c += tap.z * wx[i];
        }
        value += a * weight;
        gx += b * weight;
        gy += c * weight;
    }
    float offset = value - first[here] - gx * at.x - gy * at.y;
    coef[here] = make_float4(offset, gx, gy, -1.0f / fmaxf(gx * gx + gy * gy, EPSILON));
}

// A step of the median's network.
#define ORDER(a, b) { float low = fminf(a, b); b = fmaxf(a, b); a = low; }

// One thread is one pixel of a block of 32 x 8; blocks go from pair to pair. Columns of 5 are sorted once and shared.
KERNEL void __launch_bounds__(256) median(
    const float2* __restrict__ u, float2* __restrict__ out, const int* __restrict__ state, int width, int height) {
    __shared__ float2 column[5][8][36];
    int tx = threadIdx.x % 32, ty = threadIdx.x / 32, x = blockIdx.x * 32 + tx, y = blockIdx.y * 8 + ty;
    for (int n = blockIdx.z; n < state[0]; n += gridDim.z) {
        size_t start = (size_t)state[1 + n] * width * height;
        for (int i = threadIdx.x; i < 8 * 36; i += 256) {
            int cx = min(max((int)blockIdx.x * 32 + i % 36 - 2, 0), width - 1), cy = blockIdx.y * 8 + i / 36;
            float v[5], w[5];
#pragma unroll
            for (int j = 0; j < 5; j++) {
                float2 at = u[start + (size_t)min(max(cy + j - 2, 0), height - 1) * width + cx];
                v[j] = at.x;
                w[j] = at.y;
            }
            MEDIAN_COLUMN(v)
            MEDIAN_COLUMN(w)
#pragma unroll
            for (int j = 0; j < 5; j++) column[j][i / 36][i % 36] = make_float2(v[j], w[j]);
        }
        __syncthreads();
        float v[25], w[25];
#pragma unroll
        for (int i = 0; i < 25; i++) {
            float2 at = column[i / 5][ty][tx + i % 5];
            v[i] = at.x;
            w[i] = at.y;
        }
        MEDIAN_REST(v)
        MEDIAN_REST(w)
        if (x < width && y < height) out[start + (size_t)y * width + x] = make_float2(v[MEDIAN_WIRE], w[MEDIAN_WIRE]);
        __syncthreads();
    }
}
