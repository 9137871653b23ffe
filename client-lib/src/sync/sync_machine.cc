#include "client-lib/src/sync/sync_machine.h"

#include <algorithm>
#include <utility>

#include "base/canary.h"
#include "client-lib/src/sync/passing_error.h"
#include "map/edit_check.h"
#include "map/formats/world_json.h"

namespace terrazzo::client {
namespace {

constexpr std::uint64_t kUsPerMs = 1000, kUsPerSecond = 1'000'000;
// Renewals are looked at twice a second, and come when a third of the time has passed.
constexpr std::int64_t kClaimMsMin = 2000;

}  // namespace

SyncMachine::SyncMachine(const ConnectOptions& options, SyncOutput& out)
    : options_(options),
      out_(out),
      backoff_(options.reconnect, options.seed),
      token_(options.token),
      replica_(options.cache_bytes_max, held_, subscriptions_) {}

// ---- what the program is told ----

void SyncMachine::hand_out() {
  if (handing_out_) return;  // further up in the stack it goes on, in the order of the events
  handing_out_ = true;
  while (!events_.empty()) {
    const Event event = std::move(events_.front());
    events_.pop_front();
    out_.emit(event);
  }
  handing_out_ = false;
}

void SyncMachine::set_state(State state, std::optional<Error> error, std::uint32_t retry_in_ms) {
  state_ = state;
  if (error || state == State::live) last_error_ = error;
  tell(StateChanged{state, std::move(error), retry_in_ms});
}

// ---- what the server says ----

void SyncMachine::on(const proto::Welcome& message) {
  if (state_ != State::greeting) return;
  const bool known_before = session_.value != 0;
  const bool same_session = known_before && message.session == session_;
  const bool same_incarnation = incarnation_ == message.incarnation;
  session_ = message.session;
  resume_token_ = message.resume;
  incarnation_ = message.incarnation;
  role_ = message.role;
  limits_ = message.limits;
  welcomed_us_ = now_us_;
  resume_set_aside_.clear();
  say_token();
  if (known_before) session_restarted(same_session, same_incarnation);
  set_state(State::ready);
  if (!world_name_.empty()) send_open();
}

void SyncMachine::session_restarted(bool resumed, bool same_incarnation) {
  if (!same_incarnation) replica_.incarnation_changed();
  std::vector<EditId> lost, settled;
  for (auto& [id, edit] : held_.table()) {
    if (edit.durable) {
      // Its place may be another one now, but it is there: the states that come contain it.
      if (!same_incarnation) settled.push_back(id);
      continue;
    }
    if (!resumed && edit.ever_sent) {
      lost.push_back(id);
    } else if (!same_incarnation) {
      edit.acknowledged = false;
      replica_.unplace(edit);
    }
  }
  for (const EditId id : settled) {
    replica_.forget(*held_.find(id));
    held_.erase(id);
  }
  for (const EditId id : lost)
    reject(*held_.find(id), {ErrorCode::conflict,
                             "the server does not know this session any more, so it cannot be told whether the "
                             "edit was applied: look at the map and, if needed, make it again"});
  if (!resumed)
    reject_undos(
        {ErrorCode::conflict,
         "the server does not know this session any more, so it cannot be told whether the undo was done: look "
         "at the map and, if needed, ask again"},
        true);
}

void SyncMachine::send_open() {
  out_.send(proto::Open{world_name_});
  set_state(State::opening);
}

void SyncMachine::on(const proto::WorldInfo& message) {
  Result<map::World> world = formats::world_from_json(message.json);
  if (!world) return give_up(world.error());
  const bool replaced = world_ && world_->id != world->id;
  // Renamed: so it is to be asked for the next time.
  if (world_ && !replaced && world_name_ == world_->name) world_name_ = world->name;
  world_ = *std::move(world);
  if (!message.role.empty()) role_ = message.role;
  tell(WorldChanged{});
  follow_world();
  if (replaced) world_replaced();
  if (state_ == State::opening) {
    set_state(State::live);
    presence_waits_ = presence_set_;
    tick_presence(now_us_);
    if (followed_.value != 0) out_.send(proto::Follow{followed_});
    claims_.live();
  }
  for (auto& [id, subscription] : subscriptions_.table()) send_wanted(id, subscription);
  send_edits();
}

// A branch was dropped, and another one has its name; or this client went to another world after a refusal.
void SyncMachine::world_replaced() {
  claims_.world_replaced();
  replica_.world_replaced();
  std::vector<EditId> lost, settled;
  for (const auto& [id, edit] : held_.table()) (edit.durable ? settled : lost).push_back(id);
  for (const EditId id : settled) {
    replica_.forget(*held_.find(id));
    held_.erase(id);
  }
  for (const EditId id : lost)
    reject(*held_.find(id),
           {ErrorCode::conflict, "the world that the edit was made for is gone; another one is open now"});
  reject_undos({ErrorCode::conflict, "the world that the undo was meant for is gone; another one is open now"}, false);
  for (auto& [id, subscription] : subscriptions_.table()) {
    const auto gone = std::ranges::find_if(subscription.wanted.layers, [&](map::LayerId layer) {
      const map::Layer* found = world_->find_layer(layer);
      return found == nullptr || found->kind != map::LayerKind::tile;
    });
    if (gone == subscription.wanted.layers.end()) continue;
    refuse(id, subscription,
           {ErrorCode::not_found,
            "layer " + std::to_string(*gone) + " is not a tile layer of the world that is open now"});
  }
}

void SyncMachine::on(const proto::Chunk& message) {
  // The answer that follows would say that everything is there.
  if (const Status taken = replica_.chunk(message); !taken) return give_up(taken.error());
  CellsChanged changed;
  changed.cause = CellsChanged::Cause::state;
  changed.shard = map::shard_of(message.chunk);
  changed.lsn = message.revision;
  changed.areas.push_back({message.layer, map::cells_of(message.chunk)});
  tell(std::move(changed));
}

void SyncMachine::on(const proto::Subscribed& message) {
  const SubscriptionId id{message.sub};
  Subscription* subscription = subscriptions_.find(id);
  if (subscription == nullptr || !subscription->in_flight) return;
  replica_.subscribed(*subscription, message.shards);
  claims_.forget_unseen(subscriptions_);
  subscription->refusals.succeeded();
  release_settled();
  release_unseen();
  if (subscription->ending) return end_subscription(id);
  if (subscription->send_wanted) return send_wanted(id, *subscription);
  tell(SubscriptionReady{id});
}

void SyncMachine::on(const proto::Applied& message) {
  CellsChanged changed;
  changed.areas = replica_.applied(message);
  if (message.author == session_) {
    if (HeldEdit* edit = held_.find(message.edit)) {
      replica_.placed(*edit, message.shard, message.lsn);
      if (edit->placed()) tell_applied(*edit);
    }
  }
  release_settled();
  if (changed.areas.empty()) return;
  changed.cause = CellsChanged::Cause::edit;
  changed.shard = message.shard;
  changed.lsn = message.lsn;
  changed.author = message.author;
  changed.edit = message.edit;
  tell(std::move(changed));
}

void SyncMachine::on(const proto::Ack& message) {
  if (const auto undo = undos_.extract(message.edit)) {
    if (in_flight_ > 0) --in_flight_;
    const proto::Undone undone = message.undone.value_or(proto::Undone{});
    tell(UndoDone{message.edit, undo.mapped().message.redo, undone.author, undone.edit, undone.restored,
                  undone.skipped});
    return send_edits();
  }
  HeldEdit* edit = held_.find(message.edit);
  if (in_flight_ > 0 && (edit == nullptr || !edit->acknowledged)) --in_flight_;
  if (edit != nullptr) {
    edit->acknowledged = true;
    for (const proto::ShardMark& mark : message.shards) {
      replica_.placed(*edit, mark.shard, mark.lsn);
      // In one shard the log keeps the order of edits, so everything before is durable, too. An edit over several
      // shards is durable by the coordinator's record: it says nothing about its neighbours in either shard.
      if (message.durable && message.shards.size() == 1) replica_.durable(mark.shard, mark.lsn);
    }
    tell_applied(*edit);
    if (message.durable && !std::exchange(edit->durable, true)) tell(EditDurable{edit->id});
    check_durable(*edit);
    release_settled();
    if (HeldEdit* still = held_.find(message.edit)) release(*still);
  }
  send_edits();
}

void SyncMachine::on(const proto::Durable& message) {
  replica_.durable_mark(message.shard, message.lsn);
  std::vector<EditId> ids;
  for (auto& [id, edit] : held_.table())
    if (!edit.durable && edit.part(message.shard) != nullptr) ids.push_back(id);
  for (const EditId id : ids) {
    check_durable(*held_.find(id));
    release(*held_.find(id));
  }
  release_settled();
}

void SyncMachine::on(const proto::Reject& message) {
  if (message.claim.value != 0) return claims_.rejected(message, now_us_);
  if (in_flight_ > 0) --in_flight_;
  const Error why{message.code, std::string(message.message)};
  std::vector<Claim> conflicts;
  for (const proto::ClaimOf& conflict : message.conflicts) conflicts.push_back(copy_of(conflict));
  if (HeldEdit* edit = held_.find(message.edit)) {
    reject(*edit, why, std::move(conflicts));
  } else if (undos_.erase(message.edit) != 0) {
    held_.erase_rejected(message.edit, why);
    tell(EditRejected{message.edit, why, std::move(conflicts)});
  }
  send_edits();
}

void SyncMachine::on(const proto::ErrorMessage& message) {
  const Error error{message.code, std::string(message.message)};
  if (message.sub && state_ == State::live) {
    if (!refused_by_server(SubscriptionId{*message.sub}, error)) tell(ServerError{error});
    return;
  }
  connection_error_ = error;
  if (state_ == State::greeting) return;  // the close that follows says the rest
  if (state_ == State::opening) {
    world_name_.clear();
    return set_state(State::ready, error);
  }
  tell(ServerError{error});
}

void SyncMachine::on(const proto::Pong& message) {
  if (message.t != 0 && message.t <= now_us_) round_trip_us_ = static_cast<std::uint32_t>(now_us_ - message.t);
}

void SyncMachine::on(const proto::GoingAway& message) {
  retry_after_ms_ = message.retry_after_ms;
}

void SyncMachine::on(const proto::Expires& message) {
  tell(TokenExpires{message.in_ms});
}

void SyncMachine::on(const proto::Stale& message) {
  replica_.fell_behind(message.shard, message.lsn);
  tell(FellBehind{message.shard, message.lsn});
}

void SyncMachine::on(const proto::Refreshed& message) {
  replica_.caught_up(message.shard, message.lsn);
  release_settled();
  tell(CaughtUp{message.shard, message.lsn});
}

void SyncMachine::on(const proto::Claimed& message) {
  claims_.claimed(message, session_, now_us_);
}

void SyncMachine::on(const proto::Released& message) {
  claims_.released(message, session_);
}

void SyncMachine::clear_peers() {
  for (const auto& [session, peer] : std::exchange(peers_, {})) tell(PeerLeft{session});
}

// ---- own edits ----

void SyncMachine::tell_applied(HeldEdit& edit) {
  if (!std::exchange(edit.applied_told, true)) tell(EditApplied{edit.id});
}

void SyncMachine::check_durable(HeldEdit& edit) {
  if (edit.durable || !edit.placed()) return;
  for (const HeldEdit::Part& part : edit.parts)
    if (!replica_.is_durable(part.shard, part.lsn)) return;
  edit.durable = true;
  tell_applied(edit);
  tell(EditDurable{edit.id});
}

void SyncMachine::release(HeldEdit& edit) {
  if (edit.durable) {
    if (edit.shown()) return;
    replica_.forget(edit);
    held_.erase(edit.id);
    return;
  }
  // Nobody will say that it is durable: the program did not ask, and no subscription brings the shard's marks.
  if (edit.ack != map::AckMode::applied || !edit.acknowledged) return;
  for (const HeldEdit::Part& part : edit.parts)
    if (subscriptions_.sees_shard(part.shard)) return;
  replica_.forget(edit);
  held_.erase_applied_only(edit.id);
}

void SyncMachine::release_settled() {
  if (!replica_.settle()) return;
  std::vector<EditId> ids;
  for (const auto& [id, edit] : held_.table())
    if (edit.durable && !edit.shown()) ids.push_back(id);
  for (const EditId id : ids) release(*held_.find(id));
}

// A view that went away takes the marks of its shards with it.
void SyncMachine::release_unseen() {
  std::vector<EditId> ids;
  for (const auto& [id, edit] : held_.table())
    if (!edit.durable && edit.acknowledged && edit.ack == map::AckMode::applied) ids.push_back(id);
  for (const EditId id : ids) release(*held_.find(id));
}

void SyncMachine::reject(HeldEdit& edit, Error error, std::vector<Claim> conflicts) {
  const EditId id = edit.id;
  replica_.forget(edit);
  emit_edit_areas(CellsChanged::Cause::rollback, edit);
  held_.erase_rejected(id, error);
  tell(EditRejected{id, std::move(error), std::move(conflicts)});
}

void SyncMachine::emit_edit_areas(CellsChanged::Cause cause, const HeldEdit& edit) {
  CellsChanged changed;
  changed.cause = cause;
  changed.author = session_;
  changed.edit = edit.id;
  for (const map::Op& op : edit.draft.ops()) changed.areas.push_back({op.layer, op.rect});
  tell(std::move(changed));
}

Result<EditId> SyncMachine::edit(EditDraft draft, map::AckMode ack) {
  const Telling telling(*this);
  if (!world_) return Error{ErrorCode::conflict, "no world is open: call open() and wait until it is there"};
  if (held_.table().size() >= options_.edits_held_max) {
    return Error{ErrorCode::overloaded,
                 std::to_string(held_.table().size()) + " edits wait for the server; send more when some are durable"};
  }
  map::EditLimits limits;
  if (limits_.ops_per_edit_max != 0)
    limits = {limits_.ops_per_edit_max, limits_.ops_per_edit_max, limits_.cells_per_edit_max,
              limits_.derived_cells_per_edit_max};
  if (const Status checked = map::check_edit(*world_, {EditId{}, ack, draft.ops(), draft.conditions()}, limits);
      !checked)
    return checked.error();
  std::optional<EditDraft> guess;
  if (!std::ranges::all_of(draft.ops(), [](const map::Op& op) { return map::is_plain(op.kind); }))
    guess = replica_.guess(draft.ops());
  const Result<HeldEdit*> added = held_.add(std::move(draft), ack);
  if (!added) return added.error();
  HeldEdit& edit = **added;
  edit.guess = std::move(guess);
  const EditId id = edit.id;
  replica_.overlay_changed(edit);
  emit_edit_areas(CellsChanged::Cause::own, edit);
  send_edits();
  return id;
}

// In the order of their making, undos among them.
void SyncMachine::send_edits() {
  if (state_ != State::live) return;
  auto& table = held_.table();
  while (true) {
    const auto edit = table.upper_bound(sent_through_);
    const auto undo = undos_.upper_bound(sent_through_);
    if (edit == table.end() && undo == undos_.end()) return;
    if ((limits_.edits_in_flight_max != 0 && in_flight_ >= limits_.edits_in_flight_max) || !out_.writable()) return;
    if (undo != undos_.end() && (edit == table.end() || undo->first < edit->first)) {
      sent_through_ = undo->first;
      if (std::exchange(undo->second.ever_sent, true)) ++edits_resent_;
      ++in_flight_;
      out_.send(undo->second.message);
    } else {
      sent_through_ = edit->first;
      send(edit->second);
    }
  }
}

void SyncMachine::send(HeldEdit& edit) {
  // On the same run of the server an edit that was answered needs no second telling.
  if (edit.durable || edit.acknowledged) return;
  if (canary::is(canary::Bug::edit_not_sent_again) && edit.ever_sent) return;
  if (edit.ever_sent) ++edits_resent_;
  edit.sent = edit.ever_sent = true;
  ++in_flight_;
  out_.send(map::Edit{edit.id, edit.ack, edit.draft.ops(), edit.draft.conditions()});
}

Result<EditId> SyncMachine::undo(const proto::Undo& wanted) {
  const Telling telling(*this);
  if (!world_) return Error{ErrorCode::conflict, "no world is open: call open() and wait until it is there"};
  if (held_.table().size() + undos_.size() >= options_.edits_held_max)
    return Error{ErrorCode::overloaded, "too many edits wait for the server; send more when some are durable"};
  const EditId id = held_.take_id();
  undos_[id].message = wanted;
  undos_[id].message.id = id;
  send_edits();
  return id;
}

void SyncMachine::reject_undos(const Error& why, bool only_sent) {
  std::vector<EditId> gone;
  for (const auto& [id, undo] : undos_)
    if (undo.ever_sent || !only_sent) gone.push_back(id);
  for (const EditId id : gone) {
    undos_.erase(id);
    held_.erase_rejected(id, why);
    tell(EditRejected{id, why});
  }
}

// ---- the program ----

Status SyncMachine::open(std::string_view world) {
  const Telling telling(*this);
  if (!world_name_.empty() && world != world_name_)
    return Error{ErrorCode::conflict,
                 "this client is in the world \"" + world_name_ + "\"; use another client for another world"};
  const bool first = world_name_.empty();
  world_name_ = world;
  if (first && state_ == State::ready) send_open();
  return {};
}

std::vector<map::LayerId> SyncMachine::tile_layers() const {
  std::vector<map::LayerId> layers;
  for (const map::Layer& layer : world_->layers)
    if (layer.kind == map::LayerKind::tile) layers.push_back(layer.id);
  std::ranges::sort(layers);
  return layers;
}

Result<Coverage> SyncMachine::cover(const map::Rect& rect, std::span<const map::LayerId> layers) const {
  if (!world_) return Error{ErrorCode::conflict, "no world is open: call open() and wait until it is there"};
  Coverage coverage;
  coverage.cells = rect.intersect(map::kPlane);
  if (coverage.cells.empty())
    return Error{ErrorCode::bad_message, "the rectangle is empty; it has at least one cell of the plane"};
  coverage.layers.assign(layers.begin(), layers.end());
  if (layers.empty()) coverage.layers = tile_layers();
  std::ranges::sort(coverage.layers);
  coverage.layers.erase(std::unique(coverage.layers.begin(), coverage.layers.end()), coverage.layers.end());
  for (const map::LayerId layer : coverage.layers) {
    const map::Layer* found = world_->find_layer(layer);
    if (found == nullptr || found->kind != map::LayerKind::tile)
      return Error{ErrorCode::not_found, "layer " + std::to_string(layer) + " is not a tile layer of this world"};
  }
  coverage.chunks = map::chunks_of(coverage.cells.intersect(world_->area()));
  const std::uint64_t wanted = coverage.chunks.area() * std::max<std::size_t>(coverage.layers.size(), 1);
  const std::uint32_t most = limits_.chunks_per_subscription_max;
  if (most != 0 && (coverage.chunks.area() > most || wanted > most)) {
    return Error{ErrorCode::too_large, "the rectangle covers " + std::to_string(coverage.chunks.area()) +
                                           " chunks in " + std::to_string(coverage.layers.size()) +
                                           " layers; at most " + std::to_string(most) +
                                           " together in one subscription"};
  }
  return coverage;
}

Result<SubscriptionId> SyncMachine::subscribe(const map::Rect& rect, std::span<const map::LayerId> layers) {
  if (limits_.subscriptions_max != 0 && subscriptions_.size() >= limits_.subscriptions_max)
    return Error{ErrorCode::too_large,
                 "at most " + std::to_string(limits_.subscriptions_max) + " subscriptions: end one first"};
  Result<Coverage> coverage = cover(rect, layers);
  if (!coverage) return coverage.error();
  const SubscriptionId id = subscriptions_.add(*std::move(coverage), layers.empty(), options_.seed);
  send_wanted(id, *subscriptions_.find(id));
  return id;
}

Status SyncMachine::move_subscription(SubscriptionId id, const map::Rect& rect) {
  Subscription* subscription = subscriptions_.find(id);
  if (subscription == nullptr || subscription->ending)
    return Error{ErrorCode::not_found, "there is no subscription " + std::to_string(id.value)};
  Result<Coverage> coverage = cover(rect, subscription->wanted.layers);
  if (!coverage) return coverage.error();
  want(*subscription, *std::move(coverage));
  send_wanted(id, *subscription);
  return {};
}

void SyncMachine::want(Subscription& subscription, Coverage coverage) {
  const Coverage old = std::exchange(subscription.wanted, std::move(coverage));
  subscription.want_again();
  replica_.coverage_changed(old);
}

void SyncMachine::unsubscribe(SubscriptionId id) {
  Subscription* subscription = subscriptions_.find(id);
  if (subscription == nullptr || subscription->ending) return;
  const Telling telling(*this);
  subscription->ending = true;
  if (!subscription->in_flight) end_subscription(id);
}

void SyncMachine::end_subscription(SubscriptionId id) {
  const Subscription gone = *subscriptions_.find(id);
  if (gone.current && state_ == State::live) out_.send(proto::Unsubscribe{id.value});
  subscriptions_.remove(id);
  if (gone.current) replica_.coverage_changed(*gone.current);
  replica_.coverage_changed(gone.wanted);
  claims_.forget_unseen(subscriptions_);
  release_settled();
  release_unseen();
}

void SyncMachine::send_wanted(SubscriptionId id, Subscription& subscription) {
  if (state_ != State::live || subscription.in_flight || !subscription.send_wanted || subscription.ending) return;
  subscription.send_wanted = false;
  subscription.in_flight = subscription.wanted;
  const std::vector<proto::KnownChunk> known = replica_.await(subscription.wanted);
  // What is still known is so in every run of the server: it was durable, or this run said it.
  out_.send(proto::Subscribe{id.value, subscription.wanted.cells, subscription.wanted.layers, known, incarnation_});
}

bool SyncMachine::is_ready(SubscriptionId id) {
  const Subscription* subscription = subscriptions_.find(id);
  return subscription != nullptr && subscription->current && !subscription->in_flight && !subscription->send_wanted &&
         !subscription->refused;
}

void SyncMachine::follow_world() {
  const std::vector<map::LayerId> layers = tile_layers();
  for (auto& [id, subscription] : subscriptions_.table()) {
    Coverage now = subscription.wanted;
    if (subscription.all_layers) now.layers = layers;
    now.chunks = map::chunks_of(now.cells.intersect(world_->area()));
    if (now.layers != subscription.wanted.layers || now.chunks != subscription.wanted.chunks)
      want(subscription, std::move(now));
  }
}

bool SyncMachine::refused_by_server(SubscriptionId id, const Error& error) {
  Subscription* subscription = subscriptions_.find(id);
  if (subscription == nullptr || !subscription->in_flight) return false;
  const Coverage gone = *std::exchange(subscription->in_flight, std::nullopt);
  replica_.coverage_changed(gone);
  if (subscription->ending) {
    end_subscription(id);
  } else if (subscription->send_wanted) {  // the program wants something else by now
    send_wanted(id, *subscription);
  } else {
    refuse(id, *subscription, error);
  }
  return true;
}

void SyncMachine::refuse(SubscriptionId id, Subscription& subscription, const Error& error) {
  subscription.refused = true;
  subscription.send_wanted = false;
  std::uint32_t retry_in_ms = 0;
  if (passes_by_itself(error.code)) {
    retry_in_ms = subscription.refusals.next_ms();
    subscription.retry_at_us = now_us_ + retry_in_ms * kUsPerMs;
  }
  replica_.coverage_changed(subscription.wanted);
  release_settled();
  release_unseen();
  tell(SubscriptionRefused{id, error, retry_in_ms});
}

void SyncMachine::retry_refused() {
  if (state_ != State::live) return;
  for (auto& [id, subscription] : subscriptions_.table()) {
    if (!subscription.retry_at_us || now_us_ < *subscription.retry_at_us) continue;
    subscription.want_again();
    send_wanted(id, subscription);
  }
}

Result<ClaimId> SyncMachine::claim(const map::Rect& rect, std::span<const map::LayerId> layers,
                                   std::chrono::milliseconds ttl) {
  if (!world_) return Error{ErrorCode::conflict, "no world is open: call open() and wait until it is there"};
  if (rect.empty() || !map::kPlane.contains(rect))
    return Error{ErrorCode::bad_message, "the rectangle has at least one cell, all in the plane of 32-bit positions"};
  const std::int64_t ttl_ms = std::clamp<std::int64_t>(ttl.count(), kClaimMsMin, 0xFFFFFFFF);
  return claims_.claim(rect, layers, static_cast<std::uint32_t>(ttl_ms), state_ == State::live);
}

void SyncMachine::release(ClaimId claim) {
  claims_.release(claim, state_ == State::live);
}

void SyncMachine::break_claim(SessionId session, ClaimId claim) {
  if (state_ == State::live) out_.send(proto::Release{claim, session});
}

void SyncMachine::ping(std::uint64_t now_us) {
  if (!talking() || state_ == State::greeting) return;
  pinged_us_ = now_us_ = now_us;
  out_.send(proto::Ping{now_us});
}

}  // namespace terrazzo::client
