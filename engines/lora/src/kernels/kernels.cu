// The steps of a decoder layer on NVIDIA GPUs, each one pass over its rows. A block of threads works on a row.
// Numbers are float or bfloat16 (T); everything is computed in float. Layouts are those of the functions in Rust that
// launch them: `cuda.rs` says in which order the arguments come.

#include <cuda_bf16.h>

__device__ __forceinline__ float load(const float* at) { return *at; }
__device__ __forceinline__ float load(const __nv_bfloat16* at) { return __bfloat162float(*at); }
__device__ __forceinline__ void store(float* at, float value) { *at = value; }
__device__ __forceinline__ void store(__nv_bfloat16* at, float value) { *at = __float2bfloat16(value); }

struct Sum {
    static __device__ __forceinline__ float none() { return 0.0f; }
    static __device__ __forceinline__ float of(float a, float b) { return a + b; }
};

struct Max {
    static __device__ __forceinline__ float none() { return -INFINITY; }
    static __device__ __forceinline__ float of(float a, float b) { return fmaxf(a, b); }
};

// What all threads of the block have, taken together; every thread gets it. Whole warps, 1024 threads at most.
template <typename Op>
__device__ float over_block(float value) {
    __shared__ float parts[32];
    for (int step = 16; step > 0; step /= 2) value = Op::of(value, __shfl_xor_sync(0xffffffff, value, step));
    __syncthreads();  // Nobody reads the parts of the call before any more.
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
    __syncthreads();
    value = threadIdx.x % 32 < blockDim.x / 32 ? parts[threadIdx.x % 32] : Op::none();
    for (int step = 16; step > 0; step /= 2) value = Op::of(value, __shfl_xor_sync(0xffffffff, value, step));
    return value;
}

template <typename T>
__device__ float inverse_rms(const T* x, int width, float eps) {
    float squares = 0.0f;
    for (int i = threadIdx.x; i < width; i += blockDim.x) squares += load(x + i) * load(x + i);
    return 1.0f / sqrtf(over_block<Sum>(squares) / width + eps);
}

template <typename T>
__device__ void rms_norm(T* out, const T* x, const T* weight, int width, float eps) {
    out += (size_t)blockIdx.x * width;
    x += (size_t)blockIdx.x * width;
    float scale = inverse_rms(x, width, eps);
    for (int i = threadIdx.x; i < width; i += blockDim.x) store(out + i, load(x + i) * scale * load(weight + i));
}

template <typename T>
__device__ void rms_norm_backward(T* out, const T* x, const T* weight, const T* gradient, int width, float eps) {
    out += (size_t)blockIdx.x * width;
    x += (size_t)blockIdx.x * width;
    gradient += (size_t)blockIdx.x * width;
    float scale = inverse_rms(x, width, eps), dot = 0.0f;
    for (int i = threadIdx.x; i < width; i += blockDim.x) dot += load(x + i) * load(gradient + i) * load(weight + i);
    float correction = over_block<Sum>(dot) * scale * scale * scale / width;
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        store(out + i, load(gradient + i) * load(weight + i) * scale - load(x + i) * correction);
}

template <typename T>
__device__ void swiglu(T* out, const T* both, int width) {
    out += (size_t)blockIdx.x * width;
    both += (size_t)blockIdx.x * 2 * width;
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
        float gate = load(both + i);
        store(out + i, gate / (1.0f + expf(-gate)) * load(both + width + i));
    }
}

template <typename T>
__device__ void swiglu_backward(T* out, const T* both, const T* gradient, int width) {
    out += (size_t)blockIdx.x * 2 * width;
    both += (size_t)blockIdx.x * 2 * width;
    gradient += (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
        float gate = load(both + i), g = load(gradient + i);
        float sigmoid = 1.0f / (1.0f + expf(-gate)), silu = gate * sigmoid;
        store(out + i, g * load(both + width + i) * (sigmoid + silu * (1.0f - sigmoid)));
        store(out + width + i, g * silu);
    }
}

// The generator of `dropout.rs`: Philox4x32-10.
__device__ __forceinline__ uint4 philox(uint4 counter, uint2 key) {
    for (int round = 0; round < 10; ++round) {
        unsigned a_high = __umulhi(0xD2511F53u, counter.x), a_low = 0xD2511F53u * counter.x;
        unsigned b_high = __umulhi(0xCD9E8D57u, counter.z), b_low = 0xCD9E8D57u * counter.z;
        counter = make_uint4(b_high ^ counter.y ^ key.x, b_low, a_high ^ counter.w ^ key.y, a_low);
        key = make_uint2(key.x + 0x9E3779B9u, key.y + 0xBB67AE85u);
    }
    return counter;
}

