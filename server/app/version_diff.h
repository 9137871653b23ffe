#pragma once

#include <vector>

#include "base/error.h"
#include "server/app/mesh_kinds.h"
#include "server/http/api.h"

namespace terrazzo::app {

// Compares two states of each shard on a worker, in a read-only mapping of its own of the file.
Result<std::vector<http::ShardDiff>> diff_shards(const std::vector<PinsGather::Shard>& shards);

}  // namespace terrazzo::app
