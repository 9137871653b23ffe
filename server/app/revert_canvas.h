#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "server/http/api.h"
#include "server/shard/swaps.h"

namespace terrazzo::app {

// What reverting some edits of a shard would make of its cells (docs/decisions/0020-revert.md). Edits are told one after
// another, the newest first; a cell counts where the newest edit that changed it is one of those to be reverted, and
// becomes what it was before the first of those that follow each other up to there. Pure.
class RevertCanvas {
 public:
  // Chunks whose cells have different pasts, in memory at once: some 12 KiB each.
  static constexpr std::size_t kOpenChunksMax = 16384;
  static constexpr std::size_t kChunksMax = 1 << 20;

  explicit RevertCanvas(std::optional<map::Rect> area) : area_(area.value_or(map::kPlane)) {}

  // An edit that is to be reverted may have changed cells there. All are told before the first change. too_large.
  Status expect(map::LayerId layer, const map::Rect& rect);
  bool empty() const { return chunks_.empty(); }
  // Whether what happened there may matter: where only few chunks are touched, whether one of them is expected.
  bool concerns(map::LayerId layer, const map::Rect& rect) const;
  // An edit changed the cells in which `before` and `after` differ; `author`: a number, of one that is reverted.
  // too_large.
  Status change(map::LayerId layer, map::ChunkPos chunk, const shard::ChunkCells& before,
                const shard::ChunkCells& after, std::optional<std::uint16_t> author);
  // An edit may have changed any cell there, and nobody knows what they were: what is older does not count.
  void forget(map::LayerId layer, const map::Rect& rect, bool reverted);

  // What comes of it, once: adds to `info`, and to cells by author.
  Status finish(http::RevertInfo& info, std::vector<std::uint64_t>& cells_of, Arena& arena,
                std::vector<shard::Swap>& swaps);

 private:
  enum class Past : std::uint8_t {
    untouched,
    reverted,      // the newest change is one to be reverted, as are all up to now
    bounded,       // likewise, and somebody else's is older
    others,        // the newest change is somebody else's
    painted_over,  // likewise, and there are older ones that were to be reverted
    settled,       // likewise, and somebody else's are older still
    lost,          // the newest is to be reverted, and nobody knows what was before
    unknown,       // the newest is somebody else's, and nobody knows what was before
  };
  struct Cell {
    map::Cell now, before;
    std::uint16_t author = 0;
    Past past = Past::untouched;
  };
  using Cells = std::array<Cell, map::kChunkCells>;
  struct Chunk {
    Cell all;                      // of every cell, while there are no
    std::unique_ptr<Cells> cells;  // of each
    std::size_t forgotten = 0;     // of forgotten_, as many have been looked at
  };
  struct Forgotten {
    map::LayerId layer = 0;
    map::Rect rect;
    bool reverted = false;
  };
  using Key = std::tuple<map::LayerId, std::int32_t, std::int32_t>;  // y before x

  static void take(Cell& cell, map::Cell before, map::Cell after, std::optional<std::uint16_t> author);
  static void forget(Cell& cell, bool reverted);
  Status open(Chunk& chunk);
  Status catch_up(const Key& key, Chunk& chunk);
  void count(const Key& key, const Chunk& chunk, http::RevertInfo& info, std::vector<std::uint64_t>& cells_of);

  const map::Rect area_;
  std::map<Key, Chunk> chunks_;
  std::vector<Forgotten> forgotten_;
  std::size_t open_ = 0;
  shard::ChunkCells from_{}, to_{};  // scratch
};

}  // namespace terrazzo::app