template <typename T>
__device__ void dropout(T* out, const T* x, int width, unsigned low, unsigned high, unsigned pack, unsigned matrix,
                        unsigned bound, float kept) {
    out += (size_t)blockIdx.x * width;
    x += (size_t)blockIdx.x * width;
    for (int group = threadIdx.x; group * 4 < width; group += blockDim.x) {
        uint4 drawn = philox(make_uint4(group, blockIdx.x, pack, matrix), make_uint2(low, high));
        unsigned numbers[4] = {drawn.x, drawn.y, drawn.z, drawn.w};
        for (int i = group * 4; i < width && i < group * 4 + 4; ++i)
            store(out + i, load(x + i) * (numbers[i - group * 4] < bound ? 0.0f : kept));
    }
}

// The rows are one or more times all tokens in their order. Each sees all keys before the first of them.
template <typename T>
__device__ void causal_softmax(T* scores, int keys, int before, float scale) {
    scores += (size_t)blockIdx.x * keys;
    int seen = before + blockIdx.x % (keys - before) + 1;
    float highest = -INFINITY, sum = 0.0f;
    for (int i = threadIdx.x; i < seen; i += blockDim.x) highest = fmaxf(highest, load(scores + i));
    highest = over_block<Max>(highest);
    for (int i = threadIdx.x; i < seen; i += blockDim.x) sum += expf((load(scores + i) - highest) * scale);
    float inverse = 1.0f / over_block<Sum>(sum);
    for (int i = threadIdx.x; i < keys; i += blockDim.x)
        store(scores + i, i < seen ? expf((load(scores + i) - highest) * scale) * inverse : 0.0f);
}

template <typename T>
__device__ void causal_softmax_backward(T* gradient, const T* weights, int keys, int before, float scale) {
    gradient += (size_t)blockIdx.x * keys;
    weights += (size_t)blockIdx.x * keys;
    int seen = before + blockIdx.x % (keys - before) + 1;
    float mean = 0.0f;
    for (int i = threadIdx.x; i < seen; i += blockDim.x) mean += load(gradient + i) * load(weights + i);
    mean = over_block<Sum>(mean);
    for (int i = threadIdx.x; i < keys; i += blockDim.x)
        store(gradient + i, i < seen ? (load(gradient + i) - mean) * load(weights + i) * scale : 0.0f);
}

// The logarithm of the sum of the exponentials of a row.
template <typename T>
__device__ float log_of_sum(const T* logits, int vocabulary) {
    float highest = -INFINITY, sum = 0.0f;
    for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) highest = fmaxf(highest, load(logits + i));
    highest = over_block<Max>(highest);
    for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) sum += expf(load(logits + i) - highest);
    return logf(over_block<Sum>(sum)) + highest;
}

template <typename T>
__device__ void cross_entropy(float* losses, const T* logits, const unsigned* targets, int vocabulary) {
    logits += (size_t)blockIdx.x * vocabulary;
    float total = log_of_sum(logits, vocabulary);
    if (threadIdx.x == 0) losses[blockIdx.x] = total - load(logits + targets[blockIdx.x]);
}

template <typename T>
__device__ void cross_entropy_backward(T* logits, const unsigned* targets, const float* factors, int vocabulary) {
    logits += (size_t)blockIdx.x * vocabulary;
    float total = log_of_sum(logits, vocabulary), factor = factors[blockIdx.x];
    int target = targets[blockIdx.x];
    for (int i = threadIdx.x; i < vocabulary; i += blockDim.x)
        store(logits + i, (expf(load(logits + i) - total) - (i == target ? 1.0f : 0.0f)) * factor);
}

// A vector of 2 * half numbers, turned by the angles of its position. `angles` holds all cosines, then all sines.
template <typename T>
__device__ void turn(T* out, const T* in, const float* angles, int positions, int position, int half, float direction) {
    const float* cosines = angles + (size_t)position * half;
    const float* sines = cosines + (size_t)positions * half;
    for (int i = threadIdx.x; i < half; i += blockDim.x) {
        float left = load(in + i), right = load(in + half + i), sine = direction * sines[i];
        store(out + i, left * cosines[i] - right * sine);
        store(out + half + i, right * cosines[i] + left * sine);
    }
}

