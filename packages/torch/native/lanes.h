// Sixteen fp32 numbers at a time, as one vector register holds them; narrower processors take two or four.
#pragma once

#if defined(__AVX512F__) || defined(__FMA__)
#include <immintrin.h>
#endif

#include <cstring>

#include "kernels.h"

namespace camelid {

typedef float Floats __attribute__((vector_size(64), may_alias));
typedef uint32_t Words __attribute__((vector_size(64), may_alias));
constexpr int64_t kLanes = 16;

template <typename Vector>
CAMELID_INLINE Vector load(const void* from) {
  Vector values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

// a * b + c, rounded once where the processor can
CAMELID_INLINE Floats multiplyAdd(Floats a, Floats b, Floats c) {
#ifdef __AVX512F__
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
  return a * b + c;
#endif
}

CAMELID_INLINE Floats loadWidened(const float* from) { return load<Floats>(from); }
CAMELID_INLINE Floats loadWidened(const c10::BFloat16* from) {
  typedef uint16_t Halves __attribute__((vector_size(32)));
  return (Floats)(__builtin_convertvector(camelid::load<Halves>(from), Words) << 16);
}

CAMELID_INLINE void storeNarrowed(Floats values, float* to) { std::memcpy(to, &values, sizeof(values)); }
CAMELID_INLINE void storeNarrowed(Floats values, c10::BFloat16* to) {
#ifdef __AVX512BF16__
  const __m256bh rounded = _mm512_cvtneps_pbh((__m512)values);
  std::memcpy(to, &rounded, sizeof(rounded));
#else
  typedef uint16_t Halves __attribute__((vector_size(32)));
  const Words bits = (Words)values;
  const Words nearest = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;  // ties to even
  const Halves rounded = __builtin_convertvector((bits & 0x7FFFFFFFu) > 0x7F800000u ? Words{} + 0x7FC0u : nearest, Halves);
  std::memcpy(to, &rounded, sizeof(rounded));
#endif
}

// Rounded to T and back.
template <typename T>
CAMELID_INLINE Floats rounded(Floats values) {
  T narrow[kLanes];
  storeNarrowed(values, narrow);
  return loadWidened(narrow);
}

// The next sixteen of `count` numbers, `rest` where there are fewer; and back.
template <typename T>
CAMELID_INLINE Floats next(const T* from, int64_t count, float rest = 0.0f) {
  if (count >= kLanes) return loadWidened(from);
  T some[kLanes];
  std::fill(some, some + kLanes, narrowed<T>(rest));
  std::memcpy(some, from, count * sizeof(T));
  return loadWidened(some);
}
template <typename T>
CAMELID_INLINE void putNext(Floats values, T* to, int64_t count) {
  if (count >= kLanes) return storeNarrowed(values, to);
  T some[kLanes];
  storeNarrowed(values, some);
  std::memcpy(to, some, count * sizeof(T));
}

// As `fastExp`, but 0 below -87, so that exp(-inf) is nothing.
CAMELID_INLINE Floats exponential(Floats x) {
  const Floats shift = Floats{} + 12582912.0f;
  const Floats highest = Floats{} + 88.0f;
  x = x > highest ? highest : x;
  const Floats shifted = multiplyAdd(x, Floats{} + 1.44269504f, shift);
  const Floats n = shifted - shift;
  const Floats r = multiplyAdd(n, Floats{} + 2.12194440e-4f, multiplyAdd(n, Floats{} - 0.693359375f, x));
  Floats p = Floats{} + 1.9875691500e-4f;
  for (const float coefficient : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = multiplyAdd(p, r, Floats{} + coefficient);
  p = multiplyAdd(p, r * r, r + 1.0f);
  const Words power = ((Words)shifted - 0x4B400000u + 127u) << 23;
  return x < Floats{} - 87.0f ? Floats{} : p * (Floats)power;
}

template <typename Vector>
CAMELID_INLINE float sumOf(Vector values) {
  float sum = 0;
  for (size_t i = 0; i < sizeof(values) / sizeof(float); i++) sum += values[i];
  return sum;
}
CAMELID_INLINE float largestOf(Floats values) {
  float largest = values[0];
  for (int64_t i = 1; i < kLanes; i++) largest = std::max(largest, values[i]);
  return largest;
}

}  // namespace camelid
