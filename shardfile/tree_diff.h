#pragma once

#include <functional>

#include "shardfile/tree_reader.h"

namespace terrazzo::shardfile {

// Calls `visit` for each chunk whose content may differ between two pinned trees of one shard, by layer and region.
// What both share is skipped unread, so the cost follows what was changed. A chunk that was changed and changed back,
// or rewritten alike, is visited, too. Uniform subtrees are visited chunk by chunk where the other tree differs. False:
// a page number lies outside the file, and the rest was not looked at.
bool diff_trees(const TreeReader& a, const TreeReader& b,
                const std::function<void(std::uint8_t layer, std::uint16_t chunk)>& visit);

}  // namespace terrazzo::shardfile
