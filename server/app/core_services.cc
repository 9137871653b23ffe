#include "server/app/core_services.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "map/formats/world_json.h"
#include "proto/ws/frame_codec.h"
#include "server/runtime/clock.h"
#include "server/shard/shard_router.h"
#include "shardfile/bus_guard.h"

namespace terrazzo::app {
namespace {

constexpr std::uint64_t kMaxWaitNs = 500'000'000;
// Shown to clients at drain: long enough for a restart to be listening again, spread by the client's own jitter.
constexpr std::uint32_t kRetryAfterMs = 1000;
// When the page workers have too much to do, and while a shard is about to leave.
constexpr std::uint64_t kRetryNs = 1'000'000;
constexpr std::uint64_t kDrainNs = 4'000'000'000;
// All of it, the last checkpoints included: what kills a server that was told to stop often waits five seconds at most.
constexpr std::uint64_t kExitNs = 4'700'000'000;
// Between tries of what a full disk keeps from being applied.
constexpr std::uint64_t kParkedNs = 200'000'000;

}  // namespace

CoreServices::CoreServices(Node& node, shard::CoreId self, CoreIo io, int listen_fd)
    : node_(node),
      self_(self),
      io_(std::move(io)),
      owners_(node.cores),
      shards_(node, encoder_),
      pages_(node, self),
      lobby_(node, self, shards_, pages_, *this),
      preparer_(node, self),
      memory_(node, self, shards_,
              node.config.memory_bytes() / storage::kPageBytes / static_cast<std::uint64_t>(node.cores)),
      mover_(self, node.cores, *this),
      load_(self, runtime::monotonic_ns()),
      next_balance_ns_(self == 0 && node.cores > 1 && node.config.balance == Balance::on
                           ? 0
                           : std::numeric_limits<std::uint64_t>::max()),
      log_(node, self, *io_.files),
      checkpoints_(shards_, log_, *io_.files, pages_),
      history_timer_(node),
      home_(self, session_limits(node.config), *this, *this),
      api_(*this),
      network_(*io_.loop, listen_fd, network_limits(node.config), *this),
      undo_desk_(node, self, *this),
      derivations_(self) {
  if (node_.certificates) use_newest_certificate();
}

// What threads still write comes from buffers of the log.
CoreServices::~CoreServices() {
  io_.files.reset();
}

// ---- the tick ----

void CoreServices::run() {
  while (!drained()) tick();
  last_checkpoints();
  network_.stop();
}

void CoreServices::tick() {
  const std::uint64_t done = runtime::monotonic_ns();
  count_tick(done);
  std::uint64_t wait = wait_ns(done);
  // Whoever posts to a core that says it sleeps wakes it; what came before it said so keeps it awake.
  if (wait != 0 && !node_.mesh->about_to_sleep(self_)) wait = 0;
  io_.loop->submit_and_wait(wait);
  node_.mesh->awake(self_);
  const std::uint64_t now = runtime::monotonic_ns();
  working_since_ns_ = now;
  if (node_.draining.load(std::memory_order_relaxed) && drain_began_ns_ == 0) start_draining();
  if (node_.certificates && node_.certificates->generation() != certificate_) use_newest_certificate();
  mesh_behind_ = node_.mesh->is_behind(self_);
  home_.set_time(now);
  network_.dispatch(now);
  ticks_.mesh_messages.record(
      node_.mesh->drain(self_, [this](const runtime::MeshMessage& message) { deliver(message); }));
  node_.workers->collect(self_);
  node_.page_workers->collect(self_);
  if (lobby_.has_retries()) lobby_.tick();
  deliver_local();
  if (!held_.empty()) answer_holds();
  io_.files->collect();
  if (shardfile::bus_faults() != bus_faults_) find_faulted_shards();
  if (now >= next_publication_ns_) publish_roots(now);
  if (!parked_.empty() && now >= next_parked_try_ns_) try_parked(now);
  if (log_.take_completed()) on_log_durable();
  if (checkpoints_.advance(now)) forget_log();
  if (self_ == 0) history_timer_.tick(now, self_);
  memory_.advance(now);
  deliver_local();
  if (!claim_desks_.empty()) tick_claims(now);
  home_.tick(now);
  presence_frames_.tick(now);
  if (now >= next_balance_ns_) balance(now);
  if (mover_.busy()) mover_.advance(now);
  log_.submit(now);
  node_.mesh->flush(self_);
  network_.flush();
}

void CoreServices::use_newest_certificate() {
  certificate_ = node_.certificates->generation();
  // It was tried when it was loaded; what is left is memory.
  if (const Status used = network_.use_tls(*node_.certificates->current()); !used)
    spdlog::error("core {}: TLS: {}; the certificate before stays in force", self_, used.error().message);
}

// Of the tick before, when the next one begins: no clock is read for it.
void CoreServices::count_tick(std::uint64_t now_ns) {
  if (working_since_ns_ == 0) return;
  ++ticks_.ticks;
  ticks_.busy_ns.record(now_ns - working_since_ns_);
  const std::uint64_t calls = io_.loop->system_calls();
  ticks_.system_calls.record(calls - std::exchange(calls_before_, calls));
}

std::uint64_t CoreServices::wait_ns(std::uint64_t now_ns) const {
  if (!local_.empty() || network_.wants_dispatch() || checkpoints_.wants_a_step() || memory_.wants_a_step()) return 0;
  std::uint64_t until = now_ns + (node_.mesh->has_backlog(self_) ? runtime::Mesh::kBacklogWaitNs : kMaxWaitNs);
  until = std::min({until, home_.next_tick_ns(), log_.next_try_ns(now_ns), next_balance_ns_});
  if (!claim_desks_.empty()) until = std::min(until, next_claim_ns());
  if (lobby_.has_retries()) until = std::min(until, now_ns + kRetryNs);
  if (somebody_reads_) until = std::min(until, next_publication_ns_);
  if (!parked_.empty()) until = std::min(until, next_parked_try_ns_);
  if (mover_.busy()) until = std::min(until, now_ns + kRetryNs);
  // 0 would mean: do not wait.
  return until <= now_ns ? 0 : std::max<std::uint64_t>(until - now_ns, 1);
}

void CoreServices::post(shard::CoreId to, const runtime::MeshMessage& message) {
  if (to == self_) {
    local_.push_back(message);
  } else {
    node_.mesh->post(self_, to, message);
  }
}

void CoreServices::deliver_local() {
  while (!local_.empty()) {
    delivering_.swap(local_);
    for (const runtime::MeshMessage& message : delivering_) deliver(message);
    delivering_.clear();
  }
}

void CoreServices::deliver(const runtime::MeshMessage& message) {
  if (!held_.empty() && held_back(message)) return;
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::edit:
      return lobby_.admit(boxed_in<shard::EditRequest>(message).shard, message);
    case MeshKind::coordinate:
      return take_coordinated(unboxed<shard::CoordinatedRequest>(message));
    case MeshKind::subscribe:
      return lobby_.admit(boxed_in<shard::SubscribeRequest>(message).shard, message);
    case MeshKind::refresh:
      return lobby_.admit(boxed_in<shard::RefreshRequest>(message).shard, message);
    case MeshKind::interest_off:
      return lobby_.admit(boxed_in<shard::InterestOff>(message).shard, message);
    case MeshKind::read_cells:
      return lobby_.admit(boxed_in<shard::CellsRequest>(message).shard, message);
    case MeshKind::cells_read:
      return derivations_.cells(unboxed<shard::CellsRequest>(message), *this);
    case MeshKind::states:
      return home_.states(*unboxed<shard::StatesReply>(message));
    case MeshKind::publication:
      return home_.publication(*shared_in<shard::Publication>(message));
    case MeshKind::outcome:
      return deliver_outcome(outcome_in(message));
    case MeshKind::part_outcome:
      return deliver_part_outcome(message);
    case MeshKind::durable:
      return home_.durable(durable_in(message));
    case MeshKind::presence:
    case MeshKind::ask_presence:
    case MeshKind::presence_to:
    case MeshKind::chat:
    case MeshKind::world_changed:
      return deliver_company(message);
    case MeshKind::supersede:
      return home_.superseded(*unboxed<session::Connection>(message));
    case MeshKind::metrics:
      return gather_metrics(unboxed<MetricsGather>(message));
    case MeshKind::claim_ask:
    case MeshKind::claim_part:
    case MeshKind::claim_part_done:
    case MeshKind::claim_note:
    case MeshKind::claim_answer:
    case MeshKind::claim_query:
    case MeshKind::claim_queried:
      return deliver_claim(message);
    case MeshKind::version_ask:
    case MeshKind::version_answer:
    case MeshKind::hold:
    case MeshKind::held:
    case MeshKind::cut:
    case MeshKind::cut_done:
    case MeshKind::drop_version:
    case MeshKind::drop_branch:
    case MeshKind::pins:
      return deliver_version(message);
    case MeshKind::move:
    case MeshKind::move_ask:
    case MeshKind::move_answer:
    case MeshKind::log_covered:
    case MeshKind::loads:
      return deliver_move(message);
    case MeshKind::undo:
    case MeshKind::undo_part:
    case MeshKind::undone:
    case MeshKind::sync_log:
    case MeshKind::log_synced:
      return deliver_undo(message);
  }
  TZ_ASSERT(false);  // a kind without a case
}

