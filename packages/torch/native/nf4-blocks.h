// Blocks of NF4 in vectors: AVX-512, AVX2 and plain forms give the same bits.
#pragma once

#include "nf4-plain.h"
#include "nf4-words.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace camelid {

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)

// 32 values as 16 pairs: the first of each in one register, the second in another. `inOrder` puts the pairs' bytes in sequence.
struct Pairs {
  __m512 first, second;
};
CAMELID_INLINE Pairs weave(__m512 low, __m512 high) {
  return {_mm512_shuffle_ps(low, high, 0x88), _mm512_shuffle_ps(low, high, 0xDD)};
}
CAMELID_INLINE Pairs load32(const float* x) { return weave(_mm512_loadu_ps(x), _mm512_loadu_ps(x + 16)); }
CAMELID_INLINE Pairs load32(const c10::Half* x) {
  const auto* halves = reinterpret_cast<const __m256i*>(x);
  return weave(_mm512_cvtph_ps(_mm256_loadu_si256(halves)), _mm512_cvtph_ps(_mm256_loadu_si256(halves + 1)));
}
CAMELID_INLINE Pairs load32(const c10::BFloat16* x) {
  const __m512i words = _mm512_loadu_si512(x);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
          _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000))))};
}
template <typename T>
CAMELID_INLINE __m128i inOrder(__m128i bytes) {
  return _mm_shuffle_epi8(bytes, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
}
template <>
CAMELID_INLINE __m128i inOrder<c10::BFloat16>(__m128i bytes) { return bytes; }

// Which code is found by look-up: [-1, 1] in 32 cells, each with at most one midpoint in it. The cell grows with the value, so
// a midpoint of a lower cell lies below the value and one of a higher cell does not; in its own cell they are compared.
struct Nf4Cells {
  alignas(64) float midpoint[32];
  alignas(64) int32_t below[32];
  static constexpr float kScale = 15.5f;
  Nf4Cells() {
    for (int cell = 0; cell < 32; cell++) {
      midpoint[cell] = std::numeric_limits<float>::infinity();
      below[cell] = 0;
    }
    for (const float m : kNf4Midpoints) {
      const int own = static_cast<int>(std::fma(m, kScale, kScale));
      midpoint[own] = m;
      for (int cell = own + 1; cell < 32; cell++) below[cell]++;
    }
  }
};

CAMELID_INLINE __m512 roundedToHalf(__m512 values) {
  return _mm512_cvtph_ps(_mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

// Sixteen blocks: first their maxima, so that one division serves all and no block waits for its own; then the codes, while
// the values are in the first cache.
template <typename T>
void nf4QuantizeSixteen(const T* x, uint8_t* packed, float* absmax, bool throughFp16) {
  static const Nf4Cells cells;
  const __m512 midpoints[2] = {_mm512_load_ps(cells.midpoint), _mm512_load_ps(cells.midpoint + 16)};
  const __m512i below[2] = {_mm512_load_si512(cells.below), _mm512_load_si512(cells.below + 16)};
  const __m512 scale = _mm512_set1_ps(Nf4Cells::kScale);
  const __m512i magnitudeBits = _mm512_set1_epi32(0x7FFFFFFF);
  Pairs rounded[32];  // filled only through fp16
  for (int block = 0; block < 16; block++) {
    __m512i largest = _mm512_setzero_si512();
    for (int i = 0; i < 2; i++) {
      Pairs pairs = load32(x + 64 * block + 32 * i);
      if (throughFp16) rounded[2 * block + i] = pairs = {roundedToHalf(pairs.first), roundedToHalf(pairs.second)};
      largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_castps_si512(pairs.first), magnitudeBits));
      largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_castps_si512(pairs.second), magnitudeBits));
    }
    absmax[block] = std::bit_cast<float>(_mm512_reduce_max_epu32(largest));
  }
  alignas(64) float inverses[16];
  for (int block = 0; block < 16; block++) inverses[block] = nf4Inverse(absmax[block]);
  const auto codes = [&](__m512 half, __m512 inverse) __attribute__((always_inline)) {
    const __m512 scaled = _mm512_mul_ps(half, inverse);
    const __m512i cell = _mm512_cvttps_epi32(_mm512_fmadd_ps(scaled, scale, scale));
    const __m512i code = _mm512_permutex2var_epi32(below[0], cell, below[1]);
    const __mmask16 above = _mm512_cmp_ps_mask(scaled, _mm512_permutex2var_ps(midpoints[0], cell, midpoints[1]), _CMP_GT_OQ);
    return _mm512_mask_add_epi32(code, above, code, _mm512_set1_epi32(1));
  };
  for (int block = 0; block < 16; block++) {
    const __m512 inverse = _mm512_set1_ps(inverses[block]);
    for (int i = 0; i < 2; i++) {
      const Pairs pairs = throughFp16 ? rounded[2 * block + i] : load32(x + 64 * block + 32 * i);
      const __m512i first = codes(pairs.first, inverse), second = codes(pairs.second, inverse);
      const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_or_si512(_mm512_slli_epi32(first, 4), second));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(packed + 32 * block + 16 * i), inOrder<T>(bytes));
    }
  }
}

