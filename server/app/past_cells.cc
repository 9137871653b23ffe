#include "server/app/past_cells.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <limits>

#include "map/edit_apply.h"
#include "server/app/line_past.h"
#include "server/app/past_reader.h"

namespace terrazzo::app {
namespace {

class Board {
 public:
  Board(map::LayerId layer, const map::Rect& rect) : layer_(layer), rect_(rect) { cells_.resize(rect.area()); }

  Status read_shard(PastReader& reader, const map::Rect& part) {
    Status read;
    map::for_each_chunk_part(part, [&](map::ChunkPos chunk, const map::Rect&) {
      if (read) read = reader.read_chunk(0, layer_, map::index_in_shard(chunk), chunk_);
      if (read) put(chunk, [&](std::size_t i, map::Cell& cell) { cell = chunk_[i]; });
    });
    return read;
  }
  bool meets(const shard::LoggedEdit& edit) const {
    const auto here = [&](const auto& area) { return area.layer == layer_ && area.rect.intersects(rect_); };
    return std::ranges::any_of(edit.edit.ops, here) || (edit.restore && std::ranges::any_of(edit.restore->areas, here));
  }
  void undo(map::LayerId layer, map::ChunkPos chunk, const shard::ChunkCells& before, const shard::ChunkCells& after) {
    if (layer != layer_) return;
    put(chunk, [&](std::size_t i, map::Cell& cell) {
      if (before[i] != after[i]) cell = before[i];
    });
  }
  std::vector<map::Cell> take() { return std::move(cells_); }

 private:
  // For each cell of the chunk that is on the board, with its number in the chunk.
  template <class Put>
  void put(map::ChunkPos chunk, Put&& each) {
    const map::Rect whole = map::cells_of(chunk), part = whole.intersect(rect_);
    for (std::int64_t y = part.y0; y < part.y1; ++y)
      for (std::int64_t x = part.x0; x < part.x1; ++x)
        each(static_cast<std::size_t>((y - whole.y0) * map::kChunkSize + x - whole.x0),
             cells_[static_cast<std::size_t>((y - rect_.y0) * rect_.width() + x - rect_.x0)]);
  }

  const map::LayerId layer_;
  const map::Rect rect_;
  std::vector<map::Cell> cells_;
  shard::ChunkCells chunk_{};
};

// The first edit of a shard that was asked for after a time; beyond all: there is none.
Result<Lsn> first_after(const LinePast& past, map::ShardPos shard, std::uint64_t at_us) {
  Lsn first{std::numeric_limits<std::uint64_t>::max()};
  const Status read = past.visit(shard, [&](Lsn lsn, std::span<const std::byte> payload) -> Result<bool> {
    const auto head = shard::peek_edit(payload);
    if (!head) return head.error();
    if (head->time_us > at_us) first = lsn;
    // What is older in the log was asked for before, but for the delay.
    return head->time_us == 0 || head->time_us + kStampDelayUs >= at_us;
  });
  return read ? Result<Lsn>(first) : Result<Lsn>(read.error());
}

Error gone(const shard::LoggedEdit& edit) {
  return {ErrorCode::not_found,
          fmt::format("edit {}:{} of {} changed more cells here than the log keeps, and the state before it is not kept "
                      "any more (the newest 64 such edits of a shard of 8192×8192 cells are): ask for a later time, or "
                      "for a saved version",
                      edit.author.value, edit.edit.id.value, time_text(edit.time_us))};
}

Status undo_since(const LinePast& past, map::ShardPos shard, Lsn first, PastReader& reader, Board& board) {
  return past.visit(shard, [&](Lsn lsn, std::span<const std::byte> payload) -> Result<bool> {
    if (lsn < first) return false;
    Arena arena;
    const auto edit = shard::decode_edit(payload, arena);
    if (!edit) return edit.error();
    if (!board.meets(*edit)) return true;
    const auto undo = [&](map::LayerId layer, map::ChunkPos chunk, const shard::ChunkCells& before,
                          const shard::ChunkCells& after) { board.undo(layer, chunk, before, after); };
    const Result<bool> known = reader.read(*edit, lsn, undo);
    if (!known) return known.error();
    return *known ? Result<bool>(true) : Result<bool>(gone(*edit));
  });
}

}  // namespace

Result<PastCells> cells_of_past(const io::DataDirectory& data, const PinsGather& now, map::LayerId layer,
                                const map::Rect& rect, std::optional<std::uint64_t> at_us) {
  std::optional<LinePast> past;
  if (at_us) {
    Result<LinePast> opened = LinePast::open(data, now.states.front().line, rect);
    if (!opened) return opened.error();
    past = *std::move(opened);
  }
  PastCells found;
  Board board(layer, rect);
  for (const PinsGather::Shard& shard : now.found) {
    const map::Rect part = map::cells_of(shard.position).intersect(rect);
    if (part.empty()) continue;
    PastReader reader(shard, rect);
    if (const Status read = board.read_shard(reader, part); !read) return read.error();
    if (!past) continue;
    const Result<Lsn> first = first_after(*past, shard.position, *at_us);
    if (!first) return first.error();
    const Status undone = undo_since(*past, shard.position, *first, reader, board);
    if (!undone) return undone.error();
    found.used_undo_points = found.used_undo_points || reader.used_undo_points();
  }
  found.cells = board.take();
  return found;
}

std::string time_text(std::uint64_t time_us) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(time_us / 1'000'000)));
}

}  // namespace terrazzo::app
