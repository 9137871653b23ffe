#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/arena.h"
#include "map/edit.h"
#include "map/read_chunk.h"
#include "server/shard/messages.h"
#include "server/storage/head.h"

// Copies and floods as plain ops and swaps: what is logged, undone and sent to viewers knows nothing of them.
namespace terrazzo::shard {

inline bool has_derived(std::span<const map::Op> ops) {
  return std::ranges::any_of(ops, [](const map::Op& op) { return !map::is_plain(op.kind); });
}

// Plain ops that do the same to the present state, each seeing what those before it wrote. They live in the arena, but
// for cells of ops that were plain. Everything the ops read lies in the shard, and is present.
std::span<const map::Op> plain_ops(const storage::Head& store, std::span<const map::Op> ops, Arena& arena);

// Appends what a copy writes in `area`, as ops of whole chunks where it can be. Cells live in the arena.
void add_copied(const map::Op& copy, const map::Rect& area, const map::ReadChunk& read, Arena& arena,
                std::vector<map::Op>& out);

// Appends what a flood changes, as swaps: cells that hold something else by then are left alone. `arena_of` says where
// those of a chunk live, and `out_of` to which list they go.
struct FloodParts {
  virtual ~FloodParts() = default;
  virtual Arena& arena_of(map::ChunkPos chunk) = 0;
  virtual std::vector<Swap>& out_of(map::ChunkPos chunk) = 0;
};
void add_flooded(const map::Op& flood, const map::ReadChunk& read, FloodParts& parts);

}  // namespace terrazzo::shard
