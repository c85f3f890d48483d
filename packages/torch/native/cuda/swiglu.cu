// silu(gate) * up, rounded once, and its gradients: six and ten bytes an element of bf16 through DRAM, each touched once. The
// exponential and the division are some thirty instructions of the fifty that six bytes leave time for.
#include "elements.cuh"

template <int N, typename T>
INLINE void forwardAt(const T* gate, const T* up, T* y) {
  float g[N], u[N];
  load<N>(gate, g);
  load<N>(up, u);
#pragma unroll
  for (int j = 0; j < N; j++) g[j] = g[j] / (1.0f + expf(-g[j])) * u[j];
  store<N>(y, g);
}

template <int N, typename T>
INLINE void backwardAt(const T* grad, const T* gate, const T* up, T* gradGate, T* gradUp) {
  float d[N], g[N], u[N];
  load<N>(grad, d);
  load<N>(gate, g);
  load<N>(up, u);
#pragma unroll
  for (int j = 0; j < N; j++) {
    const float sigmoid = 1.0f / (1.0f + expf(-g[j]));
    const float toGate = d[j] * u[j] * sigmoid * (1.0f + g[j] * (1.0f - sigmoid));
    u[j] = d[j] * g[j] * sigmoid;
    g[j] = toGate;
  }
  store<N>(gradUp, u);
  store<N>(gradGate, g);
}

// A thread has kWide elements; those of the last may be fewer, or lie where 16 bytes cannot be read at once.
#define KERNELS(name, T)                                                                                                 \
  extern "C" __global__ void swiglu_forward_##name(const T* gate, const T* up, T* y, int64 count) {                      \
    const int64 at = (static_cast<int64>(blockIdx.x) * blockDim.x + threadIdx.x) * kWide<T>;                             \
    const bool isWide = at + kWide<T> <= count && isAligned(gate) && isAligned(up) && isAligned(y);                      \
    if (isWide) forwardAt<kWide<T>>(gate + at, up + at, y + at);                                                         \
    else                                                                                                                 \
      for (int64 i = at; i < at + kWide<T> && i < count; i++) forwardAt<1>(gate + i, up + i, y + i);                     \
  }                                                                                                                      \
  extern "C" __global__ void swiglu_backward_##name(const T* grad, const T* gate, const T* up, T* gradGate, T* gradUp,   \
                                                    int64 count) {                                                       \
    const int64 at = (static_cast<int64>(blockIdx.x) * blockDim.x + threadIdx.x) * kWide<T>;                             \
    const bool isWide = at + kWide<T> <= count && isAligned(grad) && isAligned(gate) && isAligned(up) &&                 \
                        isAligned(gradGate) && isAligned(gradUp);                                                        \
    if (isWide) backwardAt<kWide<T>>(grad + at, gate + at, up + at, gradGate + at, gradUp + at);                         \
    else                                                                                                                 \
      for (int64 i = at; i < at + kWide<T> && i < count; i++)                                                            \
        backwardAt<1>(grad + i, gate + i, up + i, gradGate + i, gradUp + i);                                             \
  }

KERNELS(f32, float)
KERNELS(bf16, Bfloat16)
KERNELS(f16, Half)
