// The home's side of presence (PROTOCOL.md, PR): how often it goes out, who is told, and who has to wait.
#include <algorithm>
#include <span>
#include <utility>

#include "server/session/home.h"

namespace terrazzo::session {
namespace {

constexpr std::uint16_t kClosePolicy = 1008;
// Between two looks at the sessions that have something to send, however many they are.
constexpr std::uint64_t kLookEveryNs = 1'000'000;

}  // namespace

proto::ServerMessage message_of(const PresenceNote& note) {
  if (note.left) return proto::Left{note.session};
  proto::PresenceOf message{.session = note.session, .name = note.name, .color = note.color, .presence = {}};
  message.presence = {note.cursor, note.viewport, note.selection, {}};
  if (note.tool) message.presence.tool = *note.tool;
  return message;
}

// ---- from sessions here ----

void Home::presence_said(Session& session) {
  if (!std::exchange(session.presence_waits, true)) presence_waiting_.push_back(session.connection());
  const std::uint64_t due = std::max(session.presence_due_ns(), presence_looked_ns_ + kLookEveryNs);
  presence_due_ns_ = std::min(presence_due_ns_, due);
}

void Home::send_presences(std::uint64_t now_ns) {
  presence_looked_ns_ = now_ns;
  // Each session's newest waits with it.
  if (out_.is_behind()) {
    presence_due_ns_ = now_ns + kLookEveryNs;
    return;
  }
  std::uint64_t next = kNever;
  std::erase_if(presence_waiting_, [&](Connection connection) {
    Session* session = find(connection);
    if (session == nullptr) return true;
    if (session->presence_due_ns() > now_ns) {
      next = std::min(next, session->presence_due_ns());
      return false;
    }
    session->presence_waits = false;
    ++counters_.presence_notes;
    out_.presence(session->next_presence(now_ns));
    return true;
  });
  presence_due_ns_ = std::max(next, now_ns + kLookEveryNs);
}

// ---- to sessions here ----

void Home::collect_presence_viewers(WorldView& view, proto::Form form, const PresenceNote& note) {
  std::uint64_t area = 0;
  for (const map::Rect& rect : note.chunks) area += rect.area();
  // A cursor is in one chunk; a selection may be larger than all that anybody watches.
  if (!note.to_all && area <= view.slots.size() + kChunksLookedUp)
    return view.viewers.collect(form, std::span<const map::Rect>(note.chunks), viewers_);
  for (const std::uint32_t slot : view.slots) {
    const Session& session = *sessions_[slot];
    const auto watches = [&](const map::Rect& chunks) { return session.watches(chunks); };
    if (session.form() == form && (note.to_all || std::ranges::any_of(note.chunks, watches)))
      viewers_.push_back(session.connection());
  }
}

// Those who follow it and do not watch the place: the others are viewers already.
void Home::collect_followers(const WorldView& view, proto::Form form, const PresenceNote& note) {
  if (note.to_all || view.followers.empty()) return;
  const auto [first, last] = view.followers.equal_range(note.session);
  for (auto follower = first; follower != last; ++follower) {
    const Session& session = *sessions_[follower->second];
    const auto watches = [&](const map::Rect& chunks) { return session.watches(chunks); };
    if (session.form() == form && std::ranges::none_of(note.chunks, watches)) viewers_.push_back(session.connection());
  }
}

void Home::presence(const SharedNote& note) {
  const auto view = worlds_.find(note->world);
  if (view == worlds_.end()) return;
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    viewers_.clear();
    collect_presence_viewers(view->second, form, *note);
    collect_followers(view->second, form, *note);
    std::erase_if(viewers_, [&](Connection connection) {
      const Session* session = find(connection);
      return session == nullptr || session->id() == note->session;
    });
    tell_presence(form, note, PresenceIsFor::all);
  }
}

void Home::tell_presence(proto::Form form, const SharedNote& note, PresenceIsFor is_for) {
  std::erase_if(viewers_, [&](Connection connection) {
    Conflation* slow = owed(connection);
    // What was put off goes out first: an older presence never comes after a newer one.
    if (slow == nullptr || (!slow->full() && !slow->owes_presence())) return false;
    put_off(connection, *slow, note);
    return true;
  });
  if (viewers_.empty()) return;
  refused_.clear();
  out_.send_presence(form, viewers_, note, is_for, &refused_);
  counters_.presence_deliveries += viewers_.size() - refused_.size();
  for (const Connection connection : refused_) {
    put_off(connection, owe(connection), note);
    out_.tell_room(connection);
  }
}

void Home::put_off(Connection connection, Conflation& slow, const SharedNote& note) {
  ++counters_.presence_put_off;
  if (!slow.owe_presence(note)) out_.close(connection, kClosePolicy, error_code_name(ErrorCode::overloaded));
}

// ---- newcomers ----

void Home::presence_asked(const PresenceAsk& ask) {
  const auto view = worlds_.find(ask.world);
  if (view == worlds_.end()) return;
  // A client may ask for one after the other in a loop: that must not cost a look at all each time.
  if (ask.only.value != 0) {
    const auto only = view->second.slot_of.find(ask.only);
    if (only == view->second.slot_of.end()) return;
    Session& session = *sessions_[only->second];
    if (session.has_presence() && session.id() != ask.newcomer.session)
      out_.presence_to(ask.newcomer, session.newest_presence());
    return;
  }
  for (const std::uint32_t slot : view->second.slots) {
    Session& session = *sessions_[slot];
    if (!session.has_presence() || session.id() == ask.newcomer.session) continue;
    const auto place = session.presence_place();
    const auto meets = [&](const map::Rect& area) {
      return std::ranges::any_of(place, [&](const map::Rect& chunks) { return chunks.intersects(area); });
    };
    if (!ask.area || (meets(*ask.area) && !meets(ask.known))) out_.presence_to(ask.newcomer, session.newest_presence());
  }
}

void Home::presence_for(const shard::Origin& newcomer, const SharedNote& note) {
  const Connection connection{newcomer.connection_slot, newcomer.connection_generation};
  const Session* session = find(connection);
  if (session == nullptr) return;
  viewers_.assign(1, connection);
  tell_presence(session->form(), note, PresenceIsFor::newcomers);
}

// ---- followers ----

void Home::follow(Session& session, SessionId followed) {
  if (session.followed == followed) return;
  WorldView& view = worlds_[session.world()->id];
  forget_followed(view, session);
  session.followed = followed;
  if (followed.value == 0) return;
  view.followers.emplace(followed, session.connection().slot);
  out_.ask_presence({session.world()->id, session.origin(), std::nullopt, {}, followed});
}

void Home::forget_followed(WorldView& view, Session& session) {
  const auto [first, last] = view.followers.equal_range(std::exchange(session.followed, {}));
  const auto mine =
      std::find_if(first, last, [&](const auto& entry) { return entry.second == session.connection().slot; });
  if (mine != last) view.followers.erase(mine);
}

}  // namespace terrazzo::session
