#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "server/app/shard_table.h"
#include "server/shard/messages.h"
#include "server/shard/owner_table.h"

namespace terrazzo::app {

// A step of a move, from core to core.
struct MoveNote {
  enum class Step : std::uint8_t {
    start,      // → old owner
    expect,     // old → new owner: keep what comes for this shard
    expecting,  // back; with an error: the new owner cannot take it
    flip,       // old owner → every core: the shard's messages go to the new owner from now on
    flipped,    // back: none of this core follows for you
    handover,   // old → new owner: the shard
    last,       // old owner → every core but the new one: nothing of me about this shard follows
    heard,      // every such core → new owner: I have all that the old owner said
    done,       // → who asked for the move; with an error: it did not happen
  };
  Step step = Step::start;
  shard::ShardKey shard;
  shard::CoreId from = 0, to = 0, asked_by = 0;
  std::uint64_t flipped_ns = 0;  // when the old owner said `flip`
  std::uint64_t parked_ns = 0;   // of done: how long messages may have waited
  std::unique_ptr<ShardSlot> slot = nullptr;
  std::optional<Error> error = std::nullopt;
};

// What moving shards makes a core do.
class ShardMoverOutput {
 public:
  virtual ~ShardMoverOutput() = default;
  // To any core, this one included; first-in first-out per pair of cores, in one order with everything else that this
  // core sends.
  virtual void post(shard::CoreId to, MoveNote note) = 0;
  // Where this core sends messages for the shard from now on.
  virtual void route(const shard::ShardKey& shard, shard::CoreId to) = 0;

  // ---- old owner; the shard is open ----
  // No work in the background begins on it any more. False: some is under way or due; ask again.
  virtual bool settle(const shard::ShardKey& shard, std::uint64_t now_ns) = 0;
  // It does not go after all.
  virtual void stay(const shard::ShardKey& shard) = 0;
  // No message waits for it and everything it logged is durable.
  virtual bool quiet(const shard::ShardKey& shard) = 0;
  virtual std::unique_ptr<ShardSlot> give_up(const shard::ShardKey& shard) = 0;

  // ---- new owner ----
  // Messages for it are kept until take().
  virtual Status expect(const shard::ShardKey& shard) = 0;
  virtual void take(const shard::ShardKey& shard, std::unique_ptr<ShardSlot> slot) = 0;

  // ---- who asked ----
  virtual void moved(const MoveNote& done) = 0;
};

// One core's part in moving shards from core to core while edits flow. Pure; one thread; time is an argument.
//
// Rings between two cores keep the order, but a move changes which ring a message takes. So before the new owner
// carries anything out, each core has said that all it had for the old owner has arrived there (`flipped`), and that it
// has taken in all that the old owner had for it (`heard`). In between the new owner keeps what comes:
//  1. Messages of one core for a shard are carried out in the order it sent them; none is lost or carried out twice.
//  2. Each core gets the shard's publications, states and outcomes in the shard's order.
//  3. The new owner's first log record comes after all of the old owner's are durable, so that recovery, which takes
//     the records of a shard from all logs by LSN, never finds a gap.
// A world's moves and versions wait for each other (VersionDesk): a cut never meets a shard on its way.
class ShardMover {
 public:
  // What is under way in the background for longer, or a full disk, ends the move before it has begun.
  static constexpr std::uint64_t kSettleNs = 10'000'000'000;

  ShardMover(shard::CoreId self, int cores, ShardMoverOutput& out) : self_(self), cores_(cores), out_(out) {}

  void take(MoveNote note, std::uint64_t now_ns);
  // Once per tick while busy().
  void advance(std::uint64_t now_ns);
  bool busy() const { return !leaving_.empty(); }
  std::uint64_t given() const { return given_; }  // shards, to other cores
  std::uint64_t taken() const { return taken_; }
  std::uint64_t parked_ns() const { return parked_ns_; }  // of those taken

 private:
  struct Leaving {
    enum class Stage : std::uint8_t { settling, announced, flipping, draining } stage = Stage::settling;
    shard::CoreId to = 0, asked_by = 0;
    std::uint64_t began_ns = 0, flipped_ns = 0;
    int missing = 0;  // cores that have not flipped
  };
  struct Arriving {
    int missing = 0;  // cores that have not heard all of the old owner
    MoveNote handover;
  };
  using LeavingOnes = std::unordered_map<shard::ShardKey, Leaving, ShardKeyHash>;

  MoveNote note(MoveNote::Step step, const shard::ShardKey& shard, const Leaving& leaving) const;
  void start(const MoveNote& note, std::uint64_t now_ns);
  void expecting(const MoveNote& note, std::uint64_t now_ns);
  void arrive(const shard::ShardKey& shard, std::uint64_t now_ns);
  void refuse(LeavingOnes::iterator leaving, const Error& why);
  void hand_over(const shard::ShardKey& shard, const Leaving& leaving);

  const shard::CoreId self_;
  const int cores_;
  ShardMoverOutput& out_;
  LeavingOnes leaving_;
  std::unordered_map<shard::ShardKey, Arriving, ShardKeyHash> arriving_;
  std::uint64_t given_ = 0, taken_ = 0, parked_ns_ = 0;
};

}  // namespace terrazzo::app
