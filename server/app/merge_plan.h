#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "server/app/mesh_kinds.h"
#include "server/http/api.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

// What a merge consists of: a part for each shard of the line that takes it in, of swaps.
struct MergePlan {
  http::MergeInfo info;
  std::vector<std::unique_ptr<shard::EditRequest>> parts;
};

// Compares three states of each shard, in this order: the branch, what both come from, the line. Reads only what the
// first two do not share. Blocking; for a worker. internal: a shard's file cannot be read; too_large: one edit cannot
// hold it; unsupported.
Result<MergePlan> plan_merge(const PinsGather& states, const http::MergeAsk& ask);

}  // namespace terrazzo::app
