#include "server/app/undo_desk.h"

#include <algorithm>
#include <string>

#include "base/assert.h"
#include "server/shard/edit_undo.h"
#include "server/shard/log_record.h"
#include "server/shard/swaps.h"

namespace terrazzo::app {
namespace {

shard::EditName name_of(const shard::UndoRequest& request) {
  return {request.origin.session, request.id};
}

Error busy() {
  return {ErrorCode::overloaded, "the server has more file work waiting than it takes on; try again in a moment"};
}

}  // namespace

struct UndoDesk::Prepared {
  UndoFound found;
  std::vector<std::unique_ptr<shard::EditRequest>> parts;
};

void UndoDesk::ask(std::unique_ptr<shard::UndoRequest> request) {
  const shard::EditName name = name_of(*request);
  const auto known = done_.find(name);
  if (known != done_.end()) {
    shard::UndoOutcome again = known->second;
    again.origin = request->origin;
    return out_.undo_done(std::move(again));
  }
  const QueueKey key{request->world, request->origin.user};
  std::deque<Ask>& queue = queues_[key];
  for (Ask& waiting : queue) {
    if (name_of(*waiting.request) != name) continue;
    if (waiting.copies_from.size() == kCopiesMax) waiting.copies_from.erase(waiting.copies_from.begin());
    waiting.copies_from.push_back(request->origin);
    return;
  }
  queue.push_back({std::move(request), {}});
  if (queue.size() == 1) start(key);
}

void UndoDesk::start(const QueueKey& key) {
  const std::uint32_t ticket = next_ticket_++;
  Running& running = running_[ticket];
  running.queue = key;
  running.logs_missing = node_.cores;
  running.outcome.id = queues_[key].front().request->id;
  out_.sync_logs(ticket);
}

void UndoDesk::logs_synced(std::uint64_t ticket, bool failed) {
  const auto found = running_.find(static_cast<std::uint32_t>(ticket));
  if (found == running_.end()) return;
  if (failed) {
    return finish(ticket, Error{ErrorCode::read_only,
                                "the write-ahead log of a core failed, so that nobody knows what there is to undo; "
                                "restart the server"});
  }
  if (--found->second.logs_missing == 0) find(ticket);
}

void UndoDesk::find(std::uint64_t ticket) {
  const shard::UndoRequest& request = *queues_[running_[static_cast<std::uint32_t>(ticket)].queue].front().request;
  const UndoQuery query{request.world,   request.origin.user,   name_of(request), {request.redo, request.edit},
                        request.time_us, request.may_be_applied};
  const bool asked = node_.workers->submit(self_, [this, ticket, query]() -> WorkerPool::Done {
    auto prepared = std::make_shared<Result<std::unique_ptr<Prepared>>>(prepare(*node_.data, query));
    return [this, ticket, prepared] {
      if (!*prepared) return finish(ticket, prepared->error());
      submit(ticket, ***prepared);
    };
  });
  if (!asked) finish(ticket, busy());
}

// On a worker.
Result<std::unique_ptr<UndoDesk::Prepared>> UndoDesk::prepare(const io::DataDirectory& data, const UndoQuery& query) {
  Result<UndoFound> found = find_undo(data, query);
  if (!found) return found.error();
  auto prepared = std::make_unique<Prepared>();
  prepared->found = *std::move(found);
  if (prepared->found.applied) return prepared;
  std::size_t bytes = 0;
  for (const LoggedPart& logged : prepared->found.parts) {
    auto part = std::make_unique<shard::EditRequest>();
    Arena arena;
    const Result<shard::LoggedEdit> edit = shard::decode_edit(logged.payload, arena);
    if (!edit) return edit.error();
    part->shard = {query.world, logged.shard};
    part->undo = shard::UndoOf{prepared->found.edit, query.wish.redo};
    if (edit->pre_image_kind == shard::PreImageKind::pinned) {
      part->restore = shard::restore_against(*edit, logged.lsn);
    } else {
      const auto swaps = shard::swaps_against(*edit, part->arena);
      if (!swaps) return swaps.error();
      part->swaps = *swaps;
      bytes += shard::bytes_of(*swaps);
    }
    prepared->parts.push_back(std::move(part));
  }
  if (bytes > shard::kSwapBytesMax && prepared->parts.size() > 1) {
    return Error{ErrorCode::too_large,
                 "this edit changed so many different cells in so many shards that undoing it in one step would take " +
                     std::to_string(bytes >> 20) + " MiB of log; at most " +
                     std::to_string(shard::kSwapBytesMax >> 20) + ": go back to a named version instead"};
  }
  return prepared;
}

void UndoDesk::submit(std::uint64_t ticket, Prepared& prepared) {
  Running& running = running_[static_cast<std::uint32_t>(ticket)];
  const shard::UndoRequest& request = *queues_[running.queue].front().request;
  running.outcome.undone = {prepared.found.edit.author, prepared.found.edit.edit, 0, 0};
  if (prepared.found.applied) {
    for (const LoggedPart& part : prepared.found.parts) {
      const Result<shard::LoggedEdit> head = shard::peek_edit(part.payload);
      running.outcome.marks.push_back({part.shard, part.lsn});
      running.outcome.undone.restored += head->restored;
      running.outcome.undone.skipped += head->skipped;
    }
    return finish(ticket, std::nullopt);
  }
  shard::Origin origin = request.origin;
  origin.core = self_;
  origin.connection_slot = shard::kUndoDeskSlot;
  origin.connection_generation = static_cast<std::uint32_t>(ticket);
  running.parts = prepared.parts.size();
  for (const auto& part : prepared.parts) {
    part->origin = origin;
    part->edit.id = request.id;
    part->time_us = request.time_us;
  }
  if (running.parts == 1) return out_.undo_in_shard(std::move(prepared.parts.front()));
  auto whole = std::make_unique<shard::CoordinatedRequest>();
  whole->world = request.world;
  whole->origin = origin;
  whole->id = request.id;
  whole->parts = std::move(prepared.parts);
  out_.undo_over_shards(std::move(whole));
}

void UndoDesk::outcome(const shard::EditOutcome& outcome) {
  const std::uint32_t ticket = outcome.origin.connection_generation;
  const auto found = running_.find(ticket);
  if (found == running_.end()) return;
  Running& running = found->second;
  using Stage = shard::EditOutcome::Stage;
  if (outcome.stage == Stage::rejected) {
    running.outcome.claims = outcome.claims;
    return finish(ticket, outcome.error.value_or(Error{}));
  }
  std::vector<proto::ShardMark>& marks = running.outcome.marks;
  if (std::ranges::none_of(marks, [&](const auto& mark) { return mark.shard == outcome.mark.shard; })) {
    marks.push_back(outcome.mark);
    running.outcome.undone.restored += outcome.restored;
    running.outcome.undone.skipped += outcome.skipped;
  }
  if (outcome.stage == Stage::durable && ++running.durable == running.parts) finish(ticket, std::nullopt);
}

// Those that are still searched for are refused when they are to be done.
void UndoDesk::world_gone(WorldId world) {
  std::vector<std::uint32_t> asked;
  for (const auto& [ticket, running] : running_)
    if (running.queue.first == world && running.parts != 0) asked.push_back(ticket);
  for (const std::uint32_t ticket : asked) finish(ticket, Error{ErrorCode::not_found, "the branch was dropped"});
}

void UndoDesk::finish(std::uint64_t ticket, std::optional<Error> error) {
  auto ended = running_.extract(static_cast<std::uint32_t>(ticket));
  TZ_ASSERT(!ended.empty());
  const QueueKey key = ended.mapped().queue;
  shard::UndoOutcome outcome = std::move(ended.mapped().outcome);
  outcome.error = std::move(error);
  const auto queue = queues_.find(key);
  const Ask ask = std::move(queue->second.front());
  queue->second.pop_front();
  outcome.name = name_of(*ask.request);
  if (!outcome.error) remember(outcome);
  for (const shard::Origin& origin : ask.copies_from) {
    outcome.origin = origin;
    out_.undo_done(outcome);
  }
  outcome.origin = ask.request->origin;
  out_.undo_done(std::move(outcome));
  if (queue->second.empty()) {
    queues_.erase(queue);
  } else {
    start(key);
  }
}

void UndoDesk::remember(const shard::UndoOutcome& outcome) {
  if (!done_.emplace(outcome.name, outcome).second) return;
  remembered_.push_back(outcome.name);
  if (remembered_.size() <= kRemembered) return;
  done_.erase(remembered_.front());
  remembered_.pop_front();
}

}  // namespace terrazzo::app
