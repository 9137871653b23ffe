#pragma once

namespace terrazzo {
// Prints the condition and where it stood, then aborts: an assert means our bug, so there is nothing to recover.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace terrazzo

// On in every build type. Never used on what a client, a file or the kernel said: that is an Error.
#define TZ_ASSERT(condition)                                     \
  do {                                                           \
    if (!(condition)) [[unlikely]]                               \
      ::terrazzo::assert_failed(#condition, __FILE__, __LINE__); \
  } while (false)
