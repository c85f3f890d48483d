// The operators of fused.cc on CUDA. Each gives nothing where our kernels are not to be used: on other devices, for other element
// types, or where they could not be compiled.
#pragma once

#include <ATen/ATen.h>

#include <optional>

namespace camelid {

std::optional<at::Tensor> cudaRmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);
std::optional<at::Tensor> cudaRope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);
std::optional<at::Tensor> cudaSwiglu(const at::Tensor& gate, const at::Tensor& up);
std::optional<at::Tensor> cudaLabelLogps(const at::Tensor& logits, const at::Tensor& labels,
                                         const std::optional<at::Tensor>& upstream);

}  // namespace camelid
