#pragma once

#include <cstdint>

namespace terrazzo::bench {

// Calls of operator new and of malloc by this program's own code so far (the program is linked with --wrap=malloc).
std::uint64_t allocations();

}  // namespace terrazzo::bench
