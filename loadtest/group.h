#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "loadtest/crowd.h"
#include "loadtest/options.h"

namespace terrazzo::loadtest {

using Crowds = std::vector<std::unique_ptr<Crowd>>;

// Clients that do the same, spread over threads of this program: `count` of them, numbered from `first` on. Those with
// numbers below options.painters paint; `times` has room for these.
Crowds make_group(const Options& options, std::size_t first, std::size_t count, SendTimes& times);

// Runs one step of every crowd on a thread of its own, and returns when all have ended.
template <class Step>
void each(const Crowds& crowds, Step&& step) {
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < crowds.size(); ++i) threads.emplace_back([&, i] { step(*crowds[i]); });
  step(*crowds[0]);
  for (std::thread& thread : threads) thread.join();
}

// Connects everybody, opens the world, subscribes, and waits until all see the area.
Status join(const Crowds& crowds);
// Tells the watchers which sessions paint, so that they know what was delivered, and when it was sent.
void introduce(const Crowds& painters, const Crowds& watchers);

// Keeps the clients of a group alive while others are busy: they read, and answer what the server asks.
class Attendance {
 public:
  explicit Attendance(const Crowds& crowds);
  ~Attendance();
  Attendance(const Attendance&) = delete;
  Attendance& operator=(const Attendance&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace terrazzo::loadtest
