#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#include "base/strong_id.h"
#include "map/coords.h"
#include "proto/messages.h"

namespace terrazzo::sim {

// One claim as its holder sees it, from the moment it is told to be in force (`claimed`) until it is over, or may be:
// from then on every shard's edits inside are the holder's. What the holder hears of a shard's edits may be older than
// the claim, but not what comes after an edit of its own that it made while the claim was in force: a shard has one
// order. So each shard counts from the first such edit.
class Tenure {
 public:
  Tenure(SessionId holder, ClaimId claim, const map::Rect& rect) : holder_(holder), claim_(claim), rect_(rect) {}
  ClaimId claim() const { return claim_; }
  const map::Rect& rect() const { return rect_; }
  // Made while the claim is in force.
  void tended(EditId edit) { first_ = std::min(first_, edit); }
  // An edit by somebody else that is inside and has come after one of the holder's, if this is one.
  struct Trespass {
    proto::ShardMark mark;
    SessionId by;
    EditId edit;
  };
  std::optional<Trespass> heard(const proto::Applied& applied);

 private:
  SessionId holder_;
  ClaimId claim_;
  map::Rect rect_;
  EditId first_{~std::uint64_t{0}};
  std::map<std::pair<std::int32_t, std::int32_t>, Lsn> since_;  // by shard: the holder's first edit
};

}  // namespace terrazzo::sim