CAMELID_INLINE void store64(void* y, __m512i line, bool pastCaches) {
  if (pastCaches) _mm512_stream_si512(reinterpret_cast<__m512i*>(y), line);
  else _mm512_storeu_si512(y, line);
}

// The table of a block, times its maximum; a permutation by the codes is then the whole work. A permutation looks at the low
// bits of its indices only, so the lower code needs no mask.
CAMELID_INLINE void nf4DequantizeFull(const uint8_t* packed, float absmax, float* y, bool pastCaches) {
  const __m512 table = _mm512_mul_ps(_mm512_load_ps(kNf4Values), _mm512_set1_ps(absmax));
  for (int i = 0; i < 4; i++) {
    const __m512i bytes = _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed + 8 * i)));
    const __m512i indices = _mm512_or_si512(_mm512_srli_epi64(bytes, 4), _mm512_slli_epi64(bytes, 32));
    store64(y + 16 * i, _mm512_castps_si512(_mm512_permutexvar_ps(indices, table)), pastCaches);
  }
}

CAMELID_INLINE void permuteHalves(const uint8_t* packed, __m256i table, void* y, bool pastCaches) {
  const __m512i twice = _mm512_broadcast_i64x4(table);
  for (int i = 0; i < 2; i++) {
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed + 16 * i)));
    const __m512i indices = _mm512_or_si512(_mm512_srli_epi32(bytes, 4), _mm512_slli_epi32(bytes, 16));
    store64(static_cast<uint8_t*>(y) + 64 * i, _mm512_permutexvar_epi16(indices, twice), pastCaches);
  }
}

CAMELID_INLINE void nf4DequantizeFull(const uint8_t* packed, float absmax, c10::BFloat16* y, bool pastCaches) {
  const __m512i bits = _mm512_castps_si512(_mm512_mul_ps(_mm512_load_ps(kNf4Values), _mm512_set1_ps(absmax)));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);  // nearest, ties to even
  permuteHalves(packed, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)), y, pastCaches);
}

CAMELID_INLINE void nf4DequantizeFull(const uint8_t* packed, float absmax, c10::Half* y, bool pastCaches) {
  const __m512 table = _mm512_mul_ps(_mm512_load_ps(kNf4Values), _mm512_set1_ps(absmax));
  permuteHalves(packed, _mm512_cvtps_ph(table, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), y, pastCaches);
}

inline void finishStreaming() { _mm_sfence(); }

#else

template <typename T>
void nf4QuantizeSixteen(const T* x, uint8_t* packed, float* absmax, bool throughFp16) {
  for (int i = 0; i < 16; i++) absmax[i] = nf4QuantizePlain(x + 64 * i, kNf4Block, packed + 32 * i, throughFp16);
}

#if defined(__AVX2__)

