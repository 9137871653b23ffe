#pragma once

#include <chrono>
#include <memory>

namespace terrazzo::client {

// The event loop that clients do their input and output on. Many clients can share one; the thread that runs it is the
// only one that may use them. It must outlive them.
class Reactor {
 public:
  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs what is ready; where nothing is, waits for at most `timeout` for the first thing to come. Returns how many
  // completions ran (0: the time passed).
  std::size_t run_once(std::chrono::milliseconds timeout);
  // Ends a run_once() that waits, from any thread.
  void wake();

  struct Loop;  // inside the library
  Loop& loop() { return *loop_; }

 private:
  std::unique_ptr<Loop> loop_;
};

}  // namespace terrazzo::client
