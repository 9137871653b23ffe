#pragma once

#include <cstdint>

namespace terrazzo::io {

// What this process may use: of the machine, or of its control group if that has less.
std::uint64_t usable_memory_bytes();

}  // namespace terrazzo::io
