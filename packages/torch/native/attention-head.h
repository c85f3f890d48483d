// Causal attention of one head over one row, tile by tile (Dao et al. 2022, FlashAttention, https://arxiv.org/abs/2205.14135): what
// lies above the diagonal, or further back than the window, is never computed, and scores never leave the caches. Of the forward
// pass only the logarithm of each query's sum is kept; the backward pass computes the probabilities again.
#pragma once

#include "tiles.h"

namespace camelid {

constexpr int64_t kTile = 64;  // queries, or keys

constexpr int64_t roundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// One head's numbers of the tokens of one row, `stride` apart; `cos` where they are to be turned.
template <typename T>
struct HeadRows {
  T* first;
  int64_t stride;
  const float* cos = nullptr;
  const float* sin = nullptr;
};

struct Shape {
  int64_t length, size;
  int64_t window;  // at most the length
  float scale;
  int64_t wide() const { return roundUp(size, kLanes); }
  int64_t padded() const { return roundUp(length, kTile); }
  // The first key that the tile of queries beginning at `from` sees, down to a whole tile.
  int64_t firstKey(int64_t from) const { return std::max<int64_t>(0, from + 1 - window) / kTile * kTile; }
};

// Tokens [from, from + count) as rows of `wide` numbers, zeros up to `padded` rows.
template <typename T>
void take(const HeadRows<T>& rows, int64_t from, int64_t count, const Shape& shape, int64_t padded, std::remove_const_t<T>* to) {
  const int64_t size = shape.size, wide = shape.wide(), half = size / 2;
  std::memset(to + count * wide, 0, (padded - count) * wide * sizeof(T));
  for (int64_t i = 0; i < count; i++) {
    const T* in = rows.first + (from + i) * rows.stride;
    auto* out = to + i * wide;
    if (rows.cos == nullptr) std::memcpy(out, in, size * sizeof(T));
    else turnHalves(in, rows.cos + (from + i) * half, rows.sin + (from + i) * half, out, half, 1.0f);
    std::memset(out + size, 0, (wide - size) * sizeof(T));
  }
}

// fp32 sums [count, wide] into the places of tokens [from, from + count), turned back.
template <typename T>
void give(const float* sums, int64_t from, int64_t count, const Shape& shape, const HeadRows<T>& rows) {
  const int64_t size = shape.size, half = size / 2;
  for (int64_t i = 0; i < count; i++) {
    const float* in = sums + i * shape.wide();
    T* out = rows.first + (from + i) * rows.stride;
    if (rows.cos != nullptr) {
      turnHalves(in, rows.cos + (from + i) * half, rows.sin + (from + i) * half, out, half, -1.0f);
    } else {
      int64_t d = 0;
      for (; d + kLanes <= size; d += kLanes) storeNarrowed(load<Floats>(in + d), out + d);
      for (; d < size; d++) out[d] = narrowed<T>(in[d]);
    }
  }
}

// Buffers of one thread, cut from blocks so large that the allocator keeps them; each task cuts them anew.
class Scratch {
 public:
  void reset() { block_ = used_ = 0; }
  template <typename T>
  T* take(int64_t count) {
    const int64_t bytes = roundUp(count * static_cast<int64_t>(sizeof(T)), 64);
    while (block_ < blocks_.size() && used_ + bytes > blocks_[block_].numel()) block_++, used_ = 0;
    if (block_ == blocks_.size()) blocks_.push_back(at::empty({std::max(bytes, kBlock)}, at::kByte));
    return reinterpret_cast<T*>(blocks_[block_].mutable_data_ptr<uint8_t>() + std::exchange(used_, used_ + bytes));
  }

