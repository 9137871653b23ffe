#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/cast.h"
#include "tests/sim/checks/claims.h"
#include "tests/sim/random.h"

namespace terrazzo::sim {

// People who claim beds in the painting, where everybody paints, tend them while the claims are in force, and let them
// go, or are cut off. Nobody else's edit gets inside meanwhile. Beds of two gardeners may meet.
class Gardeners {
 public:
  Gardeners(Cast& cast, Random random) : cast_(cast), random_(random) {}
  // So many come, once.
  void come(int gardeners);
  void begin();
  void told(std::uint32_t client, const client::Event& event);
  void heard(std::uint32_t client, const proto::ServerMessage& message);
  void gone(std::uint32_t client);
  bool plays(std::uint32_t client) const;
  // Whether the server knows of as many claims as there are; of people who are gone they go after a while.
  std::string unrest() const;

 private:
  struct Gardener {
    std::uint32_t client = 0;
    double rate = 1;
    std::optional<ClaimId> claim = {};  // that was asked for and not let go
    map::Rect bed = {};
    std::optional<Tenure> tenure = {};  // in force, on this connection
    std::uint64_t tenures = 0;
    bool suspicious = false;  // somebody else's edit was seen: is the claim perhaps over, and the word on its way?
    bool looks = false;
  };

  void later(std::size_t gardener);
  void act(Gardener& gardener);
  void choose_bed(Gardener& gardener, Client& client);
  void tend(Gardener& gardener, Client& client);
  void suspect(std::size_t gardener, const Tenure::Trespass& trespass);
  void end_tenure(Gardener& gardener);
  Gardener* find(std::uint32_t client);

  Cast& cast_;
  Random random_;
  std::vector<Gardener> gardeners_;
  std::uint64_t turn_ = 0;
};

}  // namespace terrazzo::sim
