#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/sim/client.h"
#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// Every queue of the server is bounded (docs/architecture.md, "Every queue"), each by its own limit. What waits for one
// viewer: checks/unread.
void check_queues(Server& server, std::size_t clients, Verdict& verdict);
// And so is what a client holds.
void check_held_edits(Client& client, Verdict& verdict);

}  // namespace terrazzo::sim
