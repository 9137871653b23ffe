#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "server/shard/messages.h"

namespace terrazzo::shard {

// What a desk makes its core do.
class DerivationOutput {
 public:
  virtual ~DerivationOutput() = default;
  // To the shard's owner, behind the parts of edits that went to it before; the answer comes with cells().
  virtual void read(std::unique_ptr<CellsRequest> request) = 0;
  // To the coordinator, as if it came from the author's home like this.
  virtual void derived(std::unique_ptr<CoordinatedRequest> request) = 0;
  virtual void outcome(EditOutcome outcome) = 0;
};

// Makes parts of copies and floods that reach over shards: reads what they read from its owners, and has what follows
// from it done by an edit over shards like others (docs/decisions/0019-copy-and-flood.md). Pure; lives on the cores of
// worlds' coordinators.
//  1. What is read shows each shard between two edits, and edits over shards whole or not at all: the requests go the
//     way of their parts, all at once.
//  2. Which shards get parts follows from the op alone, so that one that is sent again meets those that know it.
class DerivationDesk {
 public:
  explicit DerivationDesk(CoreId self) : self_(self) {}

  // One whose `derived` is set.
  void ask(std::unique_ptr<CoordinatedRequest> request, DerivationOutput& out);
  void cells(std::unique_ptr<CellsRequest> answer, DerivationOutput& out);
  bool idle() const { return running_.empty(); }
  std::size_t waiting() const { return running_.size() + queue_.size(); }

 private:
  // Each may hold a mebibyte of cells; those that come while so many do wait. Sessions bound how many that are.
  static constexpr std::size_t kRunningMax = 16;

  struct Running {
    std::unique_ptr<CoordinatedRequest> request;
    map::LayerId layer = 0;
    map::Rect rect;                // what is read
    std::vector<map::Cell> cells;  // row by row
    std::size_t missing = 0;       // shards
    std::optional<Error> error;
  };
  void start(std::unique_ptr<CoordinatedRequest> request, DerivationOutput& out);
  void finish(Running& running, DerivationOutput& out);

  const CoreId self_;
  std::map<std::uint64_t, Running> running_;  // by ticket
  std::deque<std::unique_ptr<CoordinatedRequest>> queue_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace terrazzo::shard
