#pragma once

#include <cstdint>
#include <map>
#include <tuple>

#include "proto/messages.h"
#include "tests/sim/checks/diary.h"
#include "tests/sim/verdict.h"

namespace terrazzo::sim {

// An edit is applied once however often it is sent, or, if nobody was told of it, not at all; a rejected one is not.
class AppliedOnce {
 public:
  explicit AppliedOnce(Verdict& verdict) : verdict_(verdict) {}
  void heard(Incarnation incarnation, const proto::ServerMessage& message);
  // What the registers hold in the end.
  void check(const Diary& diary, Truth& truth);

 private:
  Verdict& verdict_;
  // Where an author's edit was in a shard, in one run.
  std::map<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::int32_t, std::int32_t>, std::uint64_t> places_;
};

}  // namespace terrazzo::sim
