#pragma once

#include <cstdint>
#include <vector>

#include "tests/sim/http_actor.h"

namespace terrazzo::sim {

// Somebody who saves, deletes and goes back to versions of the painting, one after another.
class VersionActor final : public HttpActor {
 public:
  VersionActor(Machine& machine, Marks& marks) : HttpActor(machine, marks, machine.random.split(), 1.5) {}
  // Those that were answered and not asked to be deleted.
  const std::vector<std::uint64_t>& versions() const { return versions_; }

 private:
  void act() override;
  void save();
  void change(bool restore);

  std::vector<std::uint64_t> versions_;
  std::uint64_t names_ = 0;
};

}  // namespace terrazzo::sim
