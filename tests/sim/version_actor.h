#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/checks/saved_versions.h"
#include "tests/sim/http_actor.h"

namespace terrazzo::sim {

// Somebody who saves, deletes and goes back to versions of a world, one after another. Not back where registers are,
// which only grow.
class VersionActor final : public HttpActor {
 public:
  enum class May : std::uint8_t { save, restore };
  VersionActor(Machine& machine, Marks& marks, Random random, std::string world, May may, SavedVersions& saved)
      : HttpActor(machine, marks, random, 1.5), world_(std::move(world)), may_(may), saved_(saved) {}
  // Those that were answered and not asked to be deleted.
  const std::vector<std::uint64_t>& versions() const { return versions_; }

 private:
  void act() override;
  void save();
  void change(bool restore);

  const std::string world_;
  const May may_;
  SavedVersions& saved_;
  std::vector<std::uint64_t> versions_;
  std::uint64_t names_ = 0;
};

}  // namespace terrazzo::sim
