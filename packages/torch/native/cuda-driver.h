// What we call of NVIDIA's run-time compiler and driver: declared here, found by name when the program runs. So no header of
// CUDA is needed to build the binding, and one build serves machines with and without a GPU.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace camelid {

struct NvrtcProgram;
struct CudaModule;
struct CudaFunction;

using CudaHeaders = std::vector<std::pair<std::string, std::string>>;  // name and text

struct Compiled {
  std::string image;
  std::string log;  // what the compiler said
};

/// Every function returns 0, or the number of an error.
struct Nvrtc {
  int (*version)(int* major, int* minor);
  const char* (*errorString)(int);
  int (*createProgram)(NvrtcProgram**, const char* source, const char* name, int headers, const char* const* texts,
                       const char* const* names);
  int (*compileProgram)(NvrtcProgram*, int count, const char* const* options);
  int (*logSize)(NvrtcProgram*, size_t*);
  int (*log)(NvrtcProgram*, char*);
  int (*cubinSize)(NvrtcProgram*, size_t*);
  int (*cubin)(NvrtcProgram*, char*);
  int (*destroyProgram)(NvrtcProgram**);

  /// @param libraries paths or names; the last is NVRTC, the others are what it looks for by name
  static Nvrtc load(const std::vector<std::string>& libraries);

  /// @param architecture such as "sm_90"
  /// @param isVerbose the log tells of registers and memory
  /// @throws std::runtime_error with the compiler's own words
  Compiled compile(const std::string& file, const std::string& source, const CudaHeaders& headers,
                   const std::string& architecture, bool isVerbose) const;
};

struct CudaDriver {
  int (*errorString)(int, const char** text);
  int (*deviceGet)(int* device, int ordinal);
  int (*deviceAttribute)(int* value, int attribute, int device);
  int (*primaryContext)(void** context, int device);
  int (*currentContext)(void** context);
  int (*setCurrentContext)(void* context);
  int (*moduleLoadData)(CudaModule**, const void* image);
  int (*moduleGetFunction)(CudaFunction**, CudaModule*, const char* name);
  int (*functionSetAttribute)(CudaFunction*, int attribute, int value);
  int (*launchKernel)(CudaFunction*, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                      unsigned blockZ, unsigned sharedBytes, void* stream, void** parameters, void** extra);

  /// @param library "libcuda.so.1", which comes with the GPU's driver
  static CudaDriver load(const std::string& library);
  /// @throws std::runtime_error with the driver's own words
  void check(int result, const std::string& what) const;
  /// libtorch uses each device's primary context; a thread that has not called CUDA yet has none.
  void ensureContext(int ordinal) const;
};

constexpr int kComputeCapabilityMajor = 75, kComputeCapabilityMinor = 76;  // CU_DEVICE_ATTRIBUTE_...
constexpr int kMostDynamicShared = 8;                                      // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

}  // namespace camelid
