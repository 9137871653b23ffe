#include "client-lib/src/render/draw_list.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>
#include <vector>

#include "client-lib/src/render/grid.h"
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
  // Pictures that far away are not seen; positions stay exact, whatever a file says.
  constexpr double kFar = 1e9;
  for (double* offset : {&look.offset_x, &look.offset_y})
    *offset = std::isfinite(*offset) ? std::clamp(*offset, -kFar, kFar) : 0;
  return look;
}

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

class Lister {
 public:
  Lister(const map::World& world, const TileArt& art, const CellReader& cells, const map::Rect& view, Band band,
         const std::function<void(const DrawCommand&)>& put)
      : world_(world), art_(art), cells_(cells), put_(put), grid_(world), box_(grid_.box(view)) {
    box_.y += band.y;
    box_.height = band.height;
  }

  void run() {
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
  }

 private:
  // How far a tile's picture may reach out of its cell, in pixels.
  std::int64_t overhang() const {
    std::int64_t most = 0;
    for (const map::Tileset& set : world_.tilesets) {
      std::int64_t width = set.tile_width, height = set.tile_height;
      for (const map::CollectionTile& tile : set.images) {
        width = std::max<std::int64_t>(width, tile.image.width);
        height = std::max<std::int64_t>(height, tile.image.height);
      }
      const std::int64_t moved =
          std::max(std::abs(std::int64_t{set.draw_offset_x}), std::abs(std::int64_t{set.draw_offset_y}));
      // A tile may be turned, so that its width reaches up.
      most = std::max(most, std::max(width, height) + moved);
    }
    return std::min<std::int64_t>(most, 1 << 16);
  }
  // The pixels where cells of the layer must lie for their pictures to reach into the band.
  Grid::Box in_reach(const Look& look) const {
    const std::int64_t around = overhang() + 1;
    return {box_.x - static_cast<std::int64_t>(std::floor(look.offset_x)) - around,
            box_.y - static_cast<std::int64_t>(std::floor(look.offset_y)) - around, box_.width + 2 * around,
            box_.height + 2 * around};
  }

  void tiles(const map::Layer& layer, const Look& look) {
    const Grid::Box pixels = in_reach(look);
    const map::Rect area = grid_.cells_in(pixels).intersect(world_.area());
    if (area.empty()) return;
    if (grid_.tile_order() == TileOrder::diagonals) return diagonals(layer, area, grid_.diagonals(pixels), look);
    const bool halves = grid_.tile_order() == TileOrder::rows_in_halves;
    std::vector<map::Cell> row(static_cast<std::size_t>(area.width()));
    for (std::int64_t i = 0; i < area.height(); ++i) {
      const std::int64_t y = grid_.upwards() ? area.y1 - 1 - i : area.y0 + i;
      cells_(layer.id, {area.x0, y, area.x1, y + 1}, row);
      for (int half = 0; half < (halves ? 2 : 1); ++half)
        for (std::int64_t j = 0; j < area.width(); ++j) {
          const std::int64_t x = grid_.leftwards() ? area.x1 - 1 - j : area.x0 + j;
          if (!halves || grid_.shifted(x) == (half == 1)) tile(row[static_cast<std::size_t>(x - area.x0)], x, y, look);
        }
    }
  }
  // The cells between two diagonals, the rows of an isometric screen, read a row of cells at a time.
  void diagonals(const map::Layer& layer, const map::Rect& area, Grid::Range sums, const Look& look) {
    struct Row {
      std::int64_t x = 0;  // of the first cell
      std::vector<map::Cell> cells;
    };
    std::vector<Row> rows(static_cast<std::size_t>(area.height()));
    for (std::int64_t y = area.y0; y < area.y1; ++y) {
      const std::int64_t x0 = std::max(area.x0, sums.first - y), x1 = std::min(area.x1, sums.last - y + 1);
      if (x0 >= x1) continue;
      Row& row = rows[static_cast<std::size_t>(y - area.y0)];
      row.x = x0;
      row.cells.resize(static_cast<std::size_t>(x1 - x0));
      cells_(layer.id, {x0, y, x1, y + 1}, row.cells);
    }
    for (std::int64_t sum = sums.first; sum <= sums.last; ++sum)
      for (std::int64_t x = std::max(area.x0, sum - area.y1 + 1); x <= std::min(area.x1 - 1, sum - area.y0); ++x) {
        const Row& row = rows[static_cast<std::size_t>(sum - x - area.y0)];
        tile(row.cells[static_cast<std::size_t>(x - row.x)], x, sum - x, look);
      }
  }
  void tile(map::Cell cell, std::int64_t x, std::int64_t y, const Look& look) {
    if (cell.empty()) return;
    const Sprite sprite = art_.sprite(cell.tile());
    if (sprite.image == nullptr) return;
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
    put(standing(sprite, cell, grid_, left, bottom, width, height, look));
  }

