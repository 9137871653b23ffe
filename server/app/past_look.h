#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/error.h"
#include "map/coords.h"
#include "server/app/mesh_kinds.h"
#include "server/shard/shard.h"

namespace terrazzo::app {

// Looking at states of a line of a world together with what the log says of how they came about.
struct PastLook {
  std::vector<shard::LineVersion> states;
  std::optional<map::Rect> area;  // cells; only shards that it touches
  // On a worker, when every edit that the states show is in the log on disk. True: it has used undo points.
  std::function<bool(const PinsGather& found)> look;
  // On the core that asked, when the states are let go. An error: what was found is not to be believed.
  std::function<void(Status)> done;
};

}  // namespace terrazzo::app
