#include "cuda-kernels.h"

#include <ATen/Context.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "addon.h"
#include "dynamic-map.h"

namespace camelid {

namespace {

struct SourceFile {
  std::string text;
  std::string key;  // hash of the text and of what it includes
};

/// What set-up found; see src/cuda-kernels.ts.
struct Settings {
  std::vector<std::string> compiler;  // libraries, the last is NVRTC
  std::string driver;
  std::string cache;                  // folder of compiled kernels
  std::map<std::string, SourceFile> sources;
  CudaHeaders headers;                // what they include
  bool emulated = false;              // in tests: kernels run on the CPU, on CPU tensors
};

int ordinalOf(const at::Device& device) { return device.is_cuda() ? device.index() : 0; }  // emulated: 0

std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Kernels {
 public:
  static Kernels& instance() {
    static auto* kernels = new Kernels();
    return *kernels;
  }

  void configure(Settings settings) {
    std::lock_guard<std::mutex> lock(mutex_);
    settings_ = std::move(settings);
    nvrtc_.reset();
    driver_.reset();
    modules_.clear();
    problem_.clear();
    isOn_ = true;
  }

  bool setOn(bool on) { return isOn_.exchange(on && settings_.has_value()); }

  bool runsOn(const at::Tensor& tensor) const {
    return isOn_.load(std::memory_order_relaxed) && (tensor.is_cuda() || (tensor.is_cpu() && settings_->emulated));
  }

  const KernelModule* module(KernelFile file, const at::Device& device) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto key = std::pair{file, ordinalOf(device)};
    const auto found = modules_.find(key);
    if (found != modules_.end()) return found->second;
    KernelModule* made = nullptr;
    try {
      made = load(kKernelFiles[static_cast<int>(file)], device);
    } catch (const std::exception& error) {
      report(error.what());
    }
    modules_[key] = made;
    return made;
  }

  std::string problem() {
    std::lock_guard<std::mutex> lock(mutex_);
    return problem_;
  }
  bool isOn() const { return isOn_; }

  Compiled compile(const std::string& name, const std::string& architecture, bool isVerbose) {
    return compiler().compile(name + ".cu", settings_->sources.at(name).text, settings_->headers, architecture, isVerbose);
  }

 private:
  const Nvrtc& compiler() {
    if (!nvrtc_) nvrtc_ = Nvrtc::load(settings_->compiler);
    return *nvrtc_;
  }
  const CudaDriver& driver() {
    // Modules keep a reference to it.
    if (!driver_) driver_ = std::make_unique<CudaDriver>(CudaDriver::load(settings_->driver));
    return *driver_;
  }

  KernelModule* load(const std::string& name, const at::Device& device) {
    const c10::OptionalDeviceGuard guard(device);
    driver().ensureContext(ordinalOf(device));
    const std::string architecture = architectureOf(device);
    int major = 0, minor = 0;
    compiler().version(&major, &minor);
    const auto file = std::filesystem::path(settings_->cache) / (settings_->sources.at(name).key + "-" + architecture + "-nvrtc" +
                                                                  std::to_string(major) + "." + std::to_string(minor) + ".cubin");
    CudaModule* module = nullptr;
    std::string image = readFile(file);
    // A file that was cut off is compiled again.
    if (image.empty() || driver().moduleLoadData(&module, image.data()) != 0) {
      image = compile(name, architecture, false).image;
      driver().check(driver().moduleLoadData(&module, image.data()), "compiled kernels do not load");
      keep(file, image);
    }
    return new KernelModule(driver(), module);
  }

  std::string architectureOf(const at::Device& device) {
    int number = 0, major = 0, minor = 0;
    driver().check(driver().deviceGet(&number, ordinalOf(device)), "no such device");
    driver().deviceAttribute(&major, kComputeCapabilityMajor, number);
    driver().deviceAttribute(&minor, kComputeCapabilityMinor, number);
    return "sm_" + std::to_string(major) + std::to_string(minor);
  }

  // Whole or not at all; a cache that cannot be written costs seconds at every start, no more.
  static void keep(const std::filesystem::path& file, const std::string& image) {
    std::error_code ignored;
    std::filesystem::create_directories(file.parent_path(), ignored);
    const std::filesystem::path draft = file.string() + "." + std::to_string(getpid());
    if (std::ofstream(draft, std::ios::binary).write(image.data(), static_cast<std::streamsize>(image.size())))
      std::filesystem::rename(draft, file, ignored);
  }

  void report(const std::string& problem) {
    if (!problem_.empty()) return;
    problem_ = problem;
    std::fprintf(stderr,
                 "camelid: our CUDA kernels cannot be used; libtorch's operators do the work, slower and with more memory.\n"
                 "  why:  %s\n"
                 "  fix:  `camelid doctor` shows what was found; CAMELID_NVRTC names the library, CAMELID_CUDA_KERNELS=0 does without.\n",
                 problem.c_str());
  }

