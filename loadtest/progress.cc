#include "loadtest/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "loadtest/crowd.h"

namespace terrazzo::loadtest {
namespace {

constexpr std::uint64_t kOnTerminalNs = 500'000'000, kElsewhereNs = 5'000'000'000;
constexpr int kBarWidth = 24;

}  // namespace

Progress::Progress(std::function<View()> look)
    : look_(std::move(look)), terminal_(::isatty(STDERR_FILENO) == 1), thread_([this] { run(); }) {}

Progress::~Progress() {
  stop_.store(true);
  thread_.join();
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::run() {
  std::uint64_t drawn = now_ns();
  while (!stop_.load()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (now_ns() - drawn < (terminal_ ? kOnTerminalNs : kElsewhereNs)) continue;
    draw();
    drawn = now_ns();
  }
}

void Progress::draw() const {
  const View view = look_();
  const double share = std::clamp(view.share, 0.0, 1.0);
  const int filled = static_cast<int>(share * kBarWidth);
  const std::string bar = std::string(static_cast<std::size_t>(filled), '#') +
                          std::string(static_cast<std::size_t>(kBarWidth - filled), '.');
  fmt::print(stderr, "{}[{}] {:3.0f} %  {}{}", terminal_ ? "\r\033[K" : "", bar, share * 100, view.words,
             terminal_ ? "" : "\n");
}

Progress::View elapsed(std::uint64_t began_ns, double seconds, std::string words) {
  return {static_cast<double>(now_ns() - began_ns) / 1e9 / seconds, std::move(words)};
}

}  // namespace terrazzo::loadtest
