#pragma once

#include <set>
#include <string>

#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// A branch whose dropping was answered is not there any more, after restarts either.
void check_dropped(const std::set<std::string>& dropped, Server& server, Verdict& verdict);

}  // namespace terrazzo::sim
