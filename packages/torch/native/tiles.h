// Products of matrices that fit the caches, for kernels that work on what comes out before the next product needs it.
//
// The left operand lies row by row, the right one depth by depth; sums are fp32. Numbers go in words of 32 bits: one fp32, or two
// bf16 neighbours along the depth, which is what the dot-product instruction of the processor takes.
#pragma once

#include "lanes.h"

namespace camelid {

typedef uint32_t Word __attribute__((may_alias));
template <typename T>
constexpr int64_t kPerWord = sizeof(Word) / sizeof(T);

// What one register holds: wider vectors that are worked on at once would not stay in registers.
#if defined(__AVX512F__)
constexpr int64_t kPart = 16, kPartsAtOnce = 4;
#elif defined(__AVX__)
constexpr int64_t kPart = 8, kPartsAtOnce = 2;
#else
constexpr int64_t kPart = 4, kPartsAtOnce = 2;
#endif
typedef float Part __attribute__((vector_size(kPart * 4), may_alias));
typedef uint32_t WordPart __attribute__((vector_size(kPart * 4), may_alias));

// sum + left * right; of bf16, the sum of both products of a pair
template <typename T>
CAMELID_INLINE Part addProduct(Part sum, WordPart left, WordPart right);
template <>
CAMELID_INLINE Part addProduct<float>(Part sum, WordPart left, WordPart right) {
#if defined(__AVX512F__)
  return (Part)_mm512_fmadd_ps((__m512)left, (__m512)right, (__m512)sum);
#elif defined(__FMA__)
  return (Part)_mm256_fmadd_ps((__m256)left, (__m256)right, (__m256)sum);
#else
  return sum + (Part)left * (Part)right;
#endif
}
template <>
CAMELID_INLINE Part addProduct<c10::BFloat16>(Part sum, WordPart left, WordPart right) {
#ifdef __AVX512BF16__
  return (Part)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)right);
#else
  sum = addProduct<float>(sum, left << 16, right << 16);
  return addProduct<float>(sum, left & 0xFFFF0000u, right & 0xFFFF0000u);
#endif
}

// A matrix of words: rows of a left operand, or depths of a right one, lie `stride` words apart.
struct Operand {
  const Word* words;
  int64_t stride;
};

// kRows x kPart kVectors sums: as many as the registers hold beside one row of the right operand. Loops are unrolled so that they do.
template <typename T, int kRows, int kVectors>
CAMELID_INLINE void multiplyTile(Operand left, Operand right, int64_t depth, float* sums, int64_t stride, bool add) {
  Part total[kRows][kVectors] = {};
  if (add) {
#pragma GCC unroll 8
    for (int row = 0; row < kRows; row++) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) total[row][v] = load<Part>(sums + row * stride + v * kPart);
    }
  }
  for (int64_t k = 0; k < depth; k++) {
    WordPart columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) columns[v] = load<WordPart>(right.words + k * right.stride + v * kPart);
#pragma GCC unroll 8
    for (int row = 0; row < kRows; row++) {
      const WordPart value = WordPart{} + left.words[row * left.stride + k];
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) total[row][v] = addProduct<T>(total[row][v], value, columns[v]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; row++) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) std::memcpy(sums + row * stride + v * kPart, &total[row][v], sizeof(Part));
  }
}

// sums [rows, columns] = or += left [rows, depth] right [depth, columns]; rows in fours, columns in sixteens, depth in words.
// Not inlined: beside a caller's own vectors the sums would not stay in registers.
template <typename T>
__attribute__((noinline)) void multiply(Operand left, Operand right, int64_t rows, int64_t columns, int64_t depth, float* sums, int64_t stride, bool add) {
  int64_t column = 0;
  const auto sweep = [&]<int kVectors>(std::integral_constant<int, kVectors>) {
    for (; column + kVectors * kPart <= columns; column += kVectors * kPart)
      for (int64_t row = 0; row < rows; row += 4)
        multiplyTile<T, 4, kVectors>({left.words + row * left.stride, left.stride}, {right.words + column, right.stride}, depth,
                                     sums + row * stride + column, stride, add);
  };
  if constexpr (kPartsAtOnce == 4) sweep(std::integral_constant<int, 4>());
  sweep(std::integral_constant<int, 2>());
  sweep(std::integral_constant<int, 1>());
}

// [rows, columns] -> [columns, rows]
template <typename T>
void transpose(const T* from, int64_t rows, int64_t columns, T* to, int64_t stride) {
  constexpr int64_t block = 16;  // of columns: so many cache lines are written at a time
  for (int64_t first = 0; first < columns; first += block)
    for (int64_t row = 0; row < rows; row++)
      for (int64_t column = first; column < std::min(columns, first + block); column++)
        to[column * stride + row] = from[row * columns + column];
}

// Rows as the depths of a right operand: of bf16, rows 2i and 2i + 1 share words.
template <typename T>
void pairRows(const T* from, int64_t rows, int64_t columns, Word* to) {
  if constexpr (kPerWord<T> == 1) {
    std::memcpy(to, from, rows * columns * sizeof(T));
  } else {
    for (int64_t row = 0; row < rows; row += 2) {
      const T *even = from + row * columns, *odd = even + columns;
      Word* words = to + row / 2 * columns;
#pragma omp simd
      for (int64_t i = 0; i < columns; i++) words[i] = even[i].x | static_cast<uint32_t>(odd[i].x) << 16;
    }
  }
}

}  // namespace camelid
