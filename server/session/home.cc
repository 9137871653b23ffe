#include "server/session/home.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace terrazzo::session {
namespace {

constexpr std::uint16_t kCloseInvalidPayload = 1007;
constexpr std::uint16_t kClosePolicy = 1008;
// Marks only let clients forget what they hold for resending; ten a second is soon enough and costs nothing beside
// edits.
constexpr std::uint64_t kDurableIntervalNs = 100'000'000;

}  // namespace

Home::Home(shard::CoreId core, const SessionLimits& limits, SessionDirectory& directory, SessionOutput& out)
    : core_(core), limits_(limits), directory_(directory), out_(out) {}

Session* Home::find(Connection connection) {
  if (connection.slot >= sessions_.size()) return nullptr;
  Session* session = sessions_[connection.slot].get();
  return session != nullptr && session->connection() == connection ? session : nullptr;
}

void Home::connected(Connection connection, proto::Form form) {
  if (connection.slot >= sessions_.size()) sessions_.resize(std::size_t{connection.slot} + 1);
  TZ_ASSERT(sessions_[connection.slot] == nullptr);
  sessions_[connection.slot] =
      std::make_unique<Session>(connection, form, core_, limits_, directory_, requests_, counters_);
  ++session_count_;
}

void Home::message(Connection connection, std::span<const std::byte> payload) {
  Session* session = find(connection);
  if (session == nullptr) return;
  arena_.reset();
  const auto messages = proto::decode_client_messages(session->form(), payload, arena_);
  if (!messages) {
    session->error(messages.error().code, messages.error().message, out_);
    return out_.close(connection, kCloseInvalidPayload, error_code_name(messages.error().code));
  }
  for (const proto::ClientMessage& message : *messages) {
    ++counters_.messages;
    dispatch(*session, message);
  }
}

void Home::dispatch(Session& session, const proto::ClientMessage& message) {
  struct Visitor {
    Home& home;
    Session& session;
    void operator()(const proto::Hello& m) {
      home.with_token(session, [&] { session.hello(m, home.now_ns_, home.out_); });
    }
    void operator()(const proto::Token& m) {
      home.with_token(session, [&] { session.token(m, home.now_ns_, home.out_); });
    }
    void operator()(const proto::Open& m) {
      const bool had_world = session.world() != nullptr;
      session.open(m, home.out_);
      if (!had_world && session.world()) home.opened(session);
    }
    void operator()(const proto::Subscribe& m) { home.subscribe(session, m); }
    void operator()(const proto::Unsubscribe& m) { home.unsubscribe(session, m); }
    void operator()(const map::Edit& m) { session.edit(m, home.now_ns_, home.out_); }
    void operator()(const proto::Undo& m) { session.undo(m, home.now_ns_, home.out_); }
    void operator()(const proto::Presence& m) {
      if (!session.in_world(home.out_)) return;
      session.presence(m);
      home.presence_said(session);
    }
    void operator()(const proto::Follow& m) {
      if (session.in_world(home.out_)) home.follow(session, m.session);
    }
    void operator()(const proto::Chat& m) { home.chat(session, m); }
    void operator()(const proto::Claim& m) { home.claim(session, m); }
    void operator()(const proto::Release& m) { home.release(session, m); }
    void operator()(const proto::Ping& m) { home.out_.send(session.connection(), proto::Pong{m.t}); }
    void operator()(const proto::Invalid& m) {
      if (m.edit) return session.reject(*m.edit, m.code, m.message, home.out_);
      session.error(m.code, m.message, home.out_, m.sub);
    }
  };
  std::visit(Visitor{*this, session}, message);
}

void Home::opened(Session& session) {
  WorldView& view = worlds_[session.world()->id];
  view.slots.push_back(session.connection().slot);
  view.slot_of[session.id()] = session.connection().slot;
}

// ---- tokens ----

template <class Do>
void Home::with_token(Session& session, Do&& act) {
  const Connection connection = session.connection();
  if (const auto& due = session.token_due_ns()) tokens_due_.erase({*due, connection.slot});
  act();
  if (const auto& due = session.token_due_ns()) tokens_due_.emplace(*due, connection.slot);
}

