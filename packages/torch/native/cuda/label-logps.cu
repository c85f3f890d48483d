// Log-probabilities of labels under rows of logits: m = max, z = sum exp(x - m), logp = x[label] - m - log z, in one reading of
// the row. With upstream gradients u a second one leaves u * (onehot(label) - exp(x - m) / z) in the logits' place: six
// bytes an element of bf16 through DRAM. (A chain of operators widens the logits and moves about 36.)
#include "elements.cuh"

// A maximum and the sum of exponentials relative to it.
struct Sum {
  float highest, sum;
};

// exp(-inf - -inf) would be NaN: a stretch of nothing but -inf adds nothing.
INLINE float scaled(Sum part, float highest) {
  return part.highest == highest || part.sum == 0 ? part.sum : part.sum * expf(part.highest - highest);
}

INLINE Sum joined(Sum a, Sum b) {
  const float highest = fmaxf(a.highest, b.highest);
  return {highest, scaled(a, highest) + scaled(b, highest)};
}

INLINE Sum blockJoined(Sum own) {
  __shared__ Sum ofWarps[32];
  const auto overWarp = [](Sum part) {
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1) {
      const float highest = __shfl_xor_sync(kWholeWarp, part.highest, distance);
      const float sum = __shfl_xor_sync(kWholeWarp, part.sum, distance);
      part = joined(part, {highest, sum});
    }
    return part;
  };
  own = overWarp(own);
  if (threadIdx.x % 32 == 0) ofWarps[threadIdx.x / 32] = own;
  __syncthreads();
  const bool isWarp = threadIdx.x % 32 < blockDim.x / 32;
  return overWarp(isWarp ? ofWarps[threadIdx.x % 32] : Sum{-INFINITY_F, 0.0f});
}

template <int N, typename T>
INLINE void add(Sum& own, const T* x) {
  float values[N];
  load<N>(x, values);
  float highest = own.highest;
#pragma unroll
  for (int j = 0; j < N; j++) highest = fmaxf(highest, values[j]);
  own = {highest, scaled(own, highest)};
#pragma unroll
  for (int j = 0; j < N; j++) own.sum += values[j] == -INFINITY_F ? 0.0f : expf(values[j] - highest);
}

template <int N, typename T>
INLINE void replace(T* x, float highest, float factor) {
  float values[N];
  load<N>(x, values);
#pragma unroll
  for (int j = 0; j < N; j++) values[j] = expf(values[j] - highest) * factor;
  store<N>(x, values);
}

// Calls body(element) or body(element, wide) for the elements that are this thread's: before the first address that 16 bytes can be
// read from, from there on, and after the last.
template <typename T, typename Single, typename Wide>
INLINE void overRow(T* x, int64 size, Single single, Wide wide) {
  const int64 toAligned = (16 - reinterpret_cast<unsigned long long>(x) % 16) % 16 / sizeof(T);
  const int64 head = toAligned < size ? toAligned : size;
  const int64 tail = head + (size - head) / kWide<T> * kWide<T>;
  if (static_cast<int64>(threadIdx.x) < head) single(x + threadIdx.x);
  for (int64 i = head + threadIdx.x * kWide<T>; i < tail; i += blockDim.x * kWide<T>) wide(x + i);
  if (static_cast<int64>(threadIdx.x) < size - tail) single(x + tail + threadIdx.x);
}

// One block of threads a row. A label outside of the row cannot be an error here: its row becomes NaN.
template <typename T>
INLINE void labelLogps(T* logits, const int64* labels, const float* upstream, float* logps, int64 size) {
  const int64 row = blockIdx.x, label = labels[row];
  T* x = logits + row * size;
  const bool isInside = label >= 0 && label < size;
  const float chosen = isInside ? widen(x[label]) : NAN_F;
  Sum own{-INFINITY_F, 0.0f};
  overRow(x, size, [&](const T* one) { add<1>(own, one); }, [&](const T* some) { add<kWide<T>>(own, some); });
  const Sum all = blockJoined(own);
  if (threadIdx.x == 0) logps[row] = chosen - all.highest - logf(all.sum);
  if (upstream == nullptr) return;
  const float factor = isInside ? -upstream[row] / all.sum : NAN_F;
  overRow(x, size, [&](T* one) { replace<1>(one, all.highest, factor); },
          [&](T* some) { replace<kWide<T>>(some, all.highest, factor); });
  __syncthreads();  // the label's place has been written by whoever had it
  if (threadIdx.x == 0 && isInside)
    x[label] = narrowed<T>(upstream[row] * (1.0f - expf(chosen - all.highest) / all.sum));
}

#define KERNELS(name, T)                                                                                            \
  extern "C" __global__ void label_logps_##name(T* logits, const int64* labels, const float* upstream, float* logps, \
                                                int64 size) {                                                       \
    labelLogps<T>(logits, labels, upstream, logps, size);                                                           \
  }

KERNELS(f32, float)
KERNELS(bf16, Bfloat16)
KERNELS(f16, Half)
