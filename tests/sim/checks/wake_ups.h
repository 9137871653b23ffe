#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/server.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// A core that has something in its rings runs: whoever put it there has woken it, or it did not sleep. Without that a
// core would come by half a second later, so nothing would wait for ever, and nobody else would notice.
class WakeUps {
 public:
  explicit WakeUps(Verdict& verdict) : verdict_(verdict) {}
  // Now and then, much longer apart than a pass of a core takes.
  void look(Server& server, std::uint64_t now_ns);

 private:
  struct Core {
    bool waits = false;        // there was something in its rings
    std::uint64_t passes = 0;  // up to then
  };
  Verdict& verdict_;
  std::uint64_t starts_ = 0, looked_ns_ = 0;
  std::vector<Core> cores_;
};

}  // namespace terrazzo::sim
