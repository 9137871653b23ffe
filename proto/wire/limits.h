#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "map/coords.h"

// What no message may exceed, whatever a server allows beyond that: bounds that keep a decoder's
// work and memory sane.
namespace terrazzo::proto {

inline constexpr std::size_t kTextBytesMax = 4096;  // names, tokens
inline constexpr std::size_t kToolBytesMax = 64;    // of a presence
inline constexpr std::size_t kChatBytesMax = 1024;
inline constexpr std::size_t kOpsMax = 4096;  // of one edit, and conditions likewise
inline constexpr std::size_t kKnownMax = 1u << 20;
inline constexpr std::size_t kMessagesMax = 65536;                     // in one WebSocket message
inline constexpr std::int64_t kSideMax = (std::int64_t{1} << 32) - 1;  // cells, of a rectangle

inline constexpr std::uint64_t kJsonNumberMax = (std::uint64_t{1} << 53) - 1;  // beyond it, JavaScript rounds

// Where chunks and shards lie when their cells are in the plane: [-edge, edge).
inline constexpr std::int64_t kChunkEdge = std::int64_t{1} << (31 - map::kChunkShift);
inline constexpr std::int64_t kShardEdge = kChunkEdge >> map::kShardShift;
constexpr bool sane(map::ChunkPos p) {
  return p.x >= -kChunkEdge && p.x < kChunkEdge && p.y >= -kChunkEdge && p.y < kChunkEdge;
}
constexpr bool sane(map::ShardPos p) {
  return p.x >= -kShardEdge && p.x < kShardEdge && p.y >= -kShardEdge && p.y < kShardEdge;
}

bool valid_utf8(std::string_view text);
// A rectangle in the plane of cells, at least one cell wide and high.
bool sane(const map::Rect& rect);

}  // namespace terrazzo::proto
