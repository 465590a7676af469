// The iterations of TV-L1 for CUDA; it follows _gpu_pixels.cu, which says how data lie.

#define ALL 0xffffffffu
#define COLUMNS 2                   // neighbouring pixels of a row that one thread has
#define TILE_W (32 * COLUMNS)       // px
#define TILE_H (ROWS * WARPS)       // px

__device__ __forceinline__ float sum_of_warp(float x) {
    for (int n = 16; n; n /= 2) x += __shfl_down_sync(ALL, x, n);
    return x;  // in lane 0
}

struct Box {
    int left, top, right, bottom;
};

// One iteration on a warp's part of a tile; returns the part's sum of squared changes of u in `written`, if MEASURED.
template <bool MEASURED>
__device__ __forceinline__ float iteration(
    float2 (&u)[ROWS][COLUMNS], float4 (&p)[ROWS][COLUMNS], const float4 (&k)[ROWS][COLUMNS], float4 (*above)[32],
    float4 (*below)[32], int x, int y, int width, int height, Box written) {
    int lane = threadIdx.x % 32, self = threadIdx.x / 32;
    float total = 0.0f;
    __syncthreads();
    float4 over = self ? above[self - 1][lane] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    float up_y[COLUMNS] = {over.x, over.z}, up_w[COLUMNS] = {over.y, over.w};
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float2 old[COLUMNS] = {u[r][0], u[r][1]};
        float left_x = __shfl_up_sync(ALL, p[r][COLUMNS - 1].x, 1);
        float left_z = __shfl_up_sync(ALL, p[r][COLUMNS - 1].z, 1);
        if (lane == 0) left_x = left_z = 0.0f;
#pragma unroll
        for (int c = 0; c < COLUMNS; c++) {
            float4 at = p[r][c], q = k[r][c];
            float step = (q.x + q.y * old[c].x + q.z * old[c].y) * q.w;
            step = fminf(fmaxf(step, -LIMIT), LIMIT);
            u[r][c].x = old[c].x + q.y * step + THETA * (at.x - left_x + at.y - up_y[c]);
            u[r][c].y = old[c].y + q.z * step + THETA * (at.z - left_z + at.w - up_w[c]);
            left_x = at.x;
            left_z = at.z;
            up_y[c] = at.y;
            up_w[c] = at.w;
        }
        if (MEASURED && y + r >= written.top && y + r < written.bottom)
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                float dx = u[r][c].x - old[c].x, dy = u[r][c].y - old[c].y;
                if (x + c >= written.left && x + c < written.right) total += dx * dx + dy * dy;
            }
    }
    below[self][lane] = make_float4(u[0][0].x, u[0][0].y, u[0][1].x, u[0][1].y);
    __syncthreads();
    float4 under = below[self + 1 < WARPS ? self + 1 : self][lane];
    float2 down[COLUMNS] = {make_float2(under.x, under.y), make_float2(under.z, under.w)};
#pragma unroll
    for (int r = ROWS - 1; r >= 0; r--) {
        float2 right = make_float2(__shfl_down_sync(ALL, u[r][0].x, 1), __shfl_down_sync(ALL, u[r][0].y, 1));
        bool last_row = y + r >= height - 1;
#pragma unroll
        for (int c = COLUMNS - 1; c >= 0; c--) {
            float2 at = u[r][c];
            bool last = x + c >= width - 1;
            float ax = last ? 0.0f : right.x - at.x, ay = last_row ? 0.0f : down[c].x - at.x;
            float bx = last ? 0.0f : right.y - at.y, by = last_row ? 0.0f : down[c].y - at.y;
            float a = reciprocal(1.0f + RATE * square_root(ax * ax + ay * ay));
            float b = reciprocal(1.0f + RATE * square_root(bx * bx + by * by));
            p[r][c].x = (p[r][c].x + RATE * ax) * a;
            p[r][c].y = (p[r][c].y + RATE * ay) * a;
            p[r][c].z = (p[r][c].z + RATE * bx) * b;
            p[r][c].w = (p[r][c].w + RATE * by) * b;
            right = at;
            down[c] = at;
        }
    }
    above[self][lane] = make_float4(p[ROWS - 1][0].y, p[ROWS - 1][0].w, p[ROWS - 1][1].y, p[ROWS - 1][1].w);
    return total;
}

