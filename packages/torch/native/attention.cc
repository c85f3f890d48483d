// Causal attention inside each row of a packed stretch, through whole matrix products: `camelid::packed_attention`.
//
// For bf16 rows of a few hundred tokens three batched products (oneDNN) with a fused softmax between them are two to three
// times as fast as libtorch's blockwise kernel, whose blocks are too small for the processor's bf16 units. Probabilities are
// kept for the backward pass: heads * length^2 numbers a row. Query heads of one key-value head lie under each other, so
// grouped queries need no copies of keys.

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "kernels.h"

namespace camelid {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// In place, on `rows` queries that begin `from` tokens into their row, head by head, over `length` keys: query i attends to keys
// 0 ... from + i. Scores become probabilities; the rest becomes 0.
template <typename T>
void causalSoftmax(T* scores, int64_t all, int64_t rows, int64_t from, int64_t length, float scale) {
  at::parallel_for(0, all, kRowsPerTask, [&](int64_t begin, int64_t end) {
    std::vector<float> exponentials(length);
    float* e = exponentials.data();
    for (int64_t row = begin; row < end; row++) {
      T* x = scores + row * length;
      const int64_t count = from + row % rows + 1;
      float highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : highest)
      for (int64_t i = 0; i < count; i++) highest = std::max(highest, widen(x[i]));
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < count; i++) sum += e[i] = fastExp((widen(x[i]) - highest) * scale);
      const float share = 1.0f / sum;
#pragma omp simd
      for (int64_t i = 0; i < count; i++) x[i] = narrowed<T>(e[i] * share);
      for (int64_t i = count; i < length; i++) x[i] = narrowed<T>(0.0f);
    }
  });
}

// In place on the gradient of the probabilities: scale * p * (g - sum(g p)).
template <typename T>
void causalSoftmaxBackward(const T* probabilities, T* grad, int64_t all, int64_t rows, int64_t from, int64_t length, float scale) {
  at::parallel_for(0, all, kRowsPerTask, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const T* p = probabilities + row * length;
      T* g = grad + row * length;
      const int64_t count = from + row % rows + 1;
      float dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t i = 0; i < count; i++) dot += widen(p[i]) * widen(g[i]);
#pragma omp simd
      for (int64_t i = 0; i < count; i++) g[i] = narrowed<T>(scale * widen(p[i]) * (widen(g[i]) - dot));
      for (int64_t i = count; i < length; i++) g[i] = narrowed<T>(0.0f);
    }
  });
}

// [tokens, heads, size] -> [kvHeads, groups * length, size] of one row, and back into the same place.
at::Tensor takeRow(const at::Tensor& packed, int64_t start, int64_t length, int64_t kvHeads) {
  const int64_t size = packed.size(2);
  return packed.narrow(0, start, length).transpose(0, 1).reshape({kvHeads, -1, size});
}
void giveRow(at::Tensor& packed, int64_t start, int64_t length, const at::Tensor& row) {
  packed.narrow(0, start, length).transpose(0, 1).copy_(row.view({packed.size(1), length, packed.size(2)}));
}

// Causality needs half of a row's square: queries go in blocks, each with the keys up to its own last.
constexpr int64_t kQueryBlock = 256;

struct Block {
  int64_t start, rows;  // in tokens of all rows
  int64_t from, keys;   // in tokens of its own row
};

// @returns blocks of one row, the last first: its keys are all there are
std::vector<Block> blocksOf(int64_t start, int64_t length) {
  std::vector<Block> blocks;
  for (int64_t from = (length - 1) / kQueryBlock * kQueryBlock; from >= 0; from -= kQueryBlock) {
    const int64_t rows = std::min(kQueryBlock, length - from);
    blocks.push_back({start + from, rows, from, from + rows});
  }
  return blocks;
}

// To as many of the sum's first rows as the product has.
void addProduct(at::Tensor& sum, const at::Tensor& left, const at::Tensor& right) {
  if (sum.defined()) sum.narrow(1, 0, left.size(1)).baddbmm_(left, right);
  else sum = at::bmm(left, right);
}

