#pragma once

#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// Each page of each open shard is reached from one place, waits for a root, or is free: exactly one of these.
void check_pages(Server& server, Verdict& verdict);

}  // namespace terrazzo::sim
