// What the native files share: handles to tensors, and the guard around every call from JavaScript.
//
// Rules of this folder
//  - JavaScript never holds a pointer. A tensor is an int32 handle: slot number and generation. A handle that was
//    released, or never existed, is an error and not a crash.
//  - Nothing here decides. Validation, defaults and policy live in TypeScript.
//  - Every exported function runs inside `guarded`, so that no C++ exception crosses into V8.
//  - Handles belong to one JavaScript environment (main thread or worker) and die with it.
//  - A reference from `HandleTable::get` is good until JavaScript runs or a handle is made; copy the tensor (a counted
//    pointer) to hold it longer.
//  - JavaScript is called from its own thread alone: backward passes run on the thread that asked for them (`initialise`).
#pragma once

#define NAPI_VERSION 9
#include <ATen/core/Tensor.h>
#include <napi.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace camelid {

using Handle = int32_t;

class HandleTable {
 public:
  /// 0 for an undefined tensor.
  Handle insert(at::Tensor tensor) {
    if (!tensor.defined()) return 0;
    uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(slots_.size());
      if (slot > kSlotMask) throw std::runtime_error("more than a million live tensors: something is leaking");
      slots_.push_back({});
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    slots_[slot].tensor = std::move(tensor);
    live_++;
    return static_cast<Handle>((slots_[slot].generation << kSlotBits) | slot);
  }

  at::Tensor& get(Handle handle) {
    const uint32_t slot = static_cast<uint32_t>(handle) & kSlotMask;
    if (handle <= 0 || slot >= slots_.size() || slots_[slot].generation != static_cast<uint32_t>(handle) >> kSlotBits ||
        !slots_[slot].tensor.defined()) {
      throw std::runtime_error("this tensor was disposed, or belongs to another thread");
    }
    return slots_[slot].tensor;
  }

  /// Releases the handle and gives its tensor to the caller.
  at::Tensor take(Handle handle) {
    at::Tensor tensor = std::move(get(handle));
    const uint32_t slot = static_cast<uint32_t>(handle) & kSlotMask;
    slots_[slot].generation = slots_[slot].generation % kLastGeneration + 1;
    free_.push_back(slot);
    live_--;
    return tensor;
  }

  void release(Handle handle) { take(handle); }

  size_t live() const { return live_; }

 private:
  static constexpr uint32_t kSlotBits = 20;
  static constexpr uint32_t kSlotMask = (1u << kSlotBits) - 1;
  static constexpr uint32_t kLastGeneration = (1u << 10) - 1;  // stays a small integer ("smi") in V8

  struct Slot {
    at::Tensor tensor;
    uint32_t generation = 1;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t live_ = 0;
};

struct Operator;  // dispatch.cc

/// Everything that belongs to one JavaScript environment.
struct Instance {
  HandleTable tensors;
  std::vector<std::string> operatorNames;               // "aten::add.Tensor", in the order of the generated table
  std::vector<std::shared_ptr<Operator>> operators;     // resolved on first use
  Napi::FunctionReference errorClass;                   // TorchError of the TypeScript side
};

inline Instance& instanceOf(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Instance*>(data);
}

/// The engine refused a call: an exception is on its way already, or this worker is being stopped. Nothing is left to say.
struct JavaScriptUnavailable final : std::exception {};

inline void check(napi_status status) {
  if (status != napi_ok) throw JavaScriptUnavailable();
}

/// Arrays and objects for calls that the engine may refuse. node-addon-api would make an error object of a refusal, and abort
/// the process where it cannot: whenever a worker is stopped at the wrong moment.
class Array : public Napi::Value {
 public:
  Array(const Napi::Value& value) : Napi::Value(value) {}
  Array(napi_env env, size_t length) {
    napi_value value;
    check(napi_create_array_with_length(env, length, &value));
    *static_cast<Napi::Value*>(this) = Napi::Value(env, value);
  }
  uint32_t length() const {
    uint32_t length;
    if (napi_get_array_length(_env, _value, &length) != napi_ok) throw std::invalid_argument("an array was expected");
    return length;
  }
  Napi::Value get(uint32_t index) const {
    napi_value element;
    check(napi_get_element(_env, _value, index, &element));
    return {_env, element};
  }
  void set(uint32_t index, napi_value element) { check(napi_set_element(_env, _value, index, element)); }
};

class Object : public Napi::Value {
 public:
  explicit Object(napi_env env) {
    napi_value value;
    check(napi_create_object(env, &value));
    *static_cast<Napi::Value*>(this) = Napi::Value(env, value);
  }
  void set(const char* name, const Napi::Value& value) { check(napi_set_named_property(_env, _value, name, value)); }
  void set(const char* name, double value) { set(name, static_cast<const Napi::Value&>(Napi::Number::New(_env, value))); }
  void set(const char* name, const std::string& value) {
    set(name, static_cast<const Napi::Value&>(Napi::String::New(_env, value)));
  }
};

/// Throws a C++ exception on as the TypeScript error class, whose stack is the JavaScript stack.
void throwCurrentException(napi_env env);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
napi_value guarded(napi_env env, napi_callback_info data) {
  try {
    return function(Napi::CallbackInfo(env, data));
  } catch (...) {
    throwCurrentException(env);
    return nullptr;
  }
}

using Callback = napi_value (*)(napi_env, napi_callback_info);
void exportCallback(Napi::Object exports, const char* name, Callback callback);

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void exportFunction(Napi::Object exports, const char* name) {
  exportCallback(exports, name, guarded<function>);
}

void exportDispatch(Napi::Object exports);
void exportTensors(Napi::Object exports);
void exportAutograd(Napi::Object exports);
void exportMemory(Napi::Object exports);
void exportRuntime(Napi::Object exports);
void exportProfile(Napi::Object exports);
void exportStores(Napi::Object exports);
void exportCollectives(Napi::Object exports);
void exportAccelerator(Napi::Object exports);
void exportOffload(Napi::Object exports);
void exportCudaKernels(Napi::Object exports);

inline at::Tensor& tensorArgument(const Napi::CallbackInfo& info, size_t index) {
  return instanceOf(info.Env()).tensors.get(info[index].As<Napi::Number>().Int32Value());
}
inline Napi::Value handleValue(Napi::Env env, at::Tensor tensor) {
  return Napi::Number::New(env, instanceOf(env).tensors.insert(std::move(tensor)));
}

}  // namespace camelid
