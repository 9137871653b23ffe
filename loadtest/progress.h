#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace terrazzo::loadtest {

// A bar and a line about what is going on, on standard error: redrawn on a terminal, a line every five seconds
// elsewhere. From construction to destruction.
class Progress {
 public:
  struct View {
    double share = 0;  // done, 0 to 1
    std::string words;
  };
  // `look` is called on a thread of the bar's own.
  explicit Progress(std::function<View()> look);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void run();
  void draw() const;

  std::function<View()> look_;
  const bool terminal_;
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses the others
};

// Of something that takes a known time.
Progress::View elapsed(std::uint64_t began_ns, double seconds, std::string words);

}  // namespace terrazzo::loadtest
