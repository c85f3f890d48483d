// NF4's values and block maxima as they are stored, for the kernels that restore weights and those that multiply with the codes.
#pragma once

#include "elements.cuh"

constexpr int kBlock = 64, kNestedBlock = 256;

__constant__ float kValues[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
    -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// Constants that the threads of a warp look up at different places come from shared memory at once, else one after the other.
INLINE void loadValues(float (&table)[16]) {
  if (threadIdx.x < 16) table[threadIdx.x] = kValues[threadIdx.x];
  __syncthreads();
}

// The value of the i-th of eight codes that one word holds: two a byte, the first in the high half. Shifted and masked once, a code is
// the distance of its value in bytes.
INLINE float valueOf(const float (&table)[16], uint32 word, int i) {
  const int place = i % 2 == 0 ? i + 1 : i - 1;
  const uint32 distance = (place == 0 ? word << 2 : word >> (4 * place - 2)) & 60;
  return *reinterpret_cast<const float*>(reinterpret_cast<const char*>(table) + distance);
}

// fp32 maxima, or their codes with the scales of these, the 256 values of the code, and an offset.
struct Maxima {
  const float* plain;
  const uint8* codes;
  const float* nested;
  const float* map;
  float offset;

  INLINE float of(int64 block) const {
    return codes == nullptr ? plain[block] : map[codes[block]] * nested[block / kNestedBlock] + offset;
  }
};
