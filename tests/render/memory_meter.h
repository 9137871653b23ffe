#pragma once

#include <cstdint>

namespace terrazzo::render {

// Counts what the program allocates with new, while it lives. For one thread, one meter at a time.
class MemoryMeter {
 public:
  MemoryMeter();
  // Bytes in use at most, above those at the beginning.
  std::int64_t most() const;

 private:
  std::int64_t began_;
};

}  // namespace terrazzo::render
