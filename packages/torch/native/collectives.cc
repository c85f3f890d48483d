// Several processes that compute together: a store to meet at, groups with collective operations, and a watch that notices
// when another process is gone. c10d does the work; which rank does what is decided in TypeScript.
#define USE_C10D_GLOO
#include <c10/util/Logging.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "addon.h"

namespace camelid {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string text(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::String>(); }
int64_t integer(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Int64Value(); }

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
using GroupPointer = c10::intrusive_ptr<c10d::Backend>;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;

// Left alone at exit: threads of c10d may still use what they hold.
Registry<StorePointer>& stores() { static auto* all = new Registry<StorePointer>("store"); return *all; }
Registry<GroupPointer>& groups() { static auto* all = new Registry<GroupPointer>("process group"); return *all; }
Registry<WorkPointer>& works() { static auto* all = new Registry<WorkPointer>("collective"); return *all; }

StorePointer connect(const std::string& host, uint16_t port, bool isServer, milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = isServer;
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

// ---- The watch: every process counts up a number of its own; one whose number stands still is gone. ----

class Watch {
 public:
  void start(StorePointer store, int rank, int size, milliseconds patience) {
    if (running_.exchange(true)) return;
    patience_ = patience;
    heard();
    thread_ = std::thread([this, store, rank, size, patience] { run(store, rank, size, patience); });
  }
  void stop() {
    if (!running_.exchange(false)) return;
    thread_.join();
    std::lock_guard<std::mutex> lock(mutex_);
    failure_.clear();
  }
  std::string failure() {
    std::lock_guard<std::mutex> lock(mutex_);
    // Where the network is cut the thread waits for an answer that never comes.
    if (failure_.empty() && running_ && steady_clock::now() - heardAt_ > patience_)
      return "rank 0, which all ranks meet at, cannot be reached: no answer for " + seconds();
    return failure_;
  }

 private:
  struct Seen {
    int64_t count = -1;
    steady_clock::time_point at;
  };

  void run(StorePointer store, int rank, int size, milliseconds patience) {
    std::vector<Seen> seen(size, Seen{-1, steady_clock::now()});
    const auto pause = std::min(milliseconds(1000), patience / 4);
    while (running_) {
      try {
        store->add("beat/" + std::to_string(rank), 1);
        if (store->check({"failed"})) {
          const auto bytes = store->get("failed");
          store->add("heard", 1);
          return fail(std::string(bytes.begin(), bytes.end()));
        }
        for (int other = 0; other < size; other++) {
          const int64_t count = store->add("beat/" + std::to_string(other), 0);
          if (count != seen[other].count) {
            seen[other] = {count, steady_clock::now()};
          } else if (steady_clock::now() - seen[other].at > patience) {
            return fail("rank " + std::to_string(other) + " has been silent for " + seconds() +
                        ": it hangs, or its machine cannot be reached");
          }
        }
      } catch (const std::exception& error) {
        const std::string cause = error.what();
        return fail("rank 0, which all ranks meet at, cannot be reached: " + cause.substr(0, cause.find('\n')));
      }
      heard();
      for (auto slept = milliseconds(0); running_ && slept < pause; slept += milliseconds(50))
        std::this_thread::sleep_for(milliseconds(50));
    }
  }
  void heard() {
    std::lock_guard<std::mutex> lock(mutex_);
    heardAt_ = steady_clock::now();
  }
  std::string seconds() const { return std::to_string(patience_.count() / 1000) + " s"; }
  void fail(std::string cause) {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = std::move(cause);
  }

  std::thread thread_;
  std::atomic<bool> running_{false};
  milliseconds patience_{0};
  std::mutex mutex_;
  std::string failure_;
  steady_clock::time_point heardAt_;
};

Watch& watch() { static auto* one = new Watch(); return *one; }

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
  while (!outcome->changed.wait_for(lock, milliseconds(100), [&] { return outcome->done; })) {
    const auto failure = watch().failure();
    TORCH_CHECK(failure.empty(), failure);
  }
  if (outcome->error) std::rethrow_exception(outcome->error);
  return outcome->value;
}

// ---- Stores ----

// connectStore(host, port, isServer, timeoutMs) -> [store, port]; port 0 takes any free one
Napi::Value connectStore(const Napi::CallbackInfo& info) {
  // c10d's warnings about lost connections bring stacks of its own; what they mean for people is said in TypeScript.
  static const bool isQuiet = [] {
    setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0);
    c10::initLogging();
    return true;
  }();
  (void)isQuiet;
  auto store = connect(text(info, 0), static_cast<uint16_t>(integer(info, 1)), info[2].As<Napi::Boolean>(),
                       milliseconds(integer(info, 3)));
  const auto port = static_cast<c10d::TCPStore&>(*store).getPort();
  Array result(info.Env(), 2);
  result.set(0, Napi::Number::New(info.Env(), stores().add(std::move(store))));
  result.set(1, Napi::Number::New(info.Env(), port));
  return result;
}

// prefixStore(store, prefix) -> store: the same one, under names of its own
Napi::Value prefixStore(const Napi::CallbackInfo& info) {
  auto store = c10::make_intrusive<c10d::PrefixStore>(text(info, 1), stores().get(integer(info, 0)));
  return Napi::Number::New(info.Env(), stores().add(std::move(store)));
}

Napi::Value storeSet(const Napi::CallbackInfo& info) {
  stores().get(integer(info, 0))->set(text(info, 1), text(info, 2));
  return info.Env().Undefined();
}

