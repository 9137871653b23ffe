#include "server/shard/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/circular_buffer.hpp>
#include <cstring>
#include <map>
#include <utility>

#include "base/canary.h"
#include "map/edit_check.h"
#include "server/shard/chunk_states.h"
#include "server/shard/claim_table.h"
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

// Precedes the own bytes of a branch in a checkpoint.
struct BranchAux {
  std::uint64_t head, bytes;
};

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
  const auto* const from = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), from, from + sizeof value);
}
template <class T>
bool take(std::span<const std::byte>& from, T& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return true;
}

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
        factory(std::move(own_factory)) {
    if (store) head = storage::Head(*store);
  }
  State(State& own_trunk, const BranchInfo& info)
      : State({info.world, own_trunk.key.position}, info.metadata, info.run, *own_trunk.encoder, *own_trunk.encoded,
              nullptr, {}) {
    trunk = &own_trunk;
    own_branch = info;
    read_only = own_trunk.read_only;
  }

  ShardKey key;
  std::shared_ptr<const map::World> world;
  RunInfo run;
  proto::Encoder* encoder;  // the core's
  EncodedChunks* encoded;
  std::unique_ptr<storage::ShardStore> store;  // of a branch: its trunk has it
  StoreFactory factory;
  storage::Head head;  // without a store: nothing was edited here

  State* trunk = nullptr;  // of a branch: whose file it lives in
  BranchInfo own_branch;   // of a branch
  std::vector<std::unique_ptr<Shard>> branches;
  // The own bytes of branches that are in the store's newest root and not among `branches`.
  std::map<storage::HeadId, std::vector<std::byte>> left_aside;

  Fanout fanout{*encoder};
  InterestIndex interest;
  ClaimTable claims;
  DedupeWindow applied;
  std::optional<Error> read_only;
  std::optional<Error> damage;
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
  // As the newest edit.
  Waiting waiting_of(const EditRequest& request) const {
    return {last_sequence, head.lsn(), request.origin, request.edit.id, request.coordinated};
  }
  void wait_for_log(const EditRequest& request) {
    if (waiting.full()) waiting.set_capacity(2 * waiting.capacity());
    waiting.push_back(waiting_of(request));
  }
  std::uint64_t last_sequence = 0;

  std::uint64_t log_bytes = 0;                // since the last checkpoint began
  std::vector<std::byte> payload, pre_image;  // scratch
  storage::PinInfo source;                    // of the restore that has begun
  PreImageScratch pre_image_scratch;
  ShardCounters counters;

  EditOutcome outcome_of(const Waiting& edit, EditOutcome::Stage stage) const {
    EditOutcome outcome;
    outcome.origin = edit.origin;
    outcome.world = key.world;
    outcome.edit = edit.edit;
    outcome.coordinated = edit.coordinated;
    outcome.mark = {key.position, edit.lsn};
    outcome.stage = stage;
    return outcome;
  }
  EditOutcome outcome_of(const EditRequest& request, EditOutcome::Stage stage) const {
    return outcome_of(waiting_of(request), stage);
  }
  void reject(const EditRequest& request, Error error, ShardOutput& out, std::vector<SharedClaim> others = {}) {
    ++counters.rejected;
    EditOutcome outcome = outcome_of(request, EditOutcome::Stage::rejected);
    outcome.error = std::move(error);
    outcome.claims = std::move(others);
    out.outcome(std::move(outcome));
  }
  bool is_duplicate(const EditRequest& request) const {
    if (request.coordinated != 0 && request.coordinated <= last_coordinated) return true;
    if (canary::is(canary::Bug::dedupe_skipped)) return false;
    return applied.seen(request.origin.session, request.edit.id);
  }
  void answer_duplicate(const EditRequest& request, ShardOutput& out);
  Status ensure_store();
  void attach_branches();
  // Of a branch whose trunk has a store.
  void attach();
  // The state that a branch which began at this version begins with.
  Result<storage::PinInfo> state_at(std::uint64_t of);
  State& of_world(WorldId world);
  Result<storage::PinInfo> source_of(const Restore& restore) const;
  void look(const map::Edit& edit, const std::optional<Restore>& restore, storage::Missing& missing);
  Status bring_for(const map::Edit& edit, const std::optional<Restore>& restore, const BringPages& bring);
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
  State& file() { return trunk == nullptr ? *this : *trunk; }
  void append_own_aux(std::vector<std::byte>& out) const;
  std::size_t own_aux_bytes() const;
  std::vector<std::byte> aux() const;
  Status read_own_aux(std::span<const std::byte>& rest);
  Status read_aux();
};

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
void Shard::claim(SharedClaim claim) {
  state_->claims.add(std::move(claim));
}
void Shard::release(const Claim& claim) {
  state_->claims.remove(claim.serial);
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
  if (const Result<storage::PinInfo> from = source_of(*restore); from)
    look_restore(head, *from, *restore, watched, missing);
}

