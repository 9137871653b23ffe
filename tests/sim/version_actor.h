#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/machine.h"
#include "tests/sim/marks.h"
#include "tests/sim/network.h"

namespace terrazzo::sim {

// Somebody who saves, deletes and goes back to versions of the painting, one after another, over HTTP.
class VersionActor {
 public:
  VersionActor(Machine& machine, Marks& marks);

  void begin(Network& network);
  void end() { active_ = false; }
  bool busy() const { return asking_; }
  // Those that were answered and not asked to be deleted.
  const std::vector<std::uint64_t>& versions() const { return versions_; }

 private:
  void later();
  void act();
  void save();
  void change(bool restore);
  void say(const std::string& what, unsigned status, const std::string& answer) const;

  Machine& machine_;
  Marks& marks_;
  Random random_;
  Network* network_ = nullptr;
  double rate_;
  bool active_ = false, asking_ = false;
  std::vector<std::uint64_t> versions_;
  std::uint64_t names_ = 0, turn_ = 0;
};

}  // namespace terrazzo::sim
