#pragma once

#include <cstdint>
#include <span>
#include <unordered_set>

#include "base/error.h"
#include "server/app/core_services.h"
#include "server/app/node.h"

namespace terrazzo::app {

struct RecoveryReport {
  std::uint64_t segments = 0, records = 0, replayed = 0, shards = 0, rolled_forward = 0;
  std::unordered_set<WorldId> worlds_in_log;  // branches that records are of
};

// Brings the shards to where the logs of earlier runs end, before the cores run: replays what checkpoints lack, rolls
// edits over several shards forward, checkpoints every shard it touched, and then removes the old logs. A crash at any
// point leaves the logs in place, and the next start does the same again. The number of cores may differ from the
// earlier runs'. An error: a shard or a log cannot be believed; nothing was removed, and the server must not start. A
// log that is damaged is such an error unless the configuration accepts the loss: then what lies behind the damage is
// not replayed, and those segments are set aside.
Result<RecoveryReport> recover(Node& node, std::span<const std::unique_ptr<CoreServices>> cores);

}  // namespace terrazzo::app
