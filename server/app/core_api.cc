// What the HTTP endpoints ask of the node (http::ApiServices): whatever touches the disk runs on a worker.
#include <sys/resource.h>

#include <utility>

#include "server/app/core_services.h"

namespace terrazzo::app {
namespace {

std::string_view without_bearer(std::string_view authorization) {
  constexpr std::string_view kBearer = "Bearer ";
  return authorization.starts_with(kBearer) ? authorization.substr(kBearer.size()) : std::string_view();
}

}  // namespace

net::NetworkLimits network_limits(const Config& config) {
  net::NetworkLimits limits;
  limits.message_bytes_max = config.message_bytes_max;
  limits.unfinished_bytes_max = std::size_t{config.unfinished_mib} << 20;
  limits.outbox_bytes_max = config.outbox_bytes_max;
  limits.outbox_room_bytes = config.conflate_bytes;
  limits.connections_max = config.connections_max;
  limits.compression = config.compression;
  limits.origins = *net::OriginRules::allowing(config.allow_origins);  // validated
  if (config.auth == AuthMode::none) limits.origins.only_this_machine();
  limits.http_header_bytes_max = config.http_header_bytes_max;
  limits.http_body_bytes_max = std::size_t{config.http_body_mib_max} << 20;
  limits.handshake_timeout_ms = config.handshake_timeout_ms;
  limits.keep_alive_ms = config.keep_alive_ms;
  limits.ping_interval_ms = config.ping_interval_ms;
  limits.silence_max_ms = config.silence_max_ms;
  return limits;
}

Result<session::Identity> CoreServices::identify(std::string_view authorization) {
  return authenticate(without_bearer(authorization));
}

Result<http::Asker> CoreServices::asker(std::string_view authorization) {
  Result<session::Identity> identity = identify(authorization);
  if (!identity) return identity.error();
  return http::Asker{std::move(identity->user), std::move(identity->roles)};
}

std::vector<std::shared_ptr<const map::World>> CoreServices::worlds() {
  return node_.worlds.list();
}

void CoreServices::put_asset(WorldId, std::string hash, std::string bytes, Done done) {
  const bool asked = node_.workers->submit(
      self_, [this, hash = std::move(hash), bytes = std::move(bytes), done]() -> WorkerPool::Done {
        return [done, written = node_.data->write_asset(hash, bytes)] { done(written); };
      });
  if (!asked) done(WorkerPool::busy());
}

void CoreServices::get_asset(WorldId, std::string hash, BytesDone done) {
  const bool asked = node_.workers->submit(self_, [this, hash = std::move(hash), done]() -> WorkerPool::Done {
    return [done, bytes = node_.data->read_asset(hash)]() mutable { done(std::move(bytes)); };
  });
  if (!asked) done(WorkerPool::busy());
}

void CoreServices::list_shards(WorldId world, ShardsDone done) {
  const bool asked = node_.workers->submit(self_, [this, world, done]() -> WorkerPool::Done {
    const Result<std::vector<io::ShardFile>> files = node_.data->list_shards(world);
    if (!files) return [done, error = files.error()] { done(error); };
    std::vector<map::ShardPos> shards;
    for (const io::ShardFile& file : *files) shards.push_back({file.x, file.y});
    return [done, shards] { done(shards); };
  });
  if (!asked) done(WorkerPool::busy());
}

void CoreServices::metrics(std::function<void(std::string)> done) {
  auto gather = std::make_unique<MetricsGather>();
  gather->asked_by = self_;
  gather->missing = static_cast<unsigned>(node_.cores);
  gather->done = std::move(done);
  post(self_, boxed(MeshKind::metrics, std::move(gather)));
}

bool CoreServices::ready() {
  return !node_.draining.load(std::memory_order_relaxed) && !log_.failed();
}

CoreSnapshot CoreServices::snapshot() const {
  CoreSnapshot shot;
  shot.core = self_;
  shot.network = network_.counters();
  shot.sessions = home_.counters();
  shot.session_count = home_.session_count();
  shot.watched_chunks = home_.watched_chunks();
  shot.slow_connections = home_.slow_count();
  shot.stale_shards = home_.stale_shards();
  shot.presence_encodings = presence_frames_.encodings();
  shot.shards = shards_.size();
  shot.encoded = shards_.encoded().counters();
  shot.encoded_bytes = shards_.encoded().bytes();
  shot.queues = {.edits_in_flight = home_.edits_in_flight(),
                 .edits_waiting_for_log = 0,
                 .log_pending_bytes = log_.pending_bytes(),
                 .lobby_messages = lobby_.waiting(),
                 .derivations = derivations_.waiting(),
                 .mesh_backlog = node_.mesh->backlog(self_),
                 .parked_edits = parked_.size()};
  shards_.for_each([&](const ShardSlot& slot) {
    shot.shard += slot.shard->counters();
    shot.queues.edits_waiting_for_log += slot.shard->edits_waiting();
    if (slot.file) shot.shard_pages += slot.file->page_count();
    if (slot.publisher) shot.reader_evictions += slot.publisher->evictions();
  });
  for (const auto& [world, desk] : claim_desks_) {
    shot.claims += desk->table().size();
    shot.claim_counters += desk->counters();
  }
  shot.checkpoints = checkpoints_.done();
  shot.ticks = ticks_;
  shot.mesh_overflows = node_.mesh->overflowed(self_);
  shot.system_calls = io_.loop->system_calls();
  shot.log = log_.counters();
  shot.shards_taken = mover_.taken();
  shot.shards_given = mover_.given();
  shot.parked_ns = mover_.parked_ns();
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  shot.residency = {.resident_pages = memory_.resident(),
                    .brought_pages = pages_.brought(),
                    .damaged_pages = pages_.damaged(),
                    .released_pages = memory_.released(),
                    .prepared_pages = preparer_.prepared(),
                    .opened_shards = lobby_.opened(),
                    .waits = lobby_.waits(),
                    .wait_ns = lobby_.wait_ns(),
                    .major_faults = static_cast<std::uint64_t>(usage.ru_majflt),
                    .minor_faults = static_cast<std::uint64_t>(usage.ru_minflt)};
  return shot;
}

}  // namespace terrazzo::app
