#include "tests/sim/branch_actor.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/sim/playground.h"

namespace terrazzo::sim {
namespace {

constexpr std::size_t kBranchesMost = 2;

}  // namespace

void BranchActor::act() {
  const auto choice = random_.below(10);
  if (branches_.empty() || (branches_.size() < kBranchesMost && choice < 3)) return make();
  const auto& [world, versions] =
      *std::next(branches_.begin(), static_cast<std::ptrdiff_t>(random_.below(branches_.size())));
  if (choice < 5) return drop(world);
  if (choice < 8 || versions.empty()) return save(world);
  change(world, choice == 8);
}

void BranchActor::make() {
  const std::string name = "branch" + std::to_string(++names_);
  std::string parent = kPainting;
  nlohmann::json body{{"name", name}};
  if (!branches_.empty() && random_.chance(0.5)) {
    const auto& [world, versions] = *branches_.begin();
    parent = world;
    if (!versions.empty() && random_.chance(0.5)) body["version"] = std::to_string(versions.front());
  }
  ask("POST", "/v1/worlds/" + parent + "/branches", body.dump(), [this, name](unsigned status, const std::string&) {
    if (status == 0) return;
    if (status != 201) return marks_.hit(Mark::branch_refused);
    marks_.hit(Mark::branch_made);
    const std::string world = std::string(kPainting) + "@" + name;
    branches_[world];
    made_(world);
  });
}

void BranchActor::drop(const std::string& world) {
  const std::string name = world.substr(world.find('@') + 1);
  ask("DELETE", std::string("/v1/worlds/") + kPainting + "/branches/" + name, "",
      [this, world](unsigned status, const std::string&) {
        if (status == 409) return;  // another branch began there
        if (status == 200) {
          marks_.hit(Mark::branch_dropped);
          dropped_.insert(world);
        }
        branches_.erase(world);
        saved_.gone(world);
        gone_(world);
      });
}

void BranchActor::save(const std::string& world) {
  const nlohmann::json body{{"name", "version " + std::to_string(++names_)}};
  ask("POST", "/v1/worlds/" + world + "/versions", body.dump(),
      [this, world, asked = saved_.now(world)](unsigned status, const std::string& answer) {
        if (status != 201) return;
        marks_.hit(Mark::branch_version_saved);
        const auto version = nlohmann::json::parse(answer).at("id").get<std::uint64_t>();
        branches_.at(world).push_back(version);
        saved_.saved(world, version, asked);
      });
}

void BranchActor::change(const std::string& world, bool restore) {
  std::vector<std::uint64_t>& versions = branches_.at(world);
  const std::size_t at = random_.below(versions.size());
  const std::string target = "/v1/worlds/" + world + "/versions/" + std::to_string(versions[at]);
  if (!restore) {
    saved_.gone(world, versions[at]);
    versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(at));
  }
  ask(restore ? "POST" : "DELETE", restore ? target + "/restore" : target, "",
      [this, restore](unsigned status, const std::string&) {
        if (status == 200 && restore) marks_.hit(Mark::branch_restored);
      });
}

}  // namespace terrazzo::sim
