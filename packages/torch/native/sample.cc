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

// What the caller says of each row, held against the logits.
void checkRows(const at::Tensor& logits, const at::Tensor& temperatures, const at::Tensor& topPs, const at::Tensor& topKs,
               const at::Tensor& uniforms) {
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) > 0, "sample_rows: logits must be [rows, vocab], got ", logits.sizes());
  const int64_t rows = logits.size(0);
  for (const at::Tensor& numbers : {temperatures, topPs, uniforms}) {
    TORCH_CHECK(numbers.is_cpu() && numbers.scalar_type() == at::kDouble && numbers.numel() == rows && numbers.is_contiguous(),
                "sample_rows: temperatures, top_ps and uniforms must be float64 [rows] on the CPU");
  }
  TORCH_CHECK(topKs.is_cpu() && topKs.scalar_type() == at::kInt && topKs.numel() == rows && topKs.is_contiguous(),
              "sample_rows: top_ks must be int32 [rows] on the CPU");
}

at::Tensor sampleRows(const at::Tensor& logits, const at::Tensor& temperatures, const at::Tensor& topPs, const at::Tensor& topKs,
                      const at::Tensor& uniforms) {
  checkRows(logits, temperatures, topPs, topKs, uniforms);
  const int64_t rows = logits.size(0), size = logits.size(1);
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

// --- the same where the logits are, of ATen operators: only ids go to the host ---

// Places of the first whose running sum of `weights` passes its row's uniform share of the whole: [rows, 1].
at::Tensor drawn(const at::Tensor& weights, const at::Tensor& uniforms) {
  const at::Tensor sums = weights.cumsum(1);
  const at::Tensor target = sums.narrow(1, weights.size(1) - 1, 1) * uniforms;
  return at::searchsorted(sums, target, /*out_int32=*/false, /*right=*/true);
}

at::Tensor sampleOnDevice(const at::Tensor& logits, const at::Tensor& temperatures, const at::Tensor& topPs, const at::Tensor& topKs,
                          const at::Tensor& uniforms) {
  checkRows(logits, temperatures, topPs, topKs, uniforms);
  const int64_t rows = logits.size(0), size = logits.size(1);
  const auto column = [&](const at::Tensor& numbers) {
    if (logits.is_cpu()) return numbers.unsqueeze(1);
    return numbers.pin_memory().to(logits.device(), numbers.scalar_type(), /*non_blocking=*/true).unsqueeze(1);
  };
  int64_t greedy = 0, limited = 0;
  for (int64_t row = 0; row < rows; row++) {
    const int64_t topK = topKs.const_data_ptr<int32_t>()[row];
    if (temperatures.const_data_ptr<double>()[row] == 0) greedy++;
    else limited += topPs.const_data_ptr<double>()[row] < 1 || (topK > 0 && topK < size);
  }
  const at::Tensor wide = logits.to(at::kFloat);
  const at::Tensor highest = wide.amax(1, /*keepdim=*/true);
  at::Tensor ids = wide.argmax(1, /*keepdim=*/true);
  if (greedy < rows) {
    const at::Tensor temperature = column(temperatures), uniform = column(uniforms);
    const at::Tensor steepness = temperature.reciprocal().clamp_max(1e30).to(at::kFloat);
    const at::Tensor exponents = (wide - highest) * steepness;
    const at::Tensor weights = exponents.exp().masked_fill(exponents <= -87.0f, 0).to(at::kDouble);
    at::Tensor chosen = drawn(weights, uniform).clamp_max(size - 1);
    if (limited > 0) {
      const at::Tensor order = std::get<1>(wide.sort(/*stable=*/true, 1, /*descending=*/true));
      const at::Tensor topP = column(topPs), topK = column(topKs);
      const at::Tensor rank = at::arange(size, topK.options()).unsqueeze(0);
      const at::Tensor among = weights.gather(1, order).masked_fill((rank >= topK).logical_and(topK > 0), 0);
      const at::Tensor before = among.cumsum(1) - among;
      const at::Tensor kept = among.masked_fill((before >= among.sum(1, true) * topP).logical_and(topP < 1).logical_and(rank > 0), 0);
      const at::Tensor place = drawn(kept, uniform);
      const at::Tensor fromFew = order.gather(1, place.masked_fill(place >= size, 0));
      chosen = at::where((topP < 1).logical_or((topK > 0).logical_and(topK < size)), fromFew, chosen);
    }
    ids = greedy == 0 ? chosen : at::where(temperature == 0, ids, chosen);
  }
  // The host finds out when it reads the ids: a row whose logits are no numbers has none.
  return ids.masked_fill(highest.isfinite().logical_not(), -1).squeeze(1);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("sample_rows(Tensor logits, Tensor temperatures, Tensor top_ps, Tensor top_ks, Tensor uniforms) -> Tensor", sampleRows);
  library.def("sample_on_device(Tensor logits, Tensor temperatures, Tensor top_ps, Tensor top_ks, Tensor uniforms) -> Tensor",
              sampleOnDevice);
}

}  // namespace camelid
