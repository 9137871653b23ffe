#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/error.h"
#include "map/coords.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

// An edit of swaps over one or more shards that a core asked for by itself (a merge, a revert), until it is on disk.
class SwapEdit {
 public:
  // With the number of cells that did not hold any more what they were to be taken from; or why nothing was changed.
  using Done = std::function<void(Result<std::uint64_t> left)>;
  SwapEdit(WorldId world, std::size_t parts, Done done) : world_(world), parts_(parts), done_(std::move(done)) {}
  WorldId world() const { return world_; }

  // How it ended, when it has.
  std::optional<Result<std::uint64_t>> outcome(const shard::EditOutcome& outcome);
  void finish(Result<std::uint64_t> left) { done_(std::move(left)); }

 private:
  WorldId world_;
  std::size_t parts_, durable_ = 0;
  std::uint64_t left_ = 0;
  std::vector<map::ShardPos> counted_;
  Done done_;
};

}  // namespace terrazzo::app
