#include "map/copied_cells.h"

#include <algorithm>

#include "map/edit_apply.h"

namespace terrazzo::map {

bool read_cells(const ReadChunk& read, LayerId layer, const Rect& rect, std::span<Cell> out) {
  bool all = true;
  for_each_chunk_part(rect, [&](ChunkPos chunk, const Rect& part) {
    const ChunkCells there = read(layer, chunk);
    all = all && there.known;
    const Rect whole = cells_of(chunk);
    const auto width = static_cast<std::size_t>(part.width());
    for (std::int64_t y = part.y0; y < part.y1; ++y) {
      Cell* const to = out.data() + (y - rect.y0) * rect.width() + (part.x0 - rect.x0);
      if (there.cells == nullptr) {
        std::fill_n(to, width, there.known ? there.fill : Cell{});
      } else {
        std::copy_n(there.cells + (y - whole.y0) * kChunkSize + (part.x0 - whole.x0), width, to);
      }
    }
  });
  return all;
}

bool copied_cells(const Op& copy, const Rect& part, const ReadChunk& read, std::vector<Cell>& scratch,
                  std::span<Cell> out) {
  const std::int64_t width = copy.rect.width(), height = copy.rect.height();
  const std::int64_t x0 = part.x0 - copy.rect.x0, y0 = part.y0 - copy.rect.y0;
  // Two opposite corners of the part tell where it comes from.
  const auto [ax, ay] = copy.turn.source_of(x0, y0, width, height);
  const auto [bx, by] = copy.turn.source_of(x0 + part.width() - 1, y0 + part.height() - 1, width, height);
  const Rect source{copy.source.x + std::min(ax, bx), copy.source.y + std::min(ay, by),
                    copy.source.x + std::max(ax, bx) + 1, copy.source.y + std::max(ay, by) + 1};
  if (copy.turn.none()) return read_cells(read, copy.source_layer, source, out);
  scratch.resize(source.area());
  const bool all = read_cells(read, copy.source_layer, source, scratch);
  std::size_t i = 0;
  for (std::int64_t y = 0; y < part.height(); ++y)
    for (std::int64_t x = 0; x < part.width(); ++x) {
      const auto [sx, sy] = copy.turn.source_of(x0 + x, y0 + y, width, height);
      const std::int64_t column = copy.source.x + sx - source.x0, row = copy.source.y + sy - source.y0;
      out[i++] = copy.turn.turned(scratch[static_cast<std::size_t>(row * source.width() + column)]);
    }
  return all;
}

}  // namespace terrazzo::map
