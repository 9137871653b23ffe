#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/strong_id.h"
#include "server/storage/aux_source.h"
#include "server/storage/page_file.h"
#include "server/storage/ready_request.h"
#include "server/storage/residency.h"
#include "shardfile/tree_reader.h"

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

// Chunks [x0, x1) × [y0, y1) of a shard, 0..256.
struct ChunkRect {
  int x0 = 0, y0 = 0, x1 = 256, y1 = 256;
};

// Chunks of one layer that somebody is about to use: the nodes above them, the blobs, or the cells as well. `wanted`
// (empty: all) tells by number and revision which of the chunks that have pages count.
struct Access {
  enum class Depth : std::uint8_t { nodes, blobs, cells };
  std::uint8_t layer = 0;
  ChunkRect chunks;
  Depth depth = Depth::cells;
  std::function<bool(std::uint16_t chunk, Lsn revision)> wanted = {};
};

// A line of edits: the main one, or a branch that began at a pin. Each counts its own LSNs.
using HeadId = std::uint32_t;
inline constexpr HeadId kMainHead = 0;

// What a branch has at the moment.
struct BranchState {
  HeadId head = 0;
  Lsn lsn;
  shardfile::Entry top;
};

// What keeps a state's pages as they are.
enum class PinKind : std::uint8_t {
  snapshot,    // until it is dropped or the run ends: for readers on other threads
  version,     // a named version; kept in checkpoints
  undo_point,  // the state before an edit too large for a pre-image in the log; kept in checkpoints
};
struct PinInfo {
  PinKind kind = PinKind::snapshot;
  std::uint64_t id = 0;  // given by the caller, unique in its kind and head
  HeadId head = kMainHead;
  Lsn lsn;
  shardfile::Entry top;  // for a TreeReader on another thread's mapping
  bool dropping = false;
};

// What the driver of a checkpoint must do next. The store never blocks and never does I/O but through the mapping.
enum class CheckpointStep : std::uint8_t {
  work,        // call checkpoint_work() again, now or at a later tick
  sync_pages,  // fdatasync the page file, then call checkpoint_synced
  sync_root,   // likewise; the root page has just been written
  done,        // the checkpoint is durable: log records up to its LSN are history
};

// The copy-on-write store of one shard: layer directory → region nodes → leaf nodes → cell pages, in an mmap'd file
// (docs/storage.md). Owned by one core; const calls and references must not outlive the next mutating call.
//  1. A page that the last durable root (or the one being written) reaches is never written again, nor one that a pin
//     reaches; only its checksum and revisions, which nobody has believed before, are filled in.
//  2. A page is changed in place iff it was born after the newest pin; otherwise it and its path are copied.
//  3. The state is exactly the edits 1..lsn() once apply of lsn() has returned.
//  4. Every page is a root, in a chain of the root, reached from a head or a pin, waiting for a root, or free.
class ShardStore {
 public:
  static Result<std::unique_ptr<ShardStore>> create(PageFile& file, const ShardIdentity& identity);
  // Chooses the newest valid root; reads a few pages, whatever the file's size. Log records after durable_lsn() must be
  // replayed on top.
  static Result<std::unique_ptr<ShardStore>> open(PageFile& file, const ShardIdentity& identity);
  ~ShardStore();

  // layer 0..255; chunk = y * 256 + x inside the shard.
  ChunkRead read(std::uint8_t layer, std::uint16_t chunk, HeadId head = kMainHead) const;
  // The chunk's bytes; nothing: it has none.
  std::optional<std::vector<std::byte>> read_blob(std::uint8_t layer, std::uint16_t chunk,
                                                  HeadId head = kMainHead) const;

  // ---- edits ----
  // A head's LSN: the newest edit begun. begin_edit(lsn) must be lsn()+1 and precede that edit's changes. It also
  // reserves pages, so that the changes of one edit never run out of space half-way:
  // `pages_worst`: pages the edit may need at most: a copy for each cell page it writes in part, for each leaf (a
  // region of 16×16 chunks) and region node (a layer) on the way there, and one for the layer directory. overloaded:
  // disk full.
  Lsn lsn(HeadId head = kMainHead) const;
  Status begin_edit(Lsn lsn, std::uint32_t pages_worst, HeadId head = kMainHead);
  // 1024 cells to change in place, private to the current edit's state (copied on write if needed; a uniform chunk is
  // spread out). Raises the chunk's revision to lsn(). Of the head of the last begin_edit(), as all below.
  std::uint32_t* write(std::uint8_t layer, std::uint16_t chunk);
  // The whole chunk becomes one value; its page is given back.
  void fill_chunk(std::uint8_t layer, std::uint16_t chunk, std::uint32_t value);
  // The 16×16 chunks of region (y * 16 + x, 0..255), or the whole layer, become one value in one entry.
  void fill_region(std::uint8_t layer, std::uint8_t region, std::uint32_t value);
  void fill_layer(std::uint8_t layer, std::uint32_t value);
  // The chunk holds these bytes instead of cells; empty: nothing. Pages: one for each 4080 bytes begun, and the path.
  void write_blob(std::uint8_t layer, std::uint16_t chunk, std::span<const std::byte> bytes);
  // The chunks become what they are in the pin; pages are shared with it, not copied, and every chunk that differs gets
  // the edit's revision. Pages: the path as for write(), no cell pages. Returns the number of chunks that differed.
  // Comes after all other changes of the edit, and all of an edit's restores are from one pin.
  std::uint64_t restore(const PinInfo& from, std::uint8_t layer, const ChunkRect& chunks);

