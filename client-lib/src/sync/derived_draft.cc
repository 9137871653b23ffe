#include "client-lib/src/sync/derived_draft.h"

#include <vector>

#include "base/arena.h"
#include "map/copied_cells.h"
#include "map/edit_apply.h"
#include "map/flood.h"
#include "map/read_after.h"

namespace terrazzo::client {
namespace {

void add_copied(const map::Op& copy, const map::ReadChunk& read, Arena& arena, std::vector<map::Op>& out) {
  std::vector<map::Cell> scratch;
  std::vector<map::Op> copied;  // what it reads is from before itself
  map::for_each_chunk_part(copy.rect, [&](map::ChunkPos chunk, const map::Rect& part) {
    if (!read(copy.layer, chunk).known) return;
    const std::span<map::Cell> cells = arena.allocate_array<map::Cell>(part.area());
    if (map::copied_cells(copy, part, read, scratch, cells))
      copied.push_back({map::OpKind::set, copy.layer, part, {}, {}, cells});
  });
  out.insert(out.end(), copied.begin(), copied.end());
}

}  // namespace

EditDraft derived_draft(std::span<const map::Op> ops, const map::ReadChunk& shown) {
  Arena arena;
  std::vector<map::Op> out;
  map::ReadAfter after(shown, out);
  const map::ReadChunk read = [&](map::LayerId layer, map::ChunkPos chunk) { return after.read(layer, chunk); };
  for (const map::Op& op : ops) {
    const std::size_t first = out.size();
    if (op.kind == map::OpKind::copy) {
      add_copied(op, read, arena, out);
    } else if (op.kind == map::OpKind::flood) {
      for (const map::FloodedChunk& flooded : map::flooded(op, read))
        for (const map::Rect& rect : map::rects_of(flooded))
          out.push_back({map::OpKind::fill, op.layer, rect, op.cell, {}, {}});
    } else {
      out.push_back(op);
    }
    after.note(op.rect, first);
  }
  EditDraft draft;
  for (const map::Op& op : out) draft.add(op);
  return draft;
}

}  // namespace terrazzo::client
