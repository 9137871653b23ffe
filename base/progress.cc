#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace terrazzo {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPatience{300}, kBetween{100};

double seconds(Clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

Progress::Progress(std::string what, std::uint64_t total)
    : what_(std::move(what)),
      total_(std::max<std::uint64_t>(total, 1)),
      began_(Clock::now()),
      drawn_(began_),
      terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (!shown_) return;
  draw(done_);
  std::fputc('\n', stderr);
}

void Progress::at(std::uint64_t done) {
  done_ = done;
  const auto now = Clock::now();
  if (now - began_ < kPatience || now - drawn_ < kBetween) return;
  drawn_ = now;
  shown_ = true;
  if (terminal_) draw(done);
}

void Progress::draw(std::uint64_t done) {
  constexpr int kWidth = 30;
  const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total_));
  const int full = static_cast<int>(share * kWidth);
  const double elapsed = seconds(Clock::now() - began_);
  const std::string left = share > 0.02 && share < 1 ? fmt::format(", {:.0f} s left", elapsed / share - elapsed) : "";
  fmt::print(stderr, "{}{} [{}{}] {:3.0f} %  {:.1f} s{}{}", terminal_ ? "\r" : "", what_,
             std::string(static_cast<std::size_t>(full), '#'),
             std::string(static_cast<std::size_t>(kWidth - full), '.'), share * 100, elapsed, left,
             terminal_ ? "\033[K" : "");
}

}  // namespace terrazzo
