#include "server/app/merge_job.h"

#include <algorithm>
#include <utility>

namespace terrazzo::app {

void MergeJob::start() {
  out_.pin_world(branch_.world, "merge", [self = shared_from_this()](Result<std::uint64_t> version) {
    if (!version) return self->end(version.error());
    self->version_ = *version;
    const catalog::NamedBranch& branch = self->branch_;
    // What both come from: the state at the last merge, of which the line has everything that it was to have.
    const shard::LineVersion base = branch.merged != 0 ? shard::LineVersion{branch.world, branch.merged}
                                                       : shard::LineVersion{branch.parent, branch.origin};
    self->out_.gather_trees({{branch.world, *version}, base, {branch.parent, 0}},
                            [self](Result<std::unique_ptr<PinsGather>> gather) {
                              gather ? self->compare(*std::move(gather)) : self->unpin(gather.error());
                            });
  });
}

void MergeJob::compare(std::unique_ptr<PinsGather> gather) {
  const std::shared_ptr<PinsGather> found = std::move(gather);
  const auto then = [self = shared_from_this(), found](Result<MergePlan> plan) {
    if (found->problem) plan = *found->problem;
    const bool there = self->out_.all_there(*found);
    self->out_.release_trees(std::move(*found));
    // The trees that were read may have been given back while they were.
    if (!there) plan = Error{ErrorCode::not_found, "the branch was dropped while it was being merged"};
    self->compared(std::move(plan));
  };
  const bool asked =
      node_.workers->submit(origin_.core, [self = shared_from_this(), found, then]() -> WorkerPool::Done {
        auto plan = std::make_shared<Result<MergePlan>>(plan_merge(*found, self->ask_));
        return [then, plan] { then(std::move(*plan)); };
      });
  if (!asked) then(WorkerPool::busy());
}

void MergeJob::compared(Result<MergePlan> plan) {
  if (!plan) return unpin(plan.error());
  info_ = std::move(plan->info);
  if (ask_.preview || info_.undecided != 0) return unpin(info_);
  if (plan->parts.empty()) return applied();
  for (const auto& part : plan->parts) {
    part->origin = origin_;
    part->edit.id = EditId{1};
    part->time_us = time_us_;
  }
  out_.submit_swaps(std::move(plan->parts), [self = shared_from_this()](const Result<std::uint64_t>& left) {
    if (!left) return self->unpin(left.error());
    self->info_.left = *left;
    self->applied();
  });
}

// From here on the branch's state of now is what both come from, if the line has all of it that it was to have.
void MergeJob::applied() {
  info_.done = true;
  info_.cells -= std::min(info_.cells, info_.left);
  if (ask_.area || info_.left != 0) return unpin(info_);
  out_.note_merged(branch_.world, version_, [self = shared_from_this()](const Status& noted) {
    // Merged it is; should that be forgotten, the next merge compares with an older state and finds more conflicts.
    noted ? self->end(self->info_) : self->unpin(self->info_);
  });
}

void MergeJob::unpin(Result<http::MergeInfo> result) {
  out_.unpin_world(branch_.world, version_,
                   [self = shared_from_this(), result = std::move(result)](const Status&) { self->end(result); });
}

void MergeJob::end(Result<http::MergeInfo> result) {
  done_(std::move(result));
}

}  // namespace terrazzo::app
