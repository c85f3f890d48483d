#include "watch.h"

namespace camelid {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void Watch::start(c10::intrusive_ptr<c10d::Store> store, int rank, int size, milliseconds patience) {
  if (running_.exchange(true)) return;
  patience_ = patience;
  heard();
  thread_ = std::thread([this, store, rank, size, patience] { run(store, rank, size, patience); });
}

void Watch::stop() {
  if (!running_.exchange(false)) return;
  thread_.join();
  std::lock_guard<std::mutex> lock(mutex_);
  failure_.clear();
}

std::string Watch::failure() {
  std::lock_guard<std::mutex> lock(mutex_);
  // Where the network is cut the thread waits for an answer that never comes.
  if (failure_.empty() && running_ && steady_clock::now() - heardAt_ > patience_)
    return "rank 0, which all ranks meet at, cannot be reached: no answer for " + seconds();
  return failure_;
}

void Watch::run(c10::intrusive_ptr<c10d::Store> store, int rank, int size, milliseconds patience) {
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

void Watch::heard() {
  std::lock_guard<std::mutex> lock(mutex_);
  heardAt_ = steady_clock::now();
}

void Watch::fail(std::string cause) {
  std::lock_guard<std::mutex> lock(mutex_);
  failure_ = std::move(cause);
}

Watch& watch() {
  static auto* one = new Watch();  // left alone at exit: its thread may still run
  return *one;
}

}  // namespace camelid