void CoreServices::take_coordinated(std::unique_ptr<shard::CoordinatedRequest> request) {
  if (line_of(request->world) != 0 && !node_.branches.get(request->world)) return refuse_whole(*request);
  if (request->derived) return derivations_.ask(std::move(request), *this);
  request->version = node_.versions.newest(request->world);
  const shard::ClaimTable* const claims = claims_in(request->world);
  current_coordinator_ = &coordinator(request->world);
  current_coordinator_->submit(std::move(request), *this, claims);
  current_coordinator_ = nullptr;
}

void CoreServices::deliver_part_outcome(const runtime::MeshMessage& message) {
  const auto outcome = unboxed<shard::EditOutcome>(message);
  const auto found = coordinators_.find(WorldId{message.words[1]});
  if (found == coordinators_.end()) return;  // of a branch that was dropped
  current_coordinator_ = found->second.get();
  current_coordinator_->part_outcome(*outcome, *this);
  current_coordinator_ = nullptr;
}

// The asker gets the same object back when every core has written its part.
void CoreServices::gather_metrics(std::unique_ptr<MetricsGather> gather) {
  if (gather->missing == 0) return gather->done(metrics_page(gather->cores, node_snapshot()));
  gather->cores.push_back(snapshot());
  --gather->missing;
  const auto next = gather->missing == 0 ? gather->asked_by : (self_ + 1u) % static_cast<unsigned>(node_.cores);
  post(static_cast<shard::CoreId>(next), boxed(MeshKind::metrics, std::move(gather)));
}