  std::mutex mutex_;
  std::atomic<bool> isOn_{false};
  std::optional<Settings> settings_;
  std::optional<Nvrtc> nvrtc_;
  std::unique_ptr<CudaDriver> driver_;
  std::map<std::pair<KernelFile, int>, KernelModule*> modules_;  // null where loading failed
  std::string problem_;
};

void* currentStream(const at::Device& device) {
  if (!device.is_cuda()) return nullptr;  // emulated
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

}  // namespace

const KernelModule* kernelsFor(const at::Tensor& tensor, KernelFile file) {
  Kernels& kernels = Kernels::instance();
  return kernels.runsOn(tensor) ? kernels.module(file, tensor.device()) : nullptr;
}

void KernelModule::start(const std::string& name, const at::Tensor& on, const Grid& grid, void** parameters) const {
  if (grid.blocks == 0) return;
  TORCH_CHECK(grid.blocks <= std::numeric_limits<int32_t>::max(), name, ": ", grid.blocks, " blocks of threads are too many");
  // Makes the device current, and with it the context that the function belongs to.
  const c10::OptionalDeviceGuard guard(on.device());
  driver_.ensureContext(ordinalOf(on.device()));
  CudaFunction* const kernel = function(name, grid.sharedBytes);
  const auto blocks = static_cast<unsigned>(grid.blocks), threads = static_cast<unsigned>(grid.threads);
  driver_.check(driver_.launchKernel(kernel, blocks, 1, 1, threads, 1, 1, static_cast<unsigned>(grid.sharedBytes),
                                     currentStream(on.device()), parameters, nullptr),
                "the CUDA kernel " + name + " does not start");
}

CudaFunction* KernelModule::function(const std::string& name, int64_t sharedBytes) const {
  std::lock_guard<std::mutex> lock(mutex_);
  CudaFunction*& function = functions_[name];
  if (function == nullptr) driver_.check(driver_.moduleGetFunction(&function, module_, name.c_str()), "no kernel " + name);
  constexpr int64_t kWithoutAsking = 48 * 1024;
  if (sharedBytes > kWithoutAsking)
    driver_.check(driver_.functionSetAttribute(function, kMostDynamicShared, static_cast<int>(sharedBytes)),
                  name + ": " + std::to_string(sharedBytes) + " bytes of shared memory");
  return function;
}

const char* elementName(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return "f32";
    case at::kBFloat16: return "bf16";
    case at::kHalf: return "f16";
    default: TORCH_CHECK(false, "CUDA kernels are for fp32, bf16 and fp16, not ", type);
  }
}

const at::Tensor& dynamicTables(const at::Device& device) {
  static thread_local auto* tables = new at::Tensor();
  if (!tables->defined() || tables->device() != device) {
    std::vector<float> all;
    for (const bool isSigned : {true, false}) {
      const DynamicMap& map = DynamicMap::of(isSigned);
      all.insert(all.end(), map.values().begin(), map.values().end());
      all.insert(all.end(), map.borders().begin(), map.borders().end());
    }
    *tables = at::tensor(at::ArrayRef<float>(all)).to(device);
  }
  return *tables;
}

// --- what TypeScript calls ---

namespace {

// configureKernels(compiler, driver, cache, [[name, text, key], ...], [[name of a header, text], ...], emulated)
Napi::Value configureKernels(const Napi::CallbackInfo& info) {
  const auto text = [](const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); };
  Settings settings;
  const Array libraries = info[0];
  for (uint32_t i = 0; i < libraries.length(); i++) settings.compiler.push_back(text(libraries.get(i)));
  settings.driver = text(info[1]);
  settings.cache = text(info[2]);
  const Array sources = info[3];
  for (uint32_t i = 0; i < sources.length(); i++) {
    const Array source = sources.get(i);
    settings.sources[text(source.get(0))] = {text(source.get(1)), text(source.get(2))};
  }
  const Array headers = info[4];
  for (uint32_t i = 0; i < headers.length(); i++) {
    const Array header = headers.get(i);
    settings.headers.emplace_back(text(header.get(0)), text(header.get(1)));
  }
  settings.emulated = info[5].As<Napi::Boolean>();
  Kernels::instance().configure(std::move(settings));
  return info.Env().Undefined();
}

// useKernels(on): whether they were on
Napi::Value useKernels(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), Kernels::instance().setOn(info[0].As<Napi::Boolean>()));
}

Napi::Value kernelState(const Napi::CallbackInfo& info) {
  Object state(info.Env());
  state.set("on", Napi::Boolean::New(info.Env(), Kernels::instance().isOn()));
  state.set("problem", Kernels::instance().problem());
  return state;
}

// compileKernels(name, architecture): what the compiler says of registers and memory; throws when it refuses
Napi::Value compileKernels(const Napi::CallbackInfo& info) {
  const Compiled compiled = Kernels::instance().compile(info[0].As<Napi::String>(), info[1].As<Napi::String>(), true);
  return Napi::String::New(info.Env(), compiled.log.c_str());
}

}  // namespace

void exportCudaKernels(Napi::Object exports) {
  exportFunction<configureKernels>(exports, "configureKernels");
  exportFunction<useKernels>(exports, "useKernels");
  exportFunction<kernelState>(exports, "kernelState");
  exportFunction<compileKernels>(exports, "compileKernels");
}

}  // namespace camelid
