#include "client-lib/src/render/draw_list.h"

#include <algorithm>
#include <cmath>

#include "map/formats/json_reader.h"

namespace terrazzo::render {
namespace {

using formats::Json;

struct Look {
  bool visible = true;
  float opacity = 1;
  std::uint32_t tint = 0xFFFFFFFF;
  double offset_x = 0, offset_y = 0;
};

std::uint32_t multiplied(std::uint32_t a, std::uint32_t b) {
  std::uint32_t out = 0;
  for (int shift = 0; shift < 32; shift += 8) out |= ((a >> shift & 0xFF) * (b >> shift & 0xFF) / 255) << shift;
  return out;
}

// A layer's own look on top of those of the groups it is in.
Look look_of(const map::World& world, const map::Layer& layer) {
  Look look{layer.visible, layer.opacity, layer.tint, layer.offset_x, layer.offset_y};
  const map::Layer* at = &layer;
  while (at->parent && (at = world.find_layer(*at->parent)) != nullptr) {
    look.visible = look.visible && at->visible;
    look.opacity *= at->opacity;
    look.tint = multiplied(look.tint, at->tint);
    look.offset_x += at->offset_x;
    look.offset_y += at->offset_y;
  }
  return look;
}

double number(const Json& o, const char* key, double fallback) {
  const auto found = o.find(key);
  return found != o.end() && found->is_number() ? found->get<double>() : fallback;
}

class Lister {
 public:
  Lister(const map::World& world, const TileArt& art, const CellReader& cells, const map::Rect& view)
      : world_(world), art_(art), cells_(cells), view_(view), grid_(world), box_(grid_.box(view)) {}

  std::vector<DrawCommand> run() {
    for (const map::Layer& layer : world_.layers) {
      const Look look = look_of(world_, layer);
      if (!look.visible || look.opacity <= 0) continue;
      switch (layer.kind) {
        case map::LayerKind::tile:
          tiles(layer, look);
          break;
        case map::LayerKind::image:
          image(layer, look);
          break;
        case map::LayerKind::object:
          objects(layer, look);
          break;
        case map::LayerKind::group:
          break;
      }
    }
    return std::move(out_);
  }

 private:
  static std::int64_t whole(double v) { return static_cast<std::int64_t>(std::lround(v)); }

  void tiles(const map::Layer& layer, const Look& look) {
    // Tiles may be larger than their cell, upwards and to the right: those of a few cells around reach into the view.
    std::int64_t reach = 0;
    for (const map::Tileset& set : world_.tilesets) {
      const std::uint32_t w = std::max(1u, world_.tile_width), h = std::max(1u, world_.tile_height);
      std::uint32_t width = set.tile_width, height = set.tile_height;
      for (const map::CollectionTile& tile : set.images) {
        width = std::max(width, tile.image.width);
        height = std::max(height, tile.image.height);
      }
      reach = std::max({reach, std::int64_t{width / w}, std::int64_t{height / h},
                        std::int64_t{std::abs(set.draw_offset_x)} / w, std::int64_t{std::abs(set.draw_offset_y)} / h});
    }
    reach = std::min<std::int64_t>(reach + 1, 64);
    const map::Rect area =
        map::Rect{view_.x0 - reach, view_.y0 - reach, view_.x1 + reach, view_.y1 + reach}.intersect(world_.area());
    if (area.empty()) return;
    std::vector<map::Cell> row(static_cast<std::size_t>(area.width()));
    for (std::int64_t y = area.y0; y < area.y1; ++y) {
      cells_(layer.id, {area.x0, y, area.x1, y + 1}, row);
      for (std::int64_t x = area.x0; x < area.x1; ++x) {
        const map::Cell cell = row[static_cast<std::size_t>(x - area.x0)];
        if (!cell.empty()) tile(cell, x, y, look);
      }
    }
  }
  void tile(map::Cell cell, std::int64_t x, std::int64_t y, const Look& look) {
    const Sprite sprite = art_.sprite(cell.tile());
    if (sprite.image == nullptr) return;
    const bool turned = (cell.bits & map::Cell::kFlipDiagonal) != 0;
    const std::uint32_t width = turned ? sprite.height : sprite.width, height = turned ? sprite.width : sprite.height;
    const Grid::Point corner = grid_.corner(x, y);
    // A tile stands on the lower edge of its cell.
    put({sprite, cell.flips(), corner.x + sprite.offset_x + whole(look.offset_x),
         corner.y + std::int64_t{world_.tile_height} - height + sprite.offset_y + whole(look.offset_y), width, height,
         look.opacity, look.tint});
  }
  void image(const map::Layer& layer, const Look& look) {
    const Image* picture = art_.layer_image(layer.id);
    if (picture == nullptr) return;
    const Sprite sprite{picture, 0, 0, picture->width, picture->height, 0, 0};
    put({sprite, 0, whole(look.offset_x), whole(look.offset_y), picture->width, picture->height, look.opacity,
         look.tint});
  }
  void objects(const map::Layer& layer, const Look& look) {
    const Json extra = formats::extra_object(layer.extra);
    const auto list = extra.find("objects");
    if (list == extra.end() || !list->is_array()) return;
    std::vector<std::pair<double, DrawCommand>> found;
    for (const Json& object : *list) {
      if (!object.is_object() || !object.contains("gid") || !object["gid"].is_number_unsigned()) continue;
      if (object.contains("visible") && object["visible"] == false) continue;
      const map::Cell cell{object["gid"].get<std::uint32_t>()};
      const Sprite sprite = art_.sprite(cell.tile());
      if (sprite.image == nullptr || number(object, "rotation", 0) != 0) continue;
      const double width = number(object, "width", sprite.width), height = number(object, "height", sprite.height);
      const double x = number(object, "x", 0), y = number(object, "y", 0);
      if (width < 1 || height < 1 || width > 1e5 || height > 1e5) continue;
      found.push_back(
          {y,
           {sprite, cell.flips(), whole(x + look.offset_x) + sprite.offset_x,
            whole(y - height + look.offset_y) + sprite.offset_y, static_cast<std::uint32_t>(std::lround(width)),
            static_cast<std::uint32_t>(std::lround(height)), look.opacity, look.tint}});
    }
    // From the top down, so that what stands in front covers what is behind, unless the layer has an order of its own.
    if (!extra.contains("draworder") || extra["draworder"] != "index")
      std::ranges::stable_sort(found, {}, [](const auto& f) { return f.first; });
    for (auto& [y, command] : found) put(std::move(command));
  }
  void put(DrawCommand command) {
    command.x -= box_.x;
    command.y -= box_.y;
    const bool seen = command.x < box_.width && command.y < box_.height && command.x + command.width > 0 &&
                      command.y + command.height > 0;
    if (seen) out_.push_back(command);
  }