CAMELID_INLINE void nf4DequantizeFull(const uint8_t* packed, float absmax, float* y, bool pastCaches) {
  const __m256 factor = _mm256_set1_ps(absmax);
  const __m256 low = _mm256_mul_ps(_mm256_load_ps(kNf4Values), factor);
  const __m256 high = _mm256_mul_ps(_mm256_load_ps(kNf4Values + 8), factor);
  for (int i = 0; i < 8; i++) {
    int32_t four;
    std::memcpy(&four, packed + 4 * i, 4);
    const __m256i bytes = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    const __m256i indices = _mm256_or_si256(_mm256_srli_epi64(bytes, 4), _mm256_slli_epi64(bytes, 32));
    const __m256 isHigh = _mm256_castsi256_ps(_mm256_slli_epi32(indices, 28));  // bit 3 of the code, as the sign
    const __m256 values = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, indices), _mm256_permutevar8x32_ps(high, indices), isHigh);
    if (pastCaches) _mm256_stream_ps(y + 8 * i, values);
    else _mm256_storeu_ps(y + 8 * i, values);
  }
}

// Two-byte elements: their low and high bytes are looked up apart and woven together.
template <typename T>
CAMELID_INLINE void nf4DequantizeFull(const uint8_t* packed, float absmax, T* y, bool pastCaches) {
  static_assert(sizeof(T) == 2);
  T table[16];
  for (int i = 0; i < 16; i++) table[i] = narrowed<T>(kNf4Values[i] * absmax);
  alignas(16) uint8_t low[16], high[16];
  for (int i = 0; i < 16; i++) {
    low[i] = static_cast<uint8_t>(table[i].x);
    high[i] = static_cast<uint8_t>(table[i].x >> 8);
  }
  const __m128i lows = _mm_load_si128(reinterpret_cast<const __m128i*>(low));
  const __m128i highs = _mm_load_si128(reinterpret_cast<const __m128i*>(high));
  const __m128i fifteen = _mm_set1_epi8(15);
  auto* out = reinterpret_cast<__m128i*>(y);
  const auto store = [&](__m128i* place, __m128i values) {
    if (pastCaches) _mm_stream_si128(place, values);
    else _mm_storeu_si128(place, values);
  };
  for (int i = 0; i < 2; i++) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed + 16 * i));
    const __m128i first = _mm_and_si128(_mm_srli_epi16(bytes, 4), fifteen), second = _mm_and_si128(bytes, fifteen);
    for (const __m128i codes : {_mm_unpacklo_epi8(first, second), _mm_unpackhi_epi8(first, second)}) {
      const __m128i l = _mm_shuffle_epi8(lows, codes), h = _mm_shuffle_epi8(highs, codes);
      store(out++, _mm_unpacklo_epi8(l, h));
      store(out++, _mm_unpackhi_epi8(l, h));
    }
  }
}

inline void finishStreaming() { _mm_sfence(); }

#else

template <typename T>
CAMELID_INLINE void nf4DequantizeFull(const uint8_t* packed, float absmax, T* y, bool) {
  nf4DequantizePlain(packed, absmax, y, kNf4Block);
}

inline void finishStreaming() {}

#endif
#endif

// Blocks that lie one after the other; the last may be short.
// @param pastCaches the codes are not read again soon
template <typename T>
void nf4QuantizeBlocks(const T* x, int64_t count, uint8_t* packed, float* absmax, bool throughFp16, [[maybe_unused]] bool pastCaches) {
  int64_t done = 0;
#if defined(CAMELID_NF4_WORDS)
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    const int64_t blocks = count / kNf4Block;
    nf4QuantizeWords(x, blocks, packed, absmax, throughFp16, pastCaches);
    done = blocks * kNf4Block;
  }
#endif
  for (; count - done >= 16 * kNf4Block; done += 16 * kNf4Block)
    nf4QuantizeSixteen(x + done, packed + done / 2, absmax + done / kNf4Block, throughFp16);
  for (; done < count; done += kNf4Block) {
    absmax[done / kNf4Block] =
        nf4QuantizePlain(x + done, std::min(kNf4Block, count - done), packed + done / 2, throughFp16);
  }
}

template <typename T>
CAMELID_INLINE void nf4DequantizeBlock(const uint8_t* packed, float absmax, T* y, int64_t count, bool pastCaches) {
  if (count == kNf4Block) nf4DequantizeFull(packed, absmax, y, pastCaches);
  else nf4DequantizePlain(packed, absmax, y, count);
}

}  // namespace camelid
