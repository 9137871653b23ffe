#pragma once

#include <bitset>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "map/coords.h"
#include "map/world.h"
#include "proto/messages.h"

namespace terrazzo::shard {

using LayerSet = std::bitset<map::kLayersMax>;

// An area that nobody else may edit. Never changed once it is shared; it crosses cores as a pointer.
struct Claim : boost::intrusive_ref_counter<Claim, boost::thread_safe_counter> {
  std::uint64_t serial = 0;  // its desk's, never the same twice in one run
  SessionId session;         // who claimed, and the number it has there
  ClaimId number;
  UserId user;
  std::string name;  // shown to the others
  map::Rect rect;    // cells
  LayerSet layers;
  std::vector<map::LayerId> listed;  // the layers as they were asked for; empty: all
};
using SharedClaim = boost::intrusive_ptr<const Claim>;

// As messages carry it; the claim keeps what it points to.
proto::ClaimOf message_of(const Claim& claim);

}  // namespace terrazzo::shard
