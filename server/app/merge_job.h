#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/app/backup_job.h"
#include "server/app/merge_plan.h"
#include "server/app/node.h"
#include "server/app/swap_edit.h"
#include "server/catalog/branch_registry.h"
#include "server/http/api.h"

namespace terrazzo::app {

using GatherDone = std::function<void(Result<std::unique_ptr<PinsGather>>)>;

// What a merge makes its core do, besides pinning.
class MergeJobOutput : public virtual LinePins {
 public:
  // Trees of these states, until they are released.
  virtual void gather_trees(std::vector<shard::LineVersion> states, GatherDone done) = 0;
  virtual void release_trees(PinsGather gather) = 0;
  virtual bool all_there(const PinsGather& gather) const = 0;
  // The branch was merged at its temporary version, which stays for that; `done` when it is written down.
  virtual void note_merged(WorldId branch, std::uint64_t version, std::function<void(Status)> done) = 0;
  // One edit of a session of its own, over several shards if there are several parts.
  virtual void submit_swaps(std::vector<std::unique_ptr<shard::EditRequest>> parts, SwapEdit::Done done) = 0;
};

// One merge of a branch into the line that it began in: a version of the branch is taken (a consistent cut), a worker
// compares it with what both come from and with the line as it is, and one edit makes of the line's cells what they are
// in the branch, each only if it is still what was compared. So what people paint meanwhile is never lost, and the
// merge is undone like any edit. Lives on the core that was asked.
class MergeJob : public std::enable_shared_from_this<MergeJob> {
 public:
  MergeJob(Node& node, MergeJobOutput& out, catalog::NamedBranch branch, http::MergeAsk ask, shard::Origin origin,
           std::uint64_t time_us, http::ApiServices::MergeDone done)
      : node_(node),
        out_(out),
        branch_(std::move(branch)),
        ask_(std::move(ask)),
        origin_(origin),
        time_us_(time_us),
        done_(std::move(done)) {}
  void start();

 private:
  void compare(std::unique_ptr<PinsGather> gather);
  void compared(Result<MergePlan> plan);
  void applied();
  void end(Result<http::MergeInfo> result);
  void unpin(Result<http::MergeInfo> result);

  Node& node_;
  MergeJobOutput& out_;
  const catalog::NamedBranch branch_;
  const http::MergeAsk ask_;
  const shard::Origin origin_;
  const std::uint64_t time_us_;
  const http::ApiServices::MergeDone done_;
  std::uint64_t version_ = 0;  // of the branch
  http::MergeInfo info_;
};

}  // namespace terrazzo::app
