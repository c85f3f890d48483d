// NF4's values, and one block in plain C++: 64 values <-> 32 bytes of codes and the largest magnitude. What every vector form
// has to give, bit for bit, and what short blocks and processors without vectors run.
#pragma once

#include <cstring>

#include "kernels.h"

namespace camelid {

constexpr int64_t kNf4Block = 64;

// Quantiles of a normal distribution, zero among them, more above it than below.
alignas(64) inline constexpr float kNf4Values[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
    -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

struct Nf4Midpoints {
  float values[15];
  constexpr Nf4Midpoints() : values() {
    for (int i = 0; i < 15; i++) values[i] = static_cast<float>((static_cast<double>(kNf4Values[i]) + kNf4Values[i + 1]) / 2);
  }
};
inline constexpr Nf4Midpoints kMidpoints;
inline constexpr const float (&kNf4Midpoints)[15] = kMidpoints.values;

CAMELID_INLINE float widen(c10::Half value) { return static_cast<float>(value); }
template <>
CAMELID_INLINE c10::Half narrowed<c10::Half>(float value) { return c10::Half(value); }

inline bool isCacheLine(const void* address) { return reinterpret_cast<uintptr_t>(address) % 64 == 0; }

// What values are multiplied by. A block of zeros stays zeros, as does one whose maximum is too small for a reciprocal.
CAMELID_INLINE float nf4Inverse(float absmax) {
  const float inverse = 1.0f / absmax;
  return inverse <= std::numeric_limits<float>::max() ? inverse : 0.0f;
}

// A short block, or a processor without AVX-512. @returns the largest magnitude, NaN if there is one
template <typename T>
float nf4QuantizePlain(const T* x, int64_t count, uint8_t* packed, bool throughFp16) {
  float values[kNf4Block] = {};
  int32_t codes[kNf4Block] = {};
  uint32_t largest = 0;  // magnitudes compare as integers do, and NaN is the largest
  for (int64_t i = 0; i < count; i++) values[i] = throughFp16 ? widen(c10::Half(widen(x[i]))) : widen(x[i]);
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < kNf4Block; i++) largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7FFFFFFF);
  const float absmax = std::bit_cast<float>(largest);
  const float inverse = nf4Inverse(absmax);
  for (const float midpoint : kNf4Midpoints) {
#pragma omp simd
    for (int64_t i = 0; i < kNf4Block; i++) codes[i] += values[i] * inverse > midpoint ? 1 : 0;
  }
  // What fills up an odd count is a zero, and has the code of zero.
  for (int64_t i = 0; i < (count + 1) / 2; i++) packed[i] = static_cast<uint8_t>(codes[2 * i] << 4 | codes[2 * i + 1]);
  return absmax;
}

template <typename T>
void nf4DequantizePlain(const uint8_t* packed, float absmax, T* y, int64_t count) {
  T table[16];
  for (int i = 0; i < 16; i++) table[i] = narrowed<T>(kNf4Values[i] * absmax);
  for (int64_t i = 0; i < count; i++) y[i] = table[i % 2 == 0 ? packed[i / 2] >> 4 : packed[i / 2] & 15];
}

}  // namespace camelid
