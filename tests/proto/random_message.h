#pragma once

#include <random>

#include "base/arena.h"
#include "proto/codec.h"

namespace terrazzo::proto {

// Draws messages that a correct peer could send, with a liking for the edges: extreme positions,
// 64-bit ids, odd texts, absent parts. What they point to lives in the arena.
class RandomMessage {
 public:
  RandomMessage(std::uint64_t seed, Arena& arena) : random_(seed), arena_(arena) {}

  ClientMessage client();
  // A chunk's cells are drawn in the way the form carries them.
  ServerMessage server(Form form);

  std::uint64_t below(std::uint64_t end) { return std::uniform_int_distribution<std::uint64_t>(0, end - 1)(random_); }

 private:
  bool coin() { return below(2) == 0; }
  std::uint64_t big();
  std::uint32_t number();
  std::string_view text();
  map::Rect rect(std::int64_t side_max);
  map::Rect rect_or_none();
  map::ChunkPos chunk();
  map::ShardPos shard();
  std::span<const map::Cell> cells(std::uint64_t count);
  std::span<const map::Op> ops(std::uint64_t count);
  std::span<const map::Op> derived_ops(std::uint64_t count);
  std::span<const map::Condition> conditions(std::uint64_t count);
  std::span<const ShardMark> marks(std::uint64_t count);
  std::span<const KnownChunk> known(std::uint64_t count);
  Presence presence();
  std::span<const map::LayerId> layers();
  ClaimOf claim_of();
  Reject reject(ErrorCode code);
  Chunk chunk_state(Form form);

  std::mt19937_64 random_;
  Arena& arena_;
};

}  // namespace terrazzo::proto
