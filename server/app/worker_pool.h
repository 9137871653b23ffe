#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace terrazzo::app {

// A few threads for what would block a core: making files, syncing metadata, parsing. A job runs there; what it returns
// runs on the core that asked, at its next tick. Bounded: submit says no when kJobsMax wait, and the asker answers
// `overloaded`. The one place with a mutex; nothing of the path of an edit comes by.
class WorkerPool {
 public:
  static constexpr std::size_t kJobsMax = 1024;
  using Done = std::function<void()>;
  using Job = std::function<Done()>;
  // `wake(core)` is called after a result was left for that core. Without threads, whoever owns the pool calls
  // run_one().
  WorkerPool(unsigned threads, unsigned cores, std::function<void(unsigned core)> wake);
  ~WorkerPool();  // its threads finish what was submitted

  // False: too many wait; whoever asked for it is told busy().
  [[nodiscard]] bool submit(unsigned core, Job job);
  static Error busy() {
    return {ErrorCode::overloaded, "the server has more file work waiting than it takes on; try again in a moment"};
  }
  // Runs the results left for `core`; on that core's thread.
  void collect(unsigned core);
  bool idle() const;
  // Jobs that no thread has taken yet.
  std::size_t waiting() const;
  // Does the oldest of them on this thread; false: there is none.
  bool run_one();

 private:
  void work();
  // Does the oldest; the lock is held again afterwards.
  void do_one(std::unique_lock<std::mutex>& lock);

  struct Task {
    unsigned core;
    Job job;
  };
  std::function<void(unsigned)> wake_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> tasks_;
  struct Results {
    std::vector<Done> done;
    std::atomic<bool> any{false};  // cores ask at every tick
  };
  std::vector<Results> results_;  // by core
  std::size_t running_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace terrazzo::app