NodeSnapshot CoreServices::node_snapshot() const {
  const HistoryCounters& history = node_.history;
  NodeSnapshot shot{node_.incarnation.value, history.bytes,   history.files,
                    history.sealed,          history.dropped, history.failures};
  if (node_.certificates) {
    shot.tls = NodeSnapshot::Tls{node_.certificates->current()->expires_s(), node_.certificates->loads(),
                                 node_.certificates->failures()};
  }
  if (KeyStore* const keys = node_.authenticator->keys(); keys != nullptr)
    shot.keys = NodeSnapshot::Keys{keys->current()->keys().keys().size(), keys->loads(), keys->failures()};
  shot.tokens_refused = node_.authenticator->refused();
  shot.worker_jobs = node_.workers->waiting();
  shot.page_worker_jobs = node_.page_workers->waiting();
  return shot;
}

void CoreServices::find_faulted_shards() {
  bus_faults_ = shardfile::bus_faults();
  shards_.for_each([&](ShardSlot& slot) {
    if (!slot.file || !slot.file->faulted() || std::exchange(slot.faulted, true)) return;
    const Status whole = slot.file->look_whether_whole();
    TZ_ASSERT(!whole);
    const Error why = whole.error();
    spdlog::critical("shard {},{}: {}", slot.shard->key().position.x, slot.shard->key().position.y, why.message);
    slot.shard->read_only(why);
    // What was copied from a page that stands in for one that could not be read must not become the truth.
    slot.no_checkpoints = true;
  });
}

