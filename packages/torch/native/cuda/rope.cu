// Rotary embedding: dimensions i and i + half of each head turn together by the token's angle; `sign` -1 turns back, which is
// the gradient. Four bytes an element of bf16 through DRAM; a token's cosines and sines serve all of its heads from a cache.
#include "elements.cuh"

template <int N, typename T>
INLINE void turnToken(const T* x, const float* cosines, const float* sines, T* y, int64 heads, int64 half, float sign) {
  const int64 groups = half / N;
  for (int64 group = threadIdx.x; group < heads * groups; group += blockDim.x) {
    const int64 i = group % groups * N, at = group / groups * 2 * half + i;
    float first[N], second[N], c[N], s[N];
    load<N>(x + at, first);
    load<N>(x + at + half, second);
    load<N>(cosines + i, c);
    load<N>(sines + i, s);
#pragma unroll
    for (int j = 0; j < N; j++) {
      const float old = first[j];
      first[j] = old * c[j] - sign * second[j] * s[j];
      second[j] = second[j] * c[j] + sign * old * s[j];
    }
    store<N>(y + at, first);
    store<N>(y + at + half, second);
  }
}

// One block of threads a token.
template <typename T>
INLINE void turn(const T* x, const float* cosines, const float* sines, T* y, int64 heads, int64 half, float sign) {
  const int64 token = blockIdx.x, at = token * heads * 2 * half;
  const bool isWide = half % kWide<T> == 0 && isAligned(x) && isAligned(y) && isAligned(cosines) && isAligned(sines);
  if (isWide) turnToken<kWide<T>>(x + at, cosines + token * half, sines + token * half, y + at, heads, half, sign);
  else turnToken<1>(x + at, cosines + token * half, sines + token * half, y + at, heads, half, sign);
}

#define KERNELS(name, T)                                                                                              \
  extern "C" __global__ void rope_##name(const T* x, const float* cosines, const float* sines, T* y, int64 heads,     \
                                         int64 half, float sign) {                                                    \
    turn<T>(x, cosines, sines, y, heads, half, sign);                                                                 \
  }

KERNELS(f32, float)
KERNELS(bf16, Bfloat16)
KERNELS(f16, Half)
