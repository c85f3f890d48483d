// NF4 (Dettmers et al. 2023, https://arxiv.org/abs/2305.14314) in bitsandbytes' layout, bit for bit what ../nf4.cc does on the CPU:
// blocks of 64 values share their largest magnitude; two 4-bit codes a byte, the first in the high half; block maxima
// as fp32, or as 8-bit codes in blocks of 256.
//
// A thread has eight values, so that a warp reads 128 bytes of codes and writes 512 of bf16 in one piece each: 2.5 bytes a
// value. The sixteen values lie in sixteen banks of shared memory, where any look-ups of a warp take one turn.
#include "nf4-codes.cuh"

constexpr int kEach = 8;

// Half-way between neighbours, rounded as in ../nf4-plain.h: a code is the number of these below the value, so a tie goes down.
INLINE void loadMidpoints(float (&table)[15]) {
  const int i = threadIdx.x;
  if (i < 15) table[i] = static_cast<float>((static_cast<double>(kValues[i]) + static_cast<double>(kValues[i + 1])) / 2);
  __syncthreads();
}

template <typename T>
INLINE void dequantize(const uint8* packed, const Maxima& maxima, T* y, int64 count) {
  __shared__ float table[16];
  loadValues(table);
  const int64 at = (static_cast<int64>(blockIdx.x) * blockDim.x + threadIdx.x) * kEach;
  if (at >= count) return;
  const float maximum = maxima.of(at / kBlock);
  if (at + kEach <= count && isAligned(packed) && isAligned(y)) {
    const uint32 codes = *reinterpret_cast<const uint32*>(packed + at / 2);
    float values[kEach];
#pragma unroll
    for (int i = 0; i < kEach; i++) values[i] = valueOf(table, codes, i) * maximum;
    store<kEach>(y + at, values);
  } else {
    for (int64 i = at; i < at + kEach && i < count; i++)
      y[i] = narrowed<T>(table[i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15] * maximum);
  }
}

INLINE uint32 codeOf(float value, const float (&midpoints)[15]) {
  // Bit by bit from the highest: four comparisons instead of fifteen.
  uint32 code = value > midpoints[7] ? 8 : 0;
  code += value > midpoints[code + 3] ? 4 : 0;
  code += value > midpoints[code + 1] ? 2 : 0;
  code += value > midpoints[code] ? 1 : 0;
  return code;
}

// Eight threads have a block. `absmax` is NaN where a value is; a block of zeros, or of values too small, stays zeros.
template <typename T>
INLINE void quantize(const T* x, uint8* packed, float* absmax, int64 count, int64 throughFp16) {
  __shared__ float midpoints[15];
  loadMidpoints(midpoints);
  const int64 at = (static_cast<int64>(blockIdx.x) * blockDim.x + threadIdx.x) * kEach;
  float values[kEach];
  if (at + kEach <= count && isAligned(x)) {
    load<kEach>(x + at, values);
  } else {
#pragma unroll
    for (int i = 0; i < kEach; i++) values[i] = at + i < count ? widen(x[at + i]) : 0.0f;
  }
  uint32 largest = 0;  // magnitudes compare as integers do, and NaN is the largest
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    if (throughFp16 != 0) values[i] = widen(narrowed<Half>(values[i]));
    const uint32 magnitude = __float_as_uint(values[i]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
#pragma unroll
  for (int distance = 1; distance < kBlock / kEach; distance <<= 1) {
    const uint32 other = __shfl_xor_sync(kWholeWarp, largest, distance);
    largest = other > largest ? other : largest;
  }
  if (at >= count) return;
  const float maximum = __uint_as_float(largest);
  if (at % kBlock == 0) absmax[at / kBlock] = maximum;
  const float reciprocal = 1.0f / maximum;
  const float inverse = reciprocal <= 3.402823466e+38f ? reciprocal : 0.0f;
  uint32 codes = 0;
#pragma unroll
  for (int i = 0; i < kEach; i++) {
    // What fills up an odd count is a zero, and has the code of zero.
    codes |= codeOf(values[i] * inverse, midpoints) << (i / 2 * 8 + (i % 2 == 0 ? 4 : 0));
  }
  if (at + kEach <= count && isAligned(packed)) *reinterpret_cast<uint32*>(packed + at / 2) = codes;
  else
    for (int64 i = 0; i < kEach / 2 && at + 2 * i < count; i++) packed[at / 2 + i] = static_cast<uint8>(codes >> (8 * i));
}

#define KERNELS(name, T)                                                                                                \
  extern "C" __global__ void nf4_dequantize_##name(const uint8* packed, const float* maxima, const uint8* maximumCodes, \
                                                   const float* nested, const float* map, float offset, T* y,           \
                                                   int64 count) {                                                       \
    dequantize<T>(packed, {maxima, maximumCodes, nested, map, offset}, y, count);                                       \
  }                                                                                                                     \
  extern "C" __global__ void nf4_quantize_##name(const T* x, uint8* packed, float* absmax, int64 count,                 \
                                                 int64 throughFp16) {                                                   \
    quantize<T>(x, packed, absmax, count, throughFp16);                                                                 \
  }

KERNELS(f32, float)
KERNELS(bf16, Bfloat16)
KERNELS(f16, Half)
