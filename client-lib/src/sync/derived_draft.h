#pragma once

#include <span>

#include "map/edit.h"
#include "map/read_chunk.h"
#include "terrazzo/edit_draft.h"

namespace terrazzo::client {

// Plain ops that do the same, as far as the cells are known: of a copy the chunks that are known on both sides, of a
// flood what it reaches through known chunks.
EditDraft derived_draft(std::span<const map::Op> ops, const map::ReadChunk& shown);

}  // namespace terrazzo::client
