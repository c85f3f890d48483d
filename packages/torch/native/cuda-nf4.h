// The operators of nf4.cc on CUDA; arguments are theirs, checked. Nothing where our kernels are not to be used.
#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <tuple>

namespace camelid {

std::optional<std::tuple<at::Tensor, at::Tensor>> cudaNf4Quantize(const at::Tensor& values, bool throughFp16);

std::optional<at::Tensor> cudaNf4Dequantize(const at::Tensor& packed, const at::Tensor& absmax,
                                            const std::optional<at::Tensor>& nested, double offset, at::IntArrayRef size,
                                            at::ScalarType dtype);

/// x W^T + bias for at most eight rows, without restoring W.
std::optional<at::Tensor> cudaNf4Product(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& absmax,
                                         const std::optional<at::Tensor>& nested, double offset, int64_t outFeatures,
                                         const std::optional<at::Tensor>& bias);

}  // namespace camelid