// Where the head and token that the block works on stand in a matrix with the heads side by side.
__device__ __forceinline__ size_t in_matrix(int row, int tokens, int columns, int first, int head_dim) {
    int head = blockIdx.x / tokens, token = blockIdx.x % tokens;
    return (size_t)(row + token) * columns + first + head * head_dim;
}

template <typename T>
__device__ void split_heads(T* out, const T* matrix, int row, int tokens, int columns, int first, int head_dim) {
    out += (size_t)blockIdx.x * head_dim;
    matrix += in_matrix(row, tokens, columns, first, head_dim);
    for (int i = threadIdx.x; i < head_dim; i += blockDim.x) out[i] = matrix[i];
}

template <typename T>
__device__ void split_heads_turned(T* out, const T* matrix, const float* angles, int row, int tokens, int columns,
                                   int first, int head_dim, int positions, int position) {
    out += (size_t)blockIdx.x * head_dim;
    matrix += in_matrix(row, tokens, columns, first, head_dim);
    turn(out, matrix, angles, positions, position + blockIdx.x % tokens, head_dim / 2, 1.0f);
}

template <typename T>
__device__ void join_heads(T* matrix, const T* heads, int row, int tokens, int columns, int first, int head_dim) {
    heads += (size_t)blockIdx.x * head_dim;
    matrix += in_matrix(row, tokens, columns, first, head_dim);
    for (int i = threadIdx.x; i < head_dim; i += blockDim.x) matrix[i] = heads[i];
}

template <typename T>
__device__ void join_heads_turned(T* matrix, const T* heads, const float* angles, int row, int tokens, int columns,
                                  int first, int head_dim, int positions, int position) {
    heads += (size_t)blockIdx.x * head_dim;
    matrix += in_matrix(row, tokens, columns, first, head_dim);
    turn(matrix, heads, angles, positions, position + blockIdx.x % tokens, head_dim / 2, -1.0f);
}

template <typename T>
__device__ void add_columns(T* whole, const T* part, int columns, int column, int width, float scale) {
    whole += (size_t)blockIdx.x * columns + column;
    part += (size_t)blockIdx.x * width;
    for (int i = threadIdx.x; i < width; i += blockDim.x) store(whole + i, load(whole + i) + scale * load(part + i));
}

// Each kernel for both types, under a name that ends with the type.
#define KERNEL(T, suffix, name, parameters, ...) \
    extern "C" __global__ void name##_##suffix parameters { name<T>(__VA_ARGS__); }
#define KERNELS(T, suffix) \
    KERNEL(T, suffix, rms_norm, (T* a, const T* b, const T* c, int d, float e), a, b, c, d, e) \
    KERNEL(T, suffix, rms_norm_backward, (T* a, const T* b, const T* c, const T* d, int e, float f), a, b, c, d, e, f) \
    KERNEL(T, suffix, swiglu, (T* a, const T* b, int c), a, b, c) \
    KERNEL(T, suffix, swiglu_backward, (T* a, const T* b, const T* c, int d), a, b, c, d) \
    KERNEL(T, suffix, dropout, (T* a, const T* b, int c, int d, int e, int f, int g, int h, float i), \
           a, b, c, d, e, f, g, h, i) \
    KERNEL(T, suffix, causal_softmax, (T* a, int b, int c, float d), a, b, c, d) \
    KERNEL(T, suffix, causal_softmax_backward, (T* a, const T* b, int c, int d, float e), a, b, c, d, e) \
    KERNEL(T, suffix, cross_entropy, (float* a, const T* b, const unsigned* c, int d), a, b, c, d) \
    KERNEL(T, suffix, cross_entropy_backward, (T* a, const unsigned* b, const float* c, int d), a, b, c, d) \
    KERNEL(T, suffix, split_heads, (T* a, const T* b, int c, int d, int e, int f, int g), a, b, c, d, e, f, g) \
    KERNEL(T, suffix, split_heads_turned, \
           (T* a, const T* b, const float* c, int d, int e, int f, int g, int h, int i, int j), \
           a, b, c, d, e, f, g, h, i, j) \
    KERNEL(T, suffix, join_heads, (T* a, const T* b, int c, int d, int e, int f, int g), a, b, c, d, e, f, g) \
    KERNEL(T, suffix, join_heads_turned, \
           (T* a, const T* b, const float* c, int d, int e, int f, int g, int h, int i, int j), \
           a, b, c, d, e, f, g, h, i, j) \
    KERNEL(T, suffix, add_columns, (T* a, const T* b, int c, int d, int e, float f), a, b, c, d, e, f)

KERNELS(float, f32)
KERNELS(__nv_bfloat16, bf16)
