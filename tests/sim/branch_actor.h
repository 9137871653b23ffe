#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/checks/saved_versions.h"
#include "tests/sim/http_actor.h"

namespace terrazzo::sim {

// Somebody who makes branches of the painting and of its branches, saves, deletes and goes back to versions of them,
// and drops them.
class BranchActor final : public HttpActor {
 public:
  // The world's name that a branch is opened by.
  using Told = std::function<void(const std::string& world)>;
  // `gone`: it was dropped, or asked to be, and nobody knows.
  BranchActor(Machine& machine, Marks& marks, Random random, SavedVersions& saved, Told made, Told gone)
      : HttpActor(machine, marks, random, 1), saved_(saved), made_(std::move(made)), gone_(std::move(gone)) {}

  // Those that are there for certain, with their versions that were answered and not asked to be deleted.
  const std::map<std::string, std::vector<std::uint64_t>>& branches() const { return branches_; }
  // Those that are not there any more for certain.
  const std::set<std::string>& dropped() const { return dropped_; }

 private:
  void act() override;
  void make();
  void drop(const std::string& world);
  void save(const std::string& world);
  void change(const std::string& world, bool restore);

  SavedVersions& saved_;
  const Told made_, gone_;
  std::map<std::string, std::vector<std::uint64_t>> branches_;
  std::set<std::string> dropped_;
  std::uint64_t names_ = 0;
};

}  // namespace terrazzo::sim
