#pragma once

#include <boost/circular_buffer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "server/shard/dedupe_window.h"
#include "server/shard/fanout.h"
#include "server/shard/interest.h"
#include "server/shard/log_record.h"
#include "server/shard/shard.h"
#include "server/shard/store_restore.h"

// What a Shard consists of: for its own sources alone.
namespace terrazzo::shard {

// Room for edits on their way to the disk that a shard keeps; it grows as needed.
inline constexpr std::size_t kWaitingKept = 16;

struct Shard::State {
  State(const ShardKey& own_key, std::shared_ptr<const map::World> own_world, const RunInfo& own_run,
        proto::Encoder& shared_encoder, EncodedChunks& shared_encoded, std::unique_ptr<storage::ShardStore> own_store,
        StoreFactory own_factory)
      : key(own_key),
        world(std::move(own_world)),
        run(own_run),
        encoder(&shared_encoder),
        encoded(&shared_encoded),
        store(std::move(own_store)),
        factory(std::move(own_factory)) {
    if (store) head = storage::Head(*store);
  }
  State(State& own_trunk, const BranchInfo& info)
      : State({info.world, own_trunk.key.position}, info.metadata, info.run, *own_trunk.encoder, *own_trunk.encoded,
              nullptr, {}) {
    trunk = &own_trunk;
    own_branch = info;
    read_only = own_trunk.read_only;
  }

  ShardKey key;
  std::shared_ptr<const map::World> world;
  RunInfo run;
  proto::Encoder* encoder;  // the core's
  EncodedChunks* encoded;
  std::unique_ptr<storage::ShardStore> store;  // of a branch: its trunk has it
  StoreFactory factory;
  storage::Head head;  // without a store: nothing was edited here

  State* trunk = nullptr;  // of a branch: whose file it lives in
  BranchInfo own_branch;   // of a branch
  std::vector<std::unique_ptr<Shard>> branches;
  // The own bytes of branches that are in the store's newest root and not among `branches`.
  std::map<storage::HeadId, std::shared_ptr<const std::vector<std::byte>>> left_aside;

  Fanout fanout{*encoder};
  InterestIndex interest;
  ClaimTable claims;
  DedupeWindow applied;
  std::optional<Error> read_only;
  std::optional<Error> damage;
  std::optional<Error> behind;  // why a part of a decided edit could not be taken yet
  std::uint64_t last_coordinated = 0;
  std::uint64_t version = 0;  // the world's newest one that the store has pinned, or was made after
  std::uint64_t born = 0;     // versions up to this one show nothing here: the store was made after them
  Lsn durable;                // by log or checkpoint
  Lsn recovered;              // what this run started from

  // Edits whose records are on their way to the disk, in log order.
  struct Waiting {
    std::uint64_t sequence;
    Lsn lsn;
    Origin origin;
    EditId edit;
    std::uint64_t coordinated;
  };
  boost::circular_buffer<Waiting> waiting{kWaitingKept};
  // As the newest edit.
  Waiting waiting_of(const EditRequest& request) const {
    return {last_sequence, head.lsn(), request.origin, request.edit.id, request.coordinated};
  }
  void wait_for_log(const EditRequest& request) {
    if (waiting.full()) waiting.set_capacity(2 * waiting.capacity());
    waiting.push_back(waiting_of(request));
  }
  std::uint64_t last_sequence = 0;

  std::uint64_t log_bytes = 0;                // since the last checkpoint began
  std::vector<std::byte> payload, pre_image;  // scratch
  RestoreFrom source;                         // of the restore that has begun
  RestorePlan plan;                           // likewise
  RestoreCount count;                         // of the edit that was begun last
  PreImageScratch pre_image_scratch;
  ShardCounters counters;

  EditOutcome outcome_of(const Waiting& edit, EditOutcome::Stage stage) const {
    EditOutcome outcome;
    outcome.origin = edit.origin;
    outcome.world = key.world;
    outcome.edit = edit.edit;
    outcome.coordinated = edit.coordinated;
    outcome.mark = {key.position, edit.lsn};
    outcome.stage = stage;
    return outcome;
  }
  EditOutcome outcome_of(const EditRequest& request, EditOutcome::Stage stage) const {
    return outcome_of(waiting_of(request), stage);
  }
  void reject(const EditRequest& request, Error error, ShardOutput& out, std::vector<SharedClaim> others = {}) {
    ++counters.rejected;
    EditOutcome outcome = outcome_of(request, EditOutcome::Stage::rejected);
    outcome.error = std::move(error);
    outcome.claims = std::move(others);
    out.outcome(std::move(outcome));
  }
  bool is_duplicate(const EditRequest& request) const;
  void answer_duplicate(const EditRequest& request, ShardOutput& out);
  Status ensure_store();
  void attach_branches();
  // Of a branch whose trunk has a store.
  void attach();
  // The state that a branch which began at this version begins with.
  Result<storage::PinInfo> state_at(std::uint64_t of);
  State& of_world(WorldId world);
  Result<RestoreFrom> source_of(const Restore& restore) const;
  void look(const map::Edit& edit, const std::optional<Restore>& restore, storage::Missing& missing);
  Status bring_for(const map::Edit& edit, const std::optional<Restore>& restore, const BringPages& bring);
  // `decided`: of an edit over shards, which must not fail for what this one lacks.
  Status begin(const map::Edit& edit, const std::optional<Restore>& restore, bool decided);
  void apply(SessionId author, std::uint64_t coordinated, const map::Edit& edit, const std::optional<Restore>& restore);
  // Whether claims of others are in its way; then it is refused.
  bool claimed(const EditRequest& request, ShardOutput& out);
  // `swapped`: cells, of swaps that are ops now.
  void edit(const EditRequest& request, ShardOutput& out, const RestoreCount& swapped = {});
  // Pins what the store lacks of the versions up to this one: their state is the present one.
  void reach_version(std::uint64_t newest);
  // What the edit overwrites, before it does.
  void keep_past(const EditRequest& request);
  // The record of the edit that was just applied, into `payload`.
  void encode(const EditRequest& request, const RestoreCount& swapped);
  void log(ShardOutput& out);
  void publish(const EditRequest& request, ShardOutput& out);
  void publish_ops(const EditRequest& request, std::span<const map::Op> ops, ShardOutput& out);
  void publish_states(const EditRequest& request, std::span<const Restore::Area> areas, ShardOutput& out);
  void become_read_only(const Error& why) {
    if (!read_only) read_only = why;
  }
  State& file() { return trunk == nullptr ? *this : *trunk; }
  void add_own_aux(storage::AuxParts& out, std::vector<std::byte> before) const;
  void append_aux_as_of(std::uint64_t of_version, std::vector<std::byte>& out) const;
  void add_pins_before(const storage::PinInfo& of, std::vector<storage::PinInfo>& pins) const;
  std::size_t own_aux_bytes() const;
  // What a checkpoint that begins now keeps.
  std::unique_ptr<storage::AuxSource> aux() const;
  Status read_own_aux(std::span<const std::byte>& rest);
  Status read_aux();
};

}  // namespace terrazzo::shard
