// RMSNorm: x / sqrt(mean(x^2) + eps), rounded to the element type, times weight. Forward moves 4 bytes an element of bf16
// through DRAM, backward 6 and the sums of blocks of rows; a row's second reading comes from the caches.
#include "elements.cuh"

template <int N, typename T>
INLINE void forwardRow(const T* x, const T* weight, T* y, float* scaleOfRow, int64 size, float eps) {
  const int64 first = threadIdx.x * N, stride = blockDim.x * N;
  float sum = 0;
  for (int64 i = first; i < size; i += stride) {
    float values[N];
    load<N>(x + i, values);
#pragma unroll
    for (int j = 0; j < N; j++) sum += values[j] * values[j];
  }
  const float scale = 1.0f / sqrtf(blockSum(sum) / static_cast<float>(size) + eps);
  if (threadIdx.x == 0) *scaleOfRow = scale;
  for (int64 i = first; i < size; i += stride) {
    float values[N], weights[N];
    load<N>(x + i, values);
    load<N>(weight + i, weights);
#pragma unroll
    for (int j = 0; j < N; j++) values[j] = widen(narrowed<T>(values[j] * scale)) * weights[j];
    store<N>(y + i, values);
  }
}

// One block of threads a row.
template <typename T>
INLINE void forward(const T* x, const T* weight, T* y, float* scales, int64 size, float eps) {
  const int64 row = blockIdx.x, at = row * size;
  if (size % kWide<T> == 0 && isAligned(x) && isAligned(weight) && isAligned(y))
    forwardRow<kWide<T>>(x + at, weight, y + at, scales + row, size, eps);
  else
    forwardRow<1>(x + at, weight, y + at, scales + row, size, eps);
}

// dx = scale * (g w - x scale mean(g w x scale)). Columns belong to threads, so their sums over rows need no locks.
template <int N, typename T>
INLINE void backwardRow(const T* grad, const T* x, const T* weight, float scale, T* gradX, float* sums, int64 size) {
  const int64 first = threadIdx.x * N, stride = blockDim.x * N;
  float dot = 0;
  for (int64 i = first; i < size; i += stride) {
    float g[N], values[N], weights[N];
    load<N>(grad + i, g);
    load<N>(x + i, values);
    load<N>(weight + i, weights);
#pragma unroll
    for (int j = 0; j < N; j++) {
      const float hat = values[j] * scale;
      dot += g[j] * weights[j] * hat;
      sums[i + j] += g[j] * hat;
    }
  }
  const float mean = blockSum(dot) / static_cast<float>(size) * scale;
  for (int64 i = first; i < size; i += stride) {
    float g[N], values[N], weights[N];
    load<N>(grad + i, g);
    load<N>(x + i, values);
    load<N>(weight + i, weights);
#pragma unroll
    for (int j = 0; j < N; j++) values[j] = scale * (g[j] * weights[j] - values[j] * mean);
    store<N>(gradX + i, values);
  }
}

// One block of threads for `rowsPerBlock` rows, whose share of the weight's gradient is kept in shared memory meanwhile.
template <typename T>
INLINE void backward(const T* grad, const T* x, const T* weight, const float* scales, T* gradX, float* blockSums, int64 rows,
                     int64 size, int64 rowsPerBlock) {
  DYNAMIC_SHARED(float, sums);
  const bool isWide = size % kWide<T> == 0 && isAligned(grad) && isAligned(x) && isAligned(weight) && isAligned(gradX);
  const int64 begin = blockIdx.x * rowsPerBlock, end = begin + rowsPerBlock < rows ? begin + rowsPerBlock : rows;
  for (int64 i = threadIdx.x; i < size; i += blockDim.x) sums[i] = 0;
  __syncthreads();
  for (int64 row = begin; row < end; row++) {
    const int64 at = row * size;
    if (isWide) backwardRow<kWide<T>>(grad + at, x + at, weight, scales[row], gradX + at, sums, size);
    else backwardRow<1>(grad + at, x + at, weight, scales[row], gradX + at, sums, size);
  }
  __syncthreads();
  for (int64 i = threadIdx.x; i < size; i += blockDim.x) blockSums[blockIdx.x * size + i] = sums[i];
}

#define KERNELS(name, T)                                                                                                   \
  extern "C" __global__ void rms_norm_forward_##name(const T* x, const T* weight, T* y, float* scales, int64 size,         \
                                                     float eps) {                                                          \
    forward<T>(x, weight, y, scales, size, eps);                                                                           \
  }                                                                                                                        \
  extern "C" __global__ void rms_norm_backward_##name(const T* grad, const T* x, const T* weight, const float* scales,     \
                                                      T* gradX, float* blockSums, int64 rows, int64 size,                  \
                                                      int64 rowsPerBlock) {                                                \
    backward<T>(grad, x, weight, scales, gradX, blockSums, rows, size, rowsPerBlock);                                      \
  }

KERNELS(f32, float)
KERNELS(bf16, Bfloat16)
KERNELS(f16, Half)
