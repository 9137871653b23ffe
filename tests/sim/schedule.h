#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <queue>
#include <vector>

namespace terrazzo::sim {

inline constexpr std::uint64_t kMicrosecond = 1'000, kMillisecond = 1'000'000, kSecond = 1'000'000'000;

// Virtual time in nanoseconds and what is due when. Events of one moment happen in the order they were asked for. The
// hash over everything that happened is the run's trace: two runs of one seed have the same.
class Schedule {
 public:
  std::uint64_t now() const { return now_; }
  // A little time passes with each look, so that whoever waits for a time to come by looking sees it come.
  std::uint64_t look() { return now_ += 20; }

  void at(std::uint64_t time, std::function<void()> what) { events_.push({time, ++asked_, std::move(what)}); }
  void after(std::uint64_t delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // Does what is due next; false: nothing is, ever.
  bool step() {
    if (events_.empty()) return false;
    // The queue's top is const only so that its order stays; it is popped right away.
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    if (event.time > now_) now_ = event.time;
    ++steps_;
    mix(now_);
    mix(event.number);
    if (trace_ != nullptr) std::fprintf(trace_, "%lu %lu %016lx\n", now_, event.number, hash_);
    event.what();
    return true;
  }

  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15ull;
    hash_ ^= hash_ >> 29;
  }
  // Each step is told to it.
  void trace(std::FILE* file) { trace_ = file; }
  std::uint64_t hash() const { return hash_; }
  std::uint64_t steps() const { return steps_; }

 private:
  struct Event {
    std::uint64_t time = 0, number = 0;
    std::function<void()> what;
    bool operator<(const Event& other) const { return time != other.time ? time > other.time : number > other.number; }
  };
  std::priority_queue<Event> events_;
  std::uint64_t now_ = kSecond, asked_ = 0, steps_ = 0;
  std::uint64_t hash_ = 0x7E44A220;
  std::FILE* trace_ = nullptr;
};

}  // namespace terrazzo::sim