  // ---- pins and branches ----
  // The present state of `head` stays readable. O(1).
  const PinInfo& pin(PinKind kind, std::uint64_t id, HeadId head = kMainHead);
  // What only this pin reaches is given back by later calls of reclaim(). not_found.
  Status unpin(PinKind kind, std::uint64_t id, HeadId head = kMainHead);
  // Not those being dropped.
  const PinInfo* find_pin(PinKind kind, std::uint64_t id, HeadId head = kMainHead) const;
  std::vector<PinInfo> pins() const;  // those being dropped included
  ChunkRead read(const PinInfo& pin, std::uint8_t layer, std::uint16_t chunk) const;
  // Goes on with dropped pins, looking at about `entries` entries of nodes. True: there is more to do; with `missing`,
  // perhaps after bringing what is in there.
  bool reclaim(std::size_t entries, Missing* missing = nullptr);
  // A new head that begins at a pin; at an empty one where nothing was ever edited. already_exists.
  Status add_branch(HeadId branch, const PinInfo& origin);
  Status drop_branch(HeadId branch);  // with its pins; not_found; the pages come back through reclaim()
  bool has_head(HeadId head) const;
  std::vector<HeadId> branches() const;
  std::vector<BranchState> branch_states() const;

  // ---- looking ahead ----
  // What is not in memory of what comes next: bring it, tell residency(), look again until nothing is missing. Nothing
  // that is not present is touched by looking. Without looking everything works, too, and may wait for the disk.
  void look_read(const Access& access, Missing& missing, HeadId head = kMainHead);
  void look_read(const PinInfo& pin, const Access& access, Missing& missing);
  // For an edit that changes these chunks. `fresh`: the pages it may need (pages_worst).
  void look_write(const Access& access, Missing& missing, HeadId head = kMainHead);
  void look_fresh(std::size_t fresh, Missing& missing);
  void look_checkpoint(std::size_t aux_bytes, Missing& missing);
  Residency& residency();
  // ---- pages made ready by another thread; see PagePool ----
  bool wants_ready() const;
  ReadyRequest ask_ready();
  void made_ready(const ReadyRequest& request, bool grown);

  // ---- checkpoint ----
  // Newest LSN of the durable root.
  Lsn durable_lsn() const;
  bool dirty() const;
  // At most one at a time. `aux`: opaque bytes kept with the root (the shard's own state, e.g. dedupe windows); null:
  // none. Takes pages for them and for what else the root keeps; their bytes are written by checkpoint_work().
  // overloaded: no space for the root's chains; nothing happened, try again later.
  Result<CheckpointStep> begin_checkpoint(std::unique_ptr<AuxSource> aux);
  // Writes or computes the checksums of about `pages` pages; with `missing`, perhaps after bringing what is in there.
  CheckpointStep checkpoint_work(std::size_t pages, Missing* missing = nullptr);
  // Reports the outcome of the sync asked for. After a failure the store is read-only: nobody knows what is on disk.
  Result<CheckpointStep> checkpoint_synced(Status outcome);
  bool checkpoint_running() const;
  // The aux bytes of the root that was opened.
  std::vector<std::byte> aux() const;

  struct Pages {
    PageNo total = 0, free = 0, live = 0, pending = 0;
  };
  Pages pages() const;
  // Walks every head and pin: checksums of what is durable, each page at one place only; then that each page is
  // reached, free or pending. Called now and then with pages done and all there are, if given. `durable`: of a file
  // that was just opened, where every page must have its checksum.
  Status verify(const std::function<void(PageNo done, PageNo total)>& progress = {}, bool durable = false) const;
  std::uint64_t generation() const;  // of the durable root
  shardfile::Entry top() const;      // of the main head

 private:
  struct State;
  explicit ShardStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The page of a root that was written once and is not whole. Opening takes the other one, which is older when the
// newest is the damaged one; only who proves a file asks.
std::optional<PageNo> damaged_root(PageFile& file);

// The page of a root that is gone and may have been the newer one: what opens is a checkpoint older, and nothing but
// the log can tell what is missing. A root fits a sector, so that a power cut leaves the old one or the new one whole;
// this comes from the disk, or from somebody who wrote into the file.
std::optional<PageNo> lost_root(PageFile& file);
// Goes on with the older root: the lost one's page gets a copy of it, one generation below. The caller syncs the file.
void give_up_lost_root(PageFile& file);

}  // namespace terrazzo::storage
