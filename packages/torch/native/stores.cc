// Where processes that compute together meet, and what they hear of each other: c10d's store, and the watch over it.
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <unistd.h>

#include "distributed.h"

namespace camelid {

using std::chrono::milliseconds;

Registry<StorePointer>& stores() {
  static auto* all = new Registry<StorePointer>("store");
  return *all;
}

namespace {

StorePointer connect(const std::string& host, uint16_t port, bool isServer, milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = isServer;
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

// connectStore(host, port, isServer, timeoutMs) -> [store, port]; port 0 takes any free one
Napi::Value connectStore(const Napi::CallbackInfo& info) {
  // c10d's warnings about lost connections bring stacks of its own; what they mean for people is said in TypeScript.
  static const bool isQuiet = [] {
    setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
    c10::initLogging();
    return true;
  }();
  (void)isQuiet;
  auto store = connect(textArgument(info, 0), static_cast<uint16_t>(integerArgument(info, 1)), info[2].As<Napi::Boolean>(),
                       milliseconds(integerArgument(info, 3)));
  const auto port = static_cast<c10d::TCPStore&>(*store).getPort();
  Array result(info.Env(), 2);
  result.set(0, Napi::Number::New(info.Env(), stores().add(std::move(store))));
  result.set(1, Napi::Number::New(info.Env(), port));
  return result;
}

// prefixStore(store, prefix) -> store: the same one, under names of its own
Napi::Value prefixStore(const Napi::CallbackInfo& info) {
  auto store = c10::make_intrusive<c10d::PrefixStore>(textArgument(info, 1), stores().get(integerArgument(info, 0)));
  return Napi::Number::New(info.Env(), stores().add(std::move(store)));
}

Napi::Value storeSet(const Napi::CallbackInfo& info) {
  stores().get(integerArgument(info, 0))->set(textArgument(info, 1), textArgument(info, 2));
  return info.Env().Undefined();
}

// storeGet(store, key): waits until somebody has set it
Napi::Value storeGet(const Napi::CallbackInfo& info) {
  const auto value = unlessLost<std::string>(
      [store = stores().get(integerArgument(info, 0)), key = textArgument(info, 1)] { return store->get_to_str(key); });
  return Napi::String::New(info.Env(), value);
}

Napi::Value storeAdd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), stores().get(integerArgument(info, 0))->add(textArgument(info, 1), integerArgument(info, 2)));
}

Napi::Value closeStore(const Napi::CallbackInfo& info) {
  stores().take(integerArgument(info, 0));
  return info.Env().Undefined();
}

// startWatch(host, port, prefix, rank, size, patienceMs): over a connection of its own, since waiting blocks one
Napi::Value startWatch(const Napi::CallbackInfo& info) {
  const milliseconds patience(integerArgument(info, 5));
  auto connection = connect(textArgument(info, 0), static_cast<uint16_t>(integerArgument(info, 1)), false, patience);
  watch().start(c10::make_intrusive<c10d::PrefixStore>(textArgument(info, 2), std::move(connection)), integerArgument(info, 3),
                integerArgument(info, 4), patience);
  return info.Env().Undefined();
}

Napi::Value stopWatch(const Napi::CallbackInfo& info) {
  watch().stop();
  return info.Env().Undefined();
}

// watchFailure() -> what is known to have gone wrong elsewhere, or ""
Napi::Value watchFailure(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), watch().failure()); }

// leave(code): ends the process as it is. Threads of c10d that wait for a lost process never return, and what they use must not
// be destroyed under them.
Napi::Value leave(const Napi::CallbackInfo& info) { _exit(static_cast<int>(integerArgument(info, 0))); }

}  // namespace

void exportStores(Napi::Object exports) {
  exportFunction<connectStore>(exports, "connectStore");
  exportFunction<prefixStore>(exports, "prefixStore");
  exportFunction<storeSet>(exports, "storeSet");
  exportFunction<storeGet>(exports, "storeGet");
  exportFunction<storeAdd>(exports, "storeAdd");
  exportFunction<closeStore>(exports, "closeStore");
  exportFunction<startWatch>(exports, "startWatch");
  exportFunction<stopWatch>(exports, "stopWatch");
  exportFunction<watchFailure>(exports, "watchFailure");
  exportFunction<leave>(exports, "leave");
}

}  // namespace camelid
