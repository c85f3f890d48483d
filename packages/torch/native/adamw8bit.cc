// AdamW whose moments are kept in 8 bits (Dettmers et al. 2022, https://arxiv.org/abs/2110.02861): each is stored in the
// "dynamic" code relative to the largest magnitude of its block of 256, restored, updated in fp32, and stored again. A block
// is read and written once; nothing of full size exists but weight and gradient. The plain TypeScript reference is in
// train/optim/adamw-8bit.test.ts of camelid. CUDA has a kernel of its own (cuda/adamw8bit.cu), and where that cannot be used a
// chain of libtorch's operators.
#include <torch/library.h>

#include "cuda-kernels.h"
#include "dynamic-map.h"

namespace camelid {

namespace {

constexpr int64_t kBlock = 256;

struct Step {
  float lr, beta1, beta2, eps, keep;       // keep = 1 - lr * weight decay
  float correction1, rootOfCorrection2;    // 1 - beta1^step, sqrt(1 - beta2^step)
};

Step stepOf(double step, double lr, double beta1, double beta2, double weightDecay, double eps) {
  return {static_cast<float>(lr),
          static_cast<float>(beta1),
          static_cast<float>(beta2),
          static_cast<float>(eps),
          static_cast<float>(1 - lr * weightDecay),
          static_cast<float>(1 - std::pow(beta1, step)),
          static_cast<float>(std::sqrt(1 - std::pow(beta2, step)))};
}

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

void updateOnCpu(at::Tensor weight, const at::Tensor& gradient, const Moments& moments, const Step& s) {
  const int64_t count = weight.numel();
  withElementType(weight, [&](auto weightElement) {
    using W = decltype(weightElement);
    withElementType(gradient, [&](auto gradElement) {
      using G = decltype(gradElement);
      W* w = weight.mutable_data_ptr<W>();
      const G* g = gradient.const_data_ptr<G>();
      at::parallel_for(0, divideUp(count, kBlock), 32, [&](int64_t begin, int64_t end) {
        for (int64_t block = begin; block < end; block++) updateBlock(w, g, moments, block, count, s);
      });
    });
  });
}

// One moment in the chain of operators: restored, updated with `input` and stored again. @returns it in fp32, before storing
at::Tensor updatedMoment(bool isSigned, at::Tensor codes, at::Tensor scales, const at::Tensor& input, double beta,
                         const at::Tensor& isBroken) {
  const int64_t count = codes.numel(), blocks = scales.numel();
  const at::Tensor tables = dynamicTables(codes.device()).narrow(0, isSigned ? 0 : 513, 513);
  const at::Tensor restored = tables.narrow(0, 0, 256).index_select(0, codes.view({-1}).to(at::kInt)) *
                              scales.repeat_interleave(kBlock).narrow(0, 0, count);
  const auto kept = static_cast<float>(beta);
  const at::Tensor moment = restored * kept + input * (1.0f - kept);
  const at::Tensor rows = at::constant_pad_nd(moment, {0, blocks * kBlock - count}).view({blocks, kBlock});
  const at::Tensor largest = rows.abs().amax(1);
  const at::Tensor relative = at::where(largest.unsqueeze(1) > 0, rows / largest.unsqueeze(1), at::zeros({}, rows.options()));
  const at::Tensor stored = at::bucketize(relative.view({-1}).narrow(0, 0, count), tables.narrow(0, 257, 255)).to(at::kByte);
  codes.copy_(at::where(isBroken, codes, stored.view(codes.sizes())));
  scales.copy_(at::where(isBroken, scales, largest));
  return moment;
}

void updateByChain(at::Tensor weight, const at::Tensor& grad, at::Tensor mean, at::Tensor meanScales, at::Tensor square,
                   at::Tensor squareScales, const at::Tensor& step, double lr, double beta1, double beta2, double weightDecay,
                   double eps, const std::optional<at::Tensor>& foundInf) {
  const at::Tensor isBroken = foundInf ? foundInf->ne(0) : at::zeros({}, weight.options().dtype(at::kBool));
  const at::Tensor gradient = grad.reshape({-1}).to(at::kFloat), wide = weight.view({-1}).to(at::kFloat);
  const at::Tensor m = updatedMoment(true, mean, meanScales, gradient, beta1, isBroken);
  const at::Tensor v = updatedMoment(false, square, squareScales, gradient * gradient, beta2, isBroken);
  const at::Tensor exact = step.to(at::kDouble);
  const auto correction = [&](double beta) { return 1 - at::pow(at::full({}, beta, exact.options()), exact); };
  const at::Tensor rate = at::full({}, static_cast<float>(lr), wide.options()) / correction(beta1).to(at::kFloat);
  const at::Tensor root = correction(beta2).sqrt().to(at::kFloat);
  const at::Tensor denominator = v.sqrt() / root + static_cast<float>(eps);
  const at::Tensor updated = wide * static_cast<float>(1 - lr * weightDecay) - rate * (m / denominator);
  weight.copy_(at::where(isBroken, wide, updated).view(weight.sizes()));
}

void updateOnCuda(const KernelModule& kernels, at::Tensor weight, const at::Tensor& gradient, const Moments& moments,
                  const at::Tensor& step, double lr, double beta1, double beta2, double weightDecay, double eps,
                  const std::optional<at::Tensor>& foundInf) {
  constexpr int64_t kThreads = 256, kMostBlocks = 2048;  // a warp has a block at a time; more of them share the tables' loading
  const int64_t count = weight.numel(), threadBlocks = divideUp(count, kBlock * kThreads / 32);
  kernels.launch(std::string("adamw_8bit_") + elementName(weight.scalar_type()) + "_" + elementName(gradient.scalar_type()), weight,
                 {std::min(threadBlocks, kMostBlocks), kThreads}, weight.mutable_data_ptr(), gradient.const_data_ptr(),
                 moments.mean, moments.meanScales, moments.square, moments.squareScales,
                 dynamicTables(weight.device()).const_data_ptr(), step.const_data_ptr(),
                 foundInf ? foundInf->const_data_ptr() : nullptr, count, static_cast<float>(lr), beta1, beta2,
                 static_cast<float>(eps), static_cast<float>(1 - lr * weightDecay));
}

// @param step scalar fp32 on the weight's device, this update included: nothing waits for it there
// @param foundInf scalar fp32: where it is not 0, nothing changes
void adamw8bit(at::Tensor weight, const at::Tensor& grad, at::Tensor mean, at::Tensor meanScales, at::Tensor square,
               at::Tensor squareScales, const at::Tensor& step, double lr, double beta1, double beta2, double weightDecay, double eps,
               const std::optional<at::Tensor>& foundInf) {
  const int64_t count = weight.numel(), blocks = divideUp(count, kBlock);
  const auto isKnown = [](const at::Tensor& tensor) {
    return tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16;
  };
  TORCH_CHECK(isKnown(weight) && isKnown(grad) && weight.is_contiguous() && grad.numel() == count,
              "adamw_8bit: weight and gradient must be fp32 or bf16, of one size");
  for (const at::Tensor& codes : {mean, square})
    TORCH_CHECK(codes.scalar_type() == at::kByte && codes.is_contiguous() && codes.numel() == count, "adamw_8bit: ", count,
                " uint8 codes a moment are needed");
  for (const at::Tensor& scales : {meanScales, squareScales})
    TORCH_CHECK(scales.scalar_type() == at::kFloat && scales.is_contiguous() && scales.numel() == blocks, "adamw_8bit: ", blocks,
                " fp32 scales a moment are needed");
  for (const at::Tensor& one : {grad, mean, meanScales, square, squareScales, step, foundInf.value_or(step)})
    TORCH_CHECK(one.device() == weight.device(), "adamw_8bit: all tensors must be on the weight's device");
  for (const at::Tensor& one : {step, foundInf.value_or(step)})
    TORCH_CHECK(one.numel() == 1 && one.scalar_type() == at::kFloat, "adamw_8bit: step and found_inf must be fp32 scalars");
  const Moments moments{mean.mutable_data_ptr<uint8_t>(), square.mutable_data_ptr<uint8_t>(),
                        meanScales.mutable_data_ptr<float>(), squareScales.mutable_data_ptr<float>()};
  if (const KernelModule* kernels = kernelsFor(weight, KernelFile::Adamw8bit))
    return updateOnCuda(*kernels, weight, grad.contiguous(), moments, step, lr, beta1, beta2, weightDecay, eps, foundInf);
  if (!weight.is_cpu())
    return updateByChain(weight, grad, mean, meanScales, square, squareScales, step, lr, beta1, beta2, weightDecay, eps, foundInf);
  if (foundInf && foundInf->item<float>() != 0) return;
  updateOnCpu(weight, grad.contiguous(), moments, stepOf(step.item<float>(), lr, beta1, beta2, weightDecay, eps));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  const std::string arguments =
      "(Tensor(a!) weight, Tensor grad, Tensor(b!) exp_avg, Tensor(c!) exp_avg_scales, Tensor(d!) exp_avg_sq, "
      "Tensor(e!) exp_avg_sq_scales, Tensor step, float lr, float beta1, float beta2, float weight_decay, float eps, "
      "Tensor? found_inf=None) -> ()";
  library.def(("adamw_8bit" + arguments).c_str(), adamw8bit);
  // By name, as the chains of nf4.cc: it is tested on the CPU.
  library.def(("adamw_8bit_chain" + arguments).c_str(), updateByChain);
}

}  // namespace camelid
