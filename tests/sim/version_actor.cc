#include "tests/sim/version_actor.h"

#include <nlohmann/json.hpp>
#include <string>

namespace terrazzo::sim {

void VersionActor::act() {
  const auto choice = random_.below(10);
  if (versions_.empty() || choice < 5) return save();
  change(choice >= 8 && may_ == May::restore);
}

void VersionActor::save() {
  const nlohmann::json body{{"name", "version " + std::to_string(++names_)}};
  ask("POST", "/v1/worlds/" + world_ + "/versions", body.dump(),
      [this, asked = saved_.now(world_)](unsigned status, const std::string& answer) {
        if (status == 0) return;
        if (status != 201) return marks_.hit(Mark::version_refused);
        marks_.hit(Mark::version_saved);
        versions_.push_back(nlohmann::json::parse(answer).at("id").get<std::uint64_t>());
        saved_.saved(world_, versions_.back(), asked);
      });
}

void VersionActor::change(bool restore) {
  const std::size_t at = random_.below(versions_.size());
  const std::string target = "/v1/worlds/" + world_ + "/versions/" + std::to_string(versions_[at]);
  if (!restore) {
    saved_.gone(world_, versions_[at]);
    versions_.erase(versions_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  ask(restore ? "POST" : "DELETE", restore ? target + "/restore" : target, "",
      [this, restore](unsigned status, const std::string&) {
        if (status == 200) marks_.hit(restore ? Mark::version_restored : Mark::version_removed);
      });
}

}  // namespace terrazzo::sim
