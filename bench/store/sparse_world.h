#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "base/strong_id.h"
#include "map/coords.h"

namespace terrazzo::bench {

// Of every sparse shard.
inline constexpr WorldId kSparseWorld{1};

// A shard file of some 257 MiB whose 65,536 chunks of layer 0 all have pages: nodes and root are real, and so are the
// cells of `written` chunks; all other cells are holes and take no disk space. Returns its size.
std::uint64_t make_sparse_shard(const std::filesystem::path& path, map::ShardPos position,
                                std::span<const std::uint16_t> written);
// Where the cells of a chunk are in the file.
std::uint64_t offset_in_sparse_shard(std::uint16_t chunk);
// What the cells of a written chunk add up to.
std::uint64_t sum_of_written_chunk(std::uint16_t chunk);

}  // namespace terrazzo::bench
