// The CUDA part of the binding: the one function that the addon looks up.
#include <c10/cuda/CUDAFunctions.h>

#include "parts.h"

namespace camelid {

namespace {

struct Runtime final : CudaRuntime {
#ifdef CAMELID_NCCL
  bool hasNccl() const override { return true; }
  c10::intrusive_ptr<c10d::Backend> ncclGroup(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                              std::chrono::milliseconds timeout) override {
    return makeNcclGroup(store, rank, size, timeout);
  }
#else
  bool hasNccl() const override { return false; }
  c10::intrusive_ptr<c10d::Backend> ncclGroup(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                              std::chrono::milliseconds) override {
    TORCH_CHECK(false, "the CUDA part of the binding was built without NCCL: its header nccl.h was not found");
  }
#endif

  std::unique_ptr<DeviceGraph> graph(c10::Device device) override { return makeGraph(device); }

  void forbidWaiting(bool forbidden) override {
    using Mode = c10::cuda::SyncDebugMode;
    c10::cuda::warning_state().set_sync_debug_mode(forbidden ? Mode::L_ERROR : Mode::L_DISABLED);
  }
};

}  // namespace

}  // namespace camelid

extern "C" __attribute__((visibility("default"))) camelid::CudaRuntime* camelidCudaRuntime() {
  static auto* runtime = new camelid::Runtime();
  return runtime;
}
