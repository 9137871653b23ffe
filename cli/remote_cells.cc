#include "cli/remote_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace terrazzo::cli {
namespace {

constexpr map::Rect tile_rect(std::int64_t x, std::int64_t y, int shift) {
  const std::int64_t size = std::int64_t{1} << shift;
  return map::Rect::of_size(x * size, y * size, size, size).intersect(map::kPlane);
}

// Length, cell, length, cell, …: as many as there are to be.
bool unpack(const nlohmann::json& runs, std::size_t count, std::vector<map::Cell>& cells) {
  if (!runs.is_array() || runs.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < runs.size(); i += 2) {
    if (!runs[i].is_number_unsigned() || !runs[i + 1].is_number_unsigned()) return false;
    const auto length = runs[i].get<std::uint64_t>(), cell = runs[i + 1].get<std::uint64_t>();
    if (length > count - cells.size() || cell > 0xFFFFFFFFu) return false;
    cells.insert(cells.end(), length, map::Cell{static_cast<std::uint32_t>(cell)});
  }
  return cells.size() == count;
}

}  // namespace

Result<std::vector<map::Cell>> RemoteCells::ask(const Key& key) {
  const auto [layer, y, x] = key;
  const map::Rect rect = tile_rect(x, y, kTileShift);
  const Result<std::string> answer = http_.request(
      "GET", fmt::format("/v1/worlds/{}/cells?layer={}&area={},{},{},{}{}{}", percent_encode(world_), layer, rect.x0,
                         rect.y0, rect.width(), rect.height(), state_.empty() ? "" : "&", state_));
  if (!answer) return answer.error();
  const nlohmann::json parsed = nlohmann::json::parse(*answer, nullptr, false);
  std::vector<map::Cell> cells;
  if (!parsed.is_object() || !parsed.contains("runs") || !unpack(parsed["runs"], rect.area(), cells))
    return Error{ErrorCode::bad_message, "the server answers, but not as a Terrazzo server does"};
  return cells;
}

Status RemoteCells::fetch(map::LayerId layer, const map::Rect& cells) {
  const map::Rect wanted = cells.intersect(map::kPlane);
  if (wanted.empty()) return {};
  for (std::int64_t y = wanted.y0 >> kTileShift; y <= (wanted.y1 - 1) >> kTileShift; ++y)
    for (std::int64_t x = wanted.x0 >> kTileShift; x <= (wanted.x1 - 1) >> kTileShift; ++x) {
      if (tiles_.contains({layer, y, x})) continue;
      if (tiles_.size() * kTile * kTile >= kCellsMax) {
        return Error{ErrorCode::too_large, fmt::format("this needs more than {} million cells: draw a part of it (--rect "
                                                       "X,Y,W,H), or one layer",
                                                       kCellsMax >> 20)};
      }
      Result<std::vector<map::Cell>> found = ask({layer, y, x});
      if (!found) return found.error();
      tiles_[{layer, y, x}] = *std::move(found);
    }
  return {};
}

void RemoteCells::read(map::LayerId layer, const map::Rect& cells, std::span<map::Cell> out) const {
  std::ranges::fill(out, map::Cell{});
  if (cells.empty()) return;
  for (std::int64_t ty = cells.y0 >> kTileShift; ty <= (cells.y1 - 1) >> kTileShift; ++ty)
    for (std::int64_t tx = cells.x0 >> kTileShift; tx <= (cells.x1 - 1) >> kTileShift; ++tx) {
      const auto found = tiles_.find({layer, ty, tx});
      if (found == tiles_.end()) continue;
      const map::Rect tile = tile_rect(tx, ty, kTileShift), part = tile.intersect(cells);
      for (std::int64_t y = part.y0; y < part.y1; ++y) {
        const auto from = (y - tile.y0) * tile.width() + part.x0 - tile.x0;
        const auto to = (y - cells.y0) * cells.width() + part.x0 - cells.x0;
        std::copy_n(found->second.begin() + from, part.width(), out.begin() + to);
      }
    }
}

}  // namespace terrazzo::cli
