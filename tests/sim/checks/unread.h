#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "map/coords.h"
#include "proto/messages.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// What waits for a viewer that reads nothing is bounded: of edits no more than what begins conflation, and what the
// network holds. What has waited is seen when it reads again: the edits up to then.
class Unread {
 public:
  explicit Unread(Verdict& verdict) : verdict_(verdict) {}
  // `newest`: of the shards of its world; `bytes_most`: what may wait.
  void reads_again(std::uint32_t client, std::map<map::ShardPos, Lsn> newest, std::uint64_t bytes_most);
  // On a new connection, or not any more.
  void forget(std::uint32_t client) { clients_.erase(client); }
  // `bytes`: of the message.
  void heard(std::uint32_t client, const proto::ServerMessage& message, std::size_t bytes);

 private:
  struct Waited {
    std::map<map::ShardPos, Lsn> newest;
    std::uint64_t bytes_most = 0, bytes = 0;
  };
  Verdict& verdict_;
  std::map<std::uint32_t, Waited> clients_;
};

}  // namespace terrazzo::sim
