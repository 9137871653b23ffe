#pragma once

#include <algorithm>
#include <cstdint>

namespace terrazzo::app {

// When to try again what keeps failing: after `first_ns`, then after twice as long each time, `most_ns` at most. The
// time is an argument.
class Backoff {
 public:
  constexpr Backoff(std::uint64_t first_ns, std::uint64_t most_ns) : first_ns_(first_ns), most_ns_(most_ns) {}

  bool due(std::uint64_t now_ns) const { return now_ns >= not_before_ns_; }
  std::uint64_t not_before_ns() const { return not_before_ns_; }
  void failed(std::uint64_t now_ns) {
    pause_ns_ = pause_ns_ == 0 ? first_ns_ : std::min(2 * pause_ns_, most_ns_);
    not_before_ns_ = now_ns + pause_ns_;
  }
  void succeeded() { pause_ns_ = not_before_ns_ = 0; }

 private:
  std::uint64_t first_ns_, most_ns_;
  std::uint64_t pause_ns_ = 0, not_before_ns_ = 0;
};

}  // namespace terrazzo::app
