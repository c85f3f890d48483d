// y = x W^T + b for a few rows of bf16, as when a text is written token by token: `camelid::linear`.
//
// The weight is read once, at the rate of memory, as it lies. libtorch's product packs it anew at every call, which for few rows
// takes as long as the product or longer. Each row's sums are its own, so it has the same bits in any company of up to
// kMostRows. Anything else is libtorch's linear.
#include <torch/library.h>

#include "tiles.h"

namespace camelid {

namespace {

constexpr int64_t kMostRows = 4;

// kRows x kOutputs sums along `size`, a multiple of a register's numbers.
template <int kRows, int kOutputs>
CAMELID_INLINE void dots(const c10::BFloat16* x, const c10::BFloat16* weight, int64_t size, float (&sums)[kRows][kOutputs]) {
  constexpr int64_t step = kPart * kPerWord<c10::BFloat16>;
  Part totals[kRows][kOutputs] = {};
  for (int64_t i = 0; i < size; i += step) {
    WordPart columns[kOutputs];
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; o++) columns[o] = camelid::load<WordPart>(weight + o * size + i);
#pragma GCC unroll 8
    for (int row = 0; row < kRows; row++) {
      const WordPart values = camelid::load<WordPart>(x + row * size + i);
#pragma GCC unroll 4
      for (int o = 0; o < kOutputs; o++) totals[row][o] = addProduct<c10::BFloat16>(totals[row][o], values, columns[o]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < kRows; row++) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputs; o++) sums[row][o] = sumOf(totals[row][o]);
  }
}

template <int kRows>
void multiplyRows(const c10::BFloat16* x, const c10::BFloat16* weight, const c10::BFloat16* bias, c10::BFloat16* y, int64_t size,
                  int64_t outputs) {
  constexpr int kOutputs = 2;
  at::parallel_for(0, outputs / kOutputs, 64, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin * kOutputs; o < end * kOutputs; o += kOutputs) {
      float sums[kRows][kOutputs];
      dots<kRows, kOutputs>(x, weight + o * size, size, sums);
      for (int row = 0; row < kRows; row++)
        for (int i = 0; i < kOutputs; i++)
          y[row * outputs + o + i] = narrowed<c10::BFloat16>(sums[row][i] + (bias == nullptr ? 0.0f : widen(bias[o + i])));
    }
  });
}

bool isForFewRows(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  const bool hasGradient =
      at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() || (bias && bias->requires_grad()));
  return !hasGradient && x.is_cpu() && x.scalar_type() == at::kBFloat16 && isAlike(weight, x) && weight.dim() == 2 &&
         weight.is_contiguous() && weight.size(0) % 2 == 0 && weight.size(1) % 32 == 0 && x.size(-1) == weight.size(1) &&
         x.numel() > 0 && x.numel() <= kMostRows * weight.size(1) &&
         (!bias || (isAlike(*bias, x) && bias->dim() == 1 && bias->size(0) == weight.size(0)));
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  if (x.dim() == 0 || !isForFewRows(x, weight, bias)) return at::linear(x, weight, bias);
  const int64_t size = weight.size(1), outputs = weight.size(0), rows = x.numel() / size;
  const at::Tensor input = x.contiguous(), shift = bias ? bias->contiguous() : at::Tensor();
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = outputs;
  at::Tensor y = at::empty(shape, x.options());
  const auto run = [&]<int kRows>(int64_t row, std::integral_constant<int, kRows>) {
    multiplyRows<kRows>(input.const_data_ptr<c10::BFloat16>() + row * size, weight.const_data_ptr<c10::BFloat16>(),
                        shift.defined() ? shift.const_data_ptr<c10::BFloat16>() : nullptr,
                        y.mutable_data_ptr<c10::BFloat16>() + row * outputs, size, outputs);
  };
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) run(row, std::integral_constant<int, 4>());
  for (; row + 2 <= rows; row += 2) run(row, std::integral_constant<int, 2>());
  for (; row < rows; row++) run(row, std::integral_constant<int, 1>());
  return y;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("linear(Tensor x, Tensor weight, Tensor? bias=None) -> Tensor", linear);
}

}  // namespace camelid
