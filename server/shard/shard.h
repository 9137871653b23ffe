#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "map/world.h"
#include "proto/codec.h"
#include "server/shard/claim_table.h"
#include "server/shard/encoded_chunks.h"
#include "server/shard/messages.h"
#include "server/shard/shard_counters.h"
#include "server/shard/shard_output.h"
#include "server/storage/root_publisher.h"
#include "server/storage/shard_store.h"

namespace terrazzo::shard {

// What a server run knows of its past: for judging the revisions a client says it knows, and the world's versions when
// the shard was opened, by age. Some that are deleted may still be named by log records; they go after recovery.
struct RunInfo {
  Incarnation incarnation;
  std::vector<std::uint64_t> versions = {};
  std::vector<std::uint64_t> deleted_versions = {};
};

// A branch of a shard's world: a line of edits of its own that began at a version.
struct BranchInfo {
  WorldId world;             // its own
  storage::HeadId head = 0;  // its number, from 1, never that of another one
  WorldId parent;            // the shard's world, or an older branch
  std::uint64_t origin = 0;  // the version of `parent`
  std::shared_ptr<const map::World> metadata;
  RunInfo run = {};
};

// A version of a line; 0, where it is said: its present state.
struct LineVersion {
  WorldId line;
  std::uint64_t version = 0;
};

// Everything of a shard as of one of its versions, for a copy of its file. The pinned trees stay as they are.
struct ShardContent {
  Lsn lsn;
  shardfile::Entry top;
  std::vector<storage::BranchState> branches;  // as of a version each
  std::vector<storage::PinInfo> pins;          // older versions of all lines, and undo points
  std::vector<std::byte> aux;                  // of a store that nobody's session remembers
};

// One shard: orders, checks, applies, logs and publishes its edits. Pure; lives on its owner core, one thread.
//  1. lsn() counts the edits applied; each is in the log before anybody hears of it.
//  2. An edit (session, id) is applied once, however often it is sent (window of the last 1024 ids per session).
//  3. A subscriber gets the states at LSN R and then every edit after R that touches its chunks, in order.
//  4. After read_only(why) no edit is applied any more. After a part of a coordinated edit was refused with
//  `overloaded`,
//     none is until a part is taken: whoever holds the part sends it again, before later ones.
//  5. A version shows exactly the edits applied before take_version(); each log record names the newest version of its
//     time, so that recovery takes them at the same places.
//  6. Log records hold what the edit overwrote; before going back, and before an edit too large for that, the state is
//     pinned: the newest kUndoPoints of those can be restored.
//  7. Branches live in the same store, each as a Shard that this one, the trunk, owns: with LSNs, log records, applied
//     edits, versions and viewers of its own. What concerns the file is the trunk's and for all of them: settle(),
//     read_only(), recovered(), log_durable(), give_store(), reclaim(), checkpoints.
class Shard {
 public:
  static constexpr std::size_t kUndoPoints = 64;

  // Makes the store when the first edit comes, so that looking at empty places creates no files.
  using StoreFactory = std::function<Result<std::unique_ptr<storage::ShardStore>>()>;
  // `store`: the opened store of an existing shard, or null. `encoded`: the core's, outlives the shard.
  Shard(const ShardKey& key, std::shared_ptr<const map::World> world, const RunInfo& run, proto::Encoder& encoder,
        EncodedChunks& encoded, std::unique_ptr<storage::ShardStore> store, StoreFactory factory);
  ~Shard();

  const ShardKey& key() const;
  Lsn lsn() const;
  Lsn durable_lsn() const;  // by log or checkpoint

  // ---- recovery, before anything else ----
  // Brings pages and proves them, before they are touched; the error ends what needs them. None: they are in memory, or
  // whoever calls waits and believes the file.
  using BringPages = std::function<Status(storage::Missing& missing)>;
  // Replays a logged edit; records at or before lsn() are skipped, a gap is an error. Call recovered() at the end: from
  // then on known revisions are judged by the LSN reached.
  Status replay(const storage::Record& record, const BringPages& bring = {});
  // A part of a coordinated edit, applied if this shard lacks it. Not logged: recovery ends with a checkpoint.
  // `record`: the payload of the log record that it would have had; nothing where the shard had the part.
  Status roll_forward(const EditRequest& part, const BringPages& bring = {}, std::vector<std::byte>* record = nullptr);
  void recovered();

