// AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101) on the CPU over all parameters at once, and the norm of their
// gradients. Every number is read and written once: gradients are clipped as they are read, in whatever precision they are, and the
// rounded copy of an fp32 weight is written beside it. Work is cut into blocks of fixed size, so threads change no bit.
#include <torch/library.h>

#include "kernels.h"

namespace camelid {

namespace {

constexpr int64_t kBlock = 1 << 14;
constexpr int64_t kSquares = 1 << 10;  // as many are added in fp32: narrow vectors would lose more digits over a block

// Calls work(tensor, begin, end, place) for every block of every tensor of a list.
template <typename Work>
void forEachBlock(at::TensorList tensors, Work work) {
  std::vector<int64_t> firsts{0};  // block at which each tensor begins
  for (const at::Tensor& tensor : tensors) firsts.push_back(firsts.back() + (tensor.numel() + kBlock - 1) / kBlock);
  at::parallel_for(0, firsts.back(), 1, [&](int64_t begin, int64_t end) {
    auto tensor = std::upper_bound(firsts.begin(), firsts.end(), begin) - firsts.begin() - 1;
    for (int64_t place = begin; place < end; place++) {
      while (place >= firsts[tensor + 1]) tensor++;
      const int64_t from = (place - firsts[tensor]) * kBlock;
      work(tensor, from, std::min(from + kBlock, tensors[tensor].numel()), place);
    }
  });
}

at::Tensor gradientNorm(at::TensorList gradients) {
  int64_t blocks = 0;
  for (const at::Tensor& gradient : gradients) {
    TORCH_CHECK(isFusable(gradient), "gradient_norm: gradients must be fp32 or bf16 on the CPU");
    blocks += (gradient.numel() + kBlock - 1) / kBlock;
  }
  std::vector<at::Tensor> dense;
  for (const at::Tensor& gradient : gradients) dense.push_back(gradient.contiguous());
  std::vector<double> sums(blocks);
  forEachBlock(dense, [&](int64_t i, int64_t begin, int64_t end, int64_t place) {
    withElementType(dense[i], [&](auto element) {
      const auto* g = dense[i].const_data_ptr<decltype(element)>();
      for (int64_t from = begin; from < end; from += kSquares) {
        const int64_t to = std::min(from + kSquares, end);
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t at = from; at < to; at++) sum += widen(g[at]) * widen(g[at]);
        sums[place] += sum;
      }
    });
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return at::full({}, std::sqrt(total), at::kFloat);
}

struct Step {
  float clip, keep, eps;              // keep = 1 - lr * weight decay
  float fresh1, beta2, fresh2;        // fresh = 1 - beta, computed in double: 1 - 0.999f is off in the fifth digit
  float stepSize, rootOfCorrection2;  // lr / (1 - beta1^step), sqrt(1 - beta2^step)
};

template <typename W, typename G>
void update(W* weight, const G* grad, W* mean, W* square, c10::BFloat16* rounded, int64_t count, const Step& s) {
  const auto next = [&](int64_t i) __attribute__((always_inline)) {
    const float g = widen(grad[i]) * s.clip;
    const float m = widen(mean[i]) + (g - widen(mean[i])) * s.fresh1;
    const float v = widen(square[i]) * s.beta2 + g * g * s.fresh2;
    mean[i] = narrowed<W>(m);
    square[i] = narrowed<W>(v);
    return widen(weight[i]) * s.keep - s.stepSize * m / (std::sqrt(v) / s.rootOfCorrection2 + s.eps);
  };
  if (rounded == nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) weight[i] = narrowed<W>(next(i));
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; i++) {
      const float w = next(i);
      weight[i] = narrowed<W>(w);
      rounded[i] = narrowed<c10::BFloat16>(w);
    }
  }
}

void adamw(at::TensorList weights, at::TensorList gradients, at::TensorList means, at::TensorList squares, at::TensorList rounded,
           at::TensorList steps, const std::optional<at::Tensor>& clip, double lr, double beta1, double beta2, double weightDecay,
           double eps) {
  const size_t count = weights.size();
  TORCH_CHECK(gradients.size() == count && means.size() == count && squares.size() == count && steps.size() == count &&
                  (rounded.empty() || rounded.size() == count),
              "adamw: lists of different lengths");
  std::vector<at::Tensor> dense;
  std::vector<Step> settings;
  for (size_t i = 0; i < count; i++) {
    const at::Tensor& weight = weights[i];
    TORCH_CHECK(isFusable(weight) && weight.is_contiguous() && isFusable(gradients[i]) && gradients[i].sizes() == weight.sizes(),
                "adamw: weight ", i, " and its gradient must be fp32 or bf16 on the CPU, of one shape");
    for (const at::Tensor& moment : {means[i], squares[i]})
      TORCH_CHECK(moment.is_contiguous() && moment.sizes() == weight.sizes() && isAlike(moment, weight),
                  "adamw: moments ", i, " must be as their weight");
    TORCH_CHECK(rounded.empty() || (rounded[i].is_contiguous() && rounded[i].numel() == weight.numel() &&
                                    rounded[i].scalar_type() == at::kBFloat16 && rounded[i].is_cpu()),
                "adamw: the rounded copy of weight ", i, " must be bf16 of its shape");
    dense.push_back(gradients[i].contiguous());
    const double step = steps[i].item<double>();
    settings.push_back({
        .clip = clip ? clip->item<float>() : 1.0f,
        .keep = static_cast<float>(1 - lr * weightDecay),
        .eps = static_cast<float>(eps),
        .fresh1 = static_cast<float>(1 - beta1),
        .beta2 = static_cast<float>(beta2),
        .fresh2 = static_cast<float>(1 - beta2),
        .stepSize = static_cast<float>(lr / (1 - std::pow(beta1, step))),
        .rootOfCorrection2 = static_cast<float>(std::sqrt(1 - std::pow(beta2, step))),
    });
  }
  forEachBlock(weights, [&](int64_t i, int64_t begin, int64_t end, int64_t) {
    withElementType(weights[i], [&](auto weightElement) {
      using W = decltype(weightElement);
      withElementType(dense[i], [&](auto gradElement) {
        using G = decltype(gradElement);
        update(weights[i].mutable_data_ptr<W>() + begin, dense[i].const_data_ptr<G>() + begin, means[i].mutable_data_ptr<W>() + begin,
               squares[i].mutable_data_ptr<W>() + begin,
               rounded.empty() ? nullptr : rounded[i].mutable_data_ptr<c10::BFloat16>() + begin, end - begin, settings[i]);
      });
    });
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("gradient_norm(Tensor[] gradients) -> Tensor", gradientNorm);
  library.def(
      "adamw(Tensor(a!)[] weights, Tensor[] gradients, Tensor(b!)[] exp_avgs, Tensor(c!)[] exp_avg_sqs, Tensor(d!)[] rounded, "
      "Tensor[] steps, Tensor? clip, float lr, float beta1, float beta2, float weight_decay, float eps) -> ()",
      adamw);
}

}  // namespace camelid
