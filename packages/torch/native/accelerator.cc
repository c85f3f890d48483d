// Loads the CUDA part of the binding, and gives JavaScript what it can do: graphs of device work, and a check that nothing makes the
// host wait.
#include "accelerator.h"

#include <dlfcn.h>

#include <map>

#include "addon.h"

namespace camelid {

namespace {

CudaRuntime* loaded = nullptr;

// Of the thread that made them. What is left at its end is left alone: the device may be gone before.
std::map<int, std::unique_ptr<DeviceGraph>>& graphs() {
  thread_local auto* all = new std::map<int, std::unique_ptr<DeviceGraph>>();
  return *all;
}
thread_local int lastGraph = 0;

DeviceGraph& graphArgument(const Napi::CallbackInfo& info) {
  const auto found = graphs().find(info[0].As<Napi::Number>().Int32Value());
  TORCH_CHECK(found != graphs().end(), "this graph was disposed");
  return *found->second;
}

// loadCudaRuntime(path): libtorch's CUDA library is loaded already
Napi::Value loadCudaRuntime(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  TORCH_CHECK(library != nullptr, "cannot load ", path, ": ", dlerror());
  const auto entry = reinterpret_cast<CudaRuntimeEntry>(dlsym(library, kCudaRuntimeEntry));
  TORCH_CHECK(entry != nullptr, path, " is not the CUDA part of the binding");
  loaded = entry();
  return info.Env().Undefined();
}

// cudaParts() -> which of "graphs" and "nccl" are there
Napi::Value cudaParts(const Napi::CallbackInfo& info) {
  std::vector<const char*> names;
  if (loaded != nullptr) names.push_back("graphs");
  if (loaded != nullptr && loaded->hasNccl()) names.push_back("nccl");
  Array parts(info.Env(), names.size());
  for (uint32_t i = 0; i < names.size(); i++) parts.set(i, Napi::String::New(info.Env(), names[i]));
  return parts;
}

// newGraph(device) -> graph
Napi::Value newGraph(const Napi::CallbackInfo& info) {
  graphs().emplace(++lastGraph, cudaRuntime().graph(c10::Device(info[0].As<Napi::String>().Utf8Value())));
  return Napi::Number::New(info.Env(), lastGraph);
}
Napi::Value beginGraph(const Napi::CallbackInfo& info) {
  graphArgument(info).begin();
  return info.Env().Undefined();
}
Napi::Value endGraph(const Napi::CallbackInfo& info) {
  graphArgument(info).end();
  return info.Env().Undefined();
}
Napi::Value replayGraph(const Napi::CallbackInfo& info) {
  graphArgument(info).replay();
  return info.Env().Undefined();
}
Napi::Value closeGraph(const Napi::CallbackInfo& info) {
  graphs().erase(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

// forbidDeviceWaits(forbidden): nothing where no CUDA part is loaded, since there is no GPU to wait for then
Napi::Value forbidDeviceWaits(const Napi::CallbackInfo& info) {
  if (loaded != nullptr) loaded->forbidWaiting(info[0].As<Napi::Boolean>());
  return info.Env().Undefined();
}

}  // namespace

CudaRuntime& cudaRuntime() {
  TORCH_CHECK(loaded != nullptr,
              "the CUDA part of the binding is not loaded: it is built where CUDA's headers are, and loaded where there is a driver "
              "(`camelid doctor` says what is missing)");
  return *loaded;
}

void exportAccelerator(Napi::Object exports) {
  exportFunction<loadCudaRuntime>(exports, "loadCudaRuntime");
  exportFunction<cudaParts>(exports, "cudaParts");
  exportFunction<newGraph>(exports, "newGraph");
  exportFunction<beginGraph>(exports, "beginGraph");
  exportFunction<endGraph>(exports, "endGraph");
  exportFunction<replayGraph>(exports, "replayGraph");
  exportFunction<closeGraph>(exports, "closeGraph");
  exportFunction<forbidDeviceWaits>(exports, "forbidDeviceWaits");
}

}  // namespace camelid