  void image(const map::Layer& layer, const Look& look) {
    const Image* picture = art_.layer_image(layer.id);
    if (picture == nullptr) return;
    const Json extra = formats::extra_object(layer.extra);
    DrawCommand c;
    c.sprite.image = picture;
    c.sprite.width = picture->width;
    c.sprite.height = picture->height;
    c.width = picture->width;
    c.height = picture->height;
    c.center_x = look.offset_x - static_cast<double>(box_.x) + c.width / 2;
    c.center_y = look.offset_y - static_cast<double>(box_.y) + c.height / 2;
    c.repeat_x = is_true(extra, "repeatx");
    c.repeat_y = is_true(extra, "repeaty");
    c.opacity = look.opacity;
    c.tint = look.tint;
    put(c);
  }

  void objects(const map::Layer& layer, const Look& look) {
    const Json extra = formats::extra_object(layer.extra);
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
    for (const Json* object : shown) tile_object(*object, look);
  }
  void tile_object(const Json& object, const Look& look) {
    const map::Cell cell{object["gid"].get<std::uint32_t>()};
    const Sprite sprite = art_.sprite(cell.tile());
    const double width = number(object, "width", sprite.width), height = number(object, "height", sprite.height);
    const double x = number(object, "x", 0), y = number(object, "y", 0), angle = number(object, "rotation", 0);
    // Objects come from outside; what lies beyond these sizes would not be a picture any more.
    const bool sound = width > 0 && height > 0 && width < 1e5 && height < 1e5 && std::abs(x) < 1e12 &&
                       std::abs(y) < 1e12 && std::abs(angle) < 1e6;
    if (sprite.image == nullptr || !sound) return;
    Grid::Position at = grid_.object(x, y);
    at.x += look.offset_x - static_cast<double>(box_.x);
    at.y += look.offset_y - static_cast<double>(box_.y);
    const bool given = sprite.anchor_x >= 0;
    const double anchor_x = given ? sprite.anchor_x : grid_.isometric() ? 0.5 : 0;
    const double anchor_y = given ? sprite.anchor_y : 1;
    const bool turned = !grid_.hexagonal() && (cell.bits & map::Cell::kFlipDiagonal) != 0;
    DrawCommand c = standing(sprite, cell, grid_, at.x - anchor_x * width, at.y + (1 - anchor_y) * height,
                             turned ? height : width, turned ? width : height, look);
    if (angle != 0) rotate(c, angle, at);
    put(c);
  }

  void put(const DrawCommand& c) {
    if (c.repeat_x || c.repeat_y) return put_(c);
    // Rotated pictures reach as far as their diagonal.
    const double half = c.angle == 0 ? 0 : std::hypot(c.width, c.height) / 2;
    const double half_x = std::max(half, c.width / 2), half_y = std::max(half, c.height / 2);
    if (c.center_x - half_x < static_cast<double>(box_.width) + 1 && c.center_x + half_x > -1 &&
        c.center_y - half_y < static_cast<double>(box_.height) + 1 && c.center_y + half_y > -1)
      put_(c);
  }

  const map::World& world_;
  const TileArt& art_;
  const CellReader& cells_;
  const std::function<void(const DrawCommand&)>& put_;
  const Grid grid_;
  Grid::Box box_;  // the pixels of the band
};

}  // namespace

void draw_list(const map::World& world, const TileArt& art, const CellReader& cells, const map::Rect& view, Band band,
               const std::function<void(const DrawCommand&)>& put) {
  Lister(world, art, cells, view, band, put).run();
}

}  // namespace terrazzo::render
