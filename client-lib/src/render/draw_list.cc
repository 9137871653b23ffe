#include "client-lib/src/render/draw_list.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <utility>

#include "map/formats/json_reader.h"

namespace terrazzo::render {
namespace {

using formats::Json;

double number(const Json& o, const char* key, double fallback) {
  const auto found = o.find(key);
  return found != o.end() && found->is_number() ? found->get<double>() : fallback;
}

bool is_true(const Json& o, const char* key) {
  const auto found = o.find(key);
  return found != o.end() && found->is_boolean() && found->get<bool>();
}

// A tile as it stands on the lower left corner (left, bottom) of a box, width × height before its flips.
DrawCommand standing(const Sprite& sprite, map::Cell cell, const Grid& grid, double left, double bottom, double width,
                     double height, const Look& look) {
  DrawCommand c;
  c.sprite = sprite;
  c.opacity = look.opacity;
  c.tint = look.tint;
  constexpr std::uint32_t kMirrors = map::Cell::kFlipHorizontal | map::Cell::kFlipVertical;
  if (grid.hexagonal()) {
    // On hexagons the diagonal bit is a sixth of a turn instead.
    c.flips = cell.flips() & kMirrors;
    c.angle = ((cell.bits & map::Cell::kFlipDiagonal) != 0 ? 60 : 0) +
              ((cell.bits & map::Cell::kRotateHex120) != 0 ? 120 : 0);
  } else {
    c.flips = cell.flips() & (kMirrors | map::Cell::kFlipDiagonal);
    if ((cell.bits & map::Cell::kFlipDiagonal) != 0) std::swap(width, height);
  }
  c.width = width;
  c.height = height;
  c.center_x = left + width / 2 + sprite.offset_x;
  c.center_y = bottom - height / 2 + sprite.offset_y;
  return c;
}

void rotate(DrawCommand& c, double degrees, Grid::Position about) {
  const double radians = degrees * std::numbers::pi / 180;
  const double dx = c.center_x - about.x, dy = c.center_y - about.y;
  c.center_x = about.x + dx * std::cos(radians) - dy * std::sin(radians);
  c.center_y = about.y + dx * std::sin(radians) + dy * std::cos(radians);
  c.angle += degrees;
}

bool touches(const DrawCommand& c, const Grid::Box& part) {
  if (c.repeat_x || c.repeat_y) return true;
  // Rotated pictures reach as far as their diagonal.
  const double half = c.angle == 0 ? 0 : std::hypot(c.width, c.height) / 2;
  const double half_x = std::max(half, c.width / 2) + 1, half_y = std::max(half, c.height / 2) + 1;
  const auto left = static_cast<double>(part.x), top = static_cast<double>(part.y);
  return c.center_x - half_x < left + static_cast<double>(part.width) && c.center_x + half_x > left &&
         c.center_y - half_y < top + static_cast<double>(part.height) && c.center_y + half_y > top;
}

}  // namespace

DrawList::DrawList(const map::World& world, const TileArt& art, const CellReader& cells, const map::Rect& view)
    : world_(world),
      art_(art),
      grid_(world),
      box_(grid_.box(view)),
      reach_(tile_reach(world, art)),
      walk_(grid_, cells) {
  for (const map::Layer& layer : world.layers) {
    Drawn drawn{&layer, look_of(world, layer), {}};
    if (!drawn.look.visible) continue;
    if (layer.kind == map::LayerKind::image) add_image(drawn);
    if (layer.kind == map::LayerKind::object) add_objects(drawn);
    if ((layer.kind == map::LayerKind::tile && reach_) || !drawn.pictures.empty()) layers_.push_back(std::move(drawn));
  }
}

Grid::Box DrawList::boxes(const Drawn& drawn, const Grid::Box& part) const {
  return reach_->boxes({box_.x + part.x, box_.y + part.y, part.width, part.height}, drawn.look.offset_x,
                       drawn.look.offset_y);
}

void DrawList::put_part(const Grid::Box& part, const Put& put) {
  for (const Drawn& drawn : layers_) {
    for (const DrawCommand& command : drawn.pictures)
      if (touches(command, part)) put(command);
    if (drawn.layer->kind != map::LayerKind::tile) continue;
    walk_.walk(drawn.layer->id, boxes(drawn, part), world_.area(), [&](map::Cell cell, std::int64_t x, std::int64_t y) {
      const Sprite sprite = art_.sprite(cell.tile());
      if (sprite.image == nullptr || !within_reach(sprite)) return;
      const DrawCommand command = tile(sprite, cell, x, y, drawn.look);
      if (touches(command, part)) put(command);
    });
  }
}

std::uint64_t DrawList::cells_of_part(const Grid::Box& part) const {
  std::uint64_t count = 0;
  for (const Drawn& drawn : layers_)
    if (drawn.layer->kind == map::LayerKind::tile) count += walk_.cell_count(boxes(drawn, part), world_.area());
  return count;
}

DrawCommand DrawList::tile(const Sprite& sprite, map::Cell cell, std::int64_t x, std::int64_t y,
                           const Look& look) const {
  // Differences are taken in whole numbers, which are exact however far from the origin.
  const Grid::Point corner = grid_.corner(x, y);
  double left = static_cast<double>(corner.x - box_.x) + look.offset_x;
  double bottom = static_cast<double>(corner.y - box_.y + world_.tile_height) + look.offset_y;
  double width = sprite.width, height = sprite.height;
  if (sprite.fill != Sprite::Fill::none) {
    const double across = world_.tile_width, down = world_.tile_height;
    const double fit = std::min(across / width, down / height);
    width = sprite.fill == Sprite::Fill::stretch ? across : width * fit;
    height = sprite.fill == Sprite::Fill::stretch ? down : height * fit;
    left += (across - width) / 2;
    bottom -= (down - height) / 2;
  }
  return standing(sprite, cell, grid_, left, bottom, width, height, look);
}

void DrawList::add_image(Drawn& drawn) const {
  const Image* picture = art_.layer_image(drawn.layer->id);
  if (picture == nullptr) return;
  const Json extra = formats::extra_object(drawn.layer->extra);
  DrawCommand c;
  c.sprite.image = picture;
  c.sprite.width = picture->width;
  c.sprite.height = picture->height;
  c.width = picture->width;
  c.height = picture->height;
  c.center_x = drawn.look.offset_x - static_cast<double>(box_.x) + c.width / 2;
  c.center_y = drawn.look.offset_y - static_cast<double>(box_.y) + c.height / 2;
  c.repeat_x = is_true(extra, "repeatx");
  c.repeat_y = is_true(extra, "repeaty");
  c.opacity = drawn.look.opacity;
  c.tint = drawn.look.tint;
  drawn.pictures.push_back(c);
}

void DrawList::add_objects(Drawn& drawn) const {
  const Json extra = formats::extra_object(drawn.layer->extra);
  const auto list = extra.find("objects");
  if (list == extra.end() || !list->is_array()) return;
  std::vector<const Json*> shown;
  for (const Json& object : *list) {
    if (!object.is_object() || !object.contains("gid") || !object["gid"].is_number_unsigned()) continue;
    if (object.contains("visible") && object["visible"] == false) continue;
    shown.push_back(&object);
  }
  // From the top down, so that what stands in front covers what is behind, unless the layer has an order of its own.
  if (!extra.contains("draworder") || extra["draworder"] != "index")
    std::ranges::stable_sort(shown, {}, [](const Json* object) { return number(*object, "y", 0); });
  for (const Json* object : shown) add_object(drawn, *object);
}

void DrawList::add_object(Drawn& drawn, const Json& object) const {
  const map::Cell cell{object["gid"].get<std::uint32_t>()};
  const Sprite sprite = art_.sprite(cell.tile());
  const double width = number(object, "width", sprite.width), height = number(object, "height", sprite.height);
  const double x = number(object, "x", 0), y = number(object, "y", 0), angle = number(object, "rotation", 0);
  // Objects come from outside; what lies beyond these sizes would not be a picture any more.
  const bool sound = width > 0 && height > 0 && width < 1e5 && height < 1e5 && std::abs(x) < 1e12 &&
                     std::abs(y) < 1e12 && std::abs(angle) < 1e6;
  if (sprite.image == nullptr || !sound) return;
  Grid::Position at = grid_.object(x, y);
  at.x += drawn.look.offset_x - static_cast<double>(box_.x);
  at.y += drawn.look.offset_y - static_cast<double>(box_.y);
  const bool given = sprite.anchor_x >= 0;
  const double anchor_x = given ? sprite.anchor_x : grid_.isometric() ? 0.5 : 0;
  const double anchor_y = given ? sprite.anchor_y : 1;
  const bool turned = !grid_.hexagonal() && (cell.bits & map::Cell::kFlipDiagonal) != 0;
  DrawCommand c = standing(sprite, cell, grid_, at.x - anchor_x * width, at.y + (1 - anchor_y) * height,
                           turned ? height : width, turned ? width : height, drawn.look);
  if (angle != 0) rotate(c, angle, at);
  if (touches(c, {0, 0, box_.width, box_.height})) drawn.pictures.push_back(c);
}

}  // namespace terrazzo::render
