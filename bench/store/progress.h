#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

namespace terrazzo::bench {

// A bar on the terminal for what takes a while; nothing where nobody looks. Gone with the object.
class ProgressBar {
 public:
  ProgressBar(std::string what, std::uint64_t all) : what_(std::move(what)), all_(all == 0 ? 1 : all) {}
  ~ProgressBar() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void at(std::uint64_t done) {
    const auto percent = static_cast<int>(100 * done / all_);
    if (percent == percent_ || ::isatty(STDERR_FILENO) == 0) return;
    percent_ = percent;
    shown_ = true;
    constexpr int kWidth = 40;
    const auto full = static_cast<std::size_t>(percent * kWidth / 100);
    std::fprintf(stderr, "\r  %s [%s%s] %3d %%", what_.c_str(), std::string(full, '#').c_str(),
                 std::string(kWidth - full, '.').c_str(), percent);
    std::fflush(stderr);
  }

 private:
  const std::string what_;
  const std::uint64_t all_;
  int percent_ = -1;
  bool shown_ = false;
};

}  // namespace terrazzo::bench
