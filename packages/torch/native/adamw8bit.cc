// AdamW whose moments are kept in 8 bits (Dettmers et al. 2022, https://arxiv.org/abs/2110.02861): each is stored in the
// "dynamic" code relative to the largest magnitude of its block of 256, restored, updated in fp32, and stored again. A block
// is read and written once; nothing of full size exists but weight and gradient. The plain TypeScript reference is in
// train/optim/adamw-8bit.test.ts of camelid.
#include <torch/library.h>

#include "dynamic-map.h"

namespace camelid {

namespace {

constexpr int64_t kBlock = 256;

struct Step {
  float lr, beta1, beta2, eps, keep;       // keep = 1 - lr * weight decay
  float correction1, rootOfCorrection2;    // 1 - beta1^step, sqrt(1 - beta2^step)
};

struct Moments {
  uint8_t *mean, *square;
  float *meanScales, *squareScales;
};

template <typename W, typename G>
void updateBlock(W* weight, const G* grad, const Moments& moments, int64_t block, int64_t count, const Step& s) {
  const DynamicMap &signedMap = DynamicMap::of(true), &unsignedMap = DynamicMap::of(false);
  const float *means = signedMap.values().data(), *squares = unsignedMap.values().data();
  const int64_t from = block * kBlock;
  const int64_t size = std::min(kBlock, count - from);
  W* w = weight + from;
  const G* g = grad + from;
  uint8_t *meanCodes = moments.mean + from, *squareCodes = moments.square + from;
  const float meanScale = moments.meanScales[block], squareScale = moments.squareScales[block];
  float m[kBlock], v[kBlock];
  float largestMean = 0, largestSquare = 0;
#pragma omp simd reduction(max : largestMean, largestSquare)
  for (int64_t i = 0; i < size; i++) {
    const float gradient = widen(g[i]);
    m[i] = means[meanCodes[i]] * meanScale * s.beta1 + gradient * (1.0f - s.beta1);
    v[i] = squares[squareCodes[i]] * squareScale * s.beta2 + gradient * gradient * (1.0f - s.beta2);
    largestMean = std::max(largestMean, std::abs(m[i]));
    largestSquare = std::max(largestSquare, v[i]);
  }
#pragma omp simd
  for (int64_t i = 0; i < size; i++) {
    const float denominator = std::sqrt(v[i]) / s.rootOfCorrection2 + s.eps;
    w[i] = narrowed<W>(widen(w[i]) * s.keep - s.lr / s.correction1 * (m[i] / denominator));
  }
  moments.meanScales[block] = largestMean;
  moments.squareScales[block] = largestSquare;
  for (int64_t i = 0; i < size; i++) {
    meanCodes[i] = signedMap.nearest(largestMean > 0 ? m[i] / largestMean : 0.0f);
    squareCodes[i] = unsignedMap.nearest(largestSquare > 0 ? v[i] / largestSquare : 0.0f);
  }
}

void adamw8bit(at::Tensor weight, const at::Tensor& grad, at::Tensor mean, at::Tensor meanScales, at::Tensor square,
               at::Tensor squareScales, double step, double lr, double beta1, double beta2, double weightDecay, double eps) {
  const int64_t count = weight.numel();
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  TORCH_CHECK(isFusable(weight) && isFusable(grad) && weight.is_contiguous() && grad.numel() == count,
              "adamw_8bit: weight and gradient must be fp32 or bf16 on the CPU, of one size");
  for (const at::Tensor& codes : {mean, square})
    TORCH_CHECK(codes.scalar_type() == at::kByte && codes.is_contiguous() && codes.numel() == count, "adamw_8bit: ", count,
                " uint8 codes a moment are needed");
  for (const at::Tensor& scales : {meanScales, squareScales})
    TORCH_CHECK(scales.scalar_type() == at::kFloat && scales.is_contiguous() && scales.numel() == blocks, "adamw_8bit: ", blocks,
                " fp32 scales a moment are needed");
  const at::Tensor gradient = grad.contiguous();
  const Step s{static_cast<float>(lr),
               static_cast<float>(beta1),
               static_cast<float>(beta2),
               static_cast<float>(eps),
               static_cast<float>(1 - lr * weightDecay),
               static_cast<float>(1 - std::pow(beta1, step)),
               static_cast<float>(std::sqrt(1 - std::pow(beta2, step)))};
  const Moments moments{mean.mutable_data_ptr<uint8_t>(), square.mutable_data_ptr<uint8_t>(),
                        meanScales.mutable_data_ptr<float>(), squareScales.mutable_data_ptr<float>()};
  withElementType(weight, [&](auto weightElement) {
    using W = decltype(weightElement);
    withElementType(gradient, [&](auto gradElement) {
      using G = decltype(gradElement);
      W* w = weight.mutable_data_ptr<W>();
      const G* g = gradient.const_data_ptr<G>();
      at::parallel_for(0, blocks, 32, [&](int64_t begin, int64_t end) {
        for (int64_t block = begin; block < end; block++) updateBlock(w, g, moments, block, count, s);
      });
    });
  });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def(
      "adamw_8bit(Tensor(a!) weight, Tensor grad, Tensor(b!) exp_avg, Tensor(c!) exp_avg_scales, Tensor(d!) exp_avg_sq, "
      "Tensor(e!) exp_avg_sq_scales, float step, float lr, float beta1, float beta2, float weight_decay, float eps) -> ()",
      adamw8bit);
}

}  // namespace camelid
