#include "server/shard/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/circular_buffer.hpp>
#include <cstring>
#include <utility>

#include "map/edit_check.h"
#include "server/shard/chunk_states.h"
#include "server/shard/dedupe_window.h"
#include "server/shard/fanout.h"
#include "server/shard/interest.h"
#include "server/shard/log_record.h"
#include "server/shard/look_ahead.h"
#include "server/shard/store_apply.h"
#include "server/shard/store_restore.h"
#include "server/shard/undo_points.h"

namespace terrazzo::shard {
namespace {

// Replaying 16 MiB of log takes a fraction of a second; a checkpoint per 16 MiB costs little beside writing them.
constexpr std::uint64_t kCheckpointLogBytes = 16 << 20;
// After a restore viewers get the chunks they watch as they are now, this many in a message.
constexpr std::size_t kRestoredChunksPerMessage = 64;
// Room for edits on their way to the disk that a shard keeps; it grows as needed.
constexpr std::size_t kWaitingKept = 16;
// Of the shard's own bytes in a checkpoint, before the table of applied edits.
constexpr std::size_t kAuxNumbers = 3;

}  // namespace

struct Shard::State {
  State(const ShardKey& own_key, std::shared_ptr<const map::World> own_world, const RunInfo& own_run,
        proto::Encoder& shared_encoder, EncodedChunks& shared_encoded, std::unique_ptr<storage::ShardStore> own_store,
        StoreFactory own_factory)
      : key(own_key),
        world(std::move(own_world)),
        run(own_run),
        encoder(&shared_encoder),
        encoded(&shared_encoded),
        store(std::move(own_store)),
        factory(std::move(own_factory)) {}

  ShardKey key;
  std::shared_ptr<const map::World> world;
  RunInfo run;
  proto::Encoder* encoder;  // the core's
  EncodedChunks* encoded;
  std::unique_ptr<storage::ShardStore> store;
  StoreFactory factory;

  Fanout fanout{*encoder};
  InterestIndex interest;
  DedupeWindow applied;
  std::optional<Error> read_only;
  std::optional<Error> behind;  // why a part of a decided edit could not be taken yet
  std::uint64_t last_coordinated = 0;
  std::uint64_t version = 0;  // the world's newest one that the store has pinned, or was made after
  std::uint64_t born = 0;     // versions up to this one show nothing here: the store was made after them
  Lsn durable;                // by log or checkpoint
  Lsn recovered;              // what this run started from

  // Edits whose records are on their way to the disk, in log order.
  struct Waiting {
    std::uint64_t sequence;
    Lsn lsn;
    Origin origin;
    EditId edit;
    std::uint64_t coordinated;
  };
  boost::circular_buffer<Waiting> waiting{kWaitingKept};
  void wait_for_log(const EditRequest& request) {
    if (waiting.full()) waiting.set_capacity(2 * waiting.capacity());
    waiting.push_back({last_sequence, store->lsn(), request.origin, request.edit.id, request.coordinated});
  }
  std::uint64_t last_sequence = 0;

  std::uint64_t log_bytes = 0;                // since the last checkpoint began
  std::vector<std::byte> payload, pre_image;  // scratch
  storage::PinInfo source;                    // of the restore that has begun
  PreImageScratch pre_image_scratch;
  ShardCounters counters;

