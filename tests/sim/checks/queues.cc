#include "tests/sim/checks/queues.h"

#include <fmt/format.h>

namespace terrazzo::sim {
namespace {

// An answer that comes on top of a full outbox: the states of one subscription, 36 chunks in two layers at most.
constexpr std::uint64_t kOneAnswerBytes = 1 << 20;
// Of a world, where anybody paints (playground.h): an edit has at most so many parts.
constexpr std::uint64_t kShards = 4;
// What forty people paint in the ten seconds that the disk takes at most; a log that must refuse edits is
// tests/app's.
constexpr std::uint64_t kLogBytesMost = 8 << 20;
// For one other core: edits, subscriptions and their answers, and what edits make their shards say. Ten were seen; the
// limits of sessions allow some thousands, but nobody here comes near them.
constexpr std::uint64_t kMessagesPerClient = 128;
// People who ask over HTTP, each for one thing at a time, and connections that are about to be given up.
constexpr std::uint64_t kOthers = 8;

// Messages on one core's side for another one: its bound, and what sessions had asked before, with what it makes.
std::uint64_t mesh_backlog_most(std::uint64_t clients) {
  return kMeshBacklogMax + (clients + kOthers) * kMessagesPerClient;
}

class Bound {
 public:
  Bound(int core, Verdict& verdict) : core_(core), verdict_(verdict) {}
  void hold(const char* what, std::uint64_t is, std::uint64_t most) {
    if (is > most)
      verdict_.fail("every queue is bounded", fmt::format("core {}: {} {}, at most {}", core_, is, what, most));
  }

 private:
  int core_;
  Verdict& verdict_;
};

// `clients`: of the whole server.
void check_core(const app::CoreSnapshot& shot, const app::Config& config, std::uint64_t clients, Bound bound) {
  const proto::Limits wire = app::session_limits(config).wire;
  const app::QueueDepths& queues = shot.queues;
  bound.hold("bytes in outboxes", shot.network.outbox_bytes,
             (shot.network.open + kOthers) * (config.outbox_bytes_max + kOneAnswerBytes));
  bound.hold("connections wait to be welcomed", shot.network.newcomers_waiting, 4 * (clients + kOthers));
  bound.hold("edits in flight", queues.edits_in_flight, shot.session_count * wire.edits_in_flight_max);
  bound.hold("stale shards of slow connections", shot.stale_shards, shot.session_count * kShards);
  bound.hold("bytes wait for the log", queues.log_pending_bytes, kLogBytesMost);
  bound.hold("bytes of encoded chunks", shot.encoded_bytes, std::uint64_t{config.chunk_cache_mib} << 20);
  // Of sessions that are gone, too.
  const std::uint64_t edits = (clients + kOthers) * wire.edits_in_flight_max;
  bound.hold("parts of decided edits wait for space", queues.parked_edits, edits * kShards);
  bound.hold("messages wait for shards", queues.lobby_messages,
             edits * kShards + (clients + kOthers) * wire.subscriptions_max * kShards * 2);
}

}  // namespace

void check_queues(Server& server, std::size_t clients, Verdict& verdict) {
  app::Assembly& assembly = server.assembly();
  for (int core = 0; core < assembly.node.cores; ++core) {
    Bound bound(core, verdict);
    check_core(assembly.cores[static_cast<std::size_t>(core)]->snapshot(), server.config(), clients, bound);
    for (int to = 0; to < assembly.node.cores; ++to)
      if (to != core)
        bound.hold("messages wait for another core", assembly.node.mesh->backlog(core, to), mesh_backlog_most(clients));
  }
  for (const app::WorkerPool* pool : {assembly.node.workers.get(), assembly.node.page_workers.get()})
    Bound(0, verdict).hold("jobs wait for workers", pool->waiting(), app::WorkerPool::kJobsMax);
}

void check_held_edits(Client& client, Verdict& verdict) {
  const std::size_t held = client.machine().held().table().size();
  if (held > client.edits_held_max())
    verdict.fail("every queue is bounded", fmt::format("client {} holds {} edits", client.number(), held));
}

}  // namespace terrazzo::sim
