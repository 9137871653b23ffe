#include "server/session/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/branch_world.h"
#include "server/shard/claim_desk.h"
#include "server/shard/derived_ops.h"
#include "server/shard/shard_router.h"

namespace terrazzo::session {
namespace {

constexpr std::uint16_t kClosePolicy = 1008;
// Time enough for a client to get another token from wherever it gets them, over a slow line, with a second try.
constexpr std::uint64_t kNsPerMs = 1'000'000, kWarningNs = 60'000 * kNsPerMs;
// Colours that read well on dark and light maps; a session without a wish gets one by its number.
constexpr std::array<std::uint32_t, 8> kColors = {0xE6194B, 0x3CB44B, 0x4363D8, 0xF58231,
                                                  0x911EB4, 0x008080, 0xBFA100, 0xF032E6};

}  // namespace

Session::Session(Connection connection, proto::Form form, shard::CoreId core, const SessionLimits& limits,
                 SessionDirectory& directory, BlockPool& requests, SessionCounters& counters)
    : connection_(connection),
      form_(form),
      core_(core),
      limits_(limits),
      directory_(directory),
      requests_(requests),
      counters_(counters) {}

shard::Origin Session::origin() const {
  return {id_, connection_.slot, connection_.generation, core_, user_, claimant_};
}

void Session::error(ErrorCode code, std::string_view message, SessionOutput& out, std::optional<std::uint32_t> sub) {
  ++counters_.errors;
  ++counters_.errors_by_code[static_cast<std::size_t>(code)];
  out.send(connection_, proto::ErrorMessage{code, message, sub});
}

namespace {

using NamedClaims = boost::container::static_vector<proto::ClaimOf, shard::ClaimLimits::kConflictsNamed>;
NamedClaims named(std::span<const shard::SharedClaim> claims) {
  NamedClaims out;
  for (const shard::SharedClaim& claim : claims.first(std::min(claims.size(), out.capacity())))
    out.push_back(message_of(*claim));
  return out;
}

}  // namespace

void Session::reject(EditId edit, ErrorCode code, std::string_view message, SessionOutput& out,
                     std::span<const shard::SharedClaim> claims) {
  ++counters_.rejects;
  ++counters_.rejects_by_code[static_cast<std::size_t>(code)];
  const NamedClaims conflicts = named(claims);
  out.send(connection_, proto::Reject{edit, code, message, {}, conflicts});
}

void Session::reject_claim(ClaimId claim, const Error& why, std::span<const shard::SharedClaim> claims,
                           SessionOutput& out) {
  ++counters_.claim_rejects_by_code[static_cast<std::size_t>(why.code)];
  const NamedClaims conflicts = named(claims);
  out.send(connection_, proto::Reject{{}, why.code, why.message, claim, conflicts});
}

bool Session::ready(SessionOutput& out) {
  if (!greeted_) error(ErrorCode::bad_message, "say hello first: the first message of a connection is `hello`", out);
  return greeted_;
}

bool Session::in_world(SessionOutput& out) {
  if (!ready(out)) return false;
  if (!world_) error(ErrorCode::bad_message, "no world is open: send `open` with a world's name first", out);
  return world_ != nullptr;
}

void Session::hello(const proto::Hello& message, std::uint64_t now_ns, SessionOutput& out) {
  if (greeted_) return error(ErrorCode::conflict, "hello was said already: once per connection", out);
  if (message.protocol != proto::kProtocolVersion) {
    error(ErrorCode::unsupported,
          "this server speaks protocol " + std::to_string(proto::kProtocolVersion) + ", the client asked for " +
              std::to_string(message.protocol),
          out);
    return out.close(connection_, kClosePolicy, error_code_name(ErrorCode::unsupported));
  }
  Result<Identity> identity = directory_.authenticate(message.token);
  if (!identity) {
    error(identity.error().code, identity.error().message, out);
    return out.close(connection_, kClosePolicy, error_code_name(identity.error().code));
  }
  if (message.resume) {
    const Result<SessionId> session = directory_.session_of(message.resume->session);
    if (!session) {
      error(session.error().code, session.error().message, out);
      return out.close(connection_, kClosePolicy, error_code_name(session.error().code));
    }
    id_ = *session;
    resumed_ = true;
  } else {
    id_ = directory_.new_session();
  }
  greeted_ = true;
  identity_ = *std::move(identity);
  // Where nobody says who they are, each session is somebody.
  claimant_ = identity_.number.value != 0 ? identity_.number : UserId{id_.value};
  may_hold_claims = resumed_;
  resends_left_ = resumed_ ? limits_.wire.edits_in_flight_max : 0;
  name_ = message.name.empty() ? identity_.user : std::string(message.name);
  user_ = directory_.user_id(identity_, name_);
  color_ = message.color != 0 ? message.color : kColors[id_.value % kColors.size()];
  out.speaks_for(id_, connection_);
  const std::string resume = directory_.resume_token(id_);
  const std::optional<Role> anywhere = identity_.roles.everywhere();
  out.send(connection_, proto::Welcome{.session = id_,
                                       .resume = resume,
                                       .incarnation = directory_.incarnation(),
                                       .user = identity_.user,
                                       .role = anywhere ? role_name(*anywhere) : std::string_view(),
                                       .limits = limits_.wire,
                                       .resumed = resumed_});
  begin_token(now_ns, out);
}

// ---- the token ----

std::optional<Role> Session::role_in(const map::World& world, const Identity& identity) const {
  return identity.roles.in(world.name, std::to_string(main_world(world.id).value));
}

void Session::begin_token(std::uint64_t now_ns, SessionOutput& out) {
  token_due_ns_.reset();
  if (!identity_.ends_ns) return;
  const std::uint64_t ends = *identity_.ends_ns;
  token_due_ns_ = ends > kWarningNs ? ends - kWarningNs : 0;
  if (*token_due_ns_ <= now_ns) token_due(now_ns, out);
}

void Session::token_due(std::uint64_t now_ns, SessionOutput& out) {
  const std::uint64_t ends = *identity_.ends_ns;
  if (now_ns < ends) {
    token_due_ns_ = ends;
    return out.send(connection_, proto::Expires{(ends - now_ns) / kNsPerMs});
  }
  token_due_ns_.reset();
  ++counters_.tokens_ended;
  error(ErrorCode::unauthenticated, "the token has expired: come back with a newer one in hello.token", out);
  out.close(connection_, kClosePolicy, error_code_name(ErrorCode::unauthenticated));
}

void Session::token(const proto::Token& message, std::uint64_t now_ns, SessionOutput& out) {
  if (!ready(out)) return;
  if (!tokens_.take(limits_.tokens, 1, now_ns))
    return error(ErrorCode::rate_limited, "a newer token once in a second: the one before stays in force", out);
  Result<Identity> newer = directory_.authenticate(message.token);
  if (!newer) return error(newer.error().code, newer.error().message, out);
  if (newer->user != identity_.user) {
    return error(ErrorCode::conflict,
                 "this session is of \"" + identity_.user + "\", the token of \"" + newer->user +
                     "\": another user begins a session of his own",
                 out);
  }
  const std::optional<Role> role = world_ ? role_in(*world_, *newer) : std::optional(role_);
  if (!role) {
    return error(ErrorCode::forbidden,
                 "the newer token gives no role in the world \"" + world_->name + "\": the one before stays in force",
                 out);
  }
  identity_ = *std::move(newer);
  ++counters_.tokens_renewed;
  begin_token(now_ns, out);
  // The answer; where the new one ends soon, that was it.
  const bool answered = token_due_ns_ == identity_.ends_ns && token_due_ns_;
  if (!answered) {
    proto::Expires expires;
    if (identity_.ends_ns) expires.in_ms = (*identity_.ends_ns - now_ns) / kNsPerMs;
    out.send(connection_, expires);
  }
  if (std::exchange(role_, *role) == *role) return;
  const std::string json = directory_.world_json(*world_);
  out.send(connection_, world_info(json));
}

// ---- the world ----

bool Session::set_world(std::shared_ptr<const map::World> world) {
  const std::optional<Role> role = role_in(*world, identity_);
  if (!role) return false;
  world_ = std::move(world);
  role_ = *role;
  return true;
}

void Session::open(const proto::Open& message, SessionOutput& out) {
  if (!ready(out)) return;
  if (world_) {
    return error(ErrorCode::conflict,
                 "the world \"" + world_->name + "\" is open on this connection: open another one on a new connection",
                 out);
  }
  std::shared_ptr<const map::World> world = directory_.find_world(message.world);
  if (!world) {
    return error(ErrorCode::not_found,
                 "there is no world \"" + std::string(message.world) +
                     "\": GET /v1/worlds lists those there are, GET /v1/worlds/{world}/branches their branches",
                 out);
  }
  if (!set_world(std::move(world))) {
    return error(ErrorCode::forbidden,
                 "the token gives no role in the world \"" + std::string(message.world) +
                     "\": one with a role there is needed (claim `roles`)",
                 out);
  }
  const std::string json = directory_.world_json(*world_);
  out.send(connection_, world_info(json));
  out.ask_presence({world_->id, origin(), std::nullopt});
}

std::optional<Error> Session::over_rate(const map::Edit& edit, std::uint64_t now_ns) {
  // What was applied before the connection was lost, and is sent again, must not be refused (ED-5, ED-7).
  if (resends_left_ != 0) {
    --resends_left_;
    return std::nullopt;
  }
  std::uint64_t cells = 0;
  for (const map::Op& op : edit.ops) cells += op.rect.intersect(world_->area()).area();
  const auto over = [&](TokenBucket& bucket, const Rate& rate, std::uint64_t cost, const char* what) {
    if (bucket.take(rate, cost, now_ns)) return std::optional<Error>();
    return std::optional<Error>(Error{ErrorCode::rate_limited, "more than " + std::to_string(rate.per_second) + " " +
                                                                   what + ": make the edit again later"});
  };
  std::optional<Error> why = over(editing().edits, limits_.edits, 1, "edits a second on this connection");
  if (!why) why = over(editing().cells, limits_.cells, cells, "cells a second on this connection");
  if (why || !identity_.budget) return why;
  why = over(identity_.budget->edits, limits_.user_edits, 1, "edits a second of this user");
  if (!why) why = over(identity_.budget->cells, limits_.user_cells, cells, "cells a second of this user");
  return why;
}

bool Session::refused(EditId id, SessionOutput& out) {
  const auto because = [&](ErrorCode code, std::string_view message) {
    reject(id, code, message, out);
    return true;
  };
  if (!greeted_ || !world_)
    return because(ErrorCode::bad_message, "no world is open: `hello`, then `open`, then edits");
  if (id.value == 0) return because(ErrorCode::bad_message, "edit ids count from 1; this one is 0");
  if (role_ == Role::viewer)
    return because(ErrorCode::forbidden, "a viewer cannot edit: ask for a token with the role editor");
  // Already on its way on this connection: its answer will come.
  const std::vector<Undo>& undos = editing().undos;
  if (editing().in_flight.contains(id) || std::ranges::find(undos, id, &Undo::id) != undos.end()) return true;
  if (edits_in_flight() < limits_.wire.edits_in_flight_max) return false;
  return because(ErrorCode::overloaded, std::to_string(edits_in_flight()) +
                                            " edits wait for their answers, the most welcome.limits allows: send "
                                            "more as answers come");
}

void Session::edit(const map::Edit& message, std::uint64_t now_ns, SessionOutput& out) {
  if (world_) ++counters_.edits;
  if (refused(message.id, out)) return;
  if (const std::optional<Error> why = over_rate(message, now_ns))
    return reject(message.id, why->code, why->message, out);
  const map::EditLimits edit_limits{.ops_max = limits_.wire.ops_per_edit_max,
                                    .conditions_max = limits_.wire.ops_per_edit_max,
                                    .cells_max = limits_.wire.cells_per_edit_max,
                                    .derived_cells_max = limits_.wire.derived_cells_per_edit_max};
  if (const Status checked = map::check_edit(*world_, message, edit_limits); !checked) {
    return reject(message.id, checked.error().code, checked.error().message, out);
  }
  if (auto request = shard::edit_of_one_shard(world_->id, origin(), message, requests_)) {
    begin_flight(message, 1);
    request->time_us = directory_.time_us();
    return out.edit(std::move(request));
  }
  if (shard::has_derived(message.ops)) return derive(message, out);
  auto parts = shard::split_edit(world_->id, origin(), message);
  if (!parts) return reject(message.id, parts.error().code, parts.error().message, out);
  begin_flight(message, parts->size());
  const std::uint64_t now_us = directory_.time_us();
  for (const auto& part : *parts) part->time_us = now_us;
  auto coordinated = std::make_unique<shard::CoordinatedRequest>();
  coordinated->world = world_->id;
  coordinated->origin = origin();
  coordinated->id = message.id;
  coordinated->ack = message.ack;
  coordinated->parts = *std::move(parts);
  out.coordinate(std::move(coordinated));
}

void Session::derive(const map::Edit& edit, SessionOutput& out) {
  if (edit.ops.size() != 1 || !edit.conditions.empty()) {
    return reject(edit.id, ErrorCode::unsupported,
                  "over several shards (8192×8192 cells) a copy or flood is an edit of its own, without other ops and "
                  "conditions: send several edits",
                  out);
  }
  const std::uint64_t shards = map::shards_of(edit.ops[0].rect).area();
  if (shards > shard::kShardsPerEditMax)
    return reject(edit.id, ErrorCode::too_large, shard::too_many_shards(shards).message, out);
  begin_flight(edit, shards);
  auto request = std::make_unique<shard::CoordinatedRequest>();
  request->world = world_->id;
  request->origin = origin();
  request->id = edit.id;
  request->ack = edit.ack;
  request->derived = edit.ops[0];
  request->time_us = directory_.time_us();
  out.coordinate(std::move(request));
}

void Session::undo(const proto::Undo& message, std::uint64_t now_ns, SessionOutput& out) {
  if (refused(message.id, out)) return;
  if (const std::optional<Error> why = over_rate({}, now_ns)) return reject(message.id, why->code, why->message, out);
  if (message.edit.value == 0 && message.author.value != 0)
    return reject(message.id, ErrorCode::bad_message, "an author without an edit: name the edit, or neither", out);
  auto request = std::make_unique<shard::UndoRequest>();
  request->world = world_->id;
  request->origin = origin();
  request->id = message.id;
  request->redo = message.redo;
  if (message.edit.value != 0)
    request->edit = shard::EditName{message.author.value != 0 ? message.author : id_, message.edit};
  request->time_us = directory_.time_us();
  request->may_be_applied = resumed_;
  editing().undos.push_back({message.id, std::move(request)});
  send_undos(out);
}

void Session::send_undos(SessionOutput& out) {
  for (Undo& undo : editing().undos) {
    if (!undo.request) continue;
    const bool waits =
        std::ranges::any_of(editing().in_flight, [&](const auto& flight) { return flight.first < undo.id; });
    if (waits) return;
    out.undo(std::move(undo.request));
  }
}

void Session::undone(const shard::UndoOutcome& outcome, SessionOutput& out) {
  if (!editing_) return;
  const auto found = std::ranges::find(editing_->undos, outcome.id, &Undo::id);
  if (found == editing_->undos.end()) return;
  editing_->undos.erase(found);
  if (outcome.error) return reject(outcome.id, outcome.error->code, outcome.error->message, out, outcome.claims);
  ++counters_.acks;
  out.send(connection_, proto::Ack{outcome.id, outcome.marks, true, outcome.undone});
}

void Session::begin_flight(const map::Edit& edit, std::size_t parts) {
  auto& [edits, cells, in_flight, spare, undos] = editing();
  Flights::iterator flight;
  if (spare.empty()) {
    flight = in_flight.try_emplace(edit.id).first;
  } else {
    spare.back().key() = edit.id;
    flight = in_flight.insert(std::move(spare.back())).position;
    spare.pop_back();
  }
  flight->second = {.parts = static_cast<std::uint32_t>(parts), .ack = edit.ack};
}

void Session::end_flight(Flights::iterator flight, SessionOutput& out) {
  Flights::node_type node = editing_->in_flight.extract(flight);
  if (editing_->spare_flights.size() < kSpareFlightsMax) editing_->spare_flights.push_back(std::move(node));
  if (!editing_->undos.empty()) send_undos(out);
}

void Session::outcome(const shard::EditOutcome& outcome, SessionOutput& out) {
  if (!editing_) return;
  const auto found = editing_->in_flight.find(outcome.edit);
  if (found == editing_->in_flight.end()) return;  // answered before, or the answer to an earlier connection's copy
  InFlight& flight = found->second;
  using Stage = shard::EditOutcome::Stage;
  if (outcome.stage == Stage::rejected) {
    const Error error = outcome.error.value_or(Error{});
    reject(outcome.edit, error.code, error.message, out, outcome.claims);
    end_flight(found, out);
    return;
  }
  const bool known = std::any_of(flight.marks.begin(), flight.marks.end(),
                                 [&](const proto::ShardMark& m) { return m.shard == outcome.mark.shard; });
  if (!known) {
    flight.marks.push_back(outcome.mark);
    ++flight.applied;
  }
  if (outcome.stage == Stage::durable) ++flight.durable;
  if (flight.ack == map::AckMode::applied && flight.applied == flight.parts) {
    acknowledge(outcome.edit, flight, flight.durable == flight.parts, out);
    end_flight(found, out);
  } else if (flight.durable == flight.parts) {
    acknowledge(outcome.edit, flight, true, out);
    end_flight(found, out);
  }
}

void Session::acknowledge(EditId edit, const InFlight& flight, bool durable, SessionOutput& out) {
  ++counters_.acks;
  out.send(connection_, proto::Ack{edit, flight.marks, durable});
}

void Session::presence(const proto::Presence& message) {
  ++counters_.presences;
  if (!shown_) shown_ = std::make_unique<Shown>();
  proto::Presence& presence = shown_->presence;
  if (message.cursor) presence.cursor = message.cursor;
  if (message.viewport) presence.viewport = message.viewport;
  if (message.selection) presence.selection = message.selection;
  if (message.tool) {
    shown_->tool = std::string(*message.tool);
    presence.tool = std::string_view();
  }
  shown_->kept.reset();
}

boost::intrusive_ptr<PresenceNote> Session::presence_note() const {
  boost::intrusive_ptr<PresenceNote> note(new PresenceNote);
  note->world = world_ ? world_->id : WorldId{};
  note->session = id_;
  note->name = name_;
  note->color = color_;
  if (!shown_) return note;
  note->cursor = shown_->presence.cursor;
  note->viewport = shown_->presence.viewport;
  note->selection = shown_->presence.selection;
  if (shown_->presence.tool) note->tool = shown_->tool;
  return note;
}

const SharedNote& Session::newest_presence() {
  TZ_ASSERT(shown_ != nullptr);
  if (!shown_->kept) shown_->kept = presence_note();
  return shown_->kept;
}

boost::container::static_vector<map::Rect, 2> Session::presence_place() const {
  boost::container::static_vector<map::Rect, 2> place;
  const auto add = [&](const map::Rect& cells) {
    if (!cells.empty()) place.push_back(map::chunks_of(cells));
  };
  if (!shown_) return place;
  const proto::Presence& presence = shown_->presence;
  if (presence.cursor) add(map::Rect::of_size(presence.cursor->x, presence.cursor->y, 1, 1));
  if (presence.selection) add(*presence.selection);
  if (place.empty() && presence.viewport) add(*presence.viewport);
  return place;
}

SharedNote Session::next_presence(std::uint64_t now_ns) {
  TZ_ASSERT(shown_ != nullptr);
  shown_->sent_ns = now_ns;
  boost::intrusive_ptr<PresenceNote> note = presence_note();
  const auto place = presence_place();
  // Who saw it go is told where to; who comes is told by Home::complete.
  note->chunks.assign(place.begin(), place.end());
  note->chunks.insert(note->chunks.end(), shown_->was.begin(), shown_->was.end());
  note->to_all = !std::exchange(shown_->announced, true) || note->chunks.empty();
  shown_->was = place;
  return note;
}

bool Session::watches(const map::Rect& chunks) const {
  const auto in = [&](const auto& registration) {
    return registration && std::any_of(registration->parts.begin(), registration->parts.end(), [&](const auto& part) {
             return part.admitted && part.chunks.intersects(chunks);
           });
  };
  return std::any_of(subscriptions_.begin(), subscriptions_.end(),
                     [&](const auto& entry) { return in(entry.second.current) || in(entry.second.next); });
}

}  // namespace terrazzo::session
