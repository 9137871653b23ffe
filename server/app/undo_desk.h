#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/app/node.h"
#include "server/app/undo_finder.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

// What a desk makes its core do.
class UndoDeskOutput {
 public:
  virtual ~UndoDeskOutput() = default;
  // Every core: what its log holds by now is to be on disk; logs_synced() is called when it is.
  virtual void sync_logs(std::uint64_t ticket) = 0;
  virtual void undo_in_shard(std::unique_ptr<shard::EditRequest> request) = 0;
  virtual void undo_over_shards(std::unique_ptr<shard::CoordinatedRequest> request) = 0;
  virtual void undo_done(shard::UndoOutcome outcome) = 0;
};

// Undo and redo on one core, for the worlds whose coordinator is here: finds in the log what is to be taken back, and
// has it done by an edit that says for every cell what it must still hold. One after another for each user and world,
// so that each finds what the one before it did. Lives on its core's thread; searches run on workers.
class UndoDesk {
 public:
  UndoDesk(Node& node, shard::CoreId self, UndoDeskOutput& out) : node_(node), self_(self), out_(out) {}

  void ask(std::unique_ptr<shard::UndoRequest> request);
  void logs_synced(std::uint64_t ticket, bool failed);
  // Of an edit that the desk sent: its origin has kUndoDeskSlot, and the ticket as generation.
  void outcome(const shard::EditOutcome& outcome);
  // The branch was dropped: who would answer for it is gone.
  void world_gone(WorldId world);
  bool idle() const { return queues_.empty(); }

 private:
  // Answers that are kept for who asks again.
  static constexpr std::size_t kRemembered = 4096;
  // Connections of one author, one after another, while one undo is under way.
  static constexpr std::size_t kCopiesMax = 8;
  using QueueKey = std::pair<WorldId, UserId>;

  struct Ask {
    std::unique_ptr<shard::UndoRequest> request;
    std::vector<shard::Origin> copies_from;  // later connections of the same session that sent it again
  };
  struct Running {
    QueueKey queue;
    shard::UndoOutcome outcome;  // as far as it is known
    std::size_t parts = 0, durable = 0;
    int logs_missing = 0;  // cores
  };

  void start(const QueueKey& key);
  void find(std::uint64_t ticket);
  struct Prepared;
  static Result<std::unique_ptr<Prepared>> prepare(const io::DataDirectory& data, const UndoQuery& query);
  void submit(std::uint64_t ticket, Prepared& prepared);
  void finish(std::uint64_t ticket, std::optional<Error> error);
  void remember(const shard::UndoOutcome& outcome);

  Node& node_;
  const shard::CoreId self_;
  UndoDeskOutput& out_;
  std::map<QueueKey, std::deque<Ask>> queues_;  // the front one is being done
  std::map<std::uint32_t, Running> running_;    // by ticket
  std::uint32_t next_ticket_ = 1;
  std::map<shard::EditName, shard::UndoOutcome> done_;
  std::deque<shard::EditName> remembered_;  // the oldest first
};

}  // namespace terrazzo::app
