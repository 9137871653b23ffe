#pragma once

#include <cstdint>

namespace terrazzo::session {

// Names a connection of this home core: a slot and its generation, so that a stale name reaches nobody.
struct Connection {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  bool operator==(const Connection&) const = default;
};

}  // namespace terrazzo::session
