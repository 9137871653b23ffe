#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "proto/messages.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// Every shard has one order: whoever hears of the edit at an LSN hears of the same one, each connection hears them in
// this order, and what was told to be durable keeps its place over crashes.
class ShardOrder {
 public:
  explicit ShardOrder(Verdict& verdict) : verdict_(verdict) {}
  void connected(std::uint32_t client);
  void heard(std::uint32_t client, const std::string& world, Incarnation incarnation,
             const proto::ServerMessage& message);

 private:
  using Shard = std::tuple<std::string, std::int32_t, std::int32_t>;
  struct Edit {
    SessionId author;
    EditId id;
    std::uint64_t content = 0;
    bool operator==(const Edit&) const = default;
  };
  void applied(std::uint32_t client, const Shard& shard, Incarnation incarnation, const proto::Applied& message);
  void durable(const Shard& shard, Incarnation incarnation, Lsn lsn);

  Verdict& verdict_;
  std::map<std::tuple<Shard, std::uint64_t, std::uint64_t>, Edit> edits_;  // by incarnation and LSN
  std::map<Shard, std::map<std::uint64_t, std::uint64_t>> durable_;        // newest told, by incarnation
  std::map<std::pair<std::uint32_t, Shard>, std::uint64_t> newest_;        // that a connection heard
};

}  // namespace terrazzo::sim
