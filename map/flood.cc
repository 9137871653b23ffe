#include "map/flood.h"

#include <algorithm>
#include <deque>

namespace terrazzo::map {
namespace {

static_assert(kChunkSize == 32, "a row of a chunk is one word");
constexpr std::uint32_t kAll = ~std::uint32_t{0};
constexpr std::uint32_t kFirst = 1, kLast = std::uint32_t{1} << 31;

// All cells of the runs of `open` that a cell of `from` lies in: a parallel prefix (Kogge and Stone), up and down.
std::uint32_t spread(std::uint32_t from, std::uint32_t open) {
  std::uint32_t up = from, down = from, above = open, below = open;
  for (int step = 1; step < kChunkSize; step *= 2) {
    up |= above & (up << step);
    above &= above << step;
    down |= below & (down >> step);
    below &= below >> step;
  }
  return up | down;
}

// The chunks of a flood's bounds, of which those that it reaches are read.
class Flood {
 public:
  Flood(const Op& op, const ReadChunk& read)
      : op_(op), read_(read), chunks_(chunks_of(op.rect)), nodes_(chunks_.area()) {}

  std::vector<FloodedChunk> run() {
    const ChunkPos first = chunk_of(op_.source);
    const ChunkCells there = read_(op_.layer, first);
    if (!there.known) return {};
    from_ = there.cells == nullptr ? there.fill : there.cells[index_in_chunk(op_.source)];
    if (from_ == op_.cell) return {};
    ChunkMask seed{};
    seed[static_cast<std::size_t>(op_.source.y & (kChunkSize - 1))] = kFirst << (op_.source.x & (kChunkSize - 1));
    enter(first.x, first.y, seed);
    while (!waiting_.empty()) {
      const ChunkPos next = waiting_.front();
      waiting_.pop_front();
      grow(next);
    }
    std::vector<FloodedChunk> out;
    for (std::int64_t y = chunks_.y0; y < chunks_.y1; ++y)
      for (std::int64_t x = chunks_.x0; x < chunks_.x1; ++x)
        if (const Node& node = at(x, y); std::ranges::any_of(node.filled, [](std::uint32_t row) { return row != 0; }))
          out.push_back({{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)}, from_, node.filled});
    return out;
  }

 private:
  struct Node {
    ChunkMask open{}, filled{};  // `open`: equal to where it began, in the bounds
    bool seen = false, waits = false;
  };

  Node& at(std::int64_t x, std::int64_t y) {
    return nodes_[static_cast<std::size_t>((y - chunks_.y0) * chunks_.width() + (x - chunks_.x0))];
  }

  void look(Node& node, ChunkPos chunk) {
    node.seen = true;
    const ChunkCells there = read_(op_.layer, chunk);
    if (!there.known || (there.cells == nullptr && there.fill != from_)) return;
    const Rect whole = cells_of(chunk), part = op_.rect.intersect(whole);
    const auto width = static_cast<unsigned>(part.width());
    const std::uint32_t columns = (width == 32 ? kAll : (kFirst << width) - 1)
                                  << static_cast<unsigned>(part.x0 - whole.x0);
    for (auto y = static_cast<std::size_t>(part.y0 - whole.y0); y < static_cast<std::size_t>(part.y1 - whole.y0); ++y) {
      std::uint32_t equal = kAll;
      if (there.cells != nullptr) {
        equal = 0;
        for (std::size_t x = 0; x < 32; ++x)
          equal |= static_cast<std::uint32_t>(there.cells[y * kChunkSize + x] == from_) << x;
      }
      node.open[y] = equal & columns;
    }
  }

  // Cells of a chunk that were reached from outside of it.
  void enter(std::int64_t x, std::int64_t y, const ChunkMask& reached) {
    if (!chunks_.contains(CellPos{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)})) return;
    Node& node = at(x, y);
    const ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(y)};
    if (!node.seen) look(node, chunk);
    bool news = false;
    for (std::size_t row = 0; row < node.open.size(); ++row) {
      const std::uint32_t fresh = reached[row] & node.open[row] & ~node.filled[row];
      node.filled[row] |= fresh;
      news = news || fresh != 0;
    }
    if (!news || node.waits) return;
    node.waits = true;
    waiting_.push_back(chunk);
  }

  void grow(ChunkPos chunk) {
    Node& node = at(chunk.x, chunk.y);
    node.waits = false;
    if (std::ranges::all_of(node.open, [](std::uint32_t row) { return row == kAll; })) {
      node.filled.fill(kAll);
    } else {
      grow_rows(node);
    }
    ChunkMask left{}, right{}, above{}, below{};
    for (std::size_t row = 0; row < node.filled.size(); ++row) {
      left[row] = (node.filled[row] & kFirst) != 0 ? kLast : 0;
      right[row] = (node.filled[row] & kLast) != 0 ? kFirst : 0;
    }
    above.back() = node.filled.front();
    below.front() = node.filled.back();
    const std::int64_t x = chunk.x, y = chunk.y;
    enter(x - 1, y, left);
    enter(x + 1, y, right);
    enter(x, y - 1, above);
    enter(x, y + 1, below);
  }

  // Down and up again until nothing is added.
  static void grow_rows(Node& node) {
    const auto add = [&](std::size_t row, std::uint32_t reached) {
      const std::uint32_t before = node.filled[row];
      node.filled[row] = spread(before | (reached & node.open[row]), node.open[row]);
      return node.filled[row] != before;
    };
    for (bool changed = true; changed;) {
      changed = add(0, 0);
      for (std::size_t row = 1; row < node.filled.size(); ++row) changed = add(row, node.filled[row - 1]) || changed;
      for (std::size_t row = node.filled.size() - 1; row-- > 0;) changed = add(row, node.filled[row + 1]) || changed;
    }
  }

  const Op& op_;
  const ReadChunk& read_;
  const Rect chunks_;
  Cell from_;
  std::vector<Node> nodes_;  // by row
  std::deque<ChunkPos> waiting_;
};

}  // namespace

std::vector<FloodedChunk> flooded(const Op& flood, const ReadChunk& read) {
  return Flood(flood, read).run();
}

std::vector<Rect> rects_of(const FloodedChunk& flooded) {
  const Rect whole = cells_of(flooded.chunk);
  std::vector<Rect> out;
  for (std::size_t row = 0; row < flooded.cells.size(); ++row) {
    const auto y = whole.y0 + static_cast<std::int64_t>(row);
    for (std::int64_t x = 0; x < kChunkSize; ++x) {
      const auto set = [&](std::int64_t at) { return at < kChunkSize && (flooded.cells[row] >> at & 1u) != 0; };
      if (!set(x)) continue;
      std::int64_t end = x + 1;
      while (set(end)) ++end;
      const Rect run{whole.x0 + x, y, whole.x0 + end, y + 1};
      const auto above = std::ranges::find_if(
          out, [&](const Rect& rect) { return rect.y1 == y && rect.x0 == run.x0 && rect.x1 == run.x1; });
      if (above != out.end()) {
        above->y1 = y + 1;
      } else {
        out.push_back(run);
      }
      x = end;
    }
  }
  return out;
}

}  // namespace terrazzo::map
