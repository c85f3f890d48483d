// NF4 (Dettmers et al. 2023, QLoRA, https://arxiv.org/abs/2305.14314) in bitsandbytes' layout: blocks of 64 values share their
// largest magnitude; two 4-bit codes a byte, the first in the high half; and the 8-bit "dynamic" code that block maxima are
// kept in. Equal bit for bit to the plain TypeScript reference (nn/nf4-reference.ts of camelid), whatever the vector width.
//
// The work is a few instructions a value, so memory decides: a thread writes whole cache lines, and large results go past
// the caches. CUDA has kernels of its own (cuda/nf4.cu); other devices run chains of ATen operators.
#include <torch/library.h>

#include "cuda-kernels.h"
#include "cuda-nf4.h"
#include "dynamic-map.h"
#include "nf4-blocks.h"

namespace camelid {

namespace {

constexpr int64_t kBlocksPerTask = 256;          // 16,384 values
constexpr int64_t kNestedBlock = 256;            // block maxima that share their own largest magnitude
constexpr int64_t kPastCaches = int64_t{8} << 20;  // results of more bytes do not stay in the caches anyway

template <typename Body>
void withAnyElementType(const at::Tensor& tensor, Body body) {
  if (tensor.scalar_type() == at::kHalf) body(c10::Half());
  else withElementType(tensor, body);
}

bool isNf4Element(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf; }

// [256, 2]: the two values of a byte of codes, on the device that was used last. Never destroyed, as are `dynamicTables`.
const at::Tensor& valuePairs(const at::Device& device) {
  static thread_local auto* pairs = new at::Tensor();
  if (!pairs->defined() || pairs->device() != device) {
    std::vector<float> values;
    for (int byte = 0; byte < 256; byte++) values.insert(values.end(), {kNf4Values[byte >> 4], kNf4Values[byte & 15]});
    *pairs = at::tensor(at::ArrayRef<float>(values)).view({256, 2}).to(device);
  }
  return *pairs;
}

// --- quantise ---

std::tuple<at::Tensor, at::Tensor> nf4QuantizeAnywhere(const at::Tensor& values, bool throughFp16) {
  const int64_t count = values.numel();
  const int64_t blocks = (count + kNf4Block - 1) / kNf4Block;
  at::Tensor flat = values.reshape({-1});
  if (throughFp16) flat = flat.to(at::kHalf);
  at::Tensor padded = at::zeros({blocks * kNf4Block}, values.options().dtype(at::kFloat));
  padded.narrow(0, 0, count).copy_(flat);
  padded = padded.view({blocks, kNf4Block});
  const at::Tensor absmax = padded.abs().amax(1);
  at::Tensor inverse = absmax.reciprocal();
  inverse = at::where(inverse.isfinite(), inverse, at::zeros({}, inverse.options()));
  const at::Tensor midpoints = at::tensor(at::ArrayRef<float>(kNf4Midpoints, 15)).to(values.device());
  // Numbers of midpoints below the value: a tie goes to the lower code.
  const at::Tensor codes = at::bucketize(padded * inverse.unsqueeze(1), midpoints, /*out_int32=*/true).view({-1, 2});
  const at::Tensor packed = codes.select(1, 0) * 16 + codes.select(1, 1);
  return {packed.narrow(0, 0, (count + 1) / 2).to(at::kByte).unsqueeze(1), absmax};
}

std::tuple<at::Tensor, at::Tensor> nf4Quantize(const at::Tensor& values, bool throughFp16) {
  TORCH_CHECK(isNf4Element(values.scalar_type()) && values.numel() > 0, "nf4_quantize: values must be fp32, bf16 or fp16, and some");
  if (const auto quantized = cudaNf4Quantize(values, throughFp16)) return *quantized;
  if (!values.is_cpu()) return nf4QuantizeAnywhere(values, throughFp16);
  const at::Tensor input = values.contiguous();
  const int64_t count = input.numel();
  const int64_t blocks = (count + kNf4Block - 1) / kNf4Block;
  at::Tensor packed = at::empty({(count + 1) / 2, 1}, input.options().dtype(at::kByte));
  at::Tensor absmax = at::empty({blocks}, input.options().dtype(at::kFloat));
  withAnyElementType(input, [&](auto element) {
    using T = decltype(element);
    const T* x = input.const_data_ptr<T>();
    uint8_t* codes = packed.mutable_data_ptr<uint8_t>();
    float* maxima = absmax.mutable_data_ptr<float>();
    const bool pastCaches = count / 2 > kPastCaches && isCacheLine(codes);
    at::parallel_for(0, blocks, kBlocksPerTask, [&](int64_t begin, int64_t end) {
      const int64_t from = begin * kNf4Block, to = std::min(end * kNf4Block, count);
      nf4QuantizeBlocks(x + from, to - from, codes + from / 2, maxima + begin, throughFp16, pastCaches);
    });
  });
  return {packed, absmax};
}

// --- de-quantise ---

at::Tensor dequantizedMaxima(const at::Tensor& absmax, const std::optional<at::Tensor>& nested, double offset) {
  if (!nested) return absmax;
  const at::Tensor scales = nested->repeat_interleave(kNestedBlock).narrow(0, 0, absmax.numel());
  const at::Tensor map = dynamicTables(absmax.device()).narrow(0, 0, 256);
  return map.index_select(0, absmax.to(at::kInt)) * scales + static_cast<float>(offset);
}

at::Tensor nf4DequantizeAnywhere(const at::Tensor& packed, const at::Tensor& absmax, const std::optional<at::Tensor>& nested,
                                 double offset, at::IntArrayRef size, at::ScalarType dtype) {
  const at::Tensor maxima = dequantizedMaxima(absmax, nested, offset);
  const int64_t count = c10::multiply_integers(size), blocks = maxima.numel();
  at::Tensor bytes = packed.view({-1});
  if (bytes.numel() < blocks * kNf4Block / 2) bytes = at::constant_pad_nd(bytes, {0, blocks * kNf4Block / 2 - bytes.numel()});
  const at::Tensor values = valuePairs(packed.device()).index_select(0, bytes.to(at::kInt));
  // Multiplied in fp32 and rounded on the way out, in one pass.
  at::Tensor restored = at::empty({blocks, kNf4Block}, values.options().dtype(dtype));
  at::mul_out(restored, values.view({blocks, kNf4Block}), maxima.unsqueeze(1));
  return restored.view({-1}).narrow(0, 0, count).view(size);
}

at::Tensor nf4Dequantize(const at::Tensor& packed, const at::Tensor& absmax, const std::optional<at::Tensor>& nested,
                         double offset, at::IntArrayRef size, at::ScalarType dtype) {
  const int64_t count = c10::multiply_integers(size);
  const int64_t blocks = (count + kNf4Block - 1) / kNf4Block;
  const int64_t nestedBlocks = (blocks + kNestedBlock - 1) / kNestedBlock;
  TORCH_CHECK(isNf4Element(dtype), "nf4_dequantize: the result must be fp32, bf16 or fp16");
  TORCH_CHECK(packed.scalar_type() == at::kByte && packed.is_contiguous() && packed.numel() == (count + 1) / 2,
              "nf4_dequantize: shape ", size, " needs ", (count + 1) / 2, " bytes of codes, got ", packed.sizes());
  TORCH_CHECK(absmax.is_contiguous() && absmax.numel() == blocks && absmax.scalar_type() == (nested ? at::kByte : at::kFloat),
              "nf4_dequantize: shape ", size, " needs ", blocks, " block maxima, fp32 or with nested ones uint8");
  TORCH_CHECK(!nested || (nested->is_contiguous() && nested->numel() == nestedBlocks && nested->scalar_type() == at::kFloat),
              "nf4_dequantize: shape ", size, " needs ", nestedBlocks, " nested maxima in fp32");
  if (const auto restored = cudaNf4Dequantize(packed, absmax, nested, offset, size, dtype)) return *restored;
  if (!packed.is_cpu()) return nf4DequantizeAnywhere(packed, absmax, nested, offset, size, dtype);
  at::Tensor values = at::empty(size, packed.options().dtype(dtype));
  const float* map = DynamicMap::of(true).values().data();
  const auto shift = static_cast<float>(offset);
  withAnyElementType(values, [&](auto element) {
    using T = decltype(element);
    const uint8_t* codes = packed.const_data_ptr<uint8_t>();
    const uint8_t* maximumCodes = nested ? absmax.const_data_ptr<uint8_t>() : nullptr;
    const float* maxima = nested ? nested->const_data_ptr<float>() : absmax.const_data_ptr<float>();
    T* y = values.mutable_data_ptr<T>();
    const bool pastCaches = count * static_cast<int64_t>(sizeof(T)) > kPastCaches && isCacheLine(y);
    at::parallel_for(0, blocks, kBlocksPerTask, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; block++) {
        const int64_t start = block * kNf4Block;
        const float maximum =
            maximumCodes == nullptr ? maxima[block] : map[maximumCodes[block]] * maxima[block / kNestedBlock] + shift;
        nf4DequantizeBlock(codes + start / 2, maximum, y + start, std::min(kNf4Block, count - start), pastCaches);
      }
      if (pastCaches) finishStreaming();
    });
  });
  return values;
}

