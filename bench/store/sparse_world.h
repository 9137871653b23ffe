#pragma once

#include <cstdint>
#include <filesystem>

#include "map/coords.h"

namespace terrazzo::bench {

// A shard file of some 257 MiB whose 65,536 chunks of layer 0 all have pages, which are holes in the file: nodes and
// root are real, cells take no disk space. Returns its size.
std::uint64_t make_sparse_shard(const std::filesystem::path& path, map::ShardPos position);

}  // namespace terrazzo::bench