void Home::look_at_tokens() {
  while (!tokens_due_.empty() && tokens_due_.begin()->first <= now_ns_) {
    Session& session = *sessions_[tokens_due_.begin()->second];
    with_token(session, [&] { session.token_due(now_ns_, out_); });
  }
}

bool Home::acceptable(Session& session, const proto::Subscribe& message, std::span<const map::LayerId> layers,
                      const map::Rect& chunks) {
  const std::string name = "subscription " + std::to_string(message.sub);
  for (const map::LayerId layer : layers) {
    const map::Layer* found = session.world()->find_layer(layer);
    if (found == nullptr || found->kind != map::LayerKind::tile) {
      session.error(
          ErrorCode::not_found,
          name + ": layer " + std::to_string(layer) + " is not a tile layer of this world: see `world`.layers", out_,
          message.sub);
      return false;
    }
  }
  const std::uint64_t wanted = chunks.area() * layers.size();
  if (chunks.area() > limits_.wire.chunks_per_subscription_max || wanted > limits_.wire.chunks_per_subscription_max) {
    session.error(ErrorCode::too_large,
                  name + " covers " + std::to_string(chunks.area()) + " chunks in " + std::to_string(layers.size()) +
                      " layers; at most " + std::to_string(limits_.wire.chunks_per_subscription_max) +
                      " together: ask for a smaller rectangle or fewer layers",
                  out_, message.sub);
    return false;
  }
  std::uint64_t others = 0;
  for (const auto& [sub, subscription] : session.subscriptions()) {
    const Registration* const newest = subscription.next ? subscription.next.get() : &*subscription.current;
    if (sub != message.sub) others += newest->chunks.area() * newest->layers.size();
  }
  if (others + wanted > limits_.subscribed_chunks_max) {
    session.error(ErrorCode::too_large,
                  name + " would make it " + std::to_string(others + wanted) +
                      " chunks × layers in all subscriptions of this connection; at most " +
                      std::to_string(limits_.subscribed_chunks_max) + ": ask for less, or unsubscribe first",
                  out_);
    return false;
  }
  if (!session.subscriptions().contains(message.sub) &&
      session.subscriptions().size() >= limits_.wire.subscriptions_max) {
    session.error(
        ErrorCode::too_large,
        name + ": at most " + std::to_string(limits_.wire.subscriptions_max) + " subscriptions: unsubscribe one first",
        out_, message.sub);
    return false;
  }
  return true;
}

