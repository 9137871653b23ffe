#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "server/app/mesh_kinds.h"
#include "server/io/data_directory.h"

namespace terrazzo::app {

struct PastCells {
  std::vector<map::Cell> cells;   // row by row
  bool used_undo_points = false;  // holds only if none of them went while they were read
};

// The cells of a rectangle in the first of the states that were gathered; or, of `at_us`, since 1970: what each shard
// held right before the first edit that was asked for later. Then the log has on disk what the states show, and all of
// it since that time. Blocking; for a worker. not_found: an edit was too large, and the state before it is not kept;
// unsupported: there are objects; internal.
Result<PastCells> cells_of_past(const io::DataDirectory& data, const PinsGather& now, map::LayerId layer,
                                const map::Rect& rect, std::optional<std::uint64_t> at_us);

// A time as it is shown to people: UTC, to the second.
std::string time_text(std::uint64_t time_us);

}  // namespace terrazzo::app
