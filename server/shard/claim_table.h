#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "map/edit.h"
#include "server/shard/messages.h"

namespace terrazzo::shard {

// Claims that are in force in one place: in a shard, or in a world (at its desk, claim_desk.h). Pure. Looked through
// from end to end, a few nanoseconds a claim: claim_desk.h bounds how many there are.
class ClaimTable {
 public:
  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  void add(SharedClaim claim);
  void remove(std::uint64_t serial);  // nothing where it is not there

  // Appends the claims of others than `user` that touch the rectangle in the layer (in one of the layers), each once.
  void in_the_way(UserId user, map::LayerId layer, const map::Rect& rect, std::vector<SharedClaim>& out) const;
  void in_the_way(UserId user, const LayerSet& layers, const map::Rect& rect, std::vector<SharedClaim>& out) const;
  // Likewise, for what the edit of one shard writes.
  std::vector<SharedClaim> in_the_way(UserId user, const EditRequest& request) const;

 private:
  struct Entry {
    map::Rect rect;
    UserId user;
    SharedClaim claim;
  };
  std::vector<Entry> entries_;
};

// What who is refused is told; the claims are not empty.
Error claimed_error(std::span<const SharedClaim> claims);

}  // namespace terrazzo::shard
