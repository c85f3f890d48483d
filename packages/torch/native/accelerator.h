// What needs NVIDIA's headers lies in a library of its own, `cuda-runtime/`, built where they are and loaded where there is a driver.
// The addon knows it by these classes alone.
#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <memory>

namespace camelid {

/// Work of a device that is recorded once and then given to it as a whole, with the same memory each time.
struct DeviceGraph {
  virtual ~DeviceGraph() = default;
  /// From here to `end`, what this thread gives the device is recorded and not done.
  virtual void begin() = 0;
  virtual void end() = 0;
  virtual void replay() = 0;
};

struct CudaRuntime {
  virtual ~CudaRuntime() = default;
  /// Whether NCCL's header was there when the library was built.
  virtual bool hasNccl() const = 0;
  virtual c10::intrusive_ptr<c10d::Backend> ncclGroup(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                                      std::chrono::milliseconds timeout) = 0;
  virtual std::unique_ptr<DeviceGraph> graph(c10::Device device) = 0;
  /// Whether an operation that makes the host wait for a GPU is an error.
  virtual void forbidWaiting(bool forbidden) = 0;
};

/// The one function that the library exports.
using CudaRuntimeEntry = CudaRuntime* (*)();
constexpr const char* kCudaRuntimeEntry = "camelidCudaRuntime";

/// @throws where the library is not loaded
CudaRuntime& cudaRuntime();

}  // namespace camelid