void CoreServices::publish_roots(std::uint64_t now_ns) {
  constexpr std::uint64_t kNsPerMs = 1'000'000, kLookForDeadNs = 1'000'000'000;
  if (node_.config.publish_ms == 0) {
    next_publication_ns_ = std::numeric_limits<std::uint64_t>::max();
    return;
  }
  const bool look = now_ns >= next_dead_readers_ns_;
  if (look) next_dead_readers_ns_ = now_ns + kLookForDeadNs;
  somebody_reads_ = false;
  shards_.for_each([&](ShardSlot& slot) {
    if (!slot.publisher) return;
    if (look && somebody_read_) slot.publisher->clear_dead_readers();
    const std::uint64_t evictions = slot.publisher->evictions();
    if (slot.shard->publish_root(*slot.publisher, slot.file->page_count(), now_ns)) somebody_reads_ = true;
    if (slot.publisher->evictions() != evictions) {
      const map::ShardPos at = slot.shard->key().position;
      spdlog::warn(
          "shard {},{}: a program on this host looked at one state for more than --reader-hold-s {}; its view "
          "was closed",
          at.x, at.y, node_.config.reader_hold_s);
    }
  });
  somebody_read_ = somebody_read_ || somebody_reads_;
  // While nobody reads, it is enough to look when the core is awake anyway.
  next_publication_ns_ = now_ns + node_.config.publish_ms * kNsPerMs;
}

void CoreServices::deliver_outcome(const shard::EditOutcome& outcome) {
  for (const auto& [world, desk] : desks_)
    if (desk->outcome(outcome)) return;
  if (const auto found = swap_edits_.find(outcome.origin.session); found != swap_edits_.end()) [[unlikely]] {
    if (auto ended = found->second.outcome(outcome)) swap_edits_.extract(found).mapped().finish(*std::move(ended));
    return;
  }
  home_.outcome(outcome);
}

void CoreServices::on_log_durable() {
  if (log_.failed()) {
    const Error why = LogDriver::failure();
    spdlog::critical("core {}: {}", self_, why.message);
    shards_.for_each([&](ShardSlot& slot) { slot.shard->read_only(why); });
    for (auto& [world, coordinator] : coordinators_) coordinator->read_only(why);
    tell_claims_sent();
    on_log_durable_versions();
    answer_log_waits();
    return;
  }
  const std::uint64_t sequence = log_.durable_sequence();
  std::erase_if(waiting_, [&](ShardSlot* slot) {
    current_ = slot;
    slot->shard->log_durable(sequence, *this);
    slot->waiting = slot->logged > sequence;
    return !slot->waiting;
  });
  current_ = nullptr;
  for (auto& [world, coordinator] : coordinators_) {
    current_coordinator_ = coordinator.get();
    coordinator->log_durable(sequence, *this);
  }
  current_coordinator_ = nullptr;
  tell_claims_sent();
  on_log_durable_versions();
  if (!log_waits_.empty()) answer_log_waits();
}

