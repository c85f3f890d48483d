// Backward passes, gradients of leaves, the grad-mode switch, and functions whose backward is JavaScript. The graph itself
// is libtorch's.
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <thread>

#include "addon.h"

namespace camelid {

namespace {

torch::autograd::variable_list tensorsArgument(const Napi::CallbackInfo& info, size_t index) {
  torch::autograd::variable_list list;
  if (info[index].IsNull() || info[index].IsUndefined()) return list;
  const Array handles = info[index];
  auto& tensors = instanceOf(info.Env()).tensors;
  for (uint32_t i = 0; i < handles.length(); i++) {
    const auto handle = handles.get(i);
    list.push_back(handle.IsNumber() ? tensors.get(handle.As<Napi::Number>().Int32Value()) : at::Tensor());
  }
  return list;
}

bool booleanArgument(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Boolean>().Value(); }

// backward(roots, gradients, retainGraph, createGraph): adds to `.grad` of every leaf
Napi::Value backward(const Napi::CallbackInfo& info) {
  torch::autograd::backward(tensorsArgument(info, 0), tensorsArgument(info, 1), booleanArgument(info, 2), booleanArgument(info, 3));
  return info.Env().Undefined();
}

// grad(outputs, inputs, gradOutputs, retainGraph, createGraph, allowUnused): handles, 0 where unused
Napi::Value grad(const Napi::CallbackInfo& info) {
  const auto gradients = torch::autograd::grad(tensorsArgument(info, 0), tensorsArgument(info, 1), tensorsArgument(info, 2),
                                               booleanArgument(info, 3), booleanArgument(info, 4), booleanArgument(info, 5));
  Array handles(info.Env(), gradients.size());
  for (size_t i = 0; i < gradients.size(); i++) handles.set(static_cast<uint32_t>(i), handleValue(info.Env(), gradients[i]));
  return handles;
}

// A JavaScript function in the graph. It lives as long as the graph does, and both live on its thread.
struct JavaScriptBackward final : torch::CustomClassHolder {
  JavaScriptBackward(Napi::Function function, size_t numInputs) : function(Napi::Persistent(function)), numInputs(numInputs) {}
  const Napi::FunctionReference function;
  const size_t numInputs;
  const std::thread::id thread = std::this_thread::get_id();
};

struct CustomFunction : torch::autograd::Function<CustomFunction> {
  // Not a tensor, so that libtorch takes it neither for an input nor for something to save.
  struct Recorded {
    at::Tensor output;
    c10::intrusive_ptr<torch::CustomClassHolder> backward;
  };

  static at::Tensor forward(torch::autograd::AutogradContext* context, at::TensorList, const Recorded& recorded) {
    context->set_materialize_grads(false);
    context->saved_data["backward"] = c10::IValue::make_capsule(recorded.backward);
    return recorded.output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& outputGradients) {
    const auto capsule = context->saved_data["backward"].toCapsule();
    const auto& javascript = static_cast<const JavaScriptBackward&>(*capsule);
    torch::autograd::variable_list gradients(javascript.numInputs + 1);  // one more for `Recorded`
    if (!outputGradients[0].defined()) return gradients;
    // libtorch moves deeply nested passes (60 levels) to threads of its own.
    TORCH_CHECK(std::this_thread::get_id() == javascript.thread, "backward passes are nested too deeply");
    const Napi::Env env = javascript.function.Env();
    const Napi::HandleScope scope(env);
    const napi_value gradient = handleValue(env, outputGradients[0]);
    napi_value answer;
    check(napi_call_function(env, env.Undefined(), javascript.function.Value(), 1, &gradient, &answer));
    const Array handles = Napi::Value(env, answer);
    for (uint32_t i = 0; i < handles.length(); i++) {
      const Handle handle = handles.get(i).As<Napi::Number>().Int32Value();
      if (handle != 0) gradients.at(i) = instanceOf(env).tensors.take(handle);
    }
    return gradients;
  }
};

// recordFunction(output, inputs, backward, always): makes `output` depend on `inputs`. `backward` gets a handle to the
// output's gradient and returns a handle (or 0) for each input; it owns the first and gives away the others.
// Returns a new handle when the output itself cannot carry the record because it is one of the inputs, else 0.
Napi::Value recordFunction(const Napi::CallbackInfo& info) {
  const at::Tensor output = tensorArgument(info, 0);
  auto inputs = tensorsArgument(info, 1);
  // An input that is always differentiable: backward is called although nothing else asks for it.
  if (booleanArgument(info, 3)) inputs.push_back(at::empty({0}).set_requires_grad(true));
  const CustomFunction::Recorded recorded{
      output, c10::make_intrusive<JavaScriptBackward>(info[2].As<Napi::Function>(), inputs.size())};
  const at::Tensor result = CustomFunction::apply(at::TensorList(inputs), recorded);
  return result.is_same(output) ? Napi::Number::New(info.Env(), 0) : handleValue(info.Env(), result);
}

Napi::Value setGradEnabled(const Napi::CallbackInfo& info) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(booleanArgument(info, 0));
  return Napi::Boolean::New(info.Env(), before);
}
Napi::Value isGradEnabled(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), c10::GradMode::is_enabled());
}

Napi::Value requiresGrad(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), tensorArgument(info, 0).requires_grad());
}
Napi::Value setRequiresGrad(const Napi::CallbackInfo& info) {
  tensorArgument(info, 0).set_requires_grad(booleanArgument(info, 1));
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

// A JavaScript function that runs when a backward pass has added a leaf's gradient.
struct GradientHook final : torch::autograd::PostAccumulateGradHook {
  explicit GradientHook(Napi::Function function) : function(Napi::Persistent(function)) {}
  void operator()(const at::Tensor&) override {
    TORCH_CHECK(std::this_thread::get_id() == thread, "backward passes are nested too deeply");
    const Napi::Env env = function.Env();
    const Napi::HandleScope scope(env);
    check(napi_call_function(env, env.Undefined(), function.Value(), 0, nullptr, nullptr));
  }
  const Napi::FunctionReference function;
  const std::thread::id thread = std::this_thread::get_id();
};

// setGradientHook(handle, function | null): in the place of an earlier one
Napi::Value setGradientHook(const Napi::CallbackInfo& info) {
  const at::Tensor& tensor = tensorArgument(info, 0);
  TORCH_CHECK(tensor.requires_grad() && tensor.is_leaf(), "gradients are accumulated in leaves that require them, and only there");
  torch::autograd::impl::set_post_acc_grad_hooks(
      tensor, info[1].IsFunction() ? std::make_unique<GradientHook>(info[1].As<Napi::Function>()) : nullptr);
  return info.Env().Undefined();
}

}  // namespace

void exportAutograd(Napi::Object exports) {
  exportFunction<backward>(exports, "backward");
  exportFunction<grad>(exports, "grad");
  exportFunction<recordFunction>(exports, "recordFunction");
  exportFunction<setGradEnabled>(exports, "setGradEnabled");
  exportFunction<isGradEnabled>(exports, "isGradEnabled");
  exportFunction<requiresGrad>(exports, "requiresGrad");
  exportFunction<setRequiresGrad>(exports, "setRequiresGrad");
  exportFunction<isLeaf>(exports, "isLeaf");
  exportFunction<gradOf>(exports, "gradOf");
  exportFunction<setGrad>(exports, "setGrad");
  exportFunction<setGradientHook>(exports, "setGradientHook");
}

}  // namespace camelid
