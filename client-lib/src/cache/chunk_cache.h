#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/assert.h"
#include "base/strong_id.h"
#include "client-lib/src/cache/cell_block.h"
#include "map/coords.h"
#include "map/world.h"
#include "terrazzo/edit_draft.h"

namespace terrazzo::client {

struct ChunkKey {
  map::LayerId layer = 0;
  map::ChunkPos chunk;
  bool operator==(const ChunkKey&) const = default;
};

// An edit that came while the state it belongs on was still awaited. Shared by the chunks it touches.
struct LateEdit {
  Lsn lsn;
  EditDraft ops;
};

// How far the cells of a chunk can be trusted to be the server's.
enum class Freshness : std::uint8_t {
  stale,    // as of `revision`; edits that come are not applied, as some may have been missed
  awaited,  // a subscription that is on its way covers it; edits that come wait in `late`
  live,     // every edit since `revision` has been applied
};

struct CachedChunk {
  ChunkKey key;
  CellBlock confirmed;
  Lsn revision;
  bool present = false;  // the cells were the server's once; else there is nothing to read
  bool known = false;    // `revision` may be named to the server: it stands for the same cells there
  Freshness freshness = Freshness::stale;
  bool covered = false;  // inside a subscription: never evicted
  std::vector<std::shared_ptr<const LateEdit>> late;

  // The optimistic view: `shown` where own edits lie on top, else `confirmed`. Computed when read.
  bool shown_outdated = true;
  std::unique_ptr<CellBlock> shown;

  std::size_t bytes() const { return sizeof(CachedChunk) + confirmed.bytes() + (shown ? shown->bytes() : 0); }

  // The cache's own: neighbours in the order of use, of chunks that are not covered.
  CachedChunk* older = nullptr;
  CachedChunk* newer = nullptr;
  std::size_t counted_bytes = 0;
};

// All chunks a client holds. Those outside the subscriptions go when they take more than a budget, the least recently
// used first. References hold until the chunk is evicted or erased. One thread.
class ChunkCache {
 public:
  explicit ChunkCache(std::size_t budget_bytes) : budget_bytes_(budget_bytes) {}
  ChunkCache(const ChunkCache&) = delete;
  ChunkCache& operator=(const ChunkCache&) = delete;

  CachedChunk* find(const ChunkKey& key);
  // Finds or makes it: not covered, stale, empty. May evict others, never this one.
  CachedChunk& obtain(const ChunkKey& key);
  // A read: the chunk is the last that goes.
  void touch(CachedChunk& chunk);
  // May evict when it stops being covered: this one, too.
  void set_covered(CachedChunk& chunk, bool covered);

  // Visits the cached chunks of one layer whose positions lie in `chunks`; the work is that of the smaller side.
  template <class Visit>
  void for_each_in(map::LayerId layer, const map::Rect& chunks, Visit&& visit) {
    if (chunks.area() > chunks_.size()) {
      for (auto& [key, chunk] : chunks_)
        if (key.layer == layer && chunks.contains(map::CellPos{key.chunk.x, key.chunk.y})) visit(chunk);
      return;
    }
    for (std::int64_t y = chunks.y0; y < chunks.y1; ++y)
      for (std::int64_t x = chunks.x0; x < chunks.x1; ++x)
        if (CachedChunk* c = find({layer, {static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}})) visit(*c);
  }
  template <class Visit>
  void for_each(Visit&& visit) {
    for (auto& [key, chunk] : chunks_) visit(chunk);
  }

  std::size_t size() const { return chunks_.size(); }
  std::size_t bytes() const;  // counts all: for statistics
  std::size_t uncovered_bytes() const { return uncovered_bytes_; }

 private:
  struct Hash {
    std::size_t operator()(const ChunkKey& key) const noexcept {
      return std::hash<map::ChunkPos>()(key.chunk) ^ (std::size_t{key.layer} * 0x9E3779B1u);
    }
  };
  void link(CachedChunk& chunk);
  void unlink(CachedChunk& chunk);
  void trim(const CachedChunk* keep);

  std::size_t budget_bytes_;
  std::size_t uncovered_bytes_ = 0;
  CachedChunk* oldest_ = nullptr;
  CachedChunk* newest_ = nullptr;
  std::unordered_map<ChunkKey, CachedChunk, Hash> chunks_;
};

}  // namespace terrazzo::client
