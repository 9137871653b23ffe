#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "server/app/mesh_kinds.h"
#include "server/http/api.h"
#include "server/io/data_directory.h"
#include "server/shard/messages.h"

namespace terrazzo::app {

// What a revert consists of: a part for each shard, of swaps.
struct RevertPlan {
  http::RevertInfo info;
  std::vector<std::unique_ptr<shard::EditRequest>> parts;  // none of a preview
  bool preview = false;
  bool used_undo_points = false;  // holds only if none of them went while it was made
};

// What reverting the edits that the filter finds takes. `now`: the shards with their undo points; the log has on disk
// what they show. `user`: only this one's edits. Blocking; for a worker. too_large: one edit cannot hold it; internal.
Result<RevertPlan> plan_revert(const io::DataDirectory& data, const PinsGather& now, const http::RevertAsk& ask,
                               std::optional<UserId> user);

}  // namespace terrazzo::app
