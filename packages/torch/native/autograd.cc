// Backward passes, gradients of leaves, and the grad-mode switch. The graph itself is libtorch's.
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "addon.h"

namespace camelid {

namespace {

torch::autograd::variable_list tensorsArgument(const Napi::CallbackInfo& info, size_t index) {
  torch::autograd::variable_list list;
  if (info[index].IsNull() || info[index].IsUndefined()) return list;
  const auto handles = info[index].As<Napi::Array>();
  auto& tensors = instanceOf(info.Env()).tensors;
  for (uint32_t i = 0; i < handles.Length(); i++) {
    const auto handle = handles.Get(i);
    list.push_back(handle.IsNumber() ? tensors.get(handle.As<Napi::Number>().Int32Value()) : at::Tensor());
  }
  return list;
}

// backward(roots, gradients, retainGraph, createGraph): adds to `.grad` of every leaf
Napi::Value backward(const Napi::CallbackInfo& info) {
  torch::autograd::backward(tensorsArgument(info, 0), tensorsArgument(info, 1), info[2].ToBoolean(), info[3].ToBoolean());
  return info.Env().Undefined();
}

// grad(outputs, inputs, gradOutputs, retainGraph, createGraph, allowUnused): handles, 0 where unused
Napi::Value grad(const Napi::CallbackInfo& info) {
  const auto gradients = torch::autograd::grad(tensorsArgument(info, 0), tensorsArgument(info, 1), tensorsArgument(info, 2),
                                               static_cast<bool>(info[3].ToBoolean()), info[4].ToBoolean(), info[5].ToBoolean());
  auto handles = Napi::Array::New(info.Env(), gradients.size());
  for (size_t i = 0; i < gradients.size(); i++) handles.Set(static_cast<uint32_t>(i), handleValue(info.Env(), gradients[i]));
  return handles;
}

Napi::Value setGradEnabled(const Napi::CallbackInfo& info) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(info[0].ToBoolean());
  return Napi::Boolean::New(info.Env(), before);
}
Napi::Value isGradEnabled(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), c10::GradMode::is_enabled());
}

Napi::Value requiresGrad(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorArgument(info, 0).requires_grad());
}
Napi::Value setRequiresGrad(const Napi::CallbackInfo& info) {
  tensorArgument(info, 0).set_requires_grad(info[1].ToBoolean());
  return info.Env().Undefined();
}
Napi::Value isLeaf(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorArgument(info, 0).is_leaf());
}

// gradOf(handle): a new handle to the accumulated gradient, 0 when there is none
Napi::Value gradOf(const Napi::CallbackInfo& info) { return handleValue(info.Env(), tensorArgument(info, 0).grad()); }
Napi::Value setGrad(const Napi::CallbackInfo& info) {
  at::Tensor& tensor = tensorArgument(info, 0);
  tensor.mutable_grad() = info[1].IsNumber() ? tensorArgument(info, 1) : at::Tensor();
  return info.Env().Undefined();
}

}  // namespace

void exportAutograd(Napi::Object exports) {
  exportFunction<backward>(exports, "backward");
  exportFunction<grad>(exports, "grad");
  exportFunction<setGradEnabled>(exports, "setGradEnabled");
  exportFunction<isGradEnabled>(exports, "isGradEnabled");
  exportFunction<requiresGrad>(exports, "requiresGrad");
  exportFunction<setRequiresGrad>(exports, "setRequiresGrad");
  exportFunction<isLeaf>(exports, "isLeaf");
  exportFunction<gradOf>(exports, "gradOf");
  exportFunction<setGrad>(exports, "setGrad");
}

}  // namespace camelid