void Home::subscribe(Session& session, const proto::Subscribe& message) {
  if (!session.in_world(out_)) return;
  std::vector<map::LayerId> layers(message.layers.begin(), message.layers.end());
  if (layers.empty()) {
    for (const map::Layer& layer : session.world()->layers)
      if (layer.kind == map::LayerKind::tile) layers.push_back(layer.id);
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  // A view may hang over the edge of the world; what lies outside has no cells.
  const map::Rect chunks = map::chunks_of(message.rect.intersect(session.world()->area()));
  if (!acceptable(session, message, layers, chunks)) return;

  Registration registration = request_states(session, message, layers, chunks);
  Session::Subscription& subscription = session.subscriptions()[message.sub];
  if (subscription.next) forget(session, *subscription.next);
  subscription.next = std::make_unique<Registration>(std::move(registration));
  if (subscription.next->parts.empty()) complete(session, message.sub, subscription);
}

Registration Home::request_states(Session& session, const proto::Subscribe& message,
                                  const std::vector<map::LayerId>& layers, const map::Rect& chunks) {
  Registration registration;
  registration.instance = next_instance_++;
  registration.chunks = chunks;
  registration.layers = layers;
  if (chunks.empty() || layers.empty()) return registration;
  worlds_[session.world()->id].viewers.expect(session.form(), chunks);
  const map::Rect shards{chunks.x0 >> map::kShardShift, chunks.y0 >> map::kShardShift,
                         ((chunks.x1 - 1) >> map::kShardShift) + 1, ((chunks.y1 - 1) >> map::kShardShift) + 1};
  for (std::int64_t y = shards.y0; y < shards.y1; ++y) {
    for (std::int64_t x = shards.x0; x < shards.x1; ++x) {
      const map::ShardPos shard{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
      const map::Rect part = chunks.intersect(
          map::Rect::of_size(x * map::kShardChunks, y * map::kShardChunks, map::kShardChunks, map::kShardChunks));
      const std::uint32_t ticket = new_ticket();
      registration.parts.push_back({ticket, shard, part, false});
      auto request = std::make_unique<shard::SubscribeRequest>();
      request->shard = {session.world()->id, shard};
      request->origin = session.origin();
      request->form = session.form();
      request->sub = message.sub;
      request->ticket = ticket;
      request->chunks = part;
      request->layers = layers;
      request->incarnation = message.incarnation;
      for (const proto::KnownChunk& known : message.known)
        if (part.contains(map::CellPos{known.chunk.x, known.chunk.y})) request->known.push_back(known);
      out_.subscribe(std::move(request));
    }
  }
  return registration;
}

void Home::states(const shard::StatesReply& reply) {
  Session* session = find({reply.origin.connection_slot, reply.origin.connection_generation});
  if (session == nullptr) return;
  if (reply.refresh) return refreshed(*session, reply);
  const auto subscription = session->subscriptions().find(reply.sub);
  if (subscription == session->subscriptions().end() || !subscription->second.next) return;
  Registration& registration = *subscription->second.next;
  const auto part = std::find_if(registration.parts.begin(), registration.parts.end(),
                                 [&](const Registration::Part& p) { return p.ticket == reply.ticket; });
  if (part == registration.parts.end()) return;  // of a registration that was replaced meanwhile
  if (reply.error) {
    session->error(reply.error->code, "subscription " + std::to_string(reply.sub) + ": " + reply.error->message, out_,
                   reply.sub);
    forget(*session, registration);
    subscription->second.next.reset();
    if (!subscription->second.current) session->subscriptions().erase(subscription);
    return;
  }
  part->admitted = true;
  registration.marks.push_back(reply.mark);
  WorldView& view = worlds_[session->world()->id];
  Lsn& durable = view.newest_durable[reply.mark.shard];
  durable = std::max(durable, reply.durable);
  view.viewers.admit(session->connection(), registration.instance, session->form(), part->chunks);
  const Connection connection = session->connection();
  for (const SharedBytes& frame : reply.frames) out_.send_frame({&connection, 1}, frame);
  const bool all = std::all_of(registration.parts.begin(), registration.parts.end(),
                               [](const Registration::Part& p) { return p.admitted; });
  if (all) complete(*session, reply.sub, subscription->second);
}

void Home::complete(Session& session, std::uint32_t sub, Session::Subscription& subscription) {
  const map::Rect before = subscription.current ? subscription.current->chunks : map::Rect{};
  if (subscription.current) forget(session, *subscription.current);
  subscription.current = std::move(*subscription.next);
  subscription.next.reset();
  out_.send(session.connection(), proto::Subscribed{sub, subscription.current->marks});
  const map::Rect& area = subscription.current->chunks;
  if (!area.empty() && area != before) {
    out_.ask_presence({session.world()->id, session.origin(), area, before});
    look_for_claims(session, area, before);
  }
  const WorldView& view = worlds_[session.world()->id];
  for (const proto::ShardMark& mark : subscription.current->marks) {
    const auto durable = view.newest_durable.find(mark.shard);
    if (durable != view.newest_durable.end() && durable->second.value != 0)
      out_.send(session.connection(), proto::Durable{mark.shard, durable->second});
  }
}

void Home::unsubscribe(Session& session, const proto::Unsubscribe& message) {
  if (!session.in_world(out_)) return;
  const auto found = session.subscriptions().find(message.sub);
  if (found == session.subscriptions().end()) {
    return session.error(ErrorCode::not_found, "there is no subscription " + std::to_string(message.sub), out_,
                         message.sub);
  }
  if (found->second.current) forget(session, *found->second.current);
  if (found->second.next) forget(session, *found->second.next);
  session.subscriptions().erase(found);
}

void Home::forget(Session& session, const Registration& registration) {
  if (registration.parts.empty()) return;
  const WorldId world = session.world()->id;
  std::vector<map::ChunkPos> uninteresting;
  worlds_[world].viewers.forget(session.connection(), registration.instance, session.form(), registration.chunks,
                                uninteresting);
  std::unordered_map<map::ShardPos, std::unique_ptr<shard::InterestOff>> by_shard;
  for (const map::ChunkPos chunk : uninteresting) {
    std::unique_ptr<shard::InterestOff>& off = by_shard[map::shard_of(chunk)];
    if (!off) {
      off = std::make_unique<shard::InterestOff>();
      off->shard = {world, map::shard_of(chunk)};
      off->core = core_;
      off->form = session.form();
    }
    off->chunks.push_back(chunk);
  }
  for (auto& [position, off] : by_shard) out_.interest_off(std::move(off));
}

void Home::disconnected(Connection connection) {
  Session* session = find(connection);
  if (session == nullptr) return;
  if (session->world()) {
    for (auto& [sub, subscription] : session->subscriptions()) {
      if (subscription.current) forget(*session, *subscription.current);
      if (subscription.next) forget(*session, *subscription.next);
    }
    WorldView& view = worlds_[session->world()->id];
    forget_followed(view, *session);
    std::vector<std::uint32_t>& slots = view.slots;
    slots.erase(std::remove(slots.begin(), slots.end(), connection.slot), slots.end());
    // It may have come back on another connection already.
    if (const auto mine = view.slot_of.find(session->id());
        mine != view.slot_of.end() && mine->second == connection.slot)
      view.slot_of.erase(mine);
    if (session->has_presence()) {
      const auto note = session->presence_note();
      note->left = note->to_all = true;
      out_.presence(note);
    }
    if (session->may_hold_claims) out_.claim(claim_request(*session, shard::ClaimRequest::Kind::lost));
  }
  if (session->id().value != 0) out_.silent(session->id(), connection);
  if (const auto& due = session->token_due_ns()) tokens_due_.erase({*due, connection.slot});
  forget_owed(connection);
  sessions_[connection.slot].reset();
  --session_count_;
}

void Home::outcome(const shard::EditOutcome& outcome) {
  Session* session = find({outcome.origin.connection_slot, outcome.origin.connection_generation});
  if (session != nullptr) session->outcome(outcome, out_);
}

void Home::undone(const shard::UndoOutcome& outcome) {
  Session* session = find({outcome.origin.connection_slot, outcome.origin.connection_generation});
  if (session != nullptr) session->undone(outcome, out_);
}

void Home::publication(const shard::Publication& publication) {
  const auto view = worlds_.find(publication.shard.world);
  if (view == worlds_.end()) return;
  if (publication.as_states) [[unlikely]]
    return publish_states(publication, view->second);
  for (const proto::Form form : {proto::Form::binary, proto::Form::json}) {
    const SharedBytes& frame = publication.frame[static_cast<std::size_t>(form)];
    if (!frame) continue;
    viewers_.clear();
    view->second.viewers.collect(form, publication.touched, viewers_);
    if (slow_count_ != 0) leave_out(publication, viewers_);
    if (viewers_.empty()) continue;
    refused_.clear();
    out_.send_edit(viewers_, frame, refused_);
    counters_.deliveries += viewers_.size() - refused_.size();
    refused(publication, refused_);
  }
}

void Home::durable(const shard::DurableMark& mark) {
  const auto view = worlds_.find(mark.shard.world);
  if (view == worlds_.end()) return;
  view->second.durable[mark.shard.position] = view->second.newest_durable[mark.shard.position] = mark.lsn;
  durable_waiting_ = true;
}

void Home::send_durable(WorldView& view) {
  for (const std::uint32_t slot : view.slots) {
    Session& session = *sessions_[slot];
    for (const auto& [position, lsn] : view.durable) {
      const bool sees = std::any_of(
          session.subscriptions().begin(), session.subscriptions().end(), [&, at = position](const auto& entry) {
            const auto in_shard = [&](const Registration::Part& part) { return part.shard == at; };
            return entry.second.current &&
                   std::any_of(entry.second.current->parts.begin(), entry.second.current->parts.end(), in_shard);
          });
      if (!sees) continue;
      if (Conflation* slow = owed(session.connection()); slow != nullptr && slow->full()) {
        slow->owe_durable(position, lsn);
      } else {
        out_.send(session.connection(), proto::Durable{position, lsn});
      }
    }
  }
  view.durable.clear();
}

void Home::going_away(std::uint32_t retry_after_ms) {
  for (const auto& session : sessions_)
    if (session) out_.send(session->connection(), proto::GoingAway{retry_after_ms});
}

void Home::superseded(Connection connection) {
  Session* session = find(connection);
  if (session == nullptr) return;
  session->error(ErrorCode::conflict, "this session was resumed by another connection", out_);
  out_.close(connection, kClosePolicy, error_code_name(ErrorCode::conflict));
}

void Home::world_gone(WorldId world) {
  const auto view = worlds_.find(world);
  if (view == worlds_.end()) return;
  std::vector<Connection> there;
  for (const std::uint32_t slot : view->second.slots) there.push_back(sessions_[slot]->connection());
  for (const Connection connection : there) {
    Session* const session = find(connection);
    if (session == nullptr) continue;
    session->error(ErrorCode::not_found, "the branch was dropped", out_);
    out_.close(connection, kClosePolicy, error_code_name(ErrorCode::not_found));
  }
}

void Home::world_changed(const std::shared_ptr<const map::World>& world) {
  const auto view = worlds_.find(world->id);
  if (view == worlds_.end()) return;
  std::vector<Connection> shut_out;
  for (const std::uint32_t slot : view->second.slots)
    if (!sessions_[slot]->set_world(world)) shut_out.push_back(sessions_[slot]->connection());
  for (const Connection connection : shut_out) {
    find(connection)
        ->error(ErrorCode::forbidden,
                "the world is called \"" + world->name + "\" now, and the token gives no role in that", out_);
    out_.close(connection, kClosePolicy, error_code_name(ErrorCode::forbidden));
  }
  const std::string json = directory_.world_json(*world);
  for (const proto::Form form : {proto::Form::binary, proto::Form::json})
    for (const Role role : {Role::viewer, Role::editor, Role::owner})
      tell_world(view->second, form, role, *world, json);
}

// To those who have this form and this role, and were not shut out.
void Home::tell_world(WorldView& view, proto::Form form, Role role, const map::World& world, std::string_view json) {
  viewers_.clear();
  for (const std::uint32_t slot : view.slots) {
    const Session& session = *sessions_[slot];
    if (session.form() != form || session.role() != role || session.world().get() != &world) continue;
    if (Conflation* slow = owed(session.connection()); slow != nullptr && slow->full()) {
      slow->owe_world();
    } else {
      viewers_.push_back(session.connection());
    }
  }
  if (viewers_.empty()) return;
  refused_.clear();
  out_.send_to_many(form, viewers_, proto::WorldInfo{json, role_name(role)}, refused_);
  for (const Connection connection : refused_) {
    Conflation& slow = owe(connection);
    fall_behind(connection, slow);  // no edit overtakes it
    slow.owe_world();
  }
}

void Home::tick(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  look_at_tokens();
  if (!presence_waiting_.empty() && now_ns >= presence_due_ns_) send_presences(now_ns);
  if (durable_waiting_ && now_ns - durable_sent_ns_ >= kDurableIntervalNs) {
    durable_waiting_ = false;
    durable_sent_ns_ = now_ns;
    for (auto& [world, view] : worlds_)
      if (!view.durable.empty()) send_durable(view);
  }
}

std::uint64_t Home::next_tick_ns() const {
  std::uint64_t next = std::numeric_limits<std::uint64_t>::max();
  if (durable_waiting_) next = durable_sent_ns_ + kDurableIntervalNs;
  if (!presence_waiting_.empty()) next = std::min(next, presence_due_ns_);
  if (!tokens_due_.empty()) next = std::min(next, tokens_due_.begin()->first);
  return next;
}

std::size_t Home::edits_in_flight() const {
  std::size_t count = 0;
  for (const auto& session : sessions_) count += session ? session->edits_in_flight() : 0;
  return count;
}

std::size_t Home::watched_chunks() const {
  std::size_t count = 0;
  for (const auto& [world, view] : worlds_) count += view.viewers.chunk_count();
  return count;
}

}  // namespace terrazzo::session
