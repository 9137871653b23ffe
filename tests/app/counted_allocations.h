#pragma once

#include <cstdint>

namespace terrazzo::app {

// Calls of operator new and of malloc by this thread so far, in this program's own code (which is linked with
// --wrap=malloc).
std::uint64_t allocations();

}  // namespace terrazzo::app
