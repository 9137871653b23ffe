// The home's side of connections that read too slowly: who is left out of an edit, and what brings them back.
#include <algorithm>
#include <utility>

#include "base/canary.h"

#include "server/session/home.h"

namespace terrazzo::session {
namespace {

constexpr std::uint16_t kClosePolicy = 1008;

}  // namespace

Conflation& Home::owe(Connection connection) {
  if (connection.slot >= slow_.size()) slow_.resize(std::size_t{connection.slot} + 1);
  std::unique_ptr<Conflation>& slow = slow_[connection.slot];
  if (!slow) {
    slow = std::make_unique<Conflation>();
    ++slow_count_;
  }
  return *slow;
}

void Home::forget_owed(Connection connection) {
  if (owed(connection) == nullptr) return;
  slow_[connection.slot].reset();
  --slow_count_;
}

void Home::fall_behind(Connection connection, Conflation& slow) {
  if (!slow.behind()) ++counters_.conflations;
  slow.outbox_full();
  out_.tell_room(connection);
}

std::size_t Home::slow_count() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(slow_, [](const auto& slow) { return slow != nullptr && slow->behind(); }));
}

std::size_t Home::stale_shards() const {
  std::size_t count = 0;
  for (const auto& slow : slow_) count += slow ? slow->stale_count() : 0;
  return count;
}

// ---- edits ----

void Home::left_out(Connection connection, Conflation& slow, map::ShardPos shard, Lsn lsn) {
  ++counters_.edits_left_out;
  if (!slow.left_out(shard, lsn)) return;
  ++counters_.shards_stale;
  out_.send(connection, proto::Stale{shard, lsn});
}

void Home::leave_out(const shard::Publication& publication, std::vector<Connection>& viewers) {
  const map::ShardPos shard = publication.shard.position;
  std::erase_if(viewers, [&](Connection connection) {
    Conflation* slow = owed(connection);
    if (slow == nullptr || !slow->leaves_out(shard)) return false;
    left_out(connection, *slow, shard, publication.lsn);
    return true;
  });
}

void Home::refused(const shard::Publication& publication, std::span<const Connection> connections) {
  for (const Connection connection : connections) {
    Conflation& slow = owe(connection);
    fall_behind(connection, slow);
    if (canary::is(canary::Bug::gap_not_told)) continue;
    left_out(connection, slow, publication.shard.position, publication.lsn);
  }
}

// As if it had been left out for each of them: its states are asked for as soon as there is room.
void Home::publish_states(const shard::Publication& publication, WorldView& view) {
  viewers_.clear();
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    std::vector<Connection> those;
    view.viewers.collect(form, publication.touched, those);
    viewers_.insert(viewers_.end(), those.begin(), those.end());
  }
  for (const Connection connection : viewers_) {
    Conflation& slow = owe(connection);
    left_out(connection, slow, publication.shard.position, publication.lsn);
    out_.tell_room(connection);
  }
}

// ---- making good ----

void Home::room(Connection connection) {
  Session* session = find(connection);
  Conflation* slow = session == nullptr ? nullptr : owed(connection);
  if (slow == nullptr) return;
  const auto stale = slow->next(new_ticket());
  if (slow->take_world()) {
    const std::string json = directory_.world_json(*session->world());
    out_.send(connection, session->world_info(json));
  }
  for (const proto::ShardMark& mark : slow->take_durable()) out_.send(connection, proto::Durable{mark.shard, mark.lsn});
  for (const shard::SharedClaimNote& note : slow->take_claims()) out_.send(connection, message_of(*note));
  for (const SharedNote& note : slow->take_presence())
    out_.send_presence(session->form(), {&connection, 1}, note, PresenceIsFor::newcomers, nullptr);
  if (stale) return request_refresh(*session, *stale);
  if (slow->over()) forget_owed(connection);
}

// Also what is not admitted yet: its states may come before the answer, and edits between the two are left out.
void Home::request_refresh(Session& session, const Conflation::StaleShard& stale) {
  auto request = std::make_unique<shard::RefreshRequest>();
  request->shard = {session.world()->id, stale.position};
  request->origin = session.origin();
  request->form = session.form();
  request->ticket = stale.ticket;
  request->since = stale.since;
  const auto add = [&](const Registration* registration) {
    if (registration == nullptr) return;
    for (const Registration::Part& part : registration->parts)
      if (part.shard == stale.position) request->areas.push_back({part.chunks, registration->layers});
  };
  for (const auto& [sub, subscription] : session.subscriptions()) {
    add(subscription.current ? &*subscription.current : nullptr);
    add(subscription.next.get());
  }
  out_.refresh(std::move(request));
}

void Home::refreshed(Session& session, const shard::StatesReply& reply) {
  const Connection connection = session.connection();
  Conflation* slow = owed(connection);
  if (slow == nullptr || !slow->refreshed(reply.shard, reply.ticket)) return;
  if (reply.error) {
    // Its view cannot be made good here; it comes back and is told what can be told.
    session.error(reply.error->code, reply.error->message, out_);
    return out_.close(connection, kClosePolicy, error_code_name(reply.error->code));
  }
  counters_.chunks_refreshed += reply.chunks;
  for (const SharedBytes& frame : reply.frames) out_.send_frame({&connection, 1}, frame);
  out_.send(connection, proto::Refreshed{reply.shard, reply.mark.lsn});
  if (canary::is(canary::Bug::wake_up_lost)) return;
  out_.tell_room(connection);
}

}  // namespace terrazzo::session