// x W^T + bias for a frozen W [out, in]. A few rows, as in decoding, are multiplied with the codes themselves on CUDA; else W is
// restored for the product and freed after it.
at::Tensor nf4Linear(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& absmax, const std::optional<at::Tensor>& nested,
                     double offset, int64_t outFeatures, const std::optional<at::Tensor>& bias) {
  if (const auto product = cudaNf4Product(x, packed, absmax, nested, offset, outFeatures, bias)) return *product;
  return at::linear(x, nf4Dequantize(packed, absmax, nested, offset, {outFeatures, x.size(-1)}, x.scalar_type()), bias);
}

// --- the 8-bit code of block maxima and optimizer moments ---

// codes of (value - offset) relative to the largest magnitude of each block, and these magnitudes
std::tuple<at::Tensor, at::Tensor> dynamicQuantize(const at::Tensor& values, double offset, int64_t block, bool isSigned) {
  TORCH_CHECK(values.is_cpu() && values.scalar_type() == at::kFloat && block > 0, "dynamic_quantize: values must be fp32 on the CPU");
  const at::Tensor input = values.contiguous();
  const int64_t count = input.numel();
  at::Tensor codes = at::empty(input.sizes(), input.options().dtype(at::kByte));
  at::Tensor absmax = at::empty({(count + block - 1) / block}, input.options());
  const float* x = input.const_data_ptr<float>();
  uint8_t* y = codes.mutable_data_ptr<uint8_t>();
  float* maxima = absmax.mutable_data_ptr<float>();
  const auto shift = static_cast<float>(offset);
  const DynamicMap& map = DynamicMap::of(isSigned);
  at::parallel_for(0, absmax.numel(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t from = i * block, to = std::min(from + block, count);
      float largest = 0;
      for (int64_t j = from; j < to; j++) largest = std::max(largest, std::abs(x[j] - shift));
      maxima[i] = largest;
      for (int64_t j = from; j < to; j++) y[j] = map.nearest(largest > 0 ? (x[j] - shift) / largest : 0.0f);
    }
  });
  return {codes, absmax};
}

