// CUDA graphs: what a thread gives a GPU between `begin` and `end`, recorded on a stream of its own.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include <map>
#include <optional>

#include "parts.h"

namespace camelid {

namespace {

// Graphs of a device take their intermediate memory from one pool: only one runs at a time.
at::cuda::MempoolId_t poolOf(c10::DeviceIndex device) {
  static std::map<c10::DeviceIndex, at::cuda::MempoolId_t> pools;
  const auto found = pools.find(device);
  return found != pools.end() ? found->second : pools.emplace(device, at::cuda::graph_pool_handle()).first->second;
}

class CudaGraph final : public DeviceGraph {
 public:
  explicit CudaGraph(c10::DeviceIndex device) : device_(device) {}

  void begin() override {
    const c10::cuda::CUDAGuard guard(device_);
    c10::cuda::device_synchronize();
    recording_.emplace(c10::cuda::getStreamFromPool(false, device_));
    try {
      // Other threads (NCCL's watch over its events) may go on using CUDA.
      graph_.capture_begin(poolOf(device_), cudaStreamCaptureModeThreadLocal);
    } catch (...) {
      recording_.reset();
      throw;
    }
  }

  void end() override {
    try {
      graph_.capture_end();
    } catch (...) {
      recording_.reset();
      throw;
    }
    recording_.reset();  // back on the caller's stream
  }

  void replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_.replay();
  }

 private:
  const c10::DeviceIndex device_;
  at::cuda::CUDAGraph graph_;
  std::optional<c10::cuda::CUDAStreamGuard> recording_;
};

}  // namespace

std::unique_ptr<DeviceGraph> makeGraph(c10::Device device) {
  TORCH_CHECK(device.is_cuda(), "graphs record the work of CUDA devices, not of ", device.str());
  return std::make_unique<CudaGraph>(device.index() < 0 ? 0 : device.index());
}

}  // namespace camelid
