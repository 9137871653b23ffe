#pragma once

#include <functional>

#include "base/error.h"
#include "server/shard/log_record.h"
#include "server/shard/swaps.h"

namespace terrazzo::shard {

// What a logged edit did, chunk by chunk, by row and column: the cells before and after it, which are different exactly
// where it changed them, and mean nothing elsewhere. Only for pre-images of kind cells. bad_message: the pre-image is
// not this edit's.
using ChangeVisit = std::function<void(map::LayerId layer, map::ChunkPos chunk, const ChunkCells& before,
                                       const ChunkCells& after)>;
Status for_each_change(const LoggedEdit& edit, const ChangeVisit& visit);

}  // namespace terrazzo::shard