void CoreServices::forget_log() {
  std::uint64_t needed = std::numeric_limits<std::uint64_t>::max();
  shards_.for_each([&](ShardSlot& slot) {
    if (slot.logged > slot.covered) needed = std::min(needed, slot.covered + 1);
    if (!slot.owed.empty()) tell_covered(slot);
  });
  for (const LogDebt& debt : log_debts_) needed = std::min(needed, debt.needed);
  for (auto& [world, coordinator] : coordinators_) needed = std::min(needed, coordinator->oldest_needed());
  log_.forget_before(needed);
}

void CoreServices::start_draining() {
  drain_began_ns_ = runtime::monotonic_ns();
  home_.going_away(kRetryAfterMs);
  network_.drain();
}

bool CoreServices::drained() {
  if (drain_began_ns_ == 0) return false;
  const bool late = runtime::monotonic_ns() - drain_began_ns_ > kDrainNs;
  if (!counted_drained_ && (network_.drained() || late)) {
    counted_drained_ = true;
    node_.cores_drained.fetch_add(1);
    for (int core = 0; core < node_.cores; ++core) node_.mesh->wake(static_cast<shard::CoreId>(core));
  }
  // Until the last connection anywhere is gone, edits may still come through the mesh.
  const bool done = counted_drained_ && node_.cores_drained.load() == node_.cores && nothing_waits();
  return done || (late && runtime::monotonic_ns() - drain_began_ns_ > kDrainNs + 500'000'000);
}

bool CoreServices::nothing_waits() const {
  return local_.empty() && node_.mesh->empty(self_) && log_.idle() && held_.empty() && lobby_.idle() &&
         node_.moves_running.load() == 0 && undo_desk_.idle() && derivations_.idle();
}

void CoreServices::last_checkpoints() {
  checkpoints_.hurry();
  // Whatever does not fit into the time is replayed from the log at the next start.
  while (!log_.failed() && !checkpoints_.all_clean() && runtime::monotonic_ns() - drain_began_ns_ < kExitNs) {
    // A root waits for the log, which after a drain that took too long is still at work.
    if (log_.take_completed()) on_log_durable();
    if (checkpoints_.advance(runtime::monotonic_ns())) forget_log();
    log_.submit(runtime::monotonic_ns());
    if (checkpoints_.running() && !checkpoints_.wants_a_step()) io_.loop->submit_and_wait(kMaxWaitNs);
    io_.files->collect();
  }
}

// ---- shards ----

void CoreServices::run(ShardSlot& slot, const runtime::MeshMessage& message) {
  if (static_cast<MeshKind>(message.kind) == MeshKind::edit)
    return edit_shard(slot, unboxed<shard::EditRequest>(message));
  current_ = &slot;
  // The lobby has seen to it that the line is there.
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::subscribe: {
      const auto request = unboxed<shard::SubscribeRequest>(message);
      shard::Shard& line = *shards_.line(slot, request->shard.world);
      line.damage() ? refuse_subscription(*request, *line.damage()) : line.subscribe(*request, *this);
      break;
    }
    case MeshKind::refresh: {
      const auto request = unboxed<shard::RefreshRequest>(message);
      shard::Shard& line = *shards_.line(slot, request->shard.world);
      line.damage() ? refuse_refresh(*request, *line.damage()) : line.refresh(*request, *this);
      break;
    }
    case MeshKind::interest_off: {
      const auto off = unboxed<shard::InterestOff>(message);
      shards_.line(slot, off->shard.world)->interest_off(*off);
      break;
    }
    case MeshKind::claim_part:
      take_claim_part(slot, unboxed<shard::ClaimPart>(message));
      break;
    case MeshKind::read_cells:
      take_cells_request(slot, unboxed<shard::CellsRequest>(message));
      break;
    case MeshKind::move:
      current_ = nullptr;
      return mover_.take(std::move(*unboxed<MoveNote>(message)), runtime::monotonic_ns());
    default:
      current_ = nullptr;
      return gather_pins(unboxed<PinsGather>(message));
  }
  current_ = nullptr;
}