 private:
  static constexpr int64_t kBlock = int64_t{1} << 20;
  std::vector<at::Tensor> blocks_;
  size_t block_ = 0;
  int64_t used_ = 0;
};

template <typename T>
Operand operand(const T* values, int64_t width) { return {reinterpret_cast<const Word*>(values), width}; }

constexpr float kUnseen = -std::numeric_limits<float>::infinity();

// Scores of one query, [first, last) of whole vectors, become exp(scale * (score - highest)), and 0 elsewhere.
// @returns highest, and the sum
template <typename T>
std::pair<float, float> exponentials(float* scores, int64_t first, int64_t last, int64_t count, float scale, T* out) {
  std::fill(scores, scores + first, kUnseen);
  std::fill(scores + last, scores + count, kUnseen);
  Floats largest = Floats{} + kUnseen, sum = {};
  for (int64_t i = 0; i < count; i += kLanes) {
    const Floats x = load<Floats>(scores + i);
    largest = x > largest ? x : largest;
  }
  const float highest = largestOf(largest);
  for (int64_t i = 0; i < count; i += kLanes) {
    const Floats e = exponential((load<Floats>(scores + i) - highest) * scale);
    sum += e;
    storeNarrowed(e, out + i);
  }
  return {highest, sumOf(sum)};
}

template <typename T>
void attend(Scratch& scratch, const Shape& shape, const HeadRows<const T>& query, const HeadRows<const T>& key, const HeadRows<const T>& value,
            const HeadRows<T>& output, const HeadRows<float>& logSums) {
  const int64_t wide = shape.wide(), padded = shape.padded(), depth = wide / kPerWord<T>;
  T* rows = scratch.take<T>(padded * wide);
  Word* keys = scratch.take<Word>(depth * padded);                  // [depth, keys]
  Word* values = scratch.take<Word>(padded / kPerWord<T> * wide);   // [keys in words, wide]
  T* queries = scratch.take<T>(kTile * wide);
  float* scores = scratch.take<float>(kTile * padded);
  T* shares = scratch.take<T>(kTile * padded);
  float* sums = scratch.take<float>(kTile * wide);
  take(key, 0, shape.length, shape, padded, rows);
  transpose(reinterpret_cast<const Word*>(rows), padded, depth, keys, padded);
  take(value, 0, shape.length, shape, padded, rows);
  pairRows(rows, padded, wide, values);
  for (int64_t from = 0; from < shape.length; from += kTile) {
    const int64_t count = std::min(kTile, shape.length - from), firstKey = shape.firstKey(from);
    const int64_t seen = from + kTile - firstKey;  // keys, in whole tiles
    const int64_t filled = roundUp(count, 4);
    take(query, from, count, shape, filled, queries);
    multiply<T>(operand(queries, depth), {keys + firstKey, padded}, filled, seen, depth, scores, seen, false);
    float totals[kTile];
    for (int64_t i = 0; i < filled; i++) {
      const int64_t last = from + i + 1, first = std::max<int64_t>(0, last - shape.window);
      const auto [highest, total] =
          exponentials(scores + i * seen, first - firstKey, last - firstKey, seen, shape.scale, shares + i * seen);
      totals[i] = total;
      if (i < count) logSums.first[(from + i) * logSums.stride] = highest * shape.scale + std::log(total);
    }
    multiply<T>(operand(shares, seen / kPerWord<T>), {values + firstKey / kPerWord<T> * wide, wide}, filled, wide,
                seen / kPerWord<T>, sums, wide, false);
    for (int64_t i = 0; i < count; i++) {
      const float share = 1.0f / totals[i];
#pragma omp simd
      for (int64_t d = 0; d < wide; d++) sums[i * wide + d] *= share;
    }
    give(sums, from, count, shape, output);
  }
}

// A tile of queries in the forms that the products of the backward pass take.
template <typename T>
struct TileOfQueries {
  T* rows;       // [queries, wide]
  Word* across;  // [wide in words, queries]
  Word* paired;  // [queries in words, wide]

  TileOfQueries(Scratch& scratch, int64_t wide)
      : rows(scratch.take<T>(kTile * wide)),
        across(scratch.take<Word>(kTile * wide / kPerWord<T>)),
        paired(scratch.take<Word>(kTile * wide / kPerWord<T>)) {}

