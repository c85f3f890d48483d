// NF4 codes of bf16 blocks without leaving their 16 bits: 32 values a register instead of 16, and no arithmetic in fp32.
//
// Read as an integer, a magnitude is its logarithm, nearly, in steps of 128 an octave; so the distance of a value from the
// block's maximum, in such steps, says where it lies between the codes. Adjacent borders are at least 36 steps apart: a cell
// of 32 steps holds one at most, and one word can say which code a cell begins with and where in it the next one begins.
// Where borders lie depends on the maximum's seven bits after the point and on nothing else, since scaling by a power of two
// rounds nothing; the tables are made with the arithmetic of nf4QuantizePlain, whose codes these are, bit for bit.
#pragma once

#include "nf4-plain.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VBMI__)
#define CAMELID_NF4_WORDS 1
#include <immintrin.h>

#include <vector>

namespace camelid {

// Signed distance: that from the maximum for values below zero, -1 minus it for the others. It grows with the value on each
// side, and its bits 5 to 10 number the cell. `word + distance`, shifted right by 5, is the code.
class Nf4Words {
 public:
  static constexpr int kFarthest = 1023;  // of this distance and more, values are zero for NF4
  // Maxima whose reciprocal, and whose smallest value that matters, are normal numbers.
  static constexpr uint32_t kLeast = 16 << 7, kMost = 250 << 7;
  // Fp16 rounds bf16 below 2^-17 only, and has numbers up to 65,504: with a maximum of 2^-9 or more, what is rounded is too far
  // from it to matter.
  static constexpr uint32_t kLeastSameInHalf = (127 - 9) << 7, kMostSameInHalf = ((127 + 16) << 7) - 1;

  static const Nf4Words& get() {
    static const Nf4Words words;
    return words;
  }
  const uint16_t* of(uint32_t maximum) const { return words_.data() + (maximum & 127) * 64; }

 private:
  std::vector<uint16_t> words_;

  Nf4Words() : words_(128 * 64) {
    for (int maximum = 0; maximum < 128; maximum++) {
      for (int cell = -32; cell < 32; cell++) {
        const int first = codeAt(maximum, 32 * cell);
        int border = 32;
        if (codeAt(maximum, 32 * cell + 31) != first) {
          for (border = 1; codeAt(maximum, 32 * cell + border) == first; border++) {}
        }
        words_[64 * maximum + (cell & 63)] = static_cast<uint16_t>(32 * (first - cell) + 32 - border);
      }
    }
  }

  static int codeAt(int maximum, int distance) {
    const auto bf16 = [](int bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); };
    const int one = 0x3F80 + maximum;
    const float magnitude = bf16(one - (distance < 0 ? -1 - distance : distance));
    const float scaled = (distance < 0 ? magnitude : -magnitude) * nf4Inverse(bf16(one));
    return static_cast<int>(std::count_if(kNf4Midpoints, kNf4Midpoints + 15, [&](float m) { return scaled > m; }));
  }
};

CAMELID_INLINE __m512i wordsThroughHalf(__m512i x) {
  const auto rounded = [](__m512i bits) __attribute__((always_inline)) {
    const __m256i half = _mm512_cvtps_ph(_mm512_castsi512_ps(bits), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return _mm512_castps_si512(_mm512_cvtph_ps(half));  // at most eight digits still: a bf16 number
  };
  const __m512i first = rounded(_mm512_slli_epi32(x, 16));
  const __m512i second = rounded(_mm512_and_si512(x, _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000))));
  return _mm512_or_si512(_mm512_srli_epi32(first, 16), second);
}

// @param magnitudes 32 numbers below 2^15
CAMELID_INLINE uint32_t largestWord(__m512i magnitudes) {
  const __m256i sixteen = _mm256_max_epu16(_mm512_castsi512_si256(magnitudes), _mm512_extracti64x4_epi64(magnitudes, 1));
  const __m128i eight = _mm_max_epu16(_mm256_castsi256_si128(sixteen), _mm256_extracti128_si256(sixteen, 1));
  const __m128i least = _mm_minpos_epu16(_mm_sub_epi16(_mm_set1_epi16(0x7FFF), eight));
  return 0x7FFF - (static_cast<uint32_t>(_mm_cvtsi128_si32(least)) & 0xFFFF);
}

// Whole blocks of 64.
CAMELID_INLINE void nf4QuantizeWords(const c10::BFloat16* x, int64_t blocks, uint8_t* packed, float* absmax, bool throughFp16,
                                     bool pastCaches) {
  const Nf4Words& tables = Nf4Words::get();
  const __m512i magnitudeBits = _mm512_set1_epi16(0x7FFF), farthest = _mm512_set1_epi16(Nf4Words::kFarthest);
  const __m512i nibbles = _mm512_set1_epi32(0x00010010);  // sixteen times the first of a pair, once the second
  alignas(64) uint8_t everyFourth[64] = {};
  for (int i = 0; i < 32; i++) everyFourth[i] = static_cast<uint8_t>(4 * i);
  const __m512i bytesOfPairs = _mm512_load_si512(everyFourth);
  for (int64_t block = 0; block < blocks; block++) {
    const c10::BFloat16* in = x + block * kNf4Block;
    uint8_t* out = packed + block * (kNf4Block / 2);
    __m512i values[2], magnitudes[2];
    for (int i = 0; i < 2; i++) {
      values[i] = _mm512_loadu_si512(in + 32 * i);
      magnitudes[i] = _mm512_and_si512(values[i], magnitudeBits);
    }
    uint32_t largest = largestWord(_mm512_max_epu16(magnitudes[0], magnitudes[1]));
    if (throughFp16 && (largest < Nf4Words::kLeastSameInHalf || largest > Nf4Words::kMostSameInHalf)) {
      for (int i = 0; i < 2; i++) {
        values[i] = wordsThroughHalf(values[i]);
        magnitudes[i] = _mm512_and_si512(values[i], magnitudeBits);
      }
      largest = largestWord(_mm512_max_epu16(magnitudes[0], magnitudes[1]));
    }
    absmax[block] = std::bit_cast<float>(largest << 16);
    if (largest < Nf4Words::kLeast || largest > Nf4Words::kMost) [[unlikely]] {
      nf4QuantizePlain(in, kNf4Block, out, throughFp16);
      continue;
    }
    const uint16_t* words = tables.of(largest);
    const __m512i below = _mm512_loadu_si512(words), above = _mm512_loadu_si512(words + 32);
    const __m512i maximum = _mm512_set1_epi16(static_cast<int16_t>(largest));
    __m512i pairs[2];
    for (int i = 0; i < 2; i++) {
      const __m512i far = _mm512_min_epu16(_mm512_sub_epi16(maximum, magnitudes[i]), farthest);
      const __m512i sign = _mm512_srai_epi16(values[i], 15);
      const __m512i distance = _mm512_ternarylogic_epi32(far, sign, sign, 0xC3);  // far ^ ~sign
      const __m512i word = _mm512_permutex2var_epi16(below, _mm512_srli_epi16(distance, 5), above);
      pairs[i] = _mm512_madd_epi16(_mm512_srli_epi16(_mm512_add_epi16(word, distance), 5), nibbles);
    }
    const __m256i codes = _mm512_castsi512_si256(_mm512_permutex2var_epi8(pairs[0], bytesOfPairs, pairs[1]));
    if (pastCaches) _mm256_stream_si256(reinterpret_cast<__m256i*>(out), codes);
    else _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), codes);
  }
  if (pastCaches) _mm_sfence();
}

}  // namespace camelid

#endif
