// What the fused operators need around their CUDA kernels: outputs, how many threads, and what backward keeps.
#include "cuda-fused.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "cuda-kernels.h"
#include "kernels.h"

namespace camelid {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

int64_t wide(const at::Tensor& tensor) { return 16 / tensor.element_size(); }  // elements in 16 bytes

/// Whole warps, enough for every thread to have 16 bytes of a row at least.
int64_t threadsFor(int64_t perRow, int64_t most) { return std::clamp<int64_t>(divideUp(perRow, 32) * 32, 32, most); }

std::string named(const char* kernel, const at::Tensor& tensor) { return std::string(kernel) + elementName(tensor.scalar_type()); }

const KernelModule& module(const at::Tensor& tensor, KernelFile file) {
  const KernelModule* kernels = kernelsFor(tensor, file);
  TORCH_CHECK(kernels != nullptr, "CUDA kernels were switched off between a forward pass and its backward pass");
  return *kernels;
}

// --- rms_norm ---

/// A row's columns in fp32 have to fit the shared memory of every GPU.
constexpr int64_t kMostColumns = 24 * 1024;
/// About two blocks of threads for each multiprocessor of a large GPU; a fixed number, so that sums do not depend on the device.
constexpr int64_t kRowBlocks = 264;

class CudaRmsNorm : public torch::autograd::Function<CudaRmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double eps) {
    const at::Tensor input = x.contiguous();
    const int64_t size = input.size(-1), rows = input.numel() / std::max<int64_t>(size, 1);
    at::Tensor y = at::empty_like(input);
    at::Tensor scales = at::empty({rows}, input.options().dtype(at::kFloat));
    module(input, KernelFile::RmsNorm)
        .launch(named("rms_norm_forward_", input), input, {rows, threadsFor(divideUp(size, wide(input)), 512)},
                input.const_data_ptr(), weight.const_data_ptr(), y.mutable_data_ptr(), scales.mutable_data_ptr(), size,
                static_cast<float>(eps));
    context->save_for_backward({input, weight, scales});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("rms_norm");
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &scales = saved[2];
    const at::Tensor grad = gradients[0].contiguous();
    const int64_t size = x.size(-1), rows = scales.numel();
    const int64_t rowsPerBlock = std::max<int64_t>(1, divideUp(rows, kRowBlocks)), blocks = divideUp(rows, rowsPerBlock);
    at::Tensor gradX = at::empty_like(x);
    at::Tensor sums = at::empty({blocks, size}, scales.options());
    module(x, KernelFile::RmsNorm)
        .launch(named("rms_norm_backward_", x), x,
                {blocks, threadsFor(divideUp(size, wide(x)), 512), size * static_cast<int64_t>(sizeof(float))},
                grad.const_data_ptr(), x.const_data_ptr(), weight.const_data_ptr(), scales.const_data_ptr(),
                gradX.mutable_data_ptr(), sums.mutable_data_ptr(), rows, size, rowsPerBlock);
    return {gradX, sums.sum(0).to(weight.scalar_type()), at::Tensor()};
  }
};

// --- rope ---

at::Tensor turned(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, float sign) {
  const at::Tensor input = x.contiguous();
  const int64_t tokens = input.size(0), heads = input.size(1), half = input.size(2) / 2;
  at::Tensor y = at::empty_like(input);
  module(input, KernelFile::Rope)
      .launch(named("rope_", input), input, {tokens, threadsFor(heads * divideUp(half, wide(input)), 256)}, input.const_data_ptr(),
              cos.const_data_ptr(), sin.const_data_ptr(), y.mutable_data_ptr(), heads, half, sign);
  return y;
}

class CudaRope : public torch::autograd::Function<CudaRope> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turned(x, cos, sin, 1.0f);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("rope");
    const auto saved = context->get_saved_variables();
    return {turned(gradients[0], saved[0], saved[1], -1.0f), at::Tensor(), at::Tensor()};
  }
};

// --- swiglu ---

constexpr int64_t kThreads = 256;

Grid overElements(const at::Tensor& tensor) { return {divideUp(tensor.numel(), kThreads * wide(tensor)), kThreads}; }

class CudaSwiglu : public torch::autograd::Function<CudaSwiglu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    at::Tensor y = at::empty_like(gate);
    module(gate, KernelFile::Swiglu)
        .launch(named("swiglu_forward_", gate), gate, overElements(gate), gate.const_data_ptr(), up.const_data_ptr(),
                y.mutable_data_ptr(), gate.numel());
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuseSecondBackward("swiglu");
    const auto saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1];
    const at::Tensor grad = gradients[0].contiguous();
    at::Tensor gradGate = at::empty_like(gate), gradUp = at::empty_like(up);
    module(gate, KernelFile::Swiglu)
        .launch(named("swiglu_backward_", gate), gate, overElements(gate), grad.const_data_ptr(), gate.const_data_ptr(),
                up.const_data_ptr(), gradGate.mutable_data_ptr(), gradUp.mutable_data_ptr(), gate.numel());
    return {gradGate, gradUp};
  }
};

}  // namespace

std::optional<at::Tensor> cudaRmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (!isElement(x.scalar_type()) || !isAlike(weight, x) || x.size(-1) > kMostColumns ||
      kernelsFor(x, KernelFile::RmsNorm) == nullptr)
    return std::nullopt;
  return CudaRmsNorm::apply(x, weight.contiguous(), eps);
}

std::optional<at::Tensor> cudaRope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  if (!isElement(x.scalar_type()) || cos.scalar_type() != at::kFloat || cos.device() != x.device() || !isAlike(cos, sin) ||
      kernelsFor(x, KernelFile::Rope) == nullptr)
    return std::nullopt;
  return CudaRope::apply(x, cos.contiguous(), sin.contiguous());
}

std::optional<at::Tensor> cudaSwiglu(const at::Tensor& gate, const at::Tensor& up) {
  if (!isElement(gate.scalar_type()) || !isAlike(gate, up) || kernelsFor(gate, KernelFile::Swiglu) == nullptr)
    return std::nullopt;
  return CudaSwiglu::apply(gate.contiguous(), up.contiguous());
}

std::optional<at::Tensor> cudaLabelLogps(const at::Tensor& logits, const at::Tensor& labels,
                                         const std::optional<at::Tensor>& upstream) {
  if (!isElement(logits.scalar_type()) || !logits.is_contiguous() || labels.device() != logits.device() ||
      (upstream && (upstream->scalar_type() != at::kFloat || upstream->device() != logits.device())))
    return std::nullopt;
  const KernelModule* kernels = kernelsFor(logits, KernelFile::LabelLogps);
  if (kernels == nullptr) return std::nullopt;
  TORCH_CHECK(!upstream || upstream->sizes() == labels.sizes(), "label_logps: upstream must be fp32 of shape [rows]");
  const int64_t rows = logits.size(0), size = logits.size(1);
  at::Tensor logps = at::empty({rows}, logits.options().dtype(at::kFloat));
  const at::Tensor indices = labels.contiguous(), gradients = upstream ? upstream->contiguous() : at::Tensor();
  kernels->launch(named("label_logps_", logits), logits, {rows, threadsFor(divideUp(size, wide(logits)), 512)},
                  logits.mutable_data_ptr(), indices.const_data_ptr(), upstream ? gradients.const_data_ptr() : nullptr,
                  logps.mutable_data_ptr(), size);
  return logps;
}

}  // namespace camelid
