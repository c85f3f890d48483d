#include "cuda-driver.h"

#include <dlfcn.h>

#include <stdexcept>

namespace camelid {

namespace {

void* open(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw std::runtime_error(std::string("it cannot be loaded: ") + dlerror());
  return handle;
}

template <typename Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) throw std::runtime_error(std::string("it has no function ") + name);
}

}  // namespace

Nvrtc Nvrtc::load(const std::vector<std::string>& libraries) {
  if (libraries.empty()) throw std::runtime_error("NVRTC, the compiler of CUDA that libtorch brings along, was not found");
  void* library = nullptr;
  for (const auto& path : libraries) library = open(path);
  Nvrtc made;
  find(library, "nvrtcVersion", made.version);
  find(library, "nvrtcGetErrorString", made.errorString);
  find(library, "nvrtcCreateProgram", made.createProgram);
  find(library, "nvrtcCompileProgram", made.compileProgram);
  find(library, "nvrtcGetProgramLogSize", made.logSize);
  find(library, "nvrtcGetProgramLog", made.log);
  find(library, "nvrtcGetCUBINSize", made.cubinSize);
  find(library, "nvrtcGetCUBIN", made.cubin);
  find(library, "nvrtcDestroyProgram", made.destroyProgram);
  return made;
}

CudaDriver CudaDriver::load(const std::string& path) {
  void* library = open(path);
  CudaDriver made;
  find(library, "cuGetErrorString", made.errorString);
  find(library, "cuDeviceGet", made.deviceGet);
  find(library, "cuDeviceGetAttribute", made.deviceAttribute);
  find(library, "cuDevicePrimaryCtxRetain", made.primaryContext);
  find(library, "cuCtxGetCurrent", made.currentContext);
  find(library, "cuCtxSetCurrent", made.setCurrentContext);
  find(library, "cuModuleLoadData", made.moduleLoadData);
  find(library, "cuModuleGetFunction", made.moduleGetFunction);
  find(library, "cuFuncSetAttribute", made.functionSetAttribute);
  find(library, "cuLaunchKernel", made.launchKernel);
  return made;
}

void CudaDriver::check(int result, const std::string& what) const {
  if (result == 0) return;
  const char* text = nullptr;
  errorString(result, &text);
  throw std::runtime_error(what + ": " + (text != nullptr ? text : "error " + std::to_string(result)));
}

void CudaDriver::ensureContext(int ordinal) const {
  void* context = nullptr;
  check(currentContext(&context), "no context");
  if (context != nullptr) return;
  int device = 0;
  check(deviceGet(&device, ordinal), "no such device");
  check(primaryContext(&context, device), "no context");
  check(setCurrentContext(context), "no context");
}

}  // namespace camelid
