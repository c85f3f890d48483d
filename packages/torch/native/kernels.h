// What our own CPU kernels share: element types, an exponential that vectorises, grain sizes.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace camelid {

// A call inside a loop keeps it from being vectorised: these are inlined whatever the compiler thinks of their size.
#define CAMELID_INLINE inline __attribute__((always_inline))

// --- bfloat16 <-> float without branches, so that loops over them vectorise ---

CAMELID_INLINE float widen(float value) { return value; }
CAMELID_INLINE float widen(c10::BFloat16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value.x) << 16); }

template <typename T>
CAMELID_INLINE T narrowed(float value);
template <>
CAMELID_INLINE float narrowed<float>(float value) { return value; }
template <>
CAMELID_INLINE c10::BFloat16 narrowed<c10::BFloat16>(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;  // nearest, ties to even
  const uint32_t nan = (bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : 0;
  return c10::BFloat16(static_cast<uint16_t>(nan ? nan : rounded), c10::BFloat16::from_bits());
}

// exp without branches or calls, so that loops over it vectorise: 2^n times a polynomial on [-ln2/2, ln2/2]; error below 2 ulp.
CAMELID_INLINE float fastExp(float x) {
  const float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;  // what is no number stays so: std::max would lose it
  const float shifted = clamped * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the rounded integer
  const float n = shifted - 12582912.0f;
  const float r = clamped - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const uint32_t power = (std::bit_cast<uint32_t>(shifted) - 0x4B400000u + 127u) << 23;
  return p * std::bit_cast<float>(power);
}

// Rotary embedding of one head: dimensions i and i + half turn together by the token's angle, forth (sign 1) or back (-1).
template <typename In, typename Out>
CAMELID_INLINE void turnHalves(const In* in, const float* cos, const float* sin, Out* out, int64_t half, float sign) {
#pragma omp simd
  for (int64_t i = 0; i < half; i++) {
    const float first = widen(in[i]);
    const float second = widen(in[i + half]);
    out[i] = narrowed<Out>(first * cos[i] - sign * second * sin[i]);
    out[i + half] = narrowed<Out>(second * cos[i] + sign * first * sin[i]);
  }
}

inline bool isFusable(const at::Tensor& tensor) {
  return tensor.is_cpu() && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
}

// Both can be read by one kernel.
inline bool isAlike(const at::Tensor& one, const at::Tensor& other) {
  return one.device() == other.device() && one.scalar_type() == other.scalar_type();
}

// Our gradients are numbers that remember nothing: differentiated again they would be missing from the answer.
inline void refuseSecondBackward(const char* name) {
  TORCH_CHECK(!at::GradMode::is_enabled(), name, ": its gradient cannot be differentiated again (createGraph)");
}

// Calls body(T{}) with the element type of the tensor.
template <typename Body>
void withElementType(const at::Tensor& tensor, Body body) {
  if (tensor.scalar_type() == at::kBFloat16) body(c10::BFloat16());
  else body(float());
}

constexpr int64_t kRowsPerTask = 16;

}  // namespace camelid