void CoreServices::refuse(const runtime::MeshMessage& message, const Error& why) {
  switch (static_cast<MeshKind>(message.kind)) {
    case MeshKind::edit:
      return refuse_edit(*unboxed<shard::EditRequest>(message), why);
    case MeshKind::subscribe:
      return refuse_subscription(*unboxed<shard::SubscribeRequest>(message), why);
    case MeshKind::refresh:
      return refuse_refresh(*unboxed<shard::RefreshRequest>(message), why);
    case MeshKind::interest_off:
      unboxed<shard::InterestOff>(message).reset();
      return;
    case MeshKind::claim_part: {
      auto part = unboxed<shard::ClaimPart>(message);
      part->error = why;
      return answer_claim_part(std::move(part));
    }
    case MeshKind::read_cells: {
      auto request = unboxed<shard::CellsRequest>(message);
      request->error = why;
      return answer_cells_request(std::move(request));
    }
    case MeshKind::move: {
      auto note = unboxed<MoveNote>(message);
      note->step = MoveNote::Step::done;
      note->error = why;
      return post(note->asked_by, std::move(*note));
    }
    default:
      auto gather = unboxed<PinsGather>(message);
      gather->problem = why;
      gather->left.erase(gather->left.begin());  // the one it went into the lobby for
      return gather_pins(std::move(gather));
  }
}

void CoreServices::refuse_edit(const shard::EditRequest& request, const Error& why) {
  shard::EditOutcome refused;
  refused.origin = request.origin;
  refused.edit = request.edit.id;
  refused.mark.shard = request.shard.position;
  refused.world = request.shard.world;
  refused.stage = shard::EditOutcome::Stage::rejected;
  refused.coordinated = request.coordinated;
  refused.error = why;
  if (request.coordinated == 0) return outcome(std::move(refused));
  auto message = boxed(MeshKind::part_outcome, std::move(refused));
  message.words[1] = request.shard.world.value;
  post(shard::coordinator_core(request.shard.world, node_.cores), message);
}

void CoreServices::refuse_whole(const shard::CoordinatedRequest& request) {
  shard::EditOutcome refused;
  refused.origin = request.origin;
  refused.world = request.world;
  refused.edit = request.id;
  refused.stage = shard::EditOutcome::Stage::rejected;
  refused.error = Error{ErrorCode::not_found, "the branch was dropped"};
  outcome(std::move(refused));
}

void CoreServices::edit_shard(ShardSlot& slot, std::unique_ptr<shard::EditRequest> request) {
  shard::Shard* const line = shards_.line(slot, request->shard.world);
  if (line == nullptr) return refuse_edit(*request, {ErrorCode::not_found, "the branch was dropped"});
  refused_part_ = parked_behind(*request);
  if (!refused_part_) {
    current_ = &slot;
    line->edit(*request, *this);
    current_ = nullptr;
    preparer_.look(slot);
  }
  if (!refused_part_) return;
  if (parked_.empty()) next_parked_try_ns_ = runtime::monotonic_ns() + kParkedNs;
  parked_.push_back(std::move(request));
}

// A shard recognises parts by their numbers, which only grow: one that came later must not be taken first.
bool CoreServices::parked_behind(const shard::EditRequest& request) const {
  return request.coordinated != 0 && std::ranges::any_of(parked_, [&](const auto& parked) {
           return parked->shard == request.shard && parked->coordinated < request.coordinated;
         });
}

// Not through the lobby, where a later part may wait already.
void CoreServices::try_parked(std::uint64_t now_ns) {
  next_parked_try_ns_ = now_ns + kParkedNs;
  for (auto& request : std::exchange(parked_, {})) {
    ShardSlot* const slot = shards_.find(request->shard);
    if (slot != nullptr && !slot->in_line) {
      edit_shard(*slot, std::move(request));
    } else {
      parked_.push_back(std::move(request));
    }
  }
}

