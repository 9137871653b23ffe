#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "map/coords.h"
#include "map/world.h"
#include "proto/messages.h"

namespace terrazzo::client {

// An area that only one user may edit for the time being.
struct Claim {
  SessionId session;                 // whose
  ClaimId claim;                     // the number it has there
  std::string name;                  // of its holder
  map::Rect rect;                    // cells
  std::vector<map::LayerId> layers;  // empty: all
};

// How a claim ended: its holder let it go, its time was over, its session did not come back, or an owner of the world
// ended it.
using ReleaseReason = proto::ReleaseReason;

}  // namespace terrazzo::client
