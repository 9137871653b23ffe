#pragma once

#include <filesystem>

#include "bench/store/results.h"

namespace terrazzo::bench {

// P8: a world of 400 shards and more than 100 GB, of which nothing is in memory at first, opened as a server opens
// shards; chunks read anywhere, a version, a fill over a border of shards and its undo. For each: time, memory, pages
// taken, and bytes written until it is all on disk. `side`: shards in a row.
void measure_large_world(Results& results, const std::filesystem::path& folder, int side);

}  // namespace terrazzo::bench
