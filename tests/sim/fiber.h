#pragma once

#include <ucontext.h>

#include <cstddef>
#include <functional>

namespace terrazzo::sim {

// A second stack for a body of code that waits in the middle of it, as CoreServices::run() does. resume() and suspend()
// pass the one thread to and fro.
class Fiber {
 public:
  explicit Fiber(std::function<void()> body);
  // It has ended, or nothing on its stack needs destroying.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Until it suspends itself or ends. Not from inside a fiber.
  void resume();
  bool ended() const { return ended_; }

  static bool inside() { return current_ != nullptr; }
  static void suspend();

 private:
  static void enter();

  static Fiber* current_;
  std::function<void()> body_;
  std::byte* stack_ = nullptr;
  ucontext_t own_{}, caller_{};
  bool ended_ = false;
};

}  // namespace terrazzo::sim
