#include "map/edit_check.h"

#include <fmt/format.h>

#include <string>

namespace terrazzo::map {
namespace {

struct Place {
  const char* what;  // "op" or "condition"
  std::size_t index;
};

template <class... Args>
Error wrong(ErrorCode code, const Place& place, fmt::format_string<Args...> text, Args&&... args) {
  return {code, fmt::format("{} {}: {}", place.what, place.index, fmt::format(text, std::forward<Args>(args)...))};
}

std::string text_of(const Rect& rect) {
  return fmt::format("[{},{},{},{}]", rect.x0, rect.y0, rect.width(), rect.height());
}

Status check_place(const World& world, const Place& place, LayerId id, const Rect& rect) {
  const Layer* layer = world.find_layer(id);
  if (layer == nullptr)
    return wrong(ErrorCode::not_found, place, "there is no layer {}; the world's layers are listed in its metadata",
                 id);
  if (layer->kind != LayerKind::tile)
    return wrong(ErrorCode::bad_message, place, "layer {} (\"{}\") holds no cells; name a tile layer", id, layer->name);
  if (rect.empty()) return wrong(ErrorCode::bad_message, place, "the rectangle is empty; width and height start at 1");
  const Rect area = world.area();
  if (!area.contains(rect))
    return wrong(ErrorCode::out_of_bounds, place, "{} reaches outside the world, which is [x,y,w,h] {}", text_of(rect),
                 text_of(area));
  return {};
}

Status check_cell(const World& world, const Place& place, Cell cell) {
  const std::uint32_t end = world.tile_end();
  if (cell.tile() >= end)
    return wrong(ErrorCode::out_of_bounds, place, "there is no tile {}; this world's tiles are 1 to {}, 0 is empty",
                 cell.tile(), end - 1);
  return {};
}

Status check_cells(const World& world, const Place& place, const Rect& rect, std::span<const Cell> cells) {
  if (cells.size() != rect.area())
    return wrong(ErrorCode::bad_message, place,
                 "{} cells for a rectangle of {}; give exactly one per position, row by row", cells.size(),
                 rect.area());
  const std::uint32_t end = world.tile_end();
  std::uint32_t largest = 0;
  for (const Cell cell : cells) largest = std::max(largest, cell.tile());
  return largest < end ? Status() : check_cell(world, place, Cell{largest});
}

Status check_copy(const World& world, const Place& place, const Op& op) {
  if (!op.turn.none() && (world.orientation == Orientation::hexagonal || world.orientation == Orientation::staggered))
    return wrong(ErrorCode::unsupported, place,
                 "rows of this world's grid are shifted, so that nothing can be flipped or turned; copy it as it is");
  return check_place(world, place, op.source_layer, source_of(op));
}

Status check_op(const World& world, const Place& place, const Op& op) {
  if (Status s = check_place(world, place, op.layer, op.rect); !s) return s;
  if (op.kind == OpKind::set) return check_cells(world, place, op.rect, op.cells);
  if (op.kind == OpKind::copy) return check_copy(world, place, op);
  if (op.kind == OpKind::flood && !op.rect.contains(op.source))
    return wrong(ErrorCode::bad_message, place, "it begins at {},{}, outside of its bounds {}", op.source.x,
                 op.source.y, text_of(op.rect));
  if (op.kind == OpKind::replace)
    if (Status s = check_cell(world, place, op.from); !s) return s;
  return check_cell(world, place, op.cell);
}

Status check_condition(const World& world, const Place& place, const Condition& condition) {
  if (Status s = check_place(world, place, condition.layer, condition.rect); !s) return s;
  return condition.cells.empty() ? check_cell(world, place, condition.cell)
                                 : check_cells(world, place, condition.rect, condition.cells);
}

Status check_sizes(const Edit& edit, const EditLimits& limits) {
  if (edit.ops.empty()) return Error{ErrorCode::bad_message, "an edit needs at least one op"};
  if (edit.ops.size() > limits.ops_max)
    return Error{ErrorCode::too_large, fmt::format("{} ops in one edit; at most {}", edit.ops.size(), limits.ops_max)};
  if (edit.conditions.size() > limits.conditions_max)
    return Error{ErrorCode::too_large,
                 fmt::format("{} conditions in one edit; at most {}", edit.conditions.size(), limits.conditions_max)};
  std::size_t cells = 0;
  std::uint64_t derived = 0;
  for (const Op& op : edit.ops) {
    cells += op.cells.size();
    const std::uint64_t area = is_plain(op.kind) ? 0 : op.rect.area();
    derived += std::min(area, std::uint64_t{limits.derived_cells_max} + 1);
  }
  if (derived > limits.derived_cells_max)
    return Error{ErrorCode::too_large,
                 fmt::format("the copies and the bounds of floods in one edit have more than {} cells, the most there "
                             "may be: take smaller pieces",
                             limits.derived_cells_max)};
  for (const Condition& condition : edit.conditions) cells += condition.cells.size();
  if (cells > limits.cells_max)
    return Error{ErrorCode::too_large, fmt::format("{} cells in one edit; at most {}: send several edits, or a fill",
                                                   cells, limits.cells_max)};
  return {};
}

}  // namespace

Status check_edit(const World& world, const Edit& edit, const EditLimits& limits) {
  if (Status s = check_sizes(edit, limits); !s) return s;
  for (std::size_t i = 0; i < edit.ops.size(); ++i)
    if (Status s = check_op(world, {"op", i}, edit.ops[i]); !s) return s;
  for (std::size_t i = 0; i < edit.conditions.size(); ++i)
    if (Status s = check_condition(world, {"condition", i}, edit.conditions[i]); !s) return s;
  return {};
}

}  // namespace terrazzo::map
