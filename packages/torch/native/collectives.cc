// Collective operations of processes that compute together, over c10d: Gloo for tensors in host memory, NCCL for those of GPUs.
// Which rank does what is decided in TypeScript.
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <ATen/ops/ones.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "accelerator.h"
#include "distributed.h"

namespace camelid {

namespace {

using std::chrono::milliseconds;

struct Group {
  c10::intrusive_ptr<c10d::Backend> backend;
  bool onDevice;
};
struct UnderWay {
  c10::intrusive_ptr<c10d::Work> work;
  bool onDevice;
};

// Left alone at exit: threads of c10d may still use what they hold.
Registry<Group>& groups() { static auto* all = new Registry<Group>("process group"); return *all; }
Registry<UnderWay>& works() { static auto* all = new Registry<UnderWay>("collective"); return *all; }

// NCCL's kernels wait on the GPU for the other ranks and never give up, and a host that waits for the GPU waits with them. So a thread
// of its own aborts the communicators when the watch says that a rank is gone. What the GPU has computed since then is of no use:
// whoever reads from it asks `lost` afterwards.
class Rescue {
 public:
  void add(c10::intrusive_ptr<c10d::Backend> backend) {
    std::lock_guard<std::mutex> lock(mutex_);
    backends_.push_back(std::move(backend));
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  void remove(const c10::intrusive_ptr<c10d::Backend>& backend) {
    std::unique_lock<std::mutex> lock(mutex_);
    backends_.erase(std::remove(backends_.begin(), backends_.end(), backend), backends_.end());
    if (!backends_.empty() || !thread_.joinable()) return;
    std::thread ending = std::move(thread_);
    changed_.notify_all();
    lock.unlock();
    ending.join();
  }
  std::string lost() {
    if (!isLost_) return "";
    std::lock_guard<std::mutex> lock(mutex_);
    return reason_;
  }

 private:
  void run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!backends_.empty()) {
      changed_.wait_for(lock, milliseconds(100));
      reason_ = watch().failure();
      if (reason_.empty()) continue;
      isLost_ = true;  // before anything that waits for the GPU can return
      const auto aborted = backends_;
      lock.unlock();
      for (const auto& backend : aborted) {
        try {
          backend->abort();
        } catch (const std::exception&) {
          // Nothing is left to be told: the reason is known.
        }
      }
      return;
    }
  }

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<c10::intrusive_ptr<c10d::Backend>> backends_;
  std::atomic<bool> isLost_{false};
  std::string reason_;
};

Rescue& rescue() { static auto* one = new Rescue(); return *one; }

void refuseLost() {
  const auto reason = rescue().lost();
  TORCH_CHECK(reason.empty(), reason);
}

// lostRank() -> why NCCL's communicators were aborted, or "": what the host has read from a GPU since is not a result
Napi::Value lostRank(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), rescue().lost()); }

// createGlooGroup(store, rank, size, timeoutMs, hostname) -> group; hostname "" lets Gloo choose its interface
Napi::Value createGlooGroup(const Napi::CallbackInfo& info) {
  const milliseconds timeout(integerArgument(info, 3));
  auto options = c10::make_intrusive<c10d::ProcessGroupGloo::Options>(timeout);
  const std::string hostname = textArgument(info, 4);
  options->devices.push_back(hostname.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                              : c10d::ProcessGroupGloo::createDeviceForHostname(hostname));
  options->threads = 2;
  auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(stores().get(integerArgument(info, 0)),
                                                           static_cast<int>(integerArgument(info, 1)),
                                                           static_cast<int>(integerArgument(info, 2)), options);
  return Napi::Number::New(info.Env(), groups().add({std::move(group), false}));
}

// createNcclGroup(store, rank, size, timeoutMs, device) -> group over the GPUs of all ranks, which have met when it returns
Napi::Value createNcclGroup(const Napi::CallbackInfo& info) {
  const c10::Device device(textArgument(info, 4));
  const auto backend =
      cudaRuntime().ncclGroup(stores().get(integerArgument(info, 0)), static_cast<int>(integerArgument(info, 1)),
                              static_cast<int>(integerArgument(info, 2)), milliseconds(integerArgument(info, 3)));
  // The first operation makes the communicator and waits for all ranks, which may be gone.
  unlessLost<bool>([backend, device] {
    std::vector<at::Tensor> one{at::ones({1}, device)};
    backend->allreduce(one)->wait();
    return one[0].item<float>() == static_cast<float>(backend->getSize());
  });
  rescue().add(backend);
  return Napi::Number::New(info.Env(), groups().add({backend, true}));
}