  void fill(const HeadRows<const T>& source, int64_t from, int64_t count, const Shape& shape) {
    take(source, from, count, shape, kTile, rows);
    transpose(reinterpret_cast<const Word*>(rows), kTile, shape.wide() / kPerWord<T>, across, kTile);
    pairRows(rows, kTile, shape.wide(), paired);
  }
};

// Scores stand with keys as rows here: as they come, probabilities and their gradients are left operands of the sums over queries.
template <typename T, typename Sum>
void attendBackward(Scratch& scratch, const Shape& shape, const HeadRows<const T>& query, const HeadRows<const T>& key, const HeadRows<const T>& value,
                    const HeadRows<const T>& output, const HeadRows<const T>& grad, const HeadRows<float>& logSums,
                    const HeadRows<T>& gradQuery, const HeadRows<Sum>& gradKey, const HeadRows<Sum>& gradValue) {
  const int64_t wide = shape.wide(), padded = shape.padded(), depth = wide / kPerWord<T>, tileWords = kTile / kPerWord<T>;
  T* keys = scratch.take<T>(padded * wide);
  T* keysAcross = scratch.take<T>(wide * padded);  // [wide, keys]
  T* values = scratch.take<T>(padded * wide);
  TileOfQueries<T> queries(scratch, wide), grads(scratch, wide);
  float* scores = scratch.take<float>(kTile * kTile);      // [keys, queries], as all of these
  float* gradShares = scratch.take<float>(kTile * kTile);
  T* shares = scratch.take<T>(kTile * kTile);
  T* gradScores = scratch.take<T>(kTile * kTile);
  Word* pairedScores = scratch.take<Word>(kTile * kTile / kPerWord<T>);
  float* queryAcross = scratch.take<float>(wide * kTile);
  float* querySums = scratch.take<float>(kTile * wide);
  float* keySums = scratch.take<float>(padded * wide);
  float* valueSums = scratch.take<float>(padded * wide);
  const Floats scale = Floats{} + shape.scale;
  take(key, 0, shape.length, shape, padded, keys);
  take(value, 0, shape.length, shape, padded, values);
  transpose(keys, padded, wide, keysAcross, padded);
  std::memset(keySums, 0, padded * wide * sizeof(float));
  std::memset(valueSums, 0, padded * wide * sizeof(float));
  for (int64_t from = 0; from < shape.length; from += kTile) {
    const int64_t count = std::min(kTile, shape.length - from);
    queries.fill(query, from, count, shape);
    grads.fill(grad, from, count, shape);
    float negativeLogs[kTile] = {}, dots[kTile] = {};  // of each query: of its sum; gradient times output
    for (int64_t i = 0; i < count; i++) {
      const T* out = output.first + (from + i) * output.stride;
      const T* g = grads.rows + i * wide;
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t d = 0; d < shape.size; d++) dot += widen(out[d]) * widen(g[d]);
      dots[i] = dot;
      negativeLogs[i] = -logSums.first[(from + i) * logSums.stride];
    }
    for (int64_t first = shape.firstKey(from); first <= from; first += kTile) {
      const Operand ofKeys = operand(keys + first * wide, depth), ofValues = operand(values + first * wide, depth);
      multiply<T>(ofKeys, {queries.across, kTile}, kTile, kTile, depth, scores, kTile, false);
      multiply<T>(ofValues, {grads.across, kTile}, kTile, kTile, depth, gradShares, kTile, false);
      for (int64_t k = 0; k < kTile; k++) {
        // Queries of this tile that see the key: from its own place on, as far as the window reaches.
        const int64_t key = first + k;
        const int64_t begin = std::clamp<int64_t>(key - from, 0, kTile);
        const int64_t end = std::clamp(std::min(count, key + shape.window - from), begin, kTile);
        float* s = scores + k * kTile;
        std::fill(s, s + begin, kUnseen);
        std::fill(s + end, s + kTile, kUnseen);
        for (int64_t i = 0; i < kTile; i += kLanes) {
          const Floats share = exponential(multiplyAdd(load<Floats>(s + i), scale, load<Floats>(negativeLogs + i)));
          const Floats gradScore = share * scale * (load<Floats>(gradShares + k * kTile + i) - load<Floats>(dots + i));
          storeNarrowed(share, shares + k * kTile + i);
          storeNarrowed(gradScore, gradScores + k * kTile + i);
        }
      }
      pairRows(gradScores, kTile, kTile, pairedScores);
      multiply<T>(operand(shares, tileWords), {grads.paired, wide}, kTile, wide, tileWords, valueSums + first * wide, wide, true);
      multiply<T>(operand(gradScores, tileWords), {queries.paired, wide}, kTile, wide, tileWords, keySums + first * wide, wide, true);
      multiply<T>(operand(keysAcross + first, padded / kPerWord<T>), {pairedScores, kTile}, wide, kTile, tileWords, queryAcross, kTile,
                  first != shape.firstKey(from));
    }
    transpose(queryAcross, wide, kTile, querySums, wide);
    give(querySums, from, count, shape, gradQuery);
  }
  give(keySums, 0, shape.length, shape, gradKey);
  give(valueSums, 0, shape.length, shape, gradValue);
}

}  // namespace camelid
