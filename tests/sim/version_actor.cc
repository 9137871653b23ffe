#include "tests/sim/version_actor.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/sim/http_peer.h"

namespace terrazzo::sim {

VersionActor::VersionActor(Machine& machine, Marks& marks)
    : machine_(machine), marks_(marks), random_(machine.random.split()), rate_(random_.unit() * 1.5) {}

void VersionActor::begin(Network& network) {
  network_ = &network;
  active_ = true;
  ++turn_;
  later();
}

void VersionActor::later() {
  const auto delay = static_cast<std::uint64_t>(random_.exponential(rate_ + 0.01) * static_cast<double>(kSecond));
  machine_.schedule.after(delay, [this, turn = turn_] {
    if (!active_ || turn != turn_) return;
    if (!asking_) act();
    later();
  });
}

void VersionActor::act() {
  const auto choice = random_.below(10);
  if (versions_.empty() || choice < 5) return save();
  change(choice >= 8);
}

void VersionActor::save() {
  asking_ = true;
  const nlohmann::json body{{"name", "version " + std::to_string(++names_)}};
  HttpPeer::request(machine_, *network_, "POST", "/v1/worlds/painting/versions", body.dump(),
                    [this](unsigned status, const std::string& answer) {
                      asking_ = false;
                      say("saved", status, answer);
                      if (status == 0) return;
                      if (status != 201) return marks_.hit(Mark::version_refused);
                      marks_.hit(Mark::version_saved);
                      versions_.push_back(nlohmann::json::parse(answer).at("id").get<std::uint64_t>());
                    });
}

void VersionActor::say(const std::string& what, unsigned status, const std::string& answer) const {
  if (machine_.verbose)
    fmt::print("{:.6f} {}: {} {}\n", static_cast<double>(machine_.schedule.now()) * 1e-9, what, status, answer);
}

void VersionActor::change(bool restore) {
  asking_ = true;
  const std::size_t at = random_.below(versions_.size());
  const std::string target = "/v1/worlds/painting/versions/" + std::to_string(versions_[at]);
  if (!restore) versions_.erase(versions_.begin() + static_cast<std::ptrdiff_t>(at));
  HttpPeer::request(machine_, *network_, restore ? "POST" : "DELETE", restore ? target + "/restore" : target, "",
                    [this, restore, target](unsigned status, const std::string& answer) {
                      asking_ = false;
                      say(target + (restore ? " restored" : " removed"), status, answer);
                      if (status == 200) marks_.hit(restore ? Mark::version_restored : Mark::version_removed);
                    });
}

}  // namespace terrazzo::sim
