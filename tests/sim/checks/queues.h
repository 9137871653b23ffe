#pragma once

#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// Every queue of the server is bounded: outboxes by what the configuration says, jobs by the pool, what waits on the
// sender's side of a ring by the edits and requests that clients may have under way.
void check_queues(Server& server, std::size_t clients, Verdict& verdict);

}  // namespace terrazzo::sim
