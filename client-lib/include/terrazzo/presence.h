#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/strong_id.h"
#include "map/coords.h"

namespace terrazzo::client {

// What others see of a user: any part may be missing, and then stays as it was. Positions in cells.
struct Presence {
  std::optional<map::CellPos> cursor;
  std::optional<map::Rect> viewport;
  std::optional<map::Rect> selection;
  std::optional<std::string> tool;  // at most 64 bytes of UTF-8; others are not taken
};

// Another session in the same world.
struct Peer {
  SessionId session;
  std::string name;
  std::uint32_t color = 0;  // 0xRRGGBB
  Presence presence;
};

}  // namespace terrazzo::client
