// The next token of each row of logits: `camelid::sample_rows`. A pure function: the uniform numbers come from the caller.
#include <torch/library.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels.h"

namespace camelid {

namespace {

struct Choice {
  double temperature, topP, uniform;
  int64_t topK;  // 0: all
};

// Sorts by logit, highest first, smaller ids first among equals, but only until the first `count` stand right.
void sortFirst(std::vector<int32_t>& ids, size_t count, const float* logits) {
  const auto before = [logits](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  if (count < ids.size()) std::nth_element(ids.begin(), ids.begin() + count, ids.end(), before);
  std::sort(ids.begin(), ids.begin() + std::min(count, ids.size()), before);
}

// Ids that top-k leaves over and, of these, those that top-p does; sorted.
std::vector<int32_t> keptIds(const float* logits, const float* weights, int64_t size, const Choice& choice) {
  std::vector<int32_t> ids(size);
  std::iota(ids.begin(), ids.end(), 0);
  const bool limited = choice.topK > 0 && choice.topK < size;
  if (limited) {
    sortFirst(ids, choice.topK, logits);
    ids.resize(choice.topK);
  }
  if (choice.topP >= 1) return ids;
  double total = 0;
  for (const int32_t id : ids) total += weights[id];
  if (!limited) {
    // All that lies below this together is less than 1 - p of the whole, so none of it is kept.
    const double negligible = (1 - choice.topP) * total / static_cast<double>(size);
    std::erase_if(ids, [&](int32_t id) { return weights[id] < negligible; });
  }
  size_t sorted = limited ? ids.size() : 0, kept = 0;
  for (double sum = 0; kept < ids.size() && sum < choice.topP * total; kept++) {
    if (kept == sorted) {
      sorted = std::min(ids.size(), std::max<size_t>(64, 8 * sorted));
      sortFirst(ids, sorted, logits);
    }
    sum += weights[ids[kept]];
  }
  ids.resize(std::max<size_t>(kept, 1));
  return ids;
}

int64_t chooseToken(const float* logits, float* weights, int64_t size, const Choice& choice) {
  float highest = -std::numeric_limits<float>::infinity();
  int64_t numbers = 0;
#pragma omp simd reduction(max : highest) reduction(+ : numbers)
  for (int64_t i = 0; i < size; i++) {
    highest = std::max(highest, logits[i]);
    numbers += logits[i] == logits[i];
  }
  TORCH_CHECK(numbers == size, "sample_rows: ", size - numbers, " logits of a row are NaN");
  const int64_t best = std::find(logits, logits + size, highest) - logits;
  TORCH_CHECK(best < size && std::isfinite(highest), "sample_rows: no logit of a row is a finite number");
  if (choice.temperature == 0) return best;
  // A steepness of infinity times a distance of 0 would be no number.
  const float steepness = std::min(static_cast<float>(1 / choice.temperature), 1e30f);
#pragma omp simd
  for (int64_t i = 0; i < size; i++) {
    const float exponent = (logits[i] - highest) * steepness;
    weights[i] = exponent > -87.0f ? fastExp(exponent) : 0.0f;  // where fastExp ends, so does what can be drawn
  }
  if (choice.topP >= 1 && (choice.topK <= 0 || choice.topK >= size)) {
    const double target = choice.uniform * std::accumulate(weights, weights + size, 0.0);
    double sum = 0;
    for (int64_t i = 0; i < size; i++) {
      if ((sum += weights[i]) > target) return i;
    }
    return best;
  }
  const std::vector<int32_t> kept = keptIds(logits, weights, size, choice);
  double total = 0, sum = 0;
  for (const int32_t id : kept) total += weights[id];
  for (const int32_t id : kept) {
    if ((sum += weights[id]) > choice.uniform * total) return id;
  }
  return kept.front();
}

at::Tensor sampleRows(const at::Tensor& logits, const at::Tensor& temperatures, const at::Tensor& topPs, const at::Tensor& topKs,
                      const at::Tensor& uniforms) {
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) > 0, "sample_rows: logits must be [rows, vocab], got ", logits.sizes());
  const int64_t rows = logits.size(0), size = logits.size(1);
  for (const at::Tensor& numbers : {temperatures, topPs, uniforms}) {
    TORCH_CHECK(numbers.is_cpu() && numbers.scalar_type() == at::kDouble && numbers.numel() == rows && numbers.is_contiguous(),
                "sample_rows: temperatures, top_ps and uniforms must be float64 [rows] on the CPU");
  }
  TORCH_CHECK(topKs.is_cpu() && topKs.scalar_type() == at::kInt && topKs.numel() == rows && topKs.is_contiguous(),
              "sample_rows: top_ks must be int32 [rows] on the CPU");
  const at::Tensor wide = logits.to(at::kCPU, at::kFloat).contiguous();
  at::Tensor ids = at::empty({rows}, wide.options().dtype(at::kLong));
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> weights(size);
    for (int64_t row = begin; row < end; row++) {
      const Choice choice{temperatures.const_data_ptr<double>()[row], topPs.const_data_ptr<double>()[row],
                          uniforms.const_data_ptr<double>()[row], topKs.const_data_ptr<int32_t>()[row]};
      ids.mutable_data_ptr<int64_t>()[row] = chooseToken(wide.const_data_ptr<float>() + row * size, weights.data(), size, choice);
    }
  });
  return ids;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("sample_rows(Tensor logits, Tensor temperatures, Tensor top_ps, Tensor top_ks, Tensor uniforms) -> Tensor", sampleRows);
}

}  // namespace camelid