at::Tensor dynamicDequantize(const at::Tensor& codes, const at::Tensor& absmax, double offset, int64_t block, bool isSigned) {
  TORCH_CHECK(codes.is_cpu() && codes.scalar_type() == at::kByte && absmax.scalar_type() == at::kFloat && block > 0 &&
                  absmax.numel() == (codes.numel() + block - 1) / block,
              "dynamic_dequantize: ", codes.numel(), " codes and ", absmax.numel(), " maxima do not belong together");
  const at::Tensor input = codes.contiguous(), maxima = absmax.contiguous();
  at::Tensor values = at::empty(input.sizes(), input.options().dtype(at::kFloat));
  const uint8_t* x = input.const_data_ptr<uint8_t>();
  const float* scales = maxima.const_data_ptr<float>();
  const float* map = DynamicMap::of(isSigned).values().data();
  float* y = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < input.numel(); i++) y[i] = map[x[i]] * scales[i / block] + static_cast<float>(offset);
  return values;
}

at::Tensor dynamicMap(bool isSigned) { return at::tensor(at::ArrayRef<float>(DynamicMap::of(isSigned).values())); }

}  // namespace

TORCH_LIBRARY_FRAGMENT(camelid, library) {
  library.def("nf4_quantize(Tensor values, bool through_fp16=False) -> (Tensor, Tensor)", nf4Quantize);
  library.def(
      "nf4_dequantize(Tensor packed, Tensor absmax, Tensor? nested_absmax, float offset, int[] size, ScalarType dtype) -> Tensor",
      nf4Dequantize);
  library.def(
      "nf4_linear(Tensor x, Tensor packed, Tensor absmax, Tensor? nested_absmax, float offset, int out_features, Tensor? bias=None) "
      "-> Tensor",
      nf4Linear);
  // The chains that other devices run, by name: they are tested on the CPU.
  library.def("nf4_quantize_chain(Tensor values, bool through_fp16) -> (Tensor, Tensor)", nf4QuantizeAnywhere);
  library.def(
      "nf4_dequantize_chain(Tensor packed, Tensor absmax, Tensor? nested_absmax, float offset, int[] size, ScalarType dtype) -> Tensor",
      nf4DequantizeAnywhere);
  library.def("dynamic_quantize(Tensor values, float offset, int block, bool signed) -> (Tensor, Tensor)", dynamicQuantize);
  library.def("dynamic_dequantize(Tensor codes, Tensor absmax, float offset, int block, bool signed) -> Tensor",
              dynamicDequantize);
  library.def("dynamic_map(bool signed) -> Tensor", dynamicMap);
}

}  // namespace camelid