void Shard::look(const EditRequest& request, storage::Missing& missing) {
  State& s = *state_;
  if (s.head && !s.read_only) s.look(request.edit, request.restore, missing);
}

void Shard::look(const SubscribeRequest& request, storage::Missing& missing) {
  State& s = *state_;
  if (s.head) look_states(s.head, request, {s.run.incarnation, s.recovered}, missing);
}

void Shard::look(const RefreshRequest& request, storage::Missing& missing) {
  if (state_->head) look_changed(state_->head, request, missing);
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

Result<storage::PinInfo> Shard::State::source_of(const Restore& restore) const {
  const bool of_version = restore.from == storage::PinKind::version;
  if (of_version && restore.id <= born) return storage::PinInfo{};
  if (const storage::PinInfo* pin = head.find_pin(restore.from, restore.id)) return *pin;
  return Error{
      ErrorCode::not_found,
      fmt::format("shard {},{} does not hold {} {} any more: it was deleted, or is too old to be undone",
                  key.position.x, key.position.y, of_version ? "version" : "the state before edit", restore.id)};
}

Status Shard::State::begin(const map::Edit& edit, const std::optional<Restore>& restore) {
  const Lsn lsn = next(head.lsn());
  if (restore) {
    // A copy: the new undo point may be one too many, and the one that goes for it the very one that is restored. Its
    // pages stay until they are reclaimed.
    Result<storage::PinInfo> found = source_of(*restore);
    if (!found) return found.error();
    source = *std::move(found);
  }
  const bool pinned = restore || needs_undo_point(edit.ops);
  if (pinned) add_undo_point(head, lsn, kUndoPoints);
  const Status begun = head.begin_edit(lsn, restore ? pages_worst(*restore) : pages_worst(head, edit.ops));
  if (!begun && pinned) {
    const Status dropped = head.unpin(storage::PinKind::undo_point, lsn.value);
    TZ_ASSERT(dropped.ok());
  }
  return begun;
}

void Shard::State::apply(SessionId author, std::uint64_t coordinated, const map::Edit& edit,
                         const std::optional<Restore>& restore) {
  if (restore) {
    apply_restore(head, source, *restore);
  } else {
    apply_ops(head, edit.ops);
  }
  applied.remember(author, edit.id, head.lsn());
  if (coordinated != 0) last_coordinated = coordinated;
}

void Shard::State::log(const EditRequest& request, ShardOutput& out) {
  payload.clear();
  const bool pinned = request.restore || needs_undo_point(request.edit.ops);
  encode_edit(request, version, {pinned ? PreImageKind::pinned : PreImageKind::cells, pre_image}, payload);
  file().log_bytes += payload.size();
  last_sequence =
      out.log({storage::RecordKind::edit, {key.world, key.position.x, key.position.y}, head.lsn(), payload});
}

void Shard::State::publish(const EditRequest& request, ShardOutput& out) {
  if (interest.anybody() == 0) return;
  if (request.restore) return publish_restored(request, out);
  publish_ops(request, request.edit.ops, out);
}

void Shard::State::publish_ops(const EditRequest& request, std::span<const map::Op> ops, ShardOutput& out) {
  Fanout::Cast cast =
      fanout.cast(key, {key.position, head.lsn(), request.origin.session, request.edit.id, ops}, interest);
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
    for_each_restored(head, head.lsn(), area, watched, [&](const map::Op& op) {
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
  if (head.lsn() <= durable) {
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
    if (!s.claims.empty()) [[unlikely]] {
      std::vector<SharedClaim> others = s.claims.in_the_way(request.origin.user, request);
      if (!others.empty()) {
        Error why = claimed_error(others);
        return s.reject(request, std::move(why), out, std::move(others));
      }
    }
  }
  if (const Status held = check_conditions(s.head, request.edit.conditions); !held)
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
    encode_pre_image(s.head, request.edit.ops, s.pre_image_scratch, s.pre_image);
  s.apply(request.origin.session, request.coordinated, request.edit, request.restore);
  ++s.counters.edits;
  s.log(request, out);
  s.wait_for_log(request);
  s.publish(request, out);
  out.outcome(s.outcome_of(request, EditOutcome::Stage::applied));
  if (canary::is(canary::Bug::ack_before_sync) && request.coordinated == 0)
    out.outcome(s.outcome_of(request, EditOutcome::Stage::durable));
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
  if (Status begun = s.begin(logged->edit, logged->restore); !begun) return begun;
  s.apply(logged->author, logged->coordinated, logged->edit, logged->restore);
  s.durable = lsn();
  return {};
}

Status Shard::roll_forward(const EditRequest& part, const BringPages& bring) {
  State& s = *state_;
  TZ_ASSERT(part.coordinated != 0);
  if (part.coordinated <= s.last_coordinated || s.applied.remembers(part.origin.session, part.edit.id)) return {};
  if (Status made = s.ensure_store(); !made) return made;
  s.reach_version(part.version);
  if (Status there = s.bring_for(part.edit, part.restore, bring); !there) return there;
  if (Status begun = s.begin(part.edit, part.restore); !begun) return begun;
  s.apply(part.origin.session, part.coordinated, part.edit, part.restore);
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
  if (s.head) s.head.pin(storage::PinKind::version, id);
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

std::optional<ShardContent> Shard::content_of(std::uint64_t version) const {
  const State& s = *state_;
  const storage::PinInfo* of = s.head ? s.head.find_pin(storage::PinKind::version, version) : nullptr;
  if (of == nullptr) return std::nullopt;
  ShardContent content{of->lsn, of->top, {}, {}};
  for (const storage::PinInfo& pin : s.head.pins()) {
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

// ---- branches ----

Shard* Shard::find(WorldId world) {
  if (world == state_->key.world) return this;
  for (const auto& branch : state_->branches)
    if (branch->state_->key.world == world) return branch.get();
  return nullptr;
}

Shard& Shard::add_branch(const BranchInfo& info) {
  State& s = *state_;
  TZ_ASSERT(s.trunk == nullptr && find(info.world) == nullptr && find(info.parent) != nullptr);
  s.branches.push_back(std::unique_ptr<Shard>(new Shard(std::make_unique<State>(s, info))));
  if (s.store) s.branches.back()->state_->attach();
  return *s.branches.back();
}

void Shard::State::attach_branches() {
  // Parents come before their branches.
  for (const auto& each : branches) {
    each->state_->born = each->state_->version;
    each->state_->attach();
  }
}

void Shard::State::attach() {
  if (!trunk->store->has_head(own_branch.head)) {
    const Result<storage::PinInfo> origin = trunk->of_world(own_branch.parent).state_at(own_branch.origin);
    if (!origin) {
      damage = origin.error();
      return become_read_only(origin.error());
    }
    const Status added = trunk->store->add_branch(own_branch.head, *origin);
    TZ_ASSERT(added.ok());
  }
  head = storage::Head(*trunk->store, own_branch.head);
  durable = head.lsn();
  if (const auto kept = trunk->left_aside.extract(own_branch.head); !kept.empty()) {
    std::span<const std::byte> bytes = kept.mapped();
    if (const Status read = read_own_aux(bytes); !read) become_read_only(read.error());
  }
}

Shard::State& Shard::State::of_world(WorldId of) {
  return of == key.world
             ? *this
             : *(*std::ranges::find(branches, of, [](const auto& b) { return b->state_->key.world; }))->state_;
}

Result<storage::PinInfo> Shard::State::state_at(std::uint64_t of) {
  // During recovery: all its records are replayed, and none of them was of a later time.
  reach_version(of);
  if (head && of > born)
    if (const storage::PinInfo* pin = head.find_pin(storage::PinKind::version, of)) return *pin;
  if (of <= born) return storage::PinInfo{};
  return Error{
      ErrorCode::internal,
      fmt::format("{}, shard {},{}, does not hold version {}, at which a branch began; restore the shard's file "
                  "from a backup",
                  name_of_line(key.world), key.position.x, key.position.y, of)};
}

void Shard::drop_branch(storage::HeadId number, ShardOutput& out) {
  State& s = *state_;
  const auto found =
      std::ranges::find(s.branches, number, [](const auto& branch) { return branch->state_->own_branch.head; });
  if (found != s.branches.end()) {
    State& gone = *(*found)->state_;
    for (const State::Waiting& waiting : gone.waiting) {
      EditOutcome outcome = gone.outcome_of(waiting, EditOutcome::Stage::rejected);
      outcome.error = Error{ErrorCode::not_found, "the branch was dropped"};
      out.outcome(std::move(outcome));
    }
    s.counters += (*found)->counters();
    s.branches.erase(found);
  }
  s.left_aside.erase(number);
  if (!s.store || !s.store->has_head(number)) return;
  const Status dropped = s.store->drop_branch(number);
  TZ_ASSERT(dropped.ok());
}

std::vector<storage::HeadId> Shard::keep_branches(std::span<const storage::HeadId> there_are) {
  State& s = *state_;
  std::vector<storage::HeadId> gone;
  if (!s.store) return gone;
  for (const storage::HeadId number : s.store->branches()) {
    if (std::ranges::find(there_are, number) != there_are.end()) continue;
    s.left_aside.erase(number);
    const Status dropped = s.store->drop_branch(number);
    TZ_ASSERT(dropped.ok());
    gone.push_back(number);
  }
  return gone;
}

// ---- checkpoint ----

std::size_t Shard::State::own_aux_bytes() const {
  return kAuxNumbers * sizeof(std::uint64_t) + applied.encoded_bytes();
}

void Shard::State::append_own_aux(std::vector<std::byte>& out) const {
  for (const std::uint64_t number : {last_coordinated, version, born}) append(out, number);
  applied.encode(out);
}

std::vector<std::byte> Shard::State::aux() const {
  std::vector<std::byte> bytes;
  append_own_aux(bytes);
  for (const auto& branch : branches) {
    const State& b = *branch->state_;
    if (!b.head) continue;
    append(bytes, BranchAux{b.own_branch.head, b.own_aux_bytes()});
    b.append_own_aux(bytes);
  }
  for (const auto& [number, own] : left_aside) {
    append(bytes, BranchAux{number, own.size()});
    bytes.insert(bytes.end(), own.begin(), own.end());
  }
  return bytes;
}

Status Shard::State::read_own_aux(std::span<const std::byte>& rest) {
  if (!take(rest, last_coordinated) || !take(rest, version) || !take(rest, born))
    return Error{ErrorCode::internal, "the shard's own state is damaged"};
  return applied.decode(rest);
}

Status Shard::State::read_aux() {
  const std::vector<std::byte> bytes = store->aux();
  std::span<const std::byte> rest = bytes;
  if (rest.empty()) return {};  // a new store
  if (Status own = read_own_aux(rest); !own) return own;
  while (!rest.empty()) {
    BranchAux entry{};
    if (!take(rest, entry) || entry.bytes > rest.size())
      return Error{ErrorCode::internal, "what the shard knows of its branches is damaged"};
    const auto number = static_cast<storage::HeadId>(entry.head);
    if (store->has_head(number))
      left_aside[number].assign(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(entry.bytes));
    rest = rest.subspan(entry.bytes);
  }
  return {};
}

bool Shard::wants_checkpoint() const {
  return state_->log_bytes >= kCheckpointLogBytes && state_->store && !state_->store->checkpoint_running();
}

void Shard::look_checkpoint(storage::Missing& missing) {
  std::size_t bytes = state_->own_aux_bytes();
  for (const auto& branch : state_->branches) bytes += sizeof(BranchAux) + branch->state_->own_aux_bytes();
  for (const auto& [number, own] : state_->left_aside) bytes += sizeof(BranchAux) + own.size();
  state_->store->look_checkpoint(bytes, missing);
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
