// Tensors in and out of JavaScript memory, and what a tensor is (shape, dtype, device).
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "addon.h"

namespace camelid {

namespace {

at::ScalarType dtypeArgument(const Napi::Value& value) {
  return static_cast<at::ScalarType>(value.As<Napi::Number>().Int32Value());
}

std::vector<int64_t> shapeArgument(const Napi::Value& value) {
  const Array array = value;
  std::vector<int64_t> shape(array.length());
  for (uint32_t i = 0; i < array.length(); i++) shape[i] = array.get(i).As<Napi::Number>().Int64Value();
  return shape;
}

Napi::Value shapeValue(Napi::Env env, at::IntArrayRef sizes) {
  Array shape(env, sizes.size());
  for (size_t i = 0; i < sizes.size(); i++) shape.set(static_cast<uint32_t>(i), Napi::Number::New(env, sizes[i]));
  return shape;
}

// Set while nothing may make the host wait for a device (`forbidHostReads`).
thread_local bool readsForbidden = false;

// fromBytes(typedArray, shape, dtype, device): a contiguous tensor holding a copy of the bytes. On its way to a CUDA device it lies in
// page-locked memory, which the device reads from by itself: nobody waits.
Napi::Value fromBytes(const Napi::CallbackInfo& info) {
  bool isTypedArray = false;
  napi_is_typedarray(info.Env(), info[0], &isTypedArray);
  if (!isTypedArray) throw std::invalid_argument("fromBytes: the data must be a typed array");
  const auto source = info[0].As<Napi::TypedArray>();
  void* data = nullptr;  // asked for directly: the memory may be shared between threads
  napi_get_typedarray_info(info.Env(), source, nullptr, nullptr, &data, nullptr, nullptr);
  const c10::Device device(info[3].As<Napi::String>().Utf8Value());
  const auto options = at::TensorOptions().dtype(dtypeArgument(info[2])).pinned_memory(device.is_cuda());
  at::Tensor tensor = at::empty(shapeArgument(info[1]), options);
  if (tensor.nbytes() != source.ByteLength()) {
    throw std::invalid_argument("the shape needs " + std::to_string(tensor.nbytes()) + " bytes, the data has " +
                                std::to_string(source.ByteLength()));
  }
  if (tensor.nbytes() > 0) std::memcpy(tensor.mutable_data_ptr(), data, tensor.nbytes());
  return handleValue(info.Env(), device.is_cpu() ? tensor : tensor.to(device, tensor.scalar_type(), device.is_cuda()));
}

// A tensor whose storage was given back looks like any other; to read it would be a crash.
void checkHasMemory(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.numel() == 0 || tensor.storage().nbytes() > 0, "this tensor has no memory at the moment");
}

// resizeStorage(handle, bytes): the memory under a tensor in another size; what it held is lost. Whoever shares the storage, such as
// a graph that saved the tensor, sees the new memory.
Napi::Value resizeStorage(const Napi::CallbackInfo& info) {
  c10::StorageImpl* storage = tensorArgument(info, 0).storage().unsafeGetStorageImpl();
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  TORCH_CHECK(storage->resizable(), "this tensor's memory belongs to somebody else");
  const c10::DeviceGuard guard(storage->device());
  storage->set_data_ptr_noswap(bytes == 0 ? c10::DataPtr(nullptr, storage->device()) : storage->allocator()->allocate(bytes));
  storage->set_nbytes(bytes);
  return info.Env().Undefined();
}

// toBytes(handle, dtype, into?): a copy of the elements, converted to dtype, row-major: in an ArrayBuffer of its own, or at the
// beginning of the one that is given, which must be large enough.
Napi::Value toBytes(const Napi::CallbackInfo& info) {
  if (readsForbidden) throw std::runtime_error("the values of a tensor were asked for where nothing may wait for the device");
  checkHasMemory(tensorArgument(info, 0));
  const at::Tensor tensor = tensorArgument(info, 0).detach().to(at::kCPU, dtypeArgument(info[1])).contiguous();
  void* data = nullptr;
  napi_value buffer = info[2];
  if (info[2].IsArrayBuffer()) {
    size_t room = 0;
    check(napi_get_arraybuffer_info(info.Env(), buffer, &data, &room));
    TORCH_CHECK(tensor.nbytes() <= room, "toBytes: ", tensor.nbytes(), " bytes do not fit into ", room);
  } else {
    check(napi_create_arraybuffer(info.Env(), tensor.nbytes(), &data, &buffer));
  }
  if (tensor.nbytes() > 0) std::memcpy(data, tensor.const_data_ptr(), tensor.nbytes());
  return {info.Env(), buffer};
}

// forbidHostReads(forbidden) -> what was before
Napi::Value forbidHostReads(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), std::exchange(readsForbidden, info[0].As<Napi::Boolean>().Value()));
}

// Address of the first element, for tests of alignment.
Napi::Value dataAddress(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(reinterpret_cast<uintptr_t>(tensorArgument(info, 0).const_data_ptr())));
}

Napi::Value shapeOf(const Napi::CallbackInfo& info) { return shapeValue(info.Env(), tensorArgument(info, 0).sizes()); }
Napi::Value stridesOf(const Napi::CallbackInfo& info) { return shapeValue(info.Env(), tensorArgument(info, 0).strides()); }
Napi::Value dtypeOf(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<int>(tensorArgument(info, 0).scalar_type()));
}
Napi::Value deviceOf(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), tensorArgument(info, 0).device().str());
}
Napi::Value bytesOf(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(tensorArgument(info, 0).nbytes()));
}
Napi::Value isContiguous(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorArgument(info, 0).is_contiguous());
}

// alias(handle): a second handle to the same tensor
Napi::Value alias(const Napi::CallbackInfo& info) { return handleValue(info.Env(), tensorArgument(info, 0)); }

Napi::Value release(const Napi::CallbackInfo& info) {
  instanceOf(info.Env()).tensors.release(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

// releaseAll(handles, count): the first `count` of an Int32Array
Napi::Value releaseAll(const Napi::CallbackInfo& info) {
  auto& tensors = instanceOf(info.Env()).tensors;
  const auto handles = info[0].As<Napi::Int32Array>();
  const size_t count = std::min<size_t>(info[1].As<Napi::Number>().Uint32Value(), handles.ElementLength());
  const int32_t* handle = handles.Data();
  for (size_t i = 0; i < count; i++) tensors.release(handle[i]);
  return info.Env().Undefined();
}

Napi::Value liveTensors(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(instanceOf(info.Env()).tensors.live()));
}

}  // namespace

void exportTensors(Napi::Object exports) {
  exportFunction<fromBytes>(exports, "fromBytes");
  exportFunction<resizeStorage>(exports, "resizeStorage");
  exportFunction<toBytes>(exports, "toBytes");
  exportFunction<forbidHostReads>(exports, "forbidHostReads");
  exportFunction<dataAddress>(exports, "dataAddress");
  exportFunction<shapeOf>(exports, "shapeOf");
  exportFunction<stridesOf>(exports, "stridesOf");
  exportFunction<dtypeOf>(exports, "dtypeOf");
  exportFunction<deviceOf>(exports, "deviceOf");
  exportFunction<bytesOf>(exports, "bytesOf");
  exportFunction<isContiguous>(exports, "isContiguous");
  exportFunction<alias>(exports, "alias");
  exportFunction<release>(exports, "release");
  exportFunction<releaseAll>(exports, "releaseAll");
  exportFunction<liveTensors>(exports, "liveTensors");
}

}  // namespace camelid
