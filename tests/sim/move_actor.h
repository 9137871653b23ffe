#pragma once

#include "tests/sim/http_actor.h"

namespace terrazzo::sim {

// An operator who moves shards of both worlds from core to core.
class MoveActor final : public HttpActor {
 public:
  MoveActor(Machine& machine, Marks& marks, Random random) : HttpActor(machine, marks, random, 4) {}

 private:
  void act() override;
};

}  // namespace terrazzo::sim
