// What the CUDA kernels share: element types and how they round, accesses of 16 bytes, sums over a warp and over a block.
//
// No header of CUDA is needed: NVRTC compiles these files at run time (../cuda-kernels.cc), and in tests g++ does, behind the
// emulator in src/fixtures. Products are rounded before they are added to (--fmad=false), as on the CPU, so that what has
// no exponential or logarithm in it gives the same bits in all three, sums in the same order.
//
// Nearly all of these kernels wait for memory: a warp reads and writes stretches of 512 bytes, and nothing twice from DRAM
// that fits a cache in between. The arithmetic has room for it: an H100 can do about 17 instructions in the time of two bytes.
#pragma once

typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef long long int64;

struct Bfloat16 {
  uint16 bits;
};
struct Half {
  uint16 bits;
};

#define INLINE __device__ __forceinline__

#define INFINITY_F __uint_as_float(0x7F800000u)
#define NAN_F __uint_as_float(0x7FC00000u)

// Shared memory whose size the launch says.
#if !defined(DYNAMIC_SHARED)
#define DYNAMIC_SHARED(type, name) extern __shared__ type name[]
#endif

constexpr uint32 kWholeWarp = 0xFFFFFFFFu;

// --- element types ---

INLINE float widen(float value) { return value; }
INLINE float widen(Bfloat16 value) { return __uint_as_float(static_cast<uint32>(value.bits) << 16); }
INLINE float widen(Half value) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
#else
  return emulatedHalfToFloat(value.bits);
#endif
}

// To the nearest, ties to even.
template <typename T>
INLINE T narrowed(float value);
template <>
INLINE float narrowed<float>(float value) {
  return value;
}
template <>
INLINE Bfloat16 narrowed<Bfloat16>(float value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint16 bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return {bits};
#else
  const uint32 bits = __float_as_uint(value);
  const bool isNan = (bits & 0x7FFFFFFF) > 0x7F800000;
  return {static_cast<uint16>(isNan ? 0x7FC0 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
#endif
}
template <>
INLINE Half narrowed<Half>(float value) {
#if defined(__CUDA_ARCH__)
  uint16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return {bits};
#else
  return {emulatedFloatToHalf(value)};
#endif
}

// --- N elements that lie together ---

// Elements in 16 bytes, the widest access there is.
template <typename T>
constexpr int kWide = 16 / sizeof(T);

template <typename T>
INLINE bool isAligned(const T* address) {
  return reinterpret_cast<unsigned long long>(address) % 16 == 0;
}

template <typename T, int N>
union Together {
  uint4 wide[(N * sizeof(T) + 15) / 16];
  T values[N];
  INLINE Together() {}
};

// N is 1, or fills accesses of 16 bytes at an aligned address.
template <int N, typename T>
INLINE void load(const T* from, float (&values)[N]) {
  if constexpr (N == 1) {
    values[0] = widen(*from);
  } else {
    static_assert(N * sizeof(T) % 16 == 0);
    Together<T, N> together;
#pragma unroll
    for (int i = 0; i < static_cast<int>(N * sizeof(T) / 16); i++) together.wide[i] = reinterpret_cast<const uint4*>(from)[i];
#pragma unroll
    for (int i = 0; i < N; i++) values[i] = widen(together.values[i]);
  }
}

template <int N, typename T>
INLINE void store(T* to, const float (&values)[N]) {
  if constexpr (N == 1) {
    *to = narrowed<T>(values[0]);
  } else {
    static_assert(N * sizeof(T) % 16 == 0);
    Together<T, N> together;
#pragma unroll
    for (int i = 0; i < N; i++) together.values[i] = narrowed<T>(values[i]);
#pragma unroll
    for (int i = 0; i < static_cast<int>(N * sizeof(T) / 16); i++) reinterpret_cast<uint4*>(to)[i] = together.wide[i];
  }
}

// --- sums ---

INLINE float warpSum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance >>= 1) value += __shfl_xor_sync(kWholeWarp, value, distance);
  return value;
}

INLINE float warpMaximum(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance >>= 1) value = fmaxf(value, __shfl_xor_sync(kWholeWarp, value, distance));
  return value;
}

// Every thread of a block of whole warps calls it, and gets the sum; always in the same order.
INLINE float blockSum(float value) {
  __shared__ float ofWarps[32];
  value = warpSum(value);
  __syncthreads();  // nobody still reads the last sum
  if (threadIdx.x % 32 == 0) ofWarps[threadIdx.x / 32] = value;
  __syncthreads();
  return warpSum(threadIdx.x % 32 < blockDim.x / 32 ? ofWarps[threadIdx.x % 32] : 0.0f);
}
