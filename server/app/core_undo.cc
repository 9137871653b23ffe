// Undo and redo on one core: the desk's effects, and the waiting for logs that it asks of every core.
#include <algorithm>
#include <utility>

#include "server/app/core_services.h"
#include "server/shard/shard_router.h"

namespace terrazzo::app {
namespace {

runtime::MeshMessage about_logs(MeshKind kind, std::uint64_t ticket, std::uint64_t word) {
  runtime::MeshMessage message;
  message.kind = static_cast<std::uint32_t>(kind);
  message.words[0] = ticket;
  message.words[1] = word;
  return message;
}

}  // namespace

void CoreServices::undo(std::unique_ptr<shard::UndoRequest> request) {
  const shard::CoreId core = shard::coordinator_core(request->world, node_.cores);
  post(core, boxed(MeshKind::undo, std::move(request)));
}

void CoreServices::deliver_undo(const runtime::MeshMessage& message) {
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::undo:
      return undo_desk_.ask(unboxed<shard::UndoRequest>(message));
    case MeshKind::undo_part:
      return undo_desk_.outcome(*unboxed<shard::EditOutcome>(message));
    case MeshKind::undone:
      return home_.undone(*unboxed<shard::UndoOutcome>(message));
    case MeshKind::sync_log:
      log_waits_.push_back({message.words[0], log_.appended_sequence(), static_cast<shard::CoreId>(message.words[1])});
      return answer_log_waits();
    case MeshKind::log_synced:
      return log_synced(message.words[0], message.words[1] != 0);
    default:
      TZ_ASSERT(false);
  }
}

void CoreServices::answer_log_waits() {
  std::erase_if(log_waits_, [&](const LogWait& wait) {
    if (!log_.failed() && log_.durable_sequence() < wait.sequence) return false;
    post(wait.tell, about_logs(MeshKind::log_synced, wait.ticket, log_.failed() ? 1 : 0));
    return true;
  });
}

void CoreServices::sync_logs(std::uint64_t ticket) {
  for (int core = 0; core < node_.cores; ++core)
    post(static_cast<shard::CoreId>(core), about_logs(MeshKind::sync_log, ticket, self_));
}

void CoreServices::undo_in_shard(std::unique_ptr<shard::EditRequest> request) {
  edit(std::move(request));
}

void CoreServices::undo_over_shards(std::unique_ptr<shard::CoordinatedRequest> request) {
  coordinate(std::move(request));
}

void CoreServices::undo_done(shard::UndoOutcome outcome) {
  const shard::CoreId home = outcome.origin.core;
  post(home, boxed(MeshKind::undone, std::move(outcome)));
}

}  // namespace terrazzo::app
