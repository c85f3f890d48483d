// Module entry: one Instance per JavaScript environment, freed with it.
#include "addon.h"

#include <c10/core/AutogradState.h>
#include <c10/util/Exception.h>

namespace camelid {

void throwToJavaScript(napi_env env, const char* message) {
  Instance& instance = instanceOf(env);
  if (instance.errorClass.IsEmpty()) {
    napi_throw_error(env, "ERR_TORCH", message);
    return;
  }
  Napi::Object error = instance.errorClass.New({Napi::String::New(env, message)});
  napi_throw(env, error);
}

void throwCurrentException(napi_env env) {
  try {
    throw;
  } catch (const Napi::Error& error) {
    napi_throw(env, error.Value());
  } catch (const c10::Error& error) {
    throwToJavaScript(env, error.what_without_backtrace());
  } catch (const std::exception& error) {
    throwToJavaScript(env, error.what());
  } catch (...) {
    throwToJavaScript(env, "unknown native exception");
  }
}

namespace {

Napi::Value setErrorClass(const Napi::CallbackInfo& info) {
  instanceOf(info.Env()).errorClass = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  // Backward passes of accelerators, too, run on the thread that asks: a custom function's backward is JavaScript.
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  napi_set_instance_data(
      env, new Instance(), [](napi_env, void* data, void*) { delete static_cast<Instance*>(data); }, nullptr);
  exportFunction<setErrorClass>(exports, "setErrorClass");
  exportDispatch(exports);
  exportTensors(exports);
  exportAutograd(exports);
  exportMemory(exports);
  exportRuntime(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(camelid_torch, initialise)

}  // namespace camelid