void CoreServices::refuse_subscription(const shard::SubscribeRequest& request, const Error& why) {
  auto refused = std::make_unique<shard::StatesReply>();
  refused->origin = request.origin;
  refused->sub = request.sub;
  refused->ticket = request.ticket;
  refused->shard = request.shard.position;
  refused->error = why;
  reply(std::move(refused));
}

void CoreServices::refuse_refresh(const shard::RefreshRequest& request, const Error& why) {
  auto refused = std::make_unique<shard::StatesReply>();
  refused->origin = request.origin;
  refused->ticket = request.ticket;
  refused->shard = request.shard.position;
  refused->refresh = true;
  refused->error = why;
  reply(std::move(refused));
}

shard::Coordinator& CoreServices::coordinator(WorldId world) {
  std::unique_ptr<shard::Coordinator>& found = coordinators_[world];
  if (!found) {
    found = std::make_unique<shard::Coordinator>(world, node_.incarnation);
    if (log_.failed()) found->read_only(LogDriver::failure());
  }
  return *found;
}

std::uint64_t CoreServices::log(const storage::Record& record) {
  const std::uint64_t sequence = log_.append(record);
  if (current_ != nullptr) {
    current_->logged = sequence;
    if (!std::exchange(current_->waiting, true)) waiting_.push_back(current_);
  }
  return sequence;
}

std::optional<Error> CoreServices::busy() const {
  if (mesh_behind_)
    return Error{ErrorCode::overloaded, "a core of the server does not keep up; send this edit again in a moment"};
  return log_.overloaded();
}

void CoreServices::publish(shard::CoreMask cores, shard::SharedPublication publication) {
  for (int core = 0; core < node_.cores; ++core) {
    if ((cores >> core & 1) != 0) post(static_cast<shard::CoreId>(core), shared(MeshKind::publication, publication));
  }
}

void CoreServices::reply(std::unique_ptr<shard::StatesReply> reply) {
  // Whatever comes from such a file may be zeros that stand in for a page.
  if (current_ != nullptr && current_->file && current_->file->faulted()) {
    reply->frames.clear();
    reply->error = current_->file->look_whether_whole().error();
  }
  const shard::CoreId home = reply->origin.core;
  post(home, boxed(MeshKind::states, std::move(reply)));
}

void CoreServices::outcome(shard::EditOutcome outcome) {
  // A shard's word about its part of a coordinated edit is for the coordinator, which answers the author.
  if (outcome.coordinated != 0 && current_coordinator_ == nullptr && current_ != nullptr) {
    // Decided and in the log: it is taken as soon as there is space. Other refusals need a restart.
    refused_part_ =
        outcome.stage == shard::EditOutcome::Stage::rejected && outcome.error->code == ErrorCode::overloaded;
    if (refused_part_) return;
    const WorldId world = outcome.world;
    auto message = boxed(MeshKind::part_outcome, std::move(outcome));
    message.words[1] = world.value;
    return post(shard::coordinator_core(world, node_.cores), message);
  }
  const shard::CoreId home = outcome.origin.core;
  if (outcome.origin.connection_slot == shard::kUndoDeskSlot) {
    if (home < node_.cores) post(home, boxed(MeshKind::undo_part, std::move(outcome)));
    return;
  }
  if (home >= node_.cores) return;  // replayed from a run with more cores; nobody waits
  post(home, packed(std::move(outcome)));
}

void CoreServices::durable(shard::CoreMask cores, const shard::DurableMark& mark) {
  for (int core = 0; core < node_.cores; ++core) {
    if ((cores >> core & 1) != 0) post(static_cast<shard::CoreId>(core), packed(mark));
  }
}

void CoreServices::forward(std::unique_ptr<shard::EditRequest> part) {
  const shard::CoreId owner = owners_.owner(part->shard);
  post(owner, boxed(MeshKind::edit, std::move(part)));
}