// storeGet(store, key): waits until somebody has set it
Napi::Value storeGet(const Napi::CallbackInfo& info) {
  const auto value = unlessLost<std::string>(
      [store = stores().get(integer(info, 0)), key = text(info, 1)] { return store->get_to_str(key); });
  return Napi::String::New(info.Env(), value);
}

Napi::Value storeAdd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), stores().get(integer(info, 0))->add(text(info, 1), integer(info, 2)));
}

Napi::Value closeStore(const Napi::CallbackInfo& info) {
  stores().take(integer(info, 0));
  return info.Env().Undefined();
}

// startWatch(host, port, prefix, rank, size, patienceMs): over a connection of its own, since waiting blocks one
Napi::Value startWatch(const Napi::CallbackInfo& info) {
  const milliseconds patience(integer(info, 5));
  auto connection = connect(text(info, 0), static_cast<uint16_t>(integer(info, 1)), false, patience);
  watch().start(c10::make_intrusive<c10d::PrefixStore>(text(info, 2), std::move(connection)), integer(info, 3),
                integer(info, 4), patience);
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
Napi::Value leave(const Napi::CallbackInfo& info) { _exit(static_cast<int>(integer(info, 0))); }

// ---- Groups ----

// createGroup(store, rank, size, timeoutMs, hostname) -> group over Gloo; hostname "" lets Gloo choose its interface
Napi::Value createGlooGroup(const Napi::CallbackInfo& info) {
  const milliseconds timeout(integer(info, 3));
  auto options = c10::make_intrusive<c10d::ProcessGroupGloo::Options>(timeout);
  const std::string hostname = text(info, 4);
  options->devices.push_back(hostname.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                              : c10d::ProcessGroupGloo::createDeviceForHostname(hostname));
  options->threads = 2;
  GroupPointer group = c10::make_intrusive<c10d::ProcessGroupGloo>(
      stores().get(integer(info, 0)), static_cast<int>(integer(info, 1)), static_cast<int>(integer(info, 2)), options);
  return Napi::Number::New(info.Env(), groups().add(std::move(group)));
}

Napi::Value closeGroup(const Napi::CallbackInfo& info) {
  groups().take(integer(info, 0))->shutdown();
  return info.Env().Undefined();
}

c10d::ReduceOp reduceOp(const std::string& name) {
  if (name == "sum") return c10d::ReduceOp::SUM;
  if (name == "max") return c10d::ReduceOp::MAX;
  TORCH_CHECK(name == "min", "unknown reduction ", name);
  return c10d::ReduceOp::MIN;
}

Napi::Value started(const Napi::CallbackInfo& info, WorkPointer work) {
  return Napi::Number::New(info.Env(), works().add(std::move(work)));
}

// allReduce(group, tensor, op) -> work; in place
Napi::Value allReduce(const Napi::CallbackInfo& info) {
  std::vector<at::Tensor> tensors{tensorArgument(info, 1)};
  c10d::AllreduceOptions options;
  options.reduceOp = reduceOp(text(info, 2));
  return started(info, groups().get(integer(info, 0))->allreduce(tensors, options));
}

// broadcast(group, tensor, root) -> work; in place
Napi::Value broadcast(const Napi::CallbackInfo& info) {
  std::vector<at::Tensor> tensors{tensorArgument(info, 1)};
  c10d::BroadcastOptions options;
  options.rootRank = integer(info, 2);
  return started(info, groups().get(integer(info, 0))->broadcast(tensors, options));
}

// reduce(group, tensor, op, root) -> work; in place: the root has the result, the others' memory is used on the way
Napi::Value reduce(const Napi::CallbackInfo& info) {
  std::vector<at::Tensor> tensors{tensorArgument(info, 1)};
  c10d::ReduceOptions options;
  options.reduceOp = reduceOp(text(info, 2));
  options.rootRank = integer(info, 3);
  return started(info, groups().get(integer(info, 0))->reduce(tensors, options));
}

// allGather(group, output [size * n], input [n]) -> work
Napi::Value allGather(const Napi::CallbackInfo& info) {
  at::Tensor output = tensorArgument(info, 1), input = tensorArgument(info, 2);
  return started(info, groups().get(integer(info, 0))->_allgather_base(output, input));
}

// reduceScatter(group, output [n], input [size * n], op) -> work
Napi::Value reduceScatter(const Napi::CallbackInfo& info) {
  at::Tensor output = tensorArgument(info, 1), input = tensorArgument(info, 2);
  c10d::ReduceScatterOptions options;
  options.reduceOp = reduceOp(text(info, 3));
  return started(info, groups().get(integer(info, 0))->_reduce_scatter_base(output, input, options));
}

// waitWork(work): returns when the result is there; throws when the operation or another process has failed. Some of Gloo's
// operations do their last part inside `wait`.
Napi::Value waitWork(const Napi::CallbackInfo& info) {
  const WorkPointer work = works().take(integer(info, 0));
  if (work->isCompleted()) {
    work->wait();
    return info.Env().Undefined();
  }
  unlessLost<bool>([work] { return work->wait(); });
  return info.Env().Undefined();
}

}  // namespace

void exportCollectives(Napi::Object exports) {
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
  exportFunction<createGlooGroup>(exports, "createGlooGroup");
  exportFunction<closeGroup>(exports, "closeGroup");
  exportFunction<allReduce>(exports, "allReduce");
  exportFunction<broadcast>(exports, "broadcast");
  exportFunction<reduce>(exports, "reduce");
  exportFunction<allGather>(exports, "allGather");
  exportFunction<reduceScatter>(exports, "reduceScatter");
  exportFunction<waitWork>(exports, "waitWork");
}

}  // namespace camelid
