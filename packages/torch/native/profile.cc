// Times of every operator between start and stop, from libtorch's own hooks. Costs about a microsecond an operator while it runs
// and nothing otherwise.
#include <ATen/record_function.h>

#include <chrono>
#include <mutex>
#include <unordered_map>

#include "addon.h"

namespace camelid {

namespace {

struct Event {
  int32_t name;
  int32_t thread;
  double startUs;
  double durationUs;
};

struct Recording {
  std::mutex mutex;
  std::vector<std::string> names;
  std::unordered_map<std::string, int32_t> numbers;
  std::vector<Event> events;
  at::CallbackHandle callback = 0;
};

Recording& recording() {
  static auto* instance = new Recording();
  return *instance;
}

double nowUs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::micro>(now).count();
}

struct Started : at::ObserverContext {
  double us = nowUs();
};

std::unique_ptr<at::ObserverContext> onStart(const at::RecordFunction&) { return std::make_unique<Started>(); }

void onEnd(const at::RecordFunction& function, at::ObserverContext* context) {
  const double end = nowUs();
  const double start = static_cast<Started*>(context)->us;
  auto& all = recording();
  std::lock_guard<std::mutex> lock(all.mutex);
  const auto [found, isNew] = all.numbers.try_emplace(function.name(), static_cast<int32_t>(all.names.size()));
  if (isNew) all.names.emplace_back(function.name());
  all.events.push_back({found->second, static_cast<int32_t>(function.threadId()), start, end - start});
}

Napi::Value startProfile(const Napi::CallbackInfo& info) {
  auto& all = recording();
  TORCH_CHECK(all.callback == 0, "a profile is being recorded already");
  all.names.clear();
  all.numbers.clear();
  all.events.clear();
  all.callback = at::addGlobalCallback(at::RecordFunctionCallback(onStart, onEnd).scopes(
      {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  return info.Env().Undefined();
}

// stopProfile(): { names, events: Float64Array of (name, thread, start, duration) } in the order in which operators ended
Napi::Value stopProfile(const Napi::CallbackInfo& info) {
  auto& all = recording();
  TORCH_CHECK(all.callback != 0, "no profile is being recorded");
  at::removeCallback(all.callback);
  all.callback = 0;
  auto names = Napi::Array::New(info.Env(), all.names.size());
  for (size_t i = 0; i < all.names.size(); i++) names.Set(static_cast<uint32_t>(i), all.names[i]);
  auto numbers = Napi::Float64Array::New(info.Env(), all.events.size() * 4);
  for (size_t i = 0; i < all.events.size(); i++) {
    const Event& event = all.events[i];
    numbers[i * 4] = event.name;
    numbers[i * 4 + 1] = event.thread;
    numbers[i * 4 + 2] = event.startUs;
    numbers[i * 4 + 3] = event.durationUs;
  }
  all.events = {};
  auto result = Napi::Object::New(info.Env());
  result.Set("names", names);
  result.Set("events", numbers);
  return result;
}

}  // namespace

void exportProfile(Napi::Object exports) {
  exportFunction<startProfile>(exports, "startProfile");
  exportFunction<stopProfile>(exports, "stopProfile");
}

}  // namespace camelid
