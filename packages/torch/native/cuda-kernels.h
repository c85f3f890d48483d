// Our own CUDA kernels (cuda/*.cu): compiled by NVRTC for the device at hand when one is first needed, kept on disk, started on
// libtorch's current stream without waiting for anything. Where that cannot be, chains of libtorch's operators do the work,
// and one notice says so.
#pragma once

#include <ATen/ATen.h>

#include <mutex>
#include <string>
#include <unordered_map>

#include "cuda-driver.h"

namespace camelid {

/// One file of cuda/ each; names in `kKernelFiles`.
enum class KernelFile { RmsNorm, Rope, Swiglu, LabelLogps, Nf4, Nf4Product, Adamw8bit };
constexpr const char* kKernelFiles[] = {"rms-norm", "rope", "swiglu", "label-logps", "nf4", "nf4-product", "adamw8bit"};

struct Grid {
  int64_t blocks;
  int64_t threads;
  int64_t sharedBytes = 0;
};

/// The kernels of one file on one device. Never destroyed: the driver may be gone before static objects are.
class KernelModule {
 public:
  KernelModule(const CudaDriver& driver, CudaModule* module) : driver_(driver), module_(module) {}

  /// Starts `name` on the current stream of the tensor's device. Arguments are of exactly the kernel's types: pointers, int64_t, float,
  /// double. No block, no start.
  template <typename... Arguments>
  void launch(const std::string& name, const at::Tensor& on, const Grid& grid, Arguments... arguments) const {
    void* parameters[] = {&arguments...};
    start(name, on, grid, parameters);
  }

 private:
  void start(const std::string& name, const at::Tensor& on, const Grid& grid, void** parameters) const;
  CudaFunction* function(const std::string& name, int64_t sharedBytes) const;

  const CudaDriver& driver_;
  CudaModule* const module_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, CudaFunction*> functions_;
};

/// The kernels of a file for the device of a tensor, or nullptr: then libtorch's operators are to be used. The first failure says
/// why on standard error.
const KernelModule* kernelsFor(const at::Tensor& tensor, KernelFile file);

inline bool isElement(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf; }

/// "f32", "bf16" or "f16": how the kernels of an element type end.
const char* elementName(at::ScalarType type);

/// What kernels look up, on a device: 256 values of the signed 8-bit code and the 257 borders around them, then those of the unsigned
/// one (dynamic-map.h), fp32.
const at::Tensor& dynamicTables(const at::Device& device);

constexpr int64_t divideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

}  // namespace camelid
