#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/error.h"
#include "map/edit.h"
#include "server/storage/head.h"

// What an edit overwrites, kept in its log record: undo, blame, revert and time travel need no second store. Of each op
// the old cells of its rectangle, row by row, as runs or plain, whichever is shorter.
namespace terrazzo::shard {

enum class PreImageKind : std::uint8_t {
  none,    // of a part in a coordinator's record: the shard's own record has it
  cells,   // follows the ops
  pinned,  // too large: the state before is the undo point that has the record's LSN as its number
};

// Kept by the caller, so that the steady state allocates nothing.
struct PreImageScratch {
  std::vector<map::Cell> cells;
};

// Reads the cells that the ops will change; call it before they do. an empty `store`: nothing but empty cells.
void encode_pre_image(const storage::Head& store, std::span<const map::Op> ops, PreImageScratch& scratch,
                      std::vector<std::byte>& out);
// Ops that put back what the edit overwrote, in the order to apply them; they live in the arena. bad_message: the bytes
// are no pre-image of these ops.
Result<std::span<const map::Op>> decode_pre_image(std::span<const map::Op> ops, std::span<const std::byte> bytes,
                                                  Arena& arena);

}  // namespace terrazzo::shard
