#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/storage/page_file.h"

namespace terrazzo::storage {

// Names a shard inside its file, so that a file that was moved or mixed up is noticed.
struct ShardIdentity {
  WorldId world;
  std::int32_t x = 0, y = 0;
  bool operator==(const ShardIdentity&) const = default;
};

// One chunk of one layer. `cells`: 1024 row-major cells in the mapping (valid until the next call that is not const),
// or null when every cell is `fill`. `revision`: LSN of the newest edit that touched the chunk; 0: never touched.
struct ChunkRead {
  const std::uint32_t* cells = nullptr;
  std::uint32_t fill = 0;
  Lsn revision;
};

// What the driver of a checkpoint must do next. The store never blocks and never does I/O but through the mapping.
enum class CheckpointStep : std::uint8_t {
  sync_pages,  // fdatasync the page file, then call checkpoint_synced
  sync_root,   // likewise; the root page has just been written
  done,        // the checkpoint is durable: log records up to checkpoint_lsn() are history
};

// The copy-on-write store of one shard: layer directory → region nodes → leaf nodes → cell pages, in an mmap'd file
// (docs/storage.md). Owned by one core; const calls and references must not outlive the next mutating call.
//  1. A page that the last durable root (or the one being written) reaches is never written again.
//  2. A page is changed in place iff it was born after the newest pin; otherwise it and its path are copied.
//  3. The state is exactly the edits 1..lsn() once apply of lsn() has returned.
class ShardStore {
 public:
  static Result<std::unique_ptr<ShardStore>> create(PageFile& file, const ShardIdentity& identity);
  // Chooses the newest valid root. Reads no cells. Log records after durable_lsn() must be replayed on top.
  static Result<std::unique_ptr<ShardStore>> open(PageFile& file, const ShardIdentity& identity);
  ~ShardStore();

  // layer 0..255; chunk = y * 256 + x inside the shard.
  ChunkRead read(std::uint8_t layer, std::uint16_t chunk) const;

  // The store's LSN: the newest edit begun. begin_edit(lsn) must be lsn()+1 and precede that edit's changes. It also
  // reserves pages, so that the changes of one edit never run out of space half-way:
  // `pages_worst`: pages the edit may need at most: a copy for each cell page it writes in part, for each leaf (a
  // region of 16×16 chunks) and region node (a layer) on the way there, and one for the layer directory. overloaded:
  // disk full.
  Lsn lsn() const;
  Status begin_edit(Lsn lsn, std::uint32_t pages_worst);
  // 1024 cells to change in place, private to the current edit's state (copied on write if needed; a uniform chunk is
  // spread out). Raises the chunk's revision to lsn().
  std::uint32_t* write(std::uint8_t layer, std::uint16_t chunk);
  // The whole chunk becomes one value; its page is given back.
  void fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value);
  // The 16×16 chunks of region (y * 16 + x, 0..255), or the whole layer, become one value in one entry.
  void fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value);
  void fill_layer(std::uint8_t layer, std::uint32_t value);

  // Newest LSN of the durable root.
  Lsn durable_lsn() const;
  bool dirty() const;
  // At most one at a time. `aux`: opaque bytes kept with the root (the shard's own state, e.g. dedupe windows).
  Result<CheckpointStep> begin_checkpoint(std::span<const std::byte> aux);
  // Reports the outcome of the sync asked for. After a failure the store is read-only: nobody knows what is on disk.
  Result<CheckpointStep> checkpoint_synced(Status outcome);
  bool checkpoint_running() const;
  // The aux bytes of the root that was opened.
  std::vector<std::byte> aux() const;

  struct Pages {
    PageNo total = 0, free = 0, live = 0, pending = 0;
  };
  Pages pages() const;
  // Walks everything reachable: checksums of the durable root, each page reachable once, free or pending.
  Status verify() const;

 private:
  struct State;
  explicit ShardStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::storage