Napi::Value closeGroup(const Napi::CallbackInfo& info) {
  const Group group = groups().take(integerArgument(info, 0));
  if (group.onDevice) rescue().remove(group.backend);
  group.backend->shutdown();
  return info.Env().Undefined();
}

c10d::ReduceOp reduceOp(const std::string& name) {
  if (name == "sum") return c10d::ReduceOp::SUM;
  if (name == "max") return c10d::ReduceOp::MAX;
  TORCH_CHECK(name == "min", "unknown reduction ", name);
  return c10d::ReduceOp::MIN;
}

template <typename Start>
Napi::Value started(const Napi::CallbackInfo& info, Start start) {
  const Group group = groups().get(integerArgument(info, 0));
  if (group.onDevice) refuseLost();
  return Napi::Number::New(info.Env(), works().add({start(*group.backend), group.onDevice}));
}

// allReduce(group, tensor, op) -> work; in place
Napi::Value allReduce(const Napi::CallbackInfo& info) {
  std::vector<at::Tensor> tensors{tensorArgument(info, 1)};
  c10d::AllreduceOptions options;
  options.reduceOp = reduceOp(textArgument(info, 2));
  return started(info, [&](c10d::Backend& backend) { return backend.allreduce(tensors, options); });
}

// broadcast(group, tensor, root) -> work; in place
Napi::Value broadcast(const Napi::CallbackInfo& info) {
  std::vector<at::Tensor> tensors{tensorArgument(info, 1)};
  c10d::BroadcastOptions options;
  options.rootRank = integerArgument(info, 2);
  return started(info, [&](c10d::Backend& backend) { return backend.broadcast(tensors, options); });
}

// reduce(group, tensor, op, root) -> work; in place: the root has the result, the others' memory is used on the way
Napi::Value reduce(const Napi::CallbackInfo& info) {
  std::vector<at::Tensor> tensors{tensorArgument(info, 1)};
  c10d::ReduceOptions options;
  options.reduceOp = reduceOp(textArgument(info, 2));
  options.rootRank = integerArgument(info, 3);
  return started(info, [&](c10d::Backend& backend) { return backend.reduce(tensors, options); });
}

// allGather(group, output [size * n], input [n]) -> work
Napi::Value allGather(const Napi::CallbackInfo& info) {
  at::Tensor output = tensorArgument(info, 1), input = tensorArgument(info, 2);
  return started(info, [&](c10d::Backend& backend) { return backend._allgather_base(output, input); });
}

// reduceScatter(group, output [n], input [size * n], op) -> work
Napi::Value reduceScatter(const Napi::CallbackInfo& info) {
  at::Tensor output = tensorArgument(info, 1), input = tensorArgument(info, 2);
  c10d::ReduceScatterOptions options;
  options.reduceOp = reduceOp(textArgument(info, 3));
  return started(info, [&](c10d::Backend& backend) { return backend._reduce_scatter_base(output, input, options); });
}

// waitWork(work): of tensors in host memory, returns when the result is there; of a GPU's, what it is given from now on waits for the
// result, and the host does not. Throws when the operation or another process has failed.
Napi::Value waitWork(const Napi::CallbackInfo& info) {
  const auto [work, onDevice] = works().take(integerArgument(info, 0));
  if (onDevice) {
    refuseLost();
    work->wait();  // on this thread, whose stream is the one that has to wait
  } else if (work->isCompleted()) {
    work->wait();  // some of Gloo's operations do their last part here
  } else {
    unlessLost<bool>([work = work] { return work->wait(); });
  }
  return info.Env().Undefined();
}

}  // namespace

void exportCollectives(Napi::Object exports) {
  exportFunction<lostRank>(exports, "lostRank");
  exportFunction<createGlooGroup>(exports, "createGlooGroup");
  exportFunction<createNcclGroup>(exports, "createNcclGroup");
  exportFunction<closeGroup>(exports, "closeGroup");
  exportFunction<allReduce>(exports, "allReduce");
  exportFunction<broadcast>(exports, "broadcast");
  exportFunction<reduce>(exports, "reduce");
  exportFunction<allGather>(exports, "allGather");
  exportFunction<reduceScatter>(exports, "reduceScatter");
  exportFunction<waitWork>(exports, "waitWork");
}

}  // namespace camelid