  const map::World& world_;
  const TileArt& art_;
  const CellReader& cells_;
  const map::Rect view_;
  const Grid grid_;
  const Grid::Box box_;
  std::vector<DrawCommand> out_;
};

}  // namespace

Grid::Grid(const map::World& world)
    : orientation_(world.orientation), tile_width_(world.tile_width), tile_height_(world.tile_height) {
  const Json extra = formats::extra_object(world.extra);
  const auto says = [&](const char* key, const char* value) {
    const auto found = extra.find(key);
    return found != extra.end() && found->is_string() && *found == value;
  };
  stagger_x_ = says("staggeraxis", "x");
  stagger_odd_ = !says("staggerindex", "even");
  if (orientation_ == map::Orientation::hexagonal) side_ = static_cast<std::int64_t>(number(extra, "hexsidelength", 0));
}

Grid::Point Grid::corner(std::int64_t x, std::int64_t y) const {
  switch (orientation_) {
    case map::Orientation::orthogonal:
      return {x * tile_width_, y * tile_height_};
    case map::Orientation::isometric:
      return {(x - y) * tile_width_ / 2 - tile_width_ / 2, (x + y) * tile_height_ / 2};
    case map::Orientation::staggered:
    case map::Orientation::hexagonal:
      break;
  }
  if (stagger_x_) return {x * ((tile_width_ + side_) / 2), y * tile_height_ + (odd(x) ? tile_height_ / 2 : 0)};
  return {x * tile_width_ + (odd(y) ? tile_width_ / 2 : 0), y * ((tile_height_ + side_) / 2)};
}

Grid::Box Grid::box(const map::Rect& cells) const {
  // The outermost boxes are those of the corners and, where rows are staggered, of their neighbours.
  std::int64_t x0 = INT64_MAX, y0 = INT64_MAX, x1 = INT64_MIN, y1 = INT64_MIN;
  for (const std::int64_t y :
       {cells.y0, std::min(cells.y0 + 1, cells.y1 - 1), std::max(cells.y1 - 2, cells.y0), cells.y1 - 1})
    for (const std::int64_t x :
         {cells.x0, std::min(cells.x0 + 1, cells.x1 - 1), std::max(cells.x1 - 2, cells.x0), cells.x1 - 1}) {
      const Point p = corner(x, y);
      x0 = std::min(x0, p.x);
      y0 = std::min(y0, p.y);
      x1 = std::max(x1, p.x + tile_width_);
      y1 = std::max(y1, p.y + tile_height_);
    }
  return {x0, y0, x1 - x0, y1 - y0};
}

std::vector<DrawCommand> draw_list(const map::World& world, const TileArt& art, const CellReader& cells,
                                   const map::Rect& view) {
  return Lister(world, art, cells, view).run();
}

}  // namespace terrazzo::render
