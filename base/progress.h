#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace terrazzo {

// A bar on standard error, redrawn a few times a second on a terminal; elsewhere a line at the end. Nothing at all
// where the work is over before anybody would wonder.
class Progress {
 public:
  Progress(std::string what, std::uint64_t total);
  ~Progress();
  void at(std::uint64_t done);

 private:
  void draw(std::uint64_t done);

  std::string what_;
  std::uint64_t total_, done_ = 0;
  std::chrono::steady_clock::time_point began_, drawn_;
  bool terminal_, shown_ = false;
};

}  // namespace terrazzo
