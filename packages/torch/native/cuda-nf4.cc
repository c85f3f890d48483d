#include "cuda-nf4.h"

#include "cuda-kernels.h"
#include "kernels.h"

namespace camelid {

namespace {

constexpr int64_t kBlock = 64;
constexpr int64_t kThreads = 256, kEach = 8;        // values of a thread in cuda/nf4.cu
constexpr int64_t kProductThreads = 128;            // a warp has an output in cuda/nf4-product.cu,
constexpr int64_t kTogether = 32;                   // a lane as many values of a row at a time

Grid overValues(int64_t count) { return {divideUp(count, kThreads * kEach), kThreads}; }

/// The kernels' arguments for block maxima: fp32 ones, or codes, their scales, the code's values, and the offset.
struct Maxima {
  const void *plain, *codes, *nested, *map;
  float offset;

  Maxima(const at::Tensor& absmax, const std::optional<at::Tensor>& given, double offset)
      : plain(given ? nullptr : absmax.const_data_ptr()),
        codes(given ? absmax.const_data_ptr() : nullptr),
        nested(given ? given->const_data_ptr() : nullptr),
        map(dynamicTables(absmax.device()).const_data_ptr()),
        offset(static_cast<float>(offset)) {}
};

}  // namespace

std::optional<std::tuple<at::Tensor, at::Tensor>> cudaNf4Quantize(const at::Tensor& values, bool throughFp16) {
  const KernelModule* kernels = kernelsFor(values, KernelFile::Nf4);
  if (kernels == nullptr) return std::nullopt;
  const at::Tensor input = values.contiguous();
  const int64_t count = input.numel();
  at::Tensor packed = at::empty({(count + 1) / 2, 1}, input.options().dtype(at::kByte));
  at::Tensor absmax = at::empty({divideUp(count, kBlock)}, input.options().dtype(at::kFloat));
  kernels->launch(std::string("nf4_quantize_") + elementName(input.scalar_type()), input, overValues(count), input.const_data_ptr(),
                  packed.mutable_data_ptr(), absmax.mutable_data_ptr(), count, int64_t{throughFp16});
  return std::tuple{packed, absmax};
}

std::optional<at::Tensor> cudaNf4Dequantize(const at::Tensor& packed, const at::Tensor& absmax,
                                            const std::optional<at::Tensor>& nested, double offset, at::IntArrayRef size,
                                            at::ScalarType dtype) {
  const KernelModule* kernels = kernelsFor(packed, KernelFile::Nf4);
  if (kernels == nullptr) return std::nullopt;
  at::Tensor values = at::empty(size, packed.options().dtype(dtype));
  const Maxima maxima(absmax, nested, offset);
  kernels->launch(std::string("nf4_dequantize_") + elementName(dtype), packed, overValues(values.numel()), packed.const_data_ptr(),
                  maxima.plain, maxima.codes, maxima.nested, maxima.map, maxima.offset, values.mutable_data_ptr(), values.numel());
  return values;
}

std::optional<at::Tensor> cudaNf4Product(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& absmax,
                                         const std::optional<at::Tensor>& nested, double offset, int64_t outFeatures,
                                         const std::optional<at::Tensor>& bias) {
  const int64_t in = x.size(-1), rows = in == 0 ? 0 : x.numel() / in;
  if (rows < 1 || rows > 8 || in % kTogether != 0 || !isElement(x.scalar_type()) ||
      (bias && !isAlike(*bias, x)) || packed.device() != x.device() || absmax.device() != x.device())
    return std::nullopt;
  // The product remembers nothing for a backward pass.
  if (at::GradMode::is_enabled() && (x.requires_grad() || (bias && bias->requires_grad()))) return std::nullopt;
  const KernelModule* kernels = kernelsFor(x, KernelFile::Nf4Product);
  if (kernels == nullptr) return std::nullopt;
  TORCH_CHECK(packed.is_contiguous() && packed.numel() * 2 == outFeatures * in && absmax.is_contiguous() &&
                  absmax.numel() == divideUp(outFeatures * in, kBlock) && absmax.scalar_type() == (nested ? at::kByte : at::kFloat),
              "nf4_linear: codes and maxima of a matrix [", outFeatures, ", ", in, "] are needed");
  TORCH_CHECK(!bias || bias->numel() == outFeatures, "nf4_linear: the bias must have ", outFeatures, " elements");
  // Sixteen bytes are read at once: a view that begins elsewhere is copied.
  at::Tensor input = x.contiguous();
  if (reinterpret_cast<uintptr_t>(input.const_data_ptr()) % 16 != 0) input = input.clone();
  if (reinterpret_cast<uintptr_t>(packed.const_data_ptr()) % 16 != 0) return std::nullopt;
  auto size = x.sizes().vec();
  size.back() = outFeatures;
  at::Tensor y = at::empty(size, x.options());
  const Maxima maxima(absmax, nested, offset);
  const at::Tensor added = bias ? bias->contiguous() : at::Tensor();
  const int64_t compiled = rows == 1 ? 1 : rows <= 4 ? 4 : 8;
  kernels->launch(std::string("nf4_product_") + elementName(x.scalar_type()) + "_" + std::to_string(compiled), x,
                  {divideUp(outFeatures, kProductThreads / 32), kProductThreads}, input.const_data_ptr(), packed.const_data_ptr(),
                  maxima.plain, maxima.codes, maxima.nested, maxima.map, maxima.offset, bias ? added.const_data_ptr() : nullptr,
                  y.mutable_data_ptr(), rows, outFeatures, in);
  return y;
}

}  // namespace camelid
