// The 8-bit "dynamic" code (Dettmers 2015, https://arxiv.org/abs/1511.04561): 256 values between -1 (or 0) and 1, finer near
// zero. Block maxima of NF4 and the moments of 8-bit AdamW are stored in it, relative to the largest magnitude of a block.
// The plain reference is `dynamicMap` in packages/camelid/src/nn/nf4-reference.ts.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels.h"

namespace camelid {

class DynamicMap {
 public:
  static const DynamicMap& of(bool isSigned) {
    static const DynamicMap both{true}, positive{false};
    return isSigned ? both : positive;
  }

  const std::array<float, 256>& values() const { return values_; }

  // What lies half-way between neighbours, rounded down, with infinities around it.
  const std::array<float, 257>& borders() const { return borders_; }

  // The nearest entry; of two equally near ones the lower. A code is the number of midpoints below the value, and values that
  // agree in sign, exponent and seven bits of the fraction lie on both sides of at most one midpoint: one look-up, one
  // comparison. Values from the stored code's range [-1, 1] only.
  CAMELID_INLINE uint8_t nearest(float value) const {
    const Cell& cell = cells_[cellOf(value)];
    return static_cast<uint8_t>(cell.below + (value > cell.midpoint));
  }

 private:
  struct Cell {
    float midpoint;
    int32_t below;
  };
  // Magnitudes below 2^-23 are one cell: the smallest midpoint is 2.75e-7, above it. 2^0 is the last exponent.
  static constexpr int32_t kFirst = (127 - 23) << 7, kLast = (127 << 7) + 127, kCells = kLast - kFirst + 2;

  static CAMELID_INLINE int32_t cellOf(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const int32_t magnitude = static_cast<int32_t>((bits & 0x7FFFFFFF) >> 16);
    const int32_t cell = std::min(std::max(magnitude - kFirst + 1, 0), kCells - 1);
    return cell + kCells * static_cast<int32_t>(bits >> 31);  // no branch: signs are random
  }

  explicit DynamicMap(bool isSigned) {
    std::vector<float> all{0.0f, 1.0f};
    for (int e = 0; e < 7; e++) {
      // In fp32, from the nearer end as torch.linspace does: the last bits are bitsandbytes' too.
      const int count = 1 << (isSigned ? e : e + 1);
      const double step = (1.0f - 0.1f) / static_cast<float>(count);
      const auto border = [&](int i) {
        return static_cast<float>(i < (count + 1) / 2 ? step * i + 0.1f : 1.0 - step * (count - i));
      };
      for (int i = 0; i < count; i++) {
        const float value = (border(i) + border(i + 1)) / 2.0f * kPowersOfTen[e];
        all.push_back(value);
        if (isSigned) all.push_back(-value);
      }
    }
    std::sort(all.begin(), all.end());
    std::copy(all.begin(), all.end(), values_.begin());
    std::array<float, 255> midpoints;
    for (int i = 0; i < 255; i++) midpoints[i] = roundedDown((static_cast<double>(all[i]) + all[i + 1]) / 2);
    borders_.front() = -std::numeric_limits<float>::infinity();
    borders_.back() = std::numeric_limits<float>::infinity();
    std::copy(midpoints.begin(), midpoints.end(), borders_.begin() + 1);
    cells_.fill({std::numeric_limits<float>::infinity(), 0});
    for (const bool negative : {false, true}) {
      for (int32_t cell = 0; cell < kCells; cell++) {
        // The cell's smallest and largest number.
        const uint32_t inner = cell == 0 ? 0 : static_cast<uint32_t>(cell - 1 + kFirst) << 16;
        const uint32_t outer = (static_cast<uint32_t>(cell - 1 + kFirst) << 16) | 0xFFFF;
        const float near = std::bit_cast<float>(inner), far = std::bit_cast<float>(outer);
        const float low = negative ? -far : near, high = negative ? -near : far;
        Cell& made = cells_[(negative ? kCells : 0) + cell];
        made.below = static_cast<int32_t>(std::count_if(midpoints.begin(), midpoints.end(), [&](float m) { return low > m; }));
        const auto inside = std::find_if(midpoints.begin(), midpoints.end(), [&](float m) { return m >= low && high > m; });
        if (inside != midpoints.end()) made.midpoint = *inside;
      }
    }
  }

  // value > x for a float value exactly if value > roundedDown(x).
  static float roundedDown(double x) {
    const auto nearest = static_cast<float>(x);
    return nearest > x ? std::nextafter(nearest, -std::numeric_limits<float>::infinity()) : nearest;
  }

  static constexpr float kPowersOfTen[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  std::array<float, 256> values_;
  std::array<float, 257> borders_;
  std::array<Cell, 2 * kCells> cells_;
};

}  // namespace camelid
