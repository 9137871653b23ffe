#include "server/shard/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/canary.h"
#include "map/edit_check.h"
#include "server/shard/chunk_states.h"
#include "server/shard/derived_ops.h"
#include "server/shard/edit_undo.h"
#include "server/shard/log_record.h"
#include "server/shard/look_ahead.h"
#include "server/shard/shard_state.h"
#include "server/shard/store_apply.h"
#include "server/shard/store_restore.h"
#include "server/shard/undo_points.h"

namespace terrazzo::shard {
namespace {

// What more cells were written to, viewers get as the chunks they watch are now: a large copy is not sent whole to who
// sees a corner of it.
constexpr std::size_t kCellsPerPublication = 65536;
// They are told so by one edit like any other where they are no more chunks than this, else by their states.
constexpr std::size_t kChunksPerPublication = kCellsPerPublication / map::kChunkCells;

// All of an edit but its swaps, for ops to take their place or that of its ops. What the edit points to stays its own.
void take_over(const EditRequest& edit, EditRequest& by) {
  by.shard = edit.shard;
  by.origin = edit.origin;
  by.edit = edit.edit;
  by.restore = edit.restore;
  by.undo = edit.undo;
  by.coordinated = edit.coordinated;
  by.parts = edit.parts;
  by.time_us = edit.time_us;
}

}  // namespace

Shard::Shard(const ShardKey& key, std::shared_ptr<const map::World> world, const RunInfo& run, proto::Encoder& encoder,
             EncodedChunks& encoded, std::unique_ptr<storage::ShardStore> store, StoreFactory factory)
    : state_(new State(key, std::move(world), run, encoder, encoded, std::move(store), std::move(factory))) {
  if (!state_->store) return;
  state_->durable = state_->store->durable_lsn();
  if (const Status read = state_->read_aux(); !read) state_->become_read_only(read.error());
}
Shard::Shard(std::unique_ptr<State> state) : state_(std::move(state)) {}
Shard::~Shard() = default;

const ShardKey& Shard::key() const {
  return state_->key;
}
Lsn Shard::lsn() const {
  return state_->head.lsn();
}
Lsn Shard::durable_lsn() const {
  return state_->durable;
}
const storage::ShardStore* Shard::store() const {
  return state_->file().store.get();
}
ShardCounters Shard::counters() const {
  ShardCounters all = state_->counters;
  all.encodings += state_->fanout.encodings();
  for (const auto& branch : state_->branches) all += branch->counters();
  return all;
}
std::size_t Shard::edits_waiting() const {
  std::size_t waiting = state_->waiting.size();
  for (const auto& branch : state_->branches) waiting += branch->edits_waiting();
  return waiting;
}
void Shard::set_world(std::shared_ptr<const map::World> world) {
  state_->world = std::move(world);
}
void Shard::read_only(const Error& why) {
  state_->become_read_only(why);
  for (const auto& branch : state_->branches) branch->read_only(why);
}
const Error* Shard::damage() const {
  return state_->damage ? &*state_->damage : nullptr;
}
void Shard::settle(proto::Encoder& encoder, EncodedChunks& encoded, StoreFactory factory) {
  State& s = *state_;
  TZ_ASSERT(s.waiting.empty() || s.read_only);
  s.last_sequence = s.waiting.empty() ? 0 : ~std::uint64_t{0};  // never durable
  s.waiting.clear();
  s.encoder = &encoder;
  s.encoded = &encoded;
  s.fanout.use(encoder);
  s.factory = std::move(factory);
  for (const auto& branch : s.branches) branch->settle(encoder, encoded, {});
}
ClaimTable& Shard::claims() {
  return state_->claims;
}
void Shard::interest_off(const InterestOff& off) {
  for (const map::ChunkPos chunk : off.chunks) state_->interest.remove(off.core, off.form, chunk);
}

// ---- looking ahead ----

void Shard::State::look(const map::Edit& edit, const std::optional<Restore>& restore, storage::Missing& missing) {
  if (!restore) return look_edit(head, edit, missing);
  const auto watched = [&](const map::Rect& chunks) {
    return (interest.viewers(proto::Form::binary, chunks) | interest.viewers(proto::Form::json, chunks)) != 0;
  };
  if (const Result<RestoreFrom> from = source_of(*restore); from) look_restore(head, *from, *restore, watched, missing);
}

void Shard::look(const EditRequest& request, storage::Missing& missing) {
  State& s = *state_;
  if (!s.head || s.read_only) return;
  if (request.swaps.empty()) return s.look(request.edit, request.restore, missing);
  Arena arena;
  map::Edit around;
  around.ops = ops_around(request.swaps, arena);
  look_edit(s.head, around, missing);
}

void Shard::look(const SubscribeRequest& request, storage::Missing& missing) {
  State& s = *state_;
  if (s.head) look_states(s.head, request, {s.run.incarnation, s.recovered}, missing);
}

void Shard::look(const RefreshRequest& request, storage::Missing& missing) {
  if (state_->head) look_changed(state_->head, request, missing);
}

void Shard::look(const CellsRequest& request, storage::Missing& missing) {
  if (state_->head) look_cells(state_->head, request, missing);
}

void Shard::read(CellsRequest& request) const {
  request.cells.resize(request.rect.area());
  read_cells(state_->head, request.layer, request.rect, request.cells);
}

bool Shard::lacks_store(const EditRequest& request) const {
  const State& s = *state_;
  return !s.head && !s.read_only && check_conditions({}, request.edit.conditions).ok();
}

void Shard::give_store(std::unique_ptr<storage::ShardStore> store) {
  TZ_ASSERT(!state_->store);
  state_->store = std::move(store);
  state_->head = storage::Head(*state_->store);
  state_->born = state_->version;
  state_->attach_branches();
}

storage::Residency* Shard::residency() {
  return state_->store ? &state_->store->residency() : nullptr;
}

bool Shard::wants_ready() const {
  return state_->store && state_->store->wants_ready();
}

storage::ReadyRequest Shard::ask_ready() {
  return state_->store->ask_ready();
}

void Shard::made_ready(const storage::ReadyRequest& request, bool grown) {
  state_->store->made_ready(request, grown);
}

// ---- applying ----

Status Shard::State::ensure_store() {
  if (head) return {};
  if (trunk != nullptr) {
    Status made = trunk->ensure_store();
    if (made && !head) return *read_only;
    return made;
  }
  Result<std::unique_ptr<storage::ShardStore>> made = factory();
  if (!made) return made.error();
  store = *std::move(made);
  head = storage::Head(*store);
  born = version;
  attach_branches();
  return {};
}

Result<RestoreFrom> Shard::State::source_of(const Restore& restore) const {
  const bool of_version = restore.from == storage::PinKind::version;
  if (of_version && restore.id <= born) return RestoreFrom{};
  const storage::PinInfo* const before = head.find_pin(restore.from, restore.id);
  const storage::PinInfo* const written =
      restore.unless_changed ? head.find_pin(restore.from, written_by(restore.id)) : before;
  if (before != nullptr && written != nullptr) return RestoreFrom{*before, *written};
  return Error{
      ErrorCode::not_found,
      fmt::format("shard {},{} does not hold {} {} any more: it was deleted, or is too old to be undone",
                  key.position.x, key.position.y, of_version ? "version" : "the state before edit", restore.id)};
}

Status Shard::State::begin(const map::Edit& edit, const std::optional<Restore>& restore, bool decided) {
  const Lsn lsn = next(head.lsn());
  count = {};
  if (restore) {
    // Copies: the new undo point may be one too many, and the one that goes for it the very one that is restored. Its
    // pages stay until they are reclaimed.
    Result<RestoreFrom> found = source_of(*restore);
    plan = {};
    if (found) {
      source = *std::move(found);
      plan = plan_restore(head, source, *restore);
    } else if (decided && restore->unless_changed) {
      // The other shards go on without this one, whose part is then to restore nothing.
      for (const Restore::Area& area : restore->areas) count.skipped += area.rect.area();
    } else {
      return found.error();
    }
  }
  const bool pinned = restore || needs_undo_point(edit.ops);
  if (pinned) add_undo_point(head, lsn, kUndoPoints);
  const Status begun = head.begin_edit(lsn, restore ? pages_worst(*restore, plan) : pages_worst(head, edit.ops));
  if (!begun && pinned) {
    const Status dropped = head.unpin(storage::PinKind::undo_point, lsn.value);
    TZ_ASSERT(dropped.ok());
  }
  return begun;
}

void Shard::State::apply(SessionId author, std::uint64_t coordinated, const map::Edit& edit,
                         const std::optional<Restore>& restore) {
  if (restore) {
    const RestoreCount done = apply_restore(head, source, *restore, plan);
    count.restored += done.restored;
    count.skipped += done.skipped;
  } else {
    apply_ops(head, edit.ops);
  }
  if (restore || needs_undo_point(edit.ops)) complete_undo_point(head, head.lsn());
  applied.remember(author, edit.id, head.lsn());
  if (coordinated != 0) last_coordinated = coordinated;
}

void Shard::State::keep_past(const EditRequest& request) {
  pre_image.clear();
  if (!request.restore && !needs_undo_point(request.edit.ops))
    encode_pre_image(head, request.edit.ops, pre_image_scratch, pre_image);
}

void Shard::State::encode(const EditRequest& request, const RestoreCount& swapped) {
  count.restored += swapped.restored;
  count.skipped += swapped.skipped;
  payload.clear();
  const bool pinned = request.restore || needs_undo_point(request.edit.ops);
  encode_edit(request, version,
              {pinned ? PreImageKind::pinned : PreImageKind::cells, pre_image, count.restored, count.skipped}, payload);
}

void Shard::State::log(ShardOutput& out) {
  file().log_bytes += payload.size();
  last_sequence =
      out.log({storage::RecordKind::edit, {key.world, key.position.x, key.position.y}, head.lsn(), payload});
}

void Shard::State::publish(const EditRequest& request, ShardOutput& out) {
  if (interest.anybody() == 0) return;
  if (request.restore) return publish_states(request, request.restore->areas, out);
  std::size_t cells = 0;
  for (const map::Op& op : request.edit.ops) cells += op.cells.size();
  if (cells <= kCellsPerPublication) return publish_ops(request, request.edit.ops, out);
  std::vector<Restore::Area> areas;
  for (const map::Op& op : request.edit.ops) areas.push_back({op.layer, op.rect});
  publish_states(request, areas, out);
}

void Shard::State::publish_ops(const EditRequest& request, std::span<const map::Op> ops, ShardOutput& out) {
  Fanout::Cast cast =
      fanout.cast(key, {key.position, head.lsn(), request.origin.session, request.edit.id, ops}, interest);
  if (!cast.publication) return;
  ++counters.publications;
  out.publish(cast.cores, std::move(cast.publication));
}

// Clients know nothing of pins: they are told what the chunks they watch hold now. One edit is one message (its LSN
// comes once), so where that would be too long, viewers are sent the states.
void Shard::State::publish_states(const EditRequest& request, std::span<const Restore::Area> areas, ShardOutput& out) {
  constexpr std::int64_t kRegion = 16;  // chunks, of the side of what is told to be touched then
  std::vector<map::Op> ops;
  std::vector<map::Rect> regions;
  const auto watched = [&](const map::Rect& chunks) {
    return (interest.viewers(proto::Form::binary, chunks) | interest.viewers(proto::Form::json, chunks)) != 0;
  };
  for (const Restore::Area& area : areas) {
    for_each_restored(head, head.lsn(), area, watched, [&](const map::Op& op) {
      if (ops.size() <= kChunksPerPublication) ops.push_back(op);
      const map::Rect chunk = map::chunks_of(op.rect);
      const map::Rect region = map::Rect::of_size(chunk.x0 & -kRegion, chunk.y0 & -kRegion, kRegion, kRegion);
      if (regions.empty() || regions.back() != region) regions.push_back(region);
    });
  }
  if (ops.empty()) return;
  if (ops.size() <= kChunksPerPublication) return publish_ops(request, ops, out);
  Fanout::Cast cast = Fanout::cast_states(key, head.lsn(), regions, interest);
  if (!cast.publication) return;
  ++counters.publications;
  out.publish(cast.cores, std::move(cast.publication));
}

bool Shard::State::is_duplicate(const EditRequest& request) const {
  if (request.coordinated != 0 && request.coordinated <= last_coordinated) return true;
  if (canary::is(canary::Bug::dedupe_skipped)) return false;
  return applied.seen(request.origin.session, request.edit.id);
}

void Shard::State::answer_duplicate(const EditRequest& request, ShardOutput& out) {
  ++counters.duplicates;
  out.outcome(outcome_of(request, EditOutcome::Stage::applied));
  // Its record is somewhere up to the newest one: when that is on disk, so is this edit.
  if (head.lsn() <= durable) {
    out.outcome(outcome_of(request, EditOutcome::Stage::durable));
  } else {
    wait_for_log(request);
  }
}

bool Shard::State::claimed(const EditRequest& request, ShardOutput& out) {
  if (claims.empty() || request.coordinated != 0) [[likely]]
    return false;
  const std::vector<SharedClaim> others = claims.in_the_way(request.origin.claimant, request);
  if (!others.empty()) reject(request, claimed_error(others), out, others);
  return !others.empty();
}

void Shard::edit(const EditRequest& request, ShardOutput& out) {
  State& s = *state_;
  if (s.is_duplicate(request)) return s.answer_duplicate(request, out);
  if (s.read_only) return s.reject(request, *s.read_only, out);
  // A part of a decided edit is taken in any case: its whole is in a log already.
  if (request.coordinated == 0) {
    if (std::optional<Error> busy = out.busy()) return s.reject(request, *std::move(busy), out);
    if (s.behind) return s.reject(request, *s.behind, out);
  }
  if (has_derived(request.edit.ops)) {
    EditRequest plain;
    take_over(request, plain);
    plain.edit.ops = plain_ops(s.head, request.edit.ops, plain.arena);
    if (!s.claimed(plain, out)) s.edit(plain, out);
    return;
  }
  if (s.claimed(request, out)) return;
  if (request.swaps.empty()) return s.edit(request, out);
  // From here on it is an edit like others, of what it does to the present state.
  EditRequest resolved;
  take_over(request, resolved);
  const ResolvedSwaps swaps = resolve(s.head, request.swaps, resolved.arena);
  resolved.edit.ops = swaps.ops;
  s.edit(resolved, out, {swaps.restored, swaps.skipped});
}

void Shard::State::edit(const EditRequest& request, ShardOutput& out, const RestoreCount& swapped) {
  if (const Status held = check_conditions(head, request.edit.conditions); !held)
    return reject(request, held.error(), out);
  Status begun = ensure_store();
  if (begun) begun = begin(request.edit, request.restore, request.coordinated != 0);
  if (!begun) {
    // A coordinated edit is decided already; a shard that cannot follow must not go on without it. Where space is all
    // that it lacks, the part comes again.
    if (request.coordinated != 0 && begun.error().code == ErrorCode::overloaded) {
      behind = begun.error();
    } else if (request.coordinated != 0) {
      become_read_only(begun.error());
    }
    return reject(request, begun.error(), out);
  }
  if (request.coordinated != 0) behind.reset();
  keep_past(request);
  apply(request.origin.session, request.coordinated, request.edit, request.restore);
  ++counters.edits;
  encode(request, swapped);
  log(out);
  wait_for_log(request);
  publish(request, out);
  EditOutcome outcome = outcome_of(request, EditOutcome::Stage::applied);
  outcome.restored = count.restored;
  outcome.skipped = count.skipped;
  out.outcome(std::move(outcome));
  if (canary::is(canary::Bug::ack_before_sync) && request.coordinated == 0)
    out.outcome(outcome_of(request, EditOutcome::Stage::durable));
}

void Shard::log_durable(std::uint64_t sequence, ShardOutput& out) {
  State& s = *state_;
  const Lsn before = s.durable;
  while (!s.waiting.empty() && s.waiting.front().sequence <= sequence) {
    const State::Waiting& entry = s.waiting.front();
    s.durable = std::max(s.durable, entry.lsn);
    out.outcome(s.outcome_of(entry, EditOutcome::Stage::durable));
    s.waiting.pop_front();
  }
  if (s.durable != before && s.interest.anybody() != 0) out.durable(s.interest.anybody(), {s.key, s.durable});
  for (const auto& branch : s.branches) branch->log_durable(sequence, out);
}

void Shard::subscribe(const SubscribeRequest& request, ShardOutput& out) {
  State& s = *state_;
  ++s.counters.subscriptions;
  s.interest.add(request.origin.core, request.form, request.chunks);
  auto reply = std::make_unique<StatesReply>();
  reply->origin = request.origin;
  reply->sub = request.sub;
  reply->ticket = request.ticket;
  reply->shard = s.key.position;
  reply->mark = {s.key.position, lsn()};
  reply->durable = s.durable;
  ChunkStates states = encode_states(s.head, request, {s.run.incarnation, s.recovered}, *s.encoder, *s.encoded);
  s.counters.chunks_sent += states.chunks;
  reply->frames = std::move(states.frames);
  reply->chunks = states.chunks;
  out.reply(std::move(reply));
}

void Shard::refresh(const RefreshRequest& request, ShardOutput& out) {
  State& s = *state_;
  ++s.counters.refreshes;
  auto reply = std::make_unique<StatesReply>();
  reply->origin = request.origin;
  reply->ticket = request.ticket;
  reply->shard = s.key.position;
  reply->mark = {s.key.position, lsn()};
  reply->refresh = true;
  ChunkStates states = encode_changed(s.head, request, *s.encoder, *s.encoded);
  s.counters.chunks_sent += states.chunks;
  reply->frames = std::move(states.frames);
  reply->chunks = states.chunks;
  out.reply(std::move(reply));
}

// ---- recovery ----

Status Shard::replay(const storage::Record& record, const BringPages& bring) {
  State& s = *state_;
  if (record.lsn <= lsn()) return {};
  if (record.lsn != next(lsn())) {
    return Error{
        ErrorCode::internal,
        fmt::format("{}, shard {},{}: the log goes on with edit {}, but the shard holds {} edits: records between are "
                    "missing",
                    name_of_line(s.key.world), s.key.position.x, s.key.position.y, record.lsn.value, lsn().value)};
  }
  Arena arena;
  Result<LoggedEdit> logged = decode_edit(record.payload, arena);
  if (!logged) return logged.error();
  if (Status made = s.ensure_store(); !made) return made;
  s.reach_version(logged->version);
  if (Status there = s.bring_for(logged->edit, logged->restore, bring); !there) return there;
  if (Status begun = s.begin(logged->edit, logged->restore, logged->coordinated != 0); !begun) return begun;
  s.apply(logged->author, logged->coordinated, logged->edit, logged->restore);
  s.durable = lsn();
  return {};
}

Status Shard::roll_forward(const EditRequest& part, const BringPages& bring, std::vector<std::byte>* record) {
  State& s = *state_;
  TZ_ASSERT(part.coordinated != 0);
  if (part.coordinated <= s.last_coordinated || s.applied.remembers(part.origin.session, part.edit.id)) return {};
  if (Status made = s.ensure_store(); !made) return made;
  s.reach_version(part.version);
  EditRequest whole;
  take_over(part, whole);
  if (!part.swaps.empty()) whole.edit.ops = ops_around(part.swaps, whole.arena);
  if (Status there = s.bring_for(whole.edit, whole.restore, bring); !there) return there;
  RestoreCount swapped;
  if (!part.swaps.empty()) {
    const ResolvedSwaps swaps = resolve(s.head, part.swaps, whole.arena);
    whole.edit.ops = swaps.ops;
    swapped = {swaps.restored, swaps.skipped};
  }
  if (Status begun = s.begin(whole.edit, whole.restore, true); !begun) return begun;
  s.keep_past(whole);
  s.apply(whole.origin.session, whole.coordinated, whole.edit, whole.restore);
  if (record != nullptr) {
    s.encode(whole, swapped);
    *record = s.payload;
  }
  return {};
}

Status Shard::State::bring_for(const map::Edit& edit, const std::optional<Restore>& restore, const BringPages& bring) {
  if (!bring) return {};
  for (storage::Missing missing;; missing.clear()) {
    look(edit, restore, missing);
    if (missing.nothing()) return {};
    if (Status brought = bring(missing); !brought) return brought;
  }
}

void Shard::recovered() {
  State& s = *state_;
  if (!s.run.versions.empty()) s.reach_version(s.run.versions.back());
  if (s.head) {
    // Deleted while the shard's file was closed, or now that no log record asks for it any more.
    for (const storage::PinInfo& pin : s.head.pins()) {
      const bool listed = std::ranges::find(s.run.versions, pin.id) != s.run.versions.end() &&
                          std::ranges::find(s.run.deleted_versions, pin.id) == s.run.deleted_versions.end();
      if (pin.kind == storage::PinKind::version && !listed) drop_version(pin.id);
    }
  }
  state_->recovered = lsn();
  state_->durable = lsn();
  for (const auto& branch : s.branches) branch->recovered();
}

// ---- versions ----

void Shard::State::reach_version(std::uint64_t newest) {
  if (newest <= version) return;
  for (const std::uint64_t id : run.versions)
    if (id > version && id <= newest && head) head.pin(storage::PinKind::version, id);
  version = newest;
}

void Shard::take_version(std::uint64_t id) {
  State& s = *state_;
  if (id <= s.version) return;  // opened in the moment between the decision and the cut
  if (s.head && !canary::is(canary::Bug::version_not_kept)) s.head.pin(storage::PinKind::version, id);
  s.version = id;
}

void Shard::drop_version(std::uint64_t id) {
  // A shard that was made after the version knows nothing of it.
  if (state_->head && state_->head.find_pin(storage::PinKind::version, id) != nullptr) {
    const Status dropped = state_->head.unpin(storage::PinKind::version, id);
    TZ_ASSERT(dropped.ok());
  }
}

shardfile::Entry Shard::version_top(std::uint64_t id) const {
  const storage::PinInfo* pin = state_->head ? state_->head.find_pin(storage::PinKind::version, id) : nullptr;
  return pin == nullptr ? shardfile::Entry{} : pin->top;
}

std::vector<storage::PinInfo> Shard::undo_points() const {
  if (!state_->head) return {};
  std::vector<storage::PinInfo> points = state_->head.pins();
  std::erase_if(points, [](const storage::PinInfo& pin) { return pin.kind != storage::PinKind::undo_point; });
  return points;
}

shardfile::Entry Shard::take_snapshot(std::uint64_t number) {
  return state_->head ? state_->head.pin(storage::PinKind::snapshot, number).top : shardfile::Entry{};
}

void Shard::drop_snapshot(std::uint64_t number) {
  // A shard whose first edit came in between has none.
  if (state_->head && state_->head.find_pin(storage::PinKind::snapshot, number) != nullptr) {
    const Status dropped = state_->head.unpin(storage::PinKind::snapshot, number);
    TZ_ASSERT(dropped.ok());
  }
}

bool Shard::publish_root(storage::RootPublisher& publisher, storage::PageNo pages, std::uint64_t now_ns) {
  return state_->store && publisher.publish(*state_->store, pages, now_ns);
}

bool Shard::reclaim(std::size_t entries, storage::Missing* missing) {
  return state_->store && state_->store->reclaim(entries, missing);
}

}  // namespace terrazzo::shard