// ---- network ----

void CoreServices::on_open(net::ConnectionId connection, proto::Form form) {
  home_.connected(connection, form);
}

void CoreServices::on_message(net::ConnectionId connection, std::span<const std::byte> payload) {
  home_.message(connection, payload);
}

void CoreServices::on_close(net::ConnectionId connection) {
  home_.disconnected(connection);
}

void CoreServices::on_room(net::ConnectionId connection) {
  home_.room(connection);
}

// Whatever takes a body changes something.
std::optional<net::HttpResponse> CoreServices::refuse_body(const net::HttpRequest& request) {
  const Result<http::Asker> asker = this->asker(request.authorization);
  if (!asker) return http::problem(asker.error());
  if (const Status may = http::may(asker->roles.highest(), http::Right::write); !may) return http::problem(may.error());
  return std::nullopt;
}

void CoreServices::on_http(net::ConnectionId connection, const net::HttpRequest& request) {
  api_.handle(request,
              [this, connection](const net::HttpResponse& response) { network_.respond(connection, response); });
}

// ---- sessions ----

void CoreServices::send(session::Connection connection, const proto::ServerMessage& message) {
  payload_.clear();
  encoder_.append(network_.form(connection), message, payload_);
  network_.send_message(connection, payload_);
}

void CoreServices::send_frame(std::span<const session::Connection> connections, const SharedBytes& frame) {
  network_.send(connections, frame);
}

void CoreServices::send_edit(std::span<const session::Connection> connections, const SharedBytes& frame,
                             std::vector<session::Connection>& refused) {
  network_.send_if_room(connections, frame, refused);
}

void CoreServices::send_to_many(proto::Form form, std::span<const session::Connection> connections,
                                const proto::ServerMessage& message, std::vector<session::Connection>& refused) {
  payload_.clear();
  encoder_.append(form, message, payload_);
  network_.send_if_room(connections, proto::ws::whole_frame(proto::ws::opcode_of(form), payload_, broadcasts_),
                        refused);
}

void CoreServices::tell_room(session::Connection connection) {
  network_.tell_room(connection);
}

void CoreServices::close(session::Connection connection, std::uint16_t code, std::string_view reason) {
  network_.close(connection, code, reason);
}

void CoreServices::edit(std::unique_ptr<shard::EditRequest> request) {
  const shard::CoreId owner = owners_.owner(request->shard);
  post(owner, boxed(MeshKind::edit, std::move(request)));
}

void CoreServices::coordinate(std::unique_ptr<shard::CoordinatedRequest> request) {
  const shard::CoreId core = shard::coordinator_core(request->world, node_.cores);
  post(core, boxed(MeshKind::coordinate, std::move(request)));
}

void CoreServices::subscribe(std::unique_ptr<shard::SubscribeRequest> request) {
  const shard::CoreId owner = owners_.owner(request->shard);
  post(owner, boxed(MeshKind::subscribe, std::move(request)));
}

void CoreServices::refresh(std::unique_ptr<shard::RefreshRequest> request) {
  const shard::CoreId owner = owners_.owner(request->shard);
  post(owner, boxed(MeshKind::refresh, std::move(request)));
}

void CoreServices::interest_off(std::unique_ptr<shard::InterestOff> off) {
  const shard::CoreId owner = owners_.owner(off->shard);
  post(owner, boxed(MeshKind::interest_off, std::move(off)));
}

void CoreServices::speaks_for(SessionId session, session::Connection connection) {
  network_.greeted(connection);
  const auto before = node_.sessions.take_over(session, {self_, connection});
  if (before) post(before->core, boxed(MeshKind::supersede, before->connection));
}

void CoreServices::silent(SessionId session, session::Connection connection) {
  node_.sessions.leave(session, {self_, connection});
}

}  // namespace terrazzo::app
