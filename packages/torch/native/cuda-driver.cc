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

Compiled Nvrtc::compile(const std::string& file, const std::string& source, const CudaHeaders& headers,
                        const std::string& architecture, bool isVerbose) const {
  std::vector<const char*> headerNames, headerTexts;
  for (const auto& [name, text] : headers) {
    headerNames.push_back(name.c_str());
    headerTexts.push_back(text.c_str());
  }
  NvrtcProgram* program = nullptr;
  const int created = createProgram(&program, source.c_str(), file.c_str(), static_cast<int>(headers.size()), headerTexts.data(),
                                    headerNames.data());
  if (created != 0) throw std::runtime_error(file + ": " + errorString(created));
  const std::string target = "--gpu-architecture=" + architecture;
  // Products are rounded before they are added to, as on the CPU.
  std::vector<const char*> options{target.c_str(), "--std=c++17", "--fmad=false"};
  if (isVerbose) options.push_back("--ptxas-options=-v");
  const int result = compileProgram(program, static_cast<int>(options.size()), options.data());
  Compiled compiled;
  size_t size = 0;
  logSize(program, &size);
  compiled.log.resize(size);
  log(program, compiled.log.data());
  if (result == 0 && cubinSize(program, &size) == 0) {
    compiled.image.resize(size);
    cubin(program, compiled.image.data());
  }
  destroyProgram(&program);
  if (compiled.image.empty())
    throw std::runtime_error(file + " does not compile for " + architecture + ": " + errorString(result) + "\n" + compiled.log);
  return compiled;
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