// Run `count` iterations on tiles that lie in registers. A warp has ROWS rows of a tile, a thread COLUMNS pixels of each.
//
// Tiles overlap: each iteration makes one more pixel wrong along every side of the tile that is not a side of the
// frame, so `count` pixels along such sides are computed and not written. Tile i starts at i * (TILE - 2 * count).
// Neighbours in x come by shuffles; neighbours in y from the thread's own rows, or through `below` and `above`
// where another warp has them. No pixel's arithmetic depends on where it lies in a tile. If `measured`, `change` gets
// each tile's sum of squared changes of u in the last iteration, (pairs, tiles).
KERNEL void __launch_bounds__(32 * WARPS) iterate(
    const float2* __restrict__ u_in, const float4* __restrict__ p_in, const float4* __restrict__ coef,
    float2* __restrict__ u_out, float4* __restrict__ p_out, const int* __restrict__ state, float* __restrict__ change,
    int width, int height, int count, int measured) {
    __shared__ float4 above[WARPS][32];  // p.y and p.w of both columns of each warp's last row
    __shared__ float4 below[WARPS][32];  // u of both columns of each warp's first row
    __shared__ float changes[WARPS];
    int lane = threadIdx.x % 32, self = threadIdx.x / 32;
    int step_x = TILE_W - 2 * count, step_y = TILE_H - 2 * count;
    int n_x = max(1, (width - 2 * count + step_x - 1) / step_x), n_y = max(1, (height - 2 * count + step_y - 1) / step_y);
    for (int item = blockIdx.x; item < state[0] * n_x * n_y; item += gridDim.x) {
        int tile = item % (n_x * n_y), pair = state[1 + item / (n_x * n_y)];
        int left = tile % n_x * step_x, top = tile / n_x * step_y;
        int x = left + lane * COLUMNS, y = top + self * ROWS;
        size_t start = (size_t)pair * width * height + (size_t)y * width + x;
        float2 u[ROWS][COLUMNS];
        float4 p[ROWS][COLUMNS], k[ROWS][COLUMNS];
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                bool inside = x + c < width && y + r < height;
                size_t at = start + (size_t)r * width + c;
                u[r][c] = inside ? u_in[at] : make_float2(0.0f, 0.0f);
                p[r][c] = inside ? p_in[at] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
                k[r][c] = inside ? coef[at] : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            }
        above[self][lane] = make_float4(p[ROWS - 1][0].y, p[ROWS - 1][0].w, p[ROWS - 1][1].y, p[ROWS - 1][1].w);
        Box written = {left ? left + count : 0, top ? top + count : 0,
                       left + TILE_W >= width ? width : left + TILE_W - count,
                       top + TILE_H >= height ? height : top + TILE_H - count};
        for (int i = 1; i < count; i++) iteration<false>(u, p, k, above, below, x, y, width, height, written);
        float total = iteration<true>(u, p, k, above, below, x, y, width, height, written);
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                if (x + c < written.left || x + c >= written.right) continue;
                if (y + r < written.top || y + r >= written.bottom) continue;
                u_out[start + (size_t)r * width + c] = u[r][c];
                p_out[start + (size_t)r * width + c] = p[r][c];
            }
        if (measured) {
            total = sum_of_warp(total);
            if (lane == 0) changes[self] = total;
            __syncthreads();
            if (threadIdx.x == 0) {
                for (int i = 1; i < WARPS; i++) total += changes[i];
                change[(size_t)pair * n_x * n_y + tile] = total;
            }
        }
        __syncthreads();
    }
}

// Take the pairs whose mean squared change is at most THRESHOLD off the list. One block, at most 1024 pairs; a warp sums
// up one pair at a time. `place` is where the values are: u's side + 2 * p's side.
KERNEL void __launch_bounds__(1024) judge(
    const float* __restrict__ change, int* state, int n_tiles, int n_pixels, int n_pairs, int place) {
    __shared__ int rests[1024], n_left;
    int n_active = state[0], lane = threadIdx.x % 32;
    int pair = threadIdx.x < n_active ? state[1 + threadIdx.x] : 0;
    if (threadIdx.x == 0) n_left = 0;
    for (int n = 0; n < n_active; n += 32) {
        int mine = n + threadIdx.x / 32;
        float total = 0.0f;
        if (mine < n_active) {
            const float* own = change + (size_t)state[1 + mine] * n_tiles;
            for (int i = lane; i < n_tiles; i += 32) total += own[i];
        }
        total = sum_of_warp(total);
        if (lane == 0 && mine < n_active) rests[mine] = total / n_pixels <= THRESHOLD;
    }
    __syncthreads();
    if (threadIdx.x < n_active) {
        if (rests[threadIdx.x])
            state[1 + n_pairs + pair] = place;
        else
            state[1 + atomicAdd(&n_left, 1)] = pair;
    }
    __syncthreads();
    if (threadIdx.x == 0) state[0] = n_left;
}

// Bring the values of resting pairs to the side of u and p where `place` says that the active ones are.
KERNEL void __launch_bounds__(256) settle(
    float2* u0, float4* p0, float2* u1, float4* p1, const int* __restrict__ state, int n_pixels, int n_pairs, int place) {
    for (int pair = blockIdx.y; pair < n_pairs; pair += gridDim.y) {
        int was = state[1 + n_pairs + pair];
        if (was < 0 || was == place) continue;
        for (int i = blockIdx.x * 256 + threadIdx.x; i < n_pixels; i += 256 * gridDim.x) {
            size_t at = (size_t)pair * n_pixels + i;
            if ((was ^ place) & 1) (place & 1 ? u1 : u0)[at] = (place & 1 ? u0 : u1)[at];
            if ((was ^ place) & 2) (place & 2 ? p1 : p0)[at] = (place & 2 ? p0 : p1)[at];
        }
    }
}
