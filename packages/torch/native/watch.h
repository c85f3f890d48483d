// The watch over processes that compute together: every process counts up a number of its own at the store; one whose number
// stands still is gone.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

namespace camelid {

class Watch {
 public:
  using milliseconds = std::chrono::milliseconds;

  void start(c10::intrusive_ptr<c10d::Store> store, int rank, int size, milliseconds patience);
  void stop();
  /// What is known to have gone wrong elsewhere, or "". Any thread may ask.
  std::string failure();

 private:
  struct Seen {
    int64_t count = -1;
    std::chrono::steady_clock::time_point at;
  };

  void run(c10::intrusive_ptr<c10d::Store> store, int rank, int size, milliseconds patience);
  void heard();
  void fail(std::string cause);
  std::string seconds() const { return std::to_string(patience_.count() / 1000) + " s"; }

  std::thread thread_;
  std::atomic<bool> running_{false};
  milliseconds patience_{0};
  std::mutex mutex_;
  std::string failure_;
  std::chrono::steady_clock::time_point heardAt_;
};

/// The one of this process.
Watch& watch();

}  // namespace camelid
