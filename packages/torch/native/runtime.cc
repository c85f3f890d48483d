// Threads, random state, devices, and what this libtorch is.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/core/Generator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <mutex>

#include "addon.h"

namespace camelid {

namespace {

Napi::Value setNumThreads(const Napi::CallbackInfo& info) {
  at::set_num_threads(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}
Napi::Value getNumThreads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), at::get_num_threads()); }

at::Generator generatorOf(const Napi::Value& device) {
  return at::globalContext().defaultGenerator(c10::Device(device.As<Napi::String>().Utf8Value()));
}

// manualSeed(seed): every device
Napi::Value manualSeed(const Napi::CallbackInfo& info) {
  at::manual_seed(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
  return info.Env().Undefined();
}

Napi::Value getRandomState(const Napi::CallbackInfo& info) {
  at::Generator generator = generatorOf(info[0]);
  std::lock_guard<std::mutex> lock(generator.mutex());
  return handleValue(info.Env(), generator.get_state());
}

Napi::Value setRandomState(const Napi::CallbackInfo& info) {
  at::Generator generator = generatorOf(info[0]);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(tensorArgument(info, 1));
  return info.Env().Undefined();
}

// loadLibrary(path): its static initialisers register kernels and devices with the dispatcher
Napi::Value loadLibrary(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  TORCH_CHECK(dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr, "cannot load ", path, ": ", dlerror());
  return info.Env().Undefined();
}

Napi::Value adjustExternalMemory(const Napi::CallbackInfo& info) {
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), info[0].As<Napi::Number>().Int64Value());
  return info.Env().Undefined();
}

Napi::Value installation(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  Object report(env);
  report.set("version", TORCH_VERSION);
  report.set("cpuCapability", at::get_cpu_capability());
  report.set("config", at::show_config());
  report.set("parallel", at::get_parallel_info());
  report.set("cudaDevices", at::hasCUDA() ? static_cast<double>(at::getNumGPUs()) : 0);
  report.set("mps", Napi::Boolean::New(env, at::hasMPS()));
  return report;
}

// deviceMemory(device): bytes held by libtorch's caching allocator of an accelerator
Napi::Value deviceMemory(const Napi::CallbackInfo& info) {
  const c10::Device device(info[0].As<Napi::String>().Utf8Value());
  auto* allocator = at::getDeviceAllocator(device.type());
  const auto stats = allocator->getDeviceStats(device.index() < 0 ? 0 : device.index());
  Object report(info.Env());
  const auto aggregate = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const auto set = [&](const char* name, int64_t value) { report.set(name, static_cast<double>(value)); };
  set("liveBytes", stats.allocated_bytes[aggregate].current);
  set("peakBytes", stats.allocated_bytes[aggregate].peak);
  set("reservedBytes", stats.reserved_bytes[aggregate].current);
  set("peakReservedBytes", stats.reserved_bytes[aggregate].peak);
  return report;
}

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  const c10::Device device(info[0].As<Napi::String>().Utf8Value());
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index() < 0 ? 0 : device.index());
  return info.Env().Undefined();
}

}  // namespace

void exportRuntime(Napi::Object exports) {
  exportFunction<setNumThreads>(exports, "setNumThreads");
  exportFunction<getNumThreads>(exports, "getNumThreads");
  exportFunction<manualSeed>(exports, "manualSeed");
  exportFunction<getRandomState>(exports, "getRandomState");
  exportFunction<setRandomState>(exports, "setRandomState");
  exportFunction<loadLibrary>(exports, "loadLibrary");
  exportFunction<adjustExternalMemory>(exports, "adjustExternalMemory");
  exportFunction<installation>(exports, "installation");
  exportFunction<deviceMemory>(exports, "deviceMemory");
  exportFunction<synchronize>(exports, "synchronize");
}

}  // namespace camelid
