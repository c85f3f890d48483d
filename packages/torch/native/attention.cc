// Causal attention inside each row of a packed stretch: `camelid::packed_attention`.
//
// Each head of each row is one task (`attention-head.h`) that writes its own results alone, so threads change no bit. Queries and
// keys can be turned by their rotary angles on the way in, and their gradients back on the way out.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <atomic>

#include "attention-head.h"

namespace camelid {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// [tokens, heads, size], its last dimension dense
at::Tensor dense(const at::Tensor& x) { return x.stride(2) == 1 ? x : x.contiguous(); }

struct Turn {
  at::Tensor cos, sin;  // empty where nothing is turned
};

template <typename T>
HeadRows<T> headRows(const at::Tensor& x, int64_t head, int64_t start, const Turn& turn = {}) {
  using Value = std::remove_const_t<T>;
  T* first = static_cast<T*>(x.mutable_data_ptr<Value>()) + start * x.stride(0) + head * x.stride(1);
  if (!turn.cos.defined() || turn.cos.numel() == 0) return {first, x.stride(0)};
  const int64_t half = turn.cos.size(1);
  return {first, x.stride(0), turn.cos.const_data_ptr<float>() + start * half, turn.sin.const_data_ptr<float>() + start * half};
}

// Calls work(scratch, head, start, length) for every head of every row, long rows first, whichever thread is free.
template <typename Work>
void forEachHead(at::IntArrayRef lengths, int64_t heads, Work work) {
  struct Row {
    int64_t start, length;
  };
  std::vector<Row> rows;
  int64_t start = 0;
  for (const int64_t length : lengths) rows.push_back({std::exchange(start, start + length), length});
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.length > b.length; });
  std::atomic<int64_t> next{0};
  const int64_t tasks = heads * static_cast<int64_t>(rows.size());
  at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), tasks), 1, [&](int64_t, int64_t) {
    Scratch scratch;
    for (int64_t task = next++; task < tasks; task = next++) {
      const Row& row = rows[task / heads];
      scratch.reset();
      if (row.length > 0) work(scratch, task % heads, row.start, row.length);
    }
  });
}

class PackedAttention : public torch::autograd::Function<PackedAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            at::IntArrayRef lengths, int64_t window, const at::Tensor& cos, const at::Tensor& sin) {
    const Turn turn{cos, sin};
    const at::Tensor q = dense(query), k = dense(key), v = dense(value);
    const int64_t heads = q.size(1), groups = heads / k.size(1);
    at::Tensor output = at::empty(q.sizes(), q.options());
    at::Tensor logSums = at::empty({q.size(0), heads, 1}, q.options().dtype(at::kFloat));
    withElementType(q, [&](auto element) {
      using T = decltype(element);
      forEachHead(lengths, heads, [&](Scratch& scratch, int64_t head, int64_t start, int64_t length) {
        attend<T>(scratch, shapeOf(q, length, window), headRows<const T>(q, head, start, turn), headRows<const T>(k, head / groups, start, turn),
                  headRows<const T>(v, head / groups, start), headRows<T>(output, head, start), headRows<float>(logSums, head, start));
      });
    });
    context->save_for_backward({q, k, v, output, logSums, cos, sin});
    context->saved_data["lengths"] = lengths.vec();
    context->saved_data["window"] = window;
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("packed_attention");
    const auto saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &output = saved[3], &logSums = saved[4];
    const Turn turn{saved[5], saved[6]};
    const auto lengths = context->saved_data["lengths"].toIntVector();
    const int64_t window = context->saved_data["window"].toInt();
    const int64_t heads = q.size(1), groups = heads / k.size(1);
    const at::Tensor grad = dense(gradients[0]);
    at::Tensor gradQuery = at::empty(q.sizes(), q.options());
    // Query heads that share keys: each has sums of its own, in fp32.
    const auto sums = q.options().dtype(groups == 1 ? q.scalar_type() : at::kFloat);
    at::Tensor gradKey = at::empty(q.sizes(), sums), gradValue = at::empty(q.sizes(), sums);
    withElementType(q, [&](auto element) {
      using T = decltype(element);
      withElementType(gradKey, [&](auto sum) {
        using Sum = decltype(sum);
        forEachHead(lengths, heads, [&](Scratch& scratch, int64_t head, int64_t start, int64_t length) {
          attendBackward<T, Sum>(scratch, shapeOf(q, length, window), headRows<const T>(q, head, start, turn),
                                 headRows<const T>(k, head / groups, start, turn), headRows<const T>(v, head / groups, start),
                                 headRows<const T>(output, head, start), headRows<const T>(grad, head, start),
                                 headRows<float>(logSums, head, start), headRows<T>(gradQuery, head, start, turn),
                                 headRows<Sum>(gradKey, head, start, turn), headRows<Sum>(gradValue, head, start));
        });
      });
    });
    if (groups > 1) {
      for (at::Tensor* x : {&gradKey, &gradValue})
        *x = x->view({q.size(0), k.size(1), groups, q.size(2)}).sum(2).to(q.scalar_type());
    }
    return {gradQuery, gradKey, gradValue, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static Shape shapeOf(const at::Tensor& q, int64_t length, int64_t window) {
    return {length, q.size(2), std::min(window, length), 1.0f / std::sqrt(static_cast<float>(q.size(2)))};
  }
};

at::Tensor packedAttention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, at::IntArrayRef lengths,
                           std::optional<int64_t> window, const std::optional<at::Tensor>& cos, const std::optional<at::Tensor>& sin) {
  int64_t total = 0;
  bool areLengths = true;
  for (const int64_t length : lengths) {
    total += length;
    areLengths = areLengths && length >= 0;
  }
  TORCH_CHECK(areLengths && query.dim() == 3 && key.dim() == 3 && key.size(1) > 0 && value.sizes() == key.sizes() &&
                  query.size(0) == key.size(0) && query.size(2) == key.size(2) && query.size(1) % key.size(1) == 0 && total == query.size(0),
              "packed_attention: query ", query.sizes(), ", key ", key.sizes(), ", value ", value.sizes(), " and ", total,
              " tokens in rows do not fit together");
  TORCH_CHECK(isFusable(query) && isAlike(key, query) && isAlike(value, query),
              "packed_attention: float32 or bfloat16 on the CPU only");
  TORCH_CHECK(!window || *window > 0, "packed_attention: a window of ", *window, " tokens");
  TORCH_CHECK(cos.has_value() == sin.has_value(), "packed_attention: cos and sin come together");
  if (cos) {
    for (const at::Tensor& table : {*cos, *sin})
      TORCH_CHECK(table.dim() == 2 && table.size(0) == total && table.size(1) * 2 == query.size(2) && table.scalar_type() == at::kFloat &&
                      table.is_cpu(),
                  "packed_attention: tables must be fp32 of shape [tokens, headDim / 2], got ", table.sizes());
  }
  const at::Tensor none = at::empty({0});
  return PackedAttention::apply(query, key, value, lengths, window.value_or(std::numeric_limits<int64_t>::max()),
                                cos ? cos->contiguous() : none, sin ? sin->contiguous() : none);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def(
      "packed_attention(Tensor query, Tensor key, Tensor value, int[] lengths, int? window=None, Tensor? cos=None, Tensor? sin=None) "
      "-> Tensor",
      packedAttention);
}

}  // namespace camelid
