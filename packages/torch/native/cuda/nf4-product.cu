// y = x W^T + b for up to eight rows x and a frozen W in NF4, as decoding needs it: the codes are read once, 0.52 bytes a weight, and
// W is never restored. A warp has an output, a lane 32 values (half a block) at a time: 512 bytes of codes a warp in one
// piece; x, a few rows, stays in the caches.
//
// At one row it takes seven to eight instructions a weight (two for the place, look-up, widening of x, multiply-add), where an H100
// has four in the time of the codes: expect half of its bandwidth, where restoring W first moves nine times the bytes. Weights are
// not rounded to the element type before they are multiplied: closer to what the codes stand for than a product with the
// restored matrix, and not equal to it.
#include "nf4-codes.cuh"

constexpr int kTogether = 32;

template <typename T, int M>
INLINE void product(const T* x, const uint8* packed, const Maxima& maxima, const T* bias, T* y, int64 rows, int64 out, int64 in) {
  __shared__ float table[16];
  loadValues(table);
  const int lane = threadIdx.x % 32;
  const int64 output = static_cast<int64>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  if (output >= out) return;  // whole warps
  float sums[M] = {};
#pragma unroll 2
  for (int64 i = lane * kTogether; i < in; i += 32 * kTogether) {
    const int64 at = output * in + i;
    const uint4 codes = *reinterpret_cast<const uint4*>(packed + at / 2);
    const float maximum = maxima.of(at / kBlock);
    const uint32 words[4] = {codes.x, codes.y, codes.z, codes.w};
    float parts[M] = {};
#pragma unroll
    for (int word = 0; word < 4; word++) {
      float weights[8];
#pragma unroll
      for (int j = 0; j < 8; j++) weights[j] = valueOf(table, words[word], j);
#pragma unroll
      for (int m = 0; m < M; m++) {
        if (m >= rows) break;
        float values[8];
        load<8>(x + m * in + i + 8 * word, values);
#pragma unroll
        for (int j = 0; j < 8; j++) parts[m] = fmaf(weights[j], values[j], parts[m]);
      }
    }
#pragma unroll
    for (int m = 0; m < M; m++) sums[m] = fmaf(parts[m], maximum, sums[m]);
  }
#pragma unroll
  for (int m = 0; m < M; m++) {
    const float sum = warpSum(sums[m]);
    if (lane == 0 && m < rows) y[m * out + output] = narrowed<T>(bias == nullptr ? sum : sum + widen(bias[output]));
  }
}

#define KERNEL(name, T, M)                                                                                                    \
  extern "C" __global__ void nf4_product_##name##_##M(const T* x, const uint8* packed, const float* maxima,                   \
                                                      const uint8* maximumCodes, const float* nested, const float* map,       \
                                                      float offset, const T* bias, T* y, int64 rows, int64 out, int64 in) {   \
    product<T, M>(x, packed, {maxima, maximumCodes, nested, map, offset}, bias, y, rows, out, in);                            \
  }
#define KERNELS(name, T) KERNEL(name, T, 1) KERNEL(name, T, 4) KERNEL(name, T, 8)

KERNELS(f32, float)
KERNELS(bf16, Bfloat16)
KERNELS(f16, Half)