  // ---- the tick ----
  void edit(const EditRequest& request, ShardOutput& out);
  void subscribe(const SubscribeRequest& request, ShardOutput& out);
  // For a connection that was left out of edits: the states that make it good, as of now.
  void refresh(const RefreshRequest& request, ShardOutput& out);
  void interest_off(const InterestOff& off);
  // What it holds now.
  void read(CellsRequest& request) const;
  // Of this line: where nobody of another user can edit.
  ClaimTable& claims();
  // What of the store is not in memory that edit(), subscribe(), refresh() or read() would touch; see
  // ShardStore. To be asked
  // right before.
  void look(const EditRequest& request, storage::Missing& missing);
  void look(const SubscribeRequest& request, storage::Missing& missing);
  void look(const RefreshRequest& request, storage::Missing& missing);
  void look(const CellsRequest& request, storage::Missing& missing);
  // Whether this edit would make the shard's store, because it is the first one that is not refused: whoever does not
  // want to wait for that gives one before.
  bool lacks_store(const EditRequest& request) const;
  void give_store(std::unique_ptr<storage::ShardStore> store);
  // Everything of the core's log up to `sequence` is durable: acknowledges what waited for it.
  void log_durable(std::uint64_t sequence, ShardOutput& out);
  // The world's new version shows the present state. O(1). Versions count up.
  void take_version(std::uint64_t version);
  void drop_version(std::uint64_t version);
  // The tree of a version, for readers on other threads; empty where the shard was made after it.
  shardfile::Entry version_top(std::uint64_t version) const;
  // Of a trunk, with these of its branches, all taken before `version`. Nothing: the shard was made after it. A branch
  // that nobody had looked at here by then is left out: it begins, as ever, at its origin.
  std::optional<ShardContent> content_of(std::uint64_t version, std::span<const LineVersion> branches = {}) const;
  // States before and after its edits that were too large for their log records; they may go at any edit.
  std::vector<storage::PinInfo> undo_points() const;
  // The present state's tree, which stays as it is until drop_snapshot().
  shardfile::Entry take_snapshot(std::uint64_t number);
  void drop_snapshot(std::uint64_t number);
  // For readers on the same host; true: somebody reads.
  bool publish_root(storage::RootPublisher& publisher, storage::PageNo pages, std::uint64_t now_ns);
  // Gives back what only dropped pins reach, looking at about `entries` entries; true: there is more, perhaps after
  // bringing what is missing.
  bool reclaim(std::size_t entries, storage::Missing* missing = nullptr);
  // Goes on on another core, whose these are: everything it logged on the old one is durable, or it is read-only. What
  // waited for a log that failed is never answered.
  void settle(proto::Encoder& encoder, EncodedChunks& encoded, StoreFactory factory);
  void set_world(std::shared_ptr<const map::World> world);
  void read_only(const Error& why);
  // Why nothing can be read of it: a branch whose beginning the file does not hold. Null: it can. What it shows then
  // (empty cells) is true of nothing.
  const Error* damage() const;

  // ---- checkpoint (driven by app) ----
  bool wants_checkpoint() const;
  void look_checkpoint(storage::Missing& missing);
  Result<storage::CheckpointStep> begin_checkpoint();
  storage::CheckpointStep checkpoint_work(std::size_t pages, storage::Missing* missing = nullptr);
  Result<storage::CheckpointStep> checkpoint_synced(Status outcome);
  const storage::ShardStore* store() const;
  storage::Residency* residency();  // null: no store
  // What another thread can do for the edits to come; see ShardStore.
  bool wants_ready() const;
  storage::ReadyRequest ask_ready();
  void made_ready(const storage::ReadyRequest& request, bool grown);

  // Of branches, too, those that are gone included.
  ShardCounters counters() const;
  std::size_t edits_waiting() const;  // for the log

  // ---- branches, of the trunk ----
  // Its own world's, or a branch that was added; null: neither.
  Shard* find(WorldId world);
  // Its parent is there already. It begins where the parent was at that version; where the store has it, it is as it
  // was at the last checkpoint, and its log records are to be replayed. Pages are shared, nothing is copied.
  Shard& add_branch(const BranchInfo& info);
  // Whoever waits for its edits is refused; what only it reaches is given back by reclaim().
  void drop_branch(storage::HeadId number, ShardOutput& out);
  // Drops those that the store has and that are not among these, and tells which; before any is added.
  std::vector<storage::HeadId> keep_branches(std::span<const storage::HeadId> there_are);

 private:
  struct State;
  explicit Shard(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::shard
