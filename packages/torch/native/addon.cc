// Module entry: one Instance per JavaScript environment, freed with it.
#include "addon.h"

#include <c10/core/AutogradState.h>
#include <c10/util/Exception.h>

namespace camelid {

namespace {

// Whatever fails here fails because JavaScript cannot run any more: then nobody is waiting for the error.
void throwToJavaScript(napi_env env, const char* text) {
  napi_value message, error;
  if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) != napi_ok) return;
  const auto& errorClass = instanceOf(env).errorClass;
  if (errorClass.IsEmpty() || napi_new_instance(env, errorClass.Value(), 1, &message, &error) != napi_ok) {
    if (napi_create_error(env, nullptr, message, &error) != napi_ok) return;
  }
  napi_throw(env, error);
}

}  // namespace

void throwCurrentException(napi_env env) {
  try {
    throw;
  } catch (const JavaScriptUnavailable&) {
    // An exception of JavaScript's own is pending, or nothing can be.
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

void exportCallback(Napi::Object exports, const char* name, Callback callback) {
  napi_env env = exports.Env();
  napi_value function;
  // A worker may be stopped while it loads the addon: then nobody misses the function.
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) != napi_ok) return;
  napi_set_named_property(env, exports, name, function);
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
  exportProfile(exports);
  exportStores(exports);
  exportCollectives(exports);
  exportAccelerator(exports);
  exportOffload(exports);
  exportCudaKernels(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(camelid_torch, initialise)

}  // namespace camelid
