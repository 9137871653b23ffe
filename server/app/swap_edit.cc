#include "server/app/swap_edit.h"

#include <algorithm>

namespace terrazzo::app {

std::optional<Result<std::uint64_t>> SwapEdit::outcome(const shard::EditOutcome& outcome) {
  using Stage = shard::EditOutcome::Stage;
  if (outcome.stage == Stage::rejected) return Result<std::uint64_t>(outcome.error.value_or(Error{}));
  if (std::ranges::find(counted_, outcome.mark.shard) == counted_.end()) {
    counted_.push_back(outcome.mark.shard);
    left_ += outcome.skipped;
  }
  if (outcome.stage == Stage::durable && ++durable_ == parts_) return Result<std::uint64_t>(left_);
  return std::nullopt;
}

}  // namespace terrazzo::app
