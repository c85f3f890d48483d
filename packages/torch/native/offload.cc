// Tensors that wait in host memory. A copy travels on a stream of its own while the device goes on computing, and is on its way back
// before it is needed. Of tensors that are in host memory already it is a plain copy: the same calls, testable without a device.
#include <ATen/ops/empty.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <optional>

#include "addon.h"

namespace camelid {

namespace {

c10::Stream currentStream(c10::Device device) { return c10::impl::VirtualGuardImpl(device.type()).getStream(device); }

// One a device: what comes back cannot overtake what goes.
c10::Stream copyStream(c10::Device device) {
  thread_local std::map<c10::DeviceIndex, c10::Stream> streams;
  const auto found = streams.find(device.index());
  if (found != streams.end()) return found->second;
  return streams.emplace(device.index(), c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)).first->second;
}

class HostCopy {
 public:
  explicit HostCopy(const at::Tensor& tensor) : device_(tensor.device()) {
    if (device_.is_cpu()) {
      host_ = tensor.clone();
      return;
    }
    const c10::Stream side = copyStream(device_);
    c10::Event computed(device_.type());
    computed.record(currentStream(device_));
    computed.block(side);
    host_ = at::empty(tensor.sizes(), tensor.options().device(at::kCPU).pinned_memory(true));
    const c10::StreamGuard guard(side);
    host_.copy_(tensor, /*non_blocking=*/true);
    tensor.record_stream(side);  // whoever frees it now frees it after the copy
  }

  void prefetch() {
    if (returning_.defined()) return;
    if (device_.is_cpu()) {
      returning_ = std::move(host_);
      return;
    }
    const c10::Stream side = copyStream(device_);
    const c10::StreamGuard guard(side);
    returning_ = host_.to(device_, host_.scalar_type(), /*non_blocking=*/true);
    host_.reset();
    arrived_.emplace(device_.type());
    arrived_->record(side);
  }

  at::Tensor take() {
    prefetch();
    if (arrived_) {
      const c10::Stream stream = currentStream(device_);
      arrived_->block(stream);
      returning_.record_stream(stream);
    }
    return std::move(returning_);
  }

 private:
  const c10::Device device_;
  at::Tensor host_, returning_;
  std::optional<c10::Event> arrived_;
};

// Of the thread that made them. What is left at its end is left alone: the device may be gone before.
std::map<int, HostCopy>& copies() {
  thread_local auto* all = new std::map<int, HostCopy>();
  return *all;
}

std::map<int, HostCopy>::iterator copyArgument(const Napi::CallbackInfo& info) {
  const auto found = copies().find(info[0].As<Napi::Number>().Int32Value());
  TORCH_CHECK(found != copies().end(), "this copy in host memory was taken back or disposed of");
  return found;
}

// moveToHost(handle) -> copy: what it stands for does not change when the tensor does, or is released
Napi::Value moveToHost(const Napi::CallbackInfo& info) {
  thread_local int last = 0;
  copies().emplace(++last, tensorArgument(info, 0).detach());
  return Napi::Number::New(info.Env(), last);
}
Napi::Value prefetchCopy(const Napi::CallbackInfo& info) {
  copyArgument(info)->second.prefetch();
  return info.Env().Undefined();
}
// takeBack(copy) -> handle, on the device that it came from; the copy is gone then
Napi::Value takeBack(const Napi::CallbackInfo& info) {
  const auto copy = copyArgument(info);
  at::Tensor tensor = copy->second.take();
  copies().erase(copy);
  return handleValue(info.Env(), std::move(tensor));
}
Napi::Value dropCopy(const Napi::CallbackInfo& info) {
  copies().erase(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

}  // namespace

void exportOffload(Napi::Object exports) {
  exportFunction<moveToHost>(exports, "moveToHost");
  exportFunction<prefetchCopy>(exports, "prefetchCopy");
  exportFunction<takeBack>(exports, "takeBack");
  exportFunction<dropCopy>(exports, "dropCopy");
}

}  // namespace camelid