class PackedAttention : public torch::autograd::Function<PackedAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            at::IntArrayRef lengths) {
    const int64_t kvHeads = key.size(1);
    const float scale = 1.0f / std::sqrt(static_cast<float>(query.size(2)));
    at::Tensor output = at::empty_like(query, at::MemoryFormat::Contiguous);
    variable_list saved{query, key, value};
    int64_t start = 0;
    for (const int64_t length : lengths) {
      const at::Tensor k = takeRow(key, start, length, kvHeads).transpose(1, 2);
      const at::Tensor v = takeRow(value, start, length, kvHeads);
      for (const auto& [first, rows, from, keys] : blocksOf(start, length)) {
        at::Tensor p = at::bmm(takeRow(query, first, rows, kvHeads), k.narrow(2, 0, keys));  // [kvHeads, groups * rows, keys]
        withElementType(p, [&](auto element) {
          using T = decltype(element);
          causalSoftmax(p.mutable_data_ptr<T>(), p.size(0) * p.size(1), rows, from, keys, scale);
        });
        giveRow(output, first, rows, at::bmm(p, v.narrow(1, 0, keys)));
        saved.push_back(p);
      }
      start += length;
    }
    context->save_for_backward(saved);
    context->saved_data["lengths"] = lengths.vec();
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &query = saved[0], &key = saved[1], &value = saved[2];
    const auto lengths = context->saved_data["lengths"].toIntVector();
    const int64_t kvHeads = key.size(1);
    const float scale = 1.0f / std::sqrt(static_cast<float>(query.size(2)));
    at::Tensor gradQuery = at::empty_like(query, at::MemoryFormat::Contiguous);
    at::Tensor gradKey = at::empty_like(key, at::MemoryFormat::Contiguous);
    at::Tensor gradValue = at::empty_like(value, at::MemoryFormat::Contiguous);
    int64_t start = 0;
    size_t next = 3;
    for (const int64_t length : lengths) {
      const at::Tensor k = takeRow(key, start, length, kvHeads);
      const at::Tensor v = takeRow(value, start, length, kvHeads).transpose(1, 2);
      at::Tensor gradK, gradV;  // sums over blocks: the last block has all keys, earlier ones add to some
      for (const auto& [first, rows, from, keys] : blocksOf(start, length)) {
        const at::Tensor& p = saved[next++];
        const at::Tensor grad = takeRow(gradients[0], first, rows, kvHeads);
        at::Tensor gradScores = at::bmm(grad, v.narrow(2, 0, keys));
        withElementType(p, [&](auto element) {
          using T = decltype(element);
          causalSoftmaxBackward(p.const_data_ptr<T>(), gradScores.mutable_data_ptr<T>(), p.size(0) * p.size(1), rows, from, keys,
                                scale);
        });
        giveRow(gradQuery, first, rows, at::bmm(gradScores, k.narrow(1, 0, keys)));
        addProduct(gradV, p.transpose(1, 2), grad);
        addProduct(gradK, gradScores.transpose(1, 2), takeRow(query, first, rows, kvHeads));
      }
      giveRow(gradKey, start, length, gradK);
      giveRow(gradValue, start, length, gradV);
      start += length;
    }
    return {gradQuery, gradKey, gradValue, at::Tensor()};
  }
};

at::Tensor packedAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, at::IntArrayRef lengths) {
  int64_t total = 0;
  for (const int64_t length : lengths) total += length;
  TORCH_CHECK(query.dim() == 3 && key.dim() == 3 && value.sizes() == key.sizes() && query.size(0) == key.size(0) &&
                  query.size(2) == key.size(2) && query.size(1) % key.size(1) == 0 && total == query.size(0),
              "packed_attention: query ", query.sizes(), ", key ", key.sizes(), ", value ", value.sizes(), " and ", total,
              " tokens in rows do not fit together");
  TORCH_CHECK(isFusable(query) && key.scalar_type() == query.scalar_type() && value.scalar_type() == query.scalar_type(),
              "packed_attention: float32 or bfloat16 on the CPU only");
  return PackedAttention::apply(query, key, value, lengths);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("packed_attention(Tensor query, Tensor key, Tensor value, int[] lengths) -> Tensor", packedAttention);
}

}  // namespace camelid
