// What stores.cc and collectives.cc share: numbers for objects of c10d, and waiting that ends when a rank is gone.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "addon.h"
#include "watch.h"

namespace camelid {

inline std::string textArgument(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::String>(); }
inline int64_t integerArgument(const Napi::CallbackInfo& info, size_t index) {
  return info[index].As<Napi::Number>().Int64Value();
}

// Objects of c10d are process-wide; JavaScript holds their numbers.
template <typename T>
class Registry {
 public:
  explicit Registry(const char* what) : what_(what) {}
  int add(T item) {
    std::lock_guard<std::mutex> lock(mutex_);
    items_.emplace(++last_, std::move(item));
    return last_;
  }
  T get(int id) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = items_.find(id);
    TORCH_CHECK(found != items_.end(), "this ", what_, " was closed already");
    return found->second;
  }
  T take(int id) {
    T item = get(id);
    std::lock_guard<std::mutex> lock(mutex_);
    items_.erase(id);
    return item;
  }

 private:
  const char* what_;
  std::mutex mutex_;
  std::map<int, T> items_;
  int last_ = 0;
};

using StorePointer = c10::intrusive_ptr<c10d::Store>;

/// Left alone at exit: threads of c10d may still use what they hold.
Registry<StorePointer>& stores();

// Runs what may wait for another process on a thread of its own, and gives up when the watch says that one is gone. The thread
// is then left behind, since it may never return.
template <typename T>
T unlessLost(std::function<T()> work) {
  struct Outcome {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    T value{};
    std::exception_ptr error;
  };
  const auto outcome = std::make_shared<Outcome>();
  std::thread([work = std::move(work), outcome] {
    T value{};
    std::exception_ptr error;
    try {
      value = work();
    } catch (...) {
      error = std::current_exception();
    }
    std::lock_guard<std::mutex> lock(outcome->mutex);
    outcome->done = true;
    outcome->value = std::move(value);
    outcome->error = error;
    outcome->changed.notify_one();
  }).detach();

  std::unique_lock<std::mutex> lock(outcome->mutex);
  while (!outcome->changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return outcome->done; })) {
    const auto failure = watch().failure();
    TORCH_CHECK(failure.empty(), failure);
  }
  if (outcome->error) std::rethrow_exception(outcome->error);
  return outcome->value;
}

}  // namespace camelid