  EditOutcome outcome_of(const EditRequest& request, EditOutcome::Stage stage) const {
    EditOutcome outcome;
    outcome.origin = request.origin;
    outcome.edit = request.edit.id;
    outcome.coordinated = request.coordinated;
    outcome.mark = {key.position, store ? store->lsn() : Lsn{}};
    outcome.stage = stage;
    return outcome;
  }
  void reject(const EditRequest& request, Error error, ShardOutput& out) {
    ++counters.rejected;
    EditOutcome outcome = outcome_of(request, EditOutcome::Stage::rejected);
    outcome.error = std::move(error);
    out.outcome(std::move(outcome));
  }
  bool is_duplicate(const EditRequest& request) const {
    if (request.coordinated != 0 && request.coordinated <= last_coordinated) return true;
    return applied.seen(request.origin.session, request.edit.id);
  }
  void answer_duplicate(const EditRequest& request, ShardOutput& out);
  Status ensure_store();
  Result<storage::PinInfo> source_of(const Restore& restore) const;
  Status begin(const map::Edit& edit, const std::optional<Restore>& restore);
  void apply(SessionId author, std::uint64_t coordinated, const map::Edit& edit, const std::optional<Restore>& restore);
  // Pins what the store lacks of the versions up to this one: their state is the present one.
  void reach_version(std::uint64_t newest);
  void log(const EditRequest& request, ShardOutput& out);
  void publish(const EditRequest& request, ShardOutput& out);
  void publish_ops(const EditRequest& request, std::span<const map::Op> ops, ShardOutput& out);
  void publish_restored(const EditRequest& request, ShardOutput& out);
  void become_read_only(const Error& why) {
    if (!read_only) read_only = why;
  }
  std::vector<std::byte> aux() const;
  Status read_aux();
};

Shard::Shard(const ShardKey& key, std::shared_ptr<const map::World> world, const RunInfo& run, proto::Encoder& encoder,
             EncodedChunks& encoded, std::unique_ptr<storage::ShardStore> store, StoreFactory factory)
    : state_(new State(key, std::move(world), run, encoder, encoded, std::move(store), std::move(factory))) {
  if (!state_->store) return;
  state_->durable = state_->store->durable_lsn();
  if (const Status read = state_->read_aux(); !read) state_->become_read_only(read.error());
}
Shard::~Shard() = default;

const ShardKey& Shard::key() const {
  return state_->key;
}
Lsn Shard::lsn() const {
  return state_->store ? state_->store->lsn() : Lsn{};
}
Lsn Shard::durable_lsn() const {
  return state_->durable;
}
const storage::ShardStore* Shard::store() const {
  return state_->store.get();
}
const ShardCounters& Shard::counters() const {
  state_->counters.encodings = state_->fanout.encodings();
  return state_->counters;
}
std::size_t Shard::edits_waiting() const {
  return state_->waiting.size();
}
void Shard::set_world(std::shared_ptr<const map::World> world) {
  state_->world = std::move(world);
}
void Shard::read_only(const Error& why) {
  state_->become_read_only(why);
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
}
void Shard::interest_off(const InterestOff& off) {
  for (const map::ChunkPos chunk : off.chunks) state_->interest.remove(off.core, off.form, chunk);
}

// ---- looking ahead ----

void Shard::look(const EditRequest& request, storage::Missing& missing) {
  State& s = *state_;
  if (!s.store || s.read_only) return;
  if (!request.restore) return look_edit(*s.store, request.edit, missing);
  const auto watched = [&](const map::Rect& chunks) {
    return (s.interest.viewers(proto::Form::binary, chunks) | s.interest.viewers(proto::Form::json, chunks)) != 0;
  };
  if (const Result<storage::PinInfo> source = s.source_of(*request.restore); source)
    look_restore(*s.store, *source, *request.restore, watched, missing);
}

void Shard::look(const SubscribeRequest& request, storage::Missing& missing) {
  State& s = *state_;
  if (s.store) look_states(*s.store, request, {s.run.incarnation, s.recovered}, missing);
}

void Shard::look(const RefreshRequest& request, storage::Missing& missing) {
  if (state_->store) look_changed(*state_->store, request, missing);
}

bool Shard::lacks_store(const EditRequest& request) const {
  const State& s = *state_;
  return !s.store && !s.read_only && check_conditions(nullptr, request.edit.conditions).ok();
}

void Shard::give_store(std::unique_ptr<storage::ShardStore> store) {
  TZ_ASSERT(!state_->store);
  state_->store = std::move(store);
  state_->born = state_->version;
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
  if (store) return {};
  Result<std::unique_ptr<storage::ShardStore>> made = factory();
  if (!made) return made.error();
  store = *std::move(made);
  born = version;
  return {};
}

Result<storage::PinInfo> Shard::State::source_of(const Restore& restore) const {
  const bool of_version = restore.from == storage::PinKind::version;
  if (of_version && restore.id <= born) return storage::PinInfo{};
  if (const storage::PinInfo* pin = store->find_pin(restore.from, restore.id)) return *pin;
  return Error{
      ErrorCode::not_found,
      fmt::format("shard {},{} does not hold {} {} any more: it was deleted, or is too old to be undone",
                  key.position.x, key.position.y, of_version ? "version" : "the state before edit", restore.id)};
}

Status Shard::State::begin(const map::Edit& edit, const std::optional<Restore>& restore) {
  const Lsn lsn = next(store->lsn());
  if (restore) {
    // A copy: the new undo point may be one too many, and the one that goes for it the very one that is restored. Its
    // pages stay until they are reclaimed.
    Result<storage::PinInfo> found = source_of(*restore);
    if (!found) return found.error();
    source = *std::move(found);
  }
  const bool pinned = restore || needs_undo_point(edit.ops);
  if (pinned) add_undo_point(*store, lsn, kUndoPoints);
  const Status begun = store->begin_edit(lsn, restore ? pages_worst(*restore) : pages_worst(*store, edit.ops));
  if (!begun && pinned) {
    const Status dropped = store->unpin(storage::PinKind::undo_point, lsn.value);
    TZ_ASSERT(dropped.ok());
  }
  return begun;
}

void Shard::State::apply(SessionId author, std::uint64_t coordinated, const map::Edit& edit,
                         const std::optional<Restore>& restore) {
  if (restore) {
    apply_restore(*store, source, *restore);
  } else {
    apply_ops(*store, edit.ops);
  }
  applied.remember(author, edit.id, store->lsn());
  if (coordinated != 0) last_coordinated = coordinated;
}

void Shard::State::log(const EditRequest& request, ShardOutput& out) {
  payload.clear();
  const bool pinned = request.restore || needs_undo_point(request.edit.ops);
  encode_edit(request, version, {pinned ? PreImageKind::pinned : PreImageKind::cells, pre_image}, payload);
  log_bytes += payload.size();
  last_sequence =
      out.log({storage::RecordKind::edit, {key.world, key.position.x, key.position.y}, store->lsn(), payload});
}

void Shard::State::publish(const EditRequest& request, ShardOutput& out) {
  if (interest.anybody() == 0) return;
  if (request.restore) return publish_restored(request, out);
  publish_ops(request, request.edit.ops, out);
}

void Shard::State::publish_ops(const EditRequest& request, std::span<const map::Op> ops, ShardOutput& out) {
  Fanout::Cast cast =
      fanout.cast(key, {key.position, store->lsn(), request.origin.session, request.edit.id, ops}, interest);
  if (!cast.publication) return;
  ++counters.publications;
  out.publish(cast.cores, std::move(cast.publication));
}

// Clients know nothing of pins: they are told what the chunks they watch hold now, each chunk once.
void Shard::State::publish_restored(const EditRequest& request, ShardOutput& out) {
  std::vector<map::Op> ops;
  const auto flush = [&] {
    if (!ops.empty()) publish_ops(request, ops, out);
    ops.clear();
  };
  const auto watched = [&](const map::Rect& chunks) {
    return (interest.viewers(proto::Form::binary, chunks) | interest.viewers(proto::Form::json, chunks)) != 0;
  };
  for (const Restore::Area& area : request.restore->areas) {
    for_each_restored(*store, store->lsn(), area, watched, [&](const map::Op& op) {
      ops.push_back(op);
      if (ops.size() == kRestoredChunksPerMessage) flush();
    });
  }
  flush();
}

void Shard::State::answer_duplicate(const EditRequest& request, ShardOutput& out) {
  ++counters.duplicates;
  out.outcome(outcome_of(request, EditOutcome::Stage::applied));
  // Its record is somewhere up to the newest one: when that is on disk, so is this edit.
  if (store->lsn() <= durable) {
    out.outcome(outcome_of(request, EditOutcome::Stage::durable));
  } else {
    wait_for_log(request);
  }
}

void Shard::edit(const EditRequest& request, ShardOutput& out) {
  State& s = *state_;
  if (s.is_duplicate(request)) return s.answer_duplicate(request, out);
  if (s.read_only) return s.reject(request, *s.read_only, out);
  // A part of a decided edit is taken in any case: its whole is in a log already.
  if (request.coordinated == 0) {
    if (std::optional<Error> busy = out.log_busy()) return s.reject(request, *std::move(busy), out);
    if (s.behind) return s.reject(request, *s.behind, out);
  }
  if (const Status held = check_conditions(s.store.get(), request.edit.conditions); !held)
    return s.reject(request, held.error(), out);
  Status begun = s.ensure_store();
  if (begun) begun = s.begin(request.edit, request.restore);
  if (!begun) {
    // A coordinated edit is decided already; a shard that cannot follow must not go on without it. Where space is all
    // that it lacks, the part comes again.
    if (request.coordinated != 0 && begun.error().code == ErrorCode::overloaded) {
      s.behind = begun.error();
    } else if (request.coordinated != 0) {
      s.become_read_only(begun.error());
    }
    return s.reject(request, begun.error(), out);
  }
  if (request.coordinated != 0) s.behind.reset();
  s.pre_image.clear();
  if (!request.restore && !needs_undo_point(request.edit.ops))
    encode_pre_image(s.store.get(), request.edit.ops, s.pre_image_scratch, s.pre_image);
  s.apply(request.origin.session, request.coordinated, request.edit, request.restore);
  ++s.counters.edits;
  s.log(request, out);
  s.wait_for_log(request);
  s.publish(request, out);
  out.outcome(s.outcome_of(request, EditOutcome::Stage::applied));
}

void Shard::log_durable(std::uint64_t sequence, ShardOutput& out) {
  State& s = *state_;
  const Lsn before = s.durable;
  while (!s.waiting.empty() && s.waiting.front().sequence <= sequence) {
    const State::Waiting& entry = s.waiting.front();
    s.durable = std::max(s.durable, entry.lsn);
    EditOutcome outcome;
    outcome.origin = entry.origin;
    outcome.edit = entry.edit;
    outcome.coordinated = entry.coordinated;
    outcome.mark = {s.key.position, entry.lsn};
    outcome.stage = EditOutcome::Stage::durable;
    out.outcome(std::move(outcome));
    s.waiting.pop_front();
  }
  if (s.durable != before && s.interest.anybody() != 0) out.durable(s.interest.anybody(), {s.key, s.durable});
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
  ChunkStates states = encode_states(s.store.get(), request, {s.run.incarnation, s.recovered}, *s.encoder, *s.encoded);
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
  ChunkStates states = encode_changed(s.store.get(), request, *s.encoder, *s.encoded);
  s.counters.chunks_sent += states.chunks;
  reply->frames = std::move(states.frames);
  reply->chunks = states.chunks;
  out.reply(std::move(reply));
}

// ---- recovery ----

Status Shard::replay(const storage::Record& record) {
  State& s = *state_;
  if (record.lsn <= lsn()) return {};
  if (record.lsn != next(lsn())) {
    return Error{
        ErrorCode::internal,
        fmt::format("shard {},{}: the log goes on with edit {}, but the shard holds {} edits: records between are "
                    "missing",
                    s.key.position.x, s.key.position.y, record.lsn.value, lsn().value)};
  }
  Arena arena;
  Result<LoggedEdit> logged = decode_edit(record.payload, arena);
  if (!logged) return logged.error();
  if (Status made = s.ensure_store(); !made) return made;
  s.reach_version(logged->version);
  if (Status begun = s.begin(logged->edit, logged->restore); !begun) return begun;
  s.apply(logged->author, logged->coordinated, logged->edit, logged->restore);
  s.durable = lsn();
  return {};
}

Status Shard::roll_forward(const EditRequest& part) {
  State& s = *state_;
  TZ_ASSERT(part.coordinated != 0);
  if (part.coordinated <= s.last_coordinated || s.applied.remembers(part.origin.session, part.edit.id)) return {};
  if (Status made = s.ensure_store(); !made) return made;
  s.reach_version(part.version);
  if (Status begun = s.begin(part.edit, part.restore); !begun) return begun;
  s.apply(part.origin.session, part.coordinated, part.edit, part.restore);
  return {};
}

void Shard::recovered() {
  State& s = *state_;
  if (!s.run.versions.empty()) s.reach_version(s.run.versions.back());
  if (s.store) {
    // Deleted while the shard's file was closed, or now that no log record asks for it any more.
    for (const storage::PinInfo& pin : s.store->pins()) {
      const bool listed = std::ranges::find(s.run.versions, pin.id) != s.run.versions.end() &&
                          std::ranges::find(s.run.deleted_versions, pin.id) == s.run.deleted_versions.end();
      if (pin.kind == storage::PinKind::version && !pin.dropping && !listed) drop_version(pin.id);
    }
  }
  state_->recovered = lsn();
  state_->durable = lsn();
}

// ---- versions ----

void Shard::State::reach_version(std::uint64_t newest) {
  if (newest <= version) return;
  for (const std::uint64_t id : run.versions)
    if (id > version && id <= newest && store) store->pin(storage::PinKind::version, id);
  version = newest;
}

void Shard::take_version(std::uint64_t id) {
  State& s = *state_;
  if (id <= s.version) return;  // opened in the moment between the decision and the cut
  if (s.store) s.store->pin(storage::PinKind::version, id);
  s.version = id;
}

void Shard::drop_version(std::uint64_t id) {
  // A shard that was made after the version knows nothing of it.
  if (state_->store && state_->store->find_pin(storage::PinKind::version, id) != nullptr) {
    const Status dropped = state_->store->unpin(storage::PinKind::version, id);
    TZ_ASSERT(dropped.ok());
  }
}

shardfile::Entry Shard::version_top(std::uint64_t id) const {
  const storage::PinInfo* pin = state_->store ? state_->store->find_pin(storage::PinKind::version, id) : nullptr;
  return pin == nullptr ? shardfile::Entry{} : pin->top;
}

std::optional<ShardContent> Shard::content_of(std::uint64_t version) const {
  const State& s = *state_;
  const storage::PinInfo* of = s.store ? s.store->find_pin(storage::PinKind::version, version) : nullptr;
  if (of == nullptr) return std::nullopt;
  ShardContent content{of->lsn, of->top, {}, {}};
  for (const storage::PinInfo& pin : s.store->pins()) {
    const bool older = pin.kind == storage::PinKind::version
                           ? pin.id < version
                           : pin.kind == storage::PinKind::undo_point && pin.lsn <= of->lsn;
    if (older && !pin.dropping) content.pins.push_back(pin);
  }
  const std::uint64_t numbers[] = {s.last_coordinated, version, s.born};
  content.aux.resize(sizeof numbers);
  std::memcpy(content.aux.data(), numbers, sizeof numbers);
  DedupeWindow().encode(content.aux);
  return content;
}

shardfile::Entry Shard::take_snapshot(std::uint64_t number) {
  return state_->store ? state_->store->pin(storage::PinKind::snapshot, number).top : shardfile::Entry{};
}

void Shard::drop_snapshot(std::uint64_t number) {
  // A shard whose first edit came in between has none.
  if (state_->store && state_->store->find_pin(storage::PinKind::snapshot, number) != nullptr) {
    const Status dropped = state_->store->unpin(storage::PinKind::snapshot, number);
    TZ_ASSERT(dropped.ok());
  }
}

bool Shard::publish_root(storage::RootPublisher& publisher, storage::PageNo pages, std::uint64_t now_ns) {
  return state_->store && publisher.publish(*state_->store, pages, now_ns);
}

bool Shard::reclaim(std::size_t entries, storage::Missing* missing) {
  return state_->store && state_->store->reclaim(entries, missing);
}

// ---- checkpoint ----

std::vector<std::byte> Shard::State::aux() const {
  const std::uint64_t numbers[kAuxNumbers] = {last_coordinated, version, born};
  std::vector<std::byte> bytes(sizeof numbers);
  std::memcpy(bytes.data(), numbers, sizeof numbers);
  applied.encode(bytes);
  return bytes;
}

Status Shard::State::read_aux() {
  const std::vector<std::byte> bytes = store->aux();
  std::span<const std::byte> rest = bytes;
  if (rest.empty()) return {};  // a new store
  std::uint64_t numbers[kAuxNumbers];
  if (rest.size() < sizeof numbers) return Error{ErrorCode::internal, "the shard's own state is damaged"};
  std::memcpy(numbers, rest.data(), sizeof numbers);
  last_coordinated = numbers[0];
  version = numbers[1];
  born = numbers[2];
  rest = rest.subspan(sizeof numbers);
  return applied.decode(rest);
}

bool Shard::wants_checkpoint() const {
  return state_->log_bytes >= kCheckpointLogBytes && state_->store && !state_->store->checkpoint_running();
}

void Shard::look_checkpoint(storage::Missing& missing) {
  state_->store->look_checkpoint(kAuxNumbers * sizeof(std::uint64_t) + state_->applied.encoded_bytes(), missing);
}

Result<storage::CheckpointStep> Shard::begin_checkpoint() {
  TZ_ASSERT(state_->store != nullptr);
  state_->log_bytes = 0;
  return state_->store->begin_checkpoint(state_->aux());
}

storage::CheckpointStep Shard::checkpoint_work(std::size_t pages, storage::Missing* missing) {
  return state_->store->checkpoint_work(pages, missing);
}

Result<storage::CheckpointStep> Shard::checkpoint_synced(Status outcome) {
  return state_->store->checkpoint_synced(std::move(outcome));
}

}  // namespace terrazzo::shard
