#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "proto/messages.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// A client that reads too slowly is told from which edit on it misses some, hears none meanwhile, and is told when it
// has everything again, which is not older than what it missed.
class Gaps {
 public:
  explicit Gaps(Verdict& verdict) : verdict_(verdict) {}
  // Whatever it is told from now on is of a new connection.
  void connected(std::uint32_t client) { gone(client); }
  // It has crashed: nobody owes it anything.
  void gone(std::uint32_t client);
  void heard(std::uint32_t client, const proto::ServerMessage& message);
  // Nobody is left out for ever.
  void check() const;

 private:
  using Key = std::tuple<std::uint32_t, std::int32_t, std::int32_t>;
  Verdict& verdict_;
  std::map<Key, std::uint64_t> stale_;   // the first edit left out
  std::map<Key, std::uint64_t> newest_;  // that was heard
};

}  // namespace terrazzo::sim
