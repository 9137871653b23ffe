#include "tests/sim/checks/branches.h"

namespace terrazzo::sim {

void check_dropped(const std::set<std::string>& dropped, Server& server, Verdict& verdict) {
  for (const std::string& world : dropped)
    if (server.assembly().node.worlds.find(world))
      verdict.fail("a dropped branch is gone", "\"" + world + "\" was dropped and is there");
}

}  // namespace terrazzo::sim
