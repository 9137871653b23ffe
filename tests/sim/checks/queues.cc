#include "tests/sim/checks/queues.h"

#include <fmt/format.h>

namespace terrazzo::sim {
namespace {

constexpr const char* kClaim = "every queue is bounded";
// A message to one client that comes on top of a full outbox: the states of one subscription.
constexpr std::uint64_t kOneAnswerBytes = 8 << 20;
// Of one session: edits, subscriptions and their answers, and what an edit makes its shard say to every core.
constexpr std::size_t kMessagesPerClient = 4096;

}  // namespace

void check_queues(Server& server, std::size_t clients, Verdict& verdict) {
  app::Assembly& assembly = server.assembly();
  for (int core = 0; core < assembly.node.cores; ++core) {
    const app::CoreSnapshot shot = assembly.cores[static_cast<std::size_t>(core)]->snapshot();
    const std::uint64_t most = (clients + 8) * (server.config().outbox_bytes_max + kOneAnswerBytes);
    if (shot.network.outbox_bytes > most)
      verdict.fail(kClaim, fmt::format("core {} has {} bytes in outboxes", core, shot.network.outbox_bytes));
    for (int to = 0; to < assembly.node.cores; ++to) {
      if (to == core) continue;
      if (const std::size_t waits = assembly.node.mesh->backlog(core, to); waits > (clients + 8) * kMessagesPerClient)
        verdict.fail(kClaim, fmt::format("{} messages of core {} wait for core {}", waits, core, to));
    }
  }
  for (const app::WorkerPool* pool : {assembly.node.workers.get(), assembly.node.page_workers.get()})
    if (pool->waiting() > app::WorkerPool::kJobsMax)
      verdict.fail(kClaim, fmt::format("{} jobs wait for workers", pool->waiting()));
}

}  // namespace terrazzo::sim
