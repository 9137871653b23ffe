// A picture is drawn in parts: that does not show, and what a part takes is bounded by its size.
#include <gtest/gtest.h>

#include <cstdio>
#include <ostream>

#include "client-lib/src/render/grid.h"
#include "client-lib/src/render/picture.h"
#include "memory_meter.h"
#include "painted_world.h"

namespace terrazzo::render {
namespace {

using map::Orientation;
constexpr std::int64_t kMiB = 1 << 20;

struct Shape {
  const char* name;
  Orientation orientation;
  std::string extra;
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.name;
}

std::vector<Shape> shapes() {
  return {{"orthogonal", Orientation::orthogonal, ""},
          {"orthogonal_left_up", Orientation::orthogonal, R"({"renderorder":"left-up"})"},
          {"isometric", Orientation::isometric, ""},
          {"staggered_x", Orientation::staggered, R"({"staggeraxis":"x","staggerindex":"even"})"},
          {"staggered_y", Orientation::staggered, R"({"staggeraxis":"y"})"},
          {"hexagonal_x", Orientation::hexagonal, R"({"staggeraxis":"x","hexsidelength":3})"},
          {"hexagonal_y", Orientation::hexagonal, R"({"staggeraxis":"y","hexsidelength":4})"}};
}

// Tiles that reach far out of their cells in all the ways they can, over layers that are moved.
class Reaching : public PaintedWorld {
 public:
  Reaching(const Shape& shape, std::uint64_t seed) : PaintedWorld(seed) {
    world.orientation = shape.orientation;
    world.extra = shape.extra;
    world.tile_width = static_cast<std::uint32_t>(pick(5, 12));
    world.tile_height = static_cast<std::uint32_t>(pick(5, 12));
    add_tileset(4, 37);                                        // tall
    add_tileset(41, 3);                                        // wide
    add_tileset(3, 3).draw_offset_x = -29;                     // moved
    add_tileset(6, 7).draw_offset_y = 31;                      //
    add_tileset(3, 8).extra = R"({"tilerendersize":"grid"})";  // smaller than the cell, turned by its sides
    add_tileset(9, 2).extra = R"({"tilerendersize":"grid","fillmode":"preserve-aspect-fit"})";
    // A collection whose pictures are larger than the world says.
    map::Tileset& collection = world.tilesets.emplace_back();
    collection.first_tile = world.tile_end();
    collection.tile_count = 1;
    collection.images.push_back({0, {add_picture(23, 28), "larger.png", 1, 1}});
    add_layer(map::LayerKind::tile);
    map::Layer& moved = add_layer(map::LayerKind::tile);
    moved.offset_x = -33.3f;
    moved.offset_y = 17.5f;
    moved.opacity = 0.6f;
    map::Layer& objects = add_layer(map::LayerKind::object);
    objects.extra = R"({"objects":[{"gid":1,"x":0.1,"y":20.7,"width":50,"height":30,"rotation":33.3},
                                   {"gid":2147483651,"x":31.2,"y":-9.1,"width":4.6,"height":37.4,"rotation":-90},
                                   {"gid":536870914,"x":12.3,"y":9.4,"width":40,"height":37}]})";
    map::Layer& picture = add_layer(map::LayerKind::image);
    picture.extra = R"({"image":"p.png","repeatx":true,"image_hash":")" + add_picture(13, 11) + R"("})";
    picture.opacity = 0.3f;
    picture.offset_y = -7;
    paint(map::Rect::of_size(-12, -12, 24, 24));
  }
};

class Parts : public testing::TestWithParam<Shape> {};

TEST_P(Parts, AreTheSameAsThatPieceOfALargerPicture) {
  const std::uint64_t first = std::random_device{}();
  std::size_t seen = 0;
  for (std::uint64_t seed = first; seed < first + 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Reaching painted(GetParam(), seed);
    // Where a picture is translucent, a colour that is one off may be far off after it is divided by alpha.
    std::string& extra = painted.world.extra;
    extra = (extra.empty() ? "{" : extra.substr(0, extra.size() - 1) + ",") + R"("backgroundcolor":"#000000"})";
    const TileArt art = painted.art();
    // Everything that is painted lies deep inside of the large view; it is drawn at once.
    const map::Rect large = map::Rect::of_size(-40, -40, 80, 80);
    const Result<Image> whole = draw_in_parts(painted.world, art, painted.reader(), {large, 1}, 1 << 26);
    ASSERT_TRUE(whole.ok()) << whole.error().message;
    for (const std::uint64_t part_pixels : {1, 90, 1000, 5000}) {
      const map::Rect view =
          map::Rect::of_size(painted.pick(-12, 6), painted.pick(-12, 6), painted.pick(1, 7), painted.pick(1, 7));
      const Result<Image> piece = draw_in_parts(painted.world, art, painted.reader(), {view, 1}, part_pixels);
      ASSERT_TRUE(piece.ok()) << piece.error().message;
      const Grid::Box all = Grid(painted.world).box(large), part = Grid(painted.world).box(view);
      for (std::uint32_t y = 0; y < piece->height; ++y)
        for (std::uint32_t x = 0; x < piece->width * 4; ++x) {
          const std::size_t there = (static_cast<std::size_t>(part.y - all.y) + y) * whole->width * 4 +
                                    static_cast<std::size_t>(part.x - all.x) * 4 + x;
          const std::uint8_t here = piece->rgba[std::size_t{y} * piece->width * 4 + x];
          seen += here != 0 && here != 255;
          // Turned pictures are reckoned from the view's corner, and may be rounded otherwise from another one.
          ASSERT_NEAR(here, whole->rgba[there], 3) << "pixel " << x / 4 << "," << y << " in parts of " << part_pixels;
        }
    }
  }
  EXPECT_GT(seen, 1000u) << "first seed " << first;
}

TEST_P(Parts, DoNotShowAtAnyScale) {
  const std::uint64_t first = std::random_device{}();
  for (std::uint64_t seed = first; seed < first + 2; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Reaching painted(GetParam(), seed);
    const TileArt art = painted.art();
    const map::Rect view = map::Rect::of_size(-9, -9, 18, 18);
    for (const double scale : {0.01, 0.13, 0.5, 1.0, 2.7}) {
      const Result<Image> whole = draw_in_parts(painted.world, art, painted.reader(), {view, scale}, 1 << 26);
      ASSERT_TRUE(whole.ok()) << whole.error().message;
      for (const std::uint64_t part_pixels : {1, 300, 4000}) {
        if (part_pixels == 1 && scale > 0.5) continue;  // the test above has it
        const Result<Image> parts = draw_in_parts(painted.world, art, painted.reader(), {view, scale}, part_pixels);
        ASSERT_TRUE(parts.ok()) << parts.error().message;
        EXPECT_TRUE(parts->rgba == whole->rgba) << "parts of " << part_pixels << " at " << scale;
      }
    }
  }
}

TEST_P(Parts, AreNotDrawnFromCellsThatNobodyWasToldOf) {
  Reaching painted(GetParam(), 5);
  const TileArt art = painted.art();
  const View view{map::Rect::of_size(-3, -3, 5, 5), 1};
  const CellReader reader = painted.reader();
  for (const map::Layer& layer : painted.world.layers) {
    const map::Rect told = cells_shown(painted.world, art, layer, view);
    EXPECT_EQ(told.empty(), layer.kind != map::LayerKind::tile);
    const Result<Image> image = draw(
        painted.world, art,
        [&](map::LayerId asked, const map::Rect& rect, std::span<map::Cell> out) {
          if (asked == layer.id) {
            EXPECT_TRUE(told.contains(rect));
          }
          reader(asked, rect, out);
        },
        view);
    ASSERT_TRUE(image.ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Parts, testing::ValuesIn(shapes()),
                         [](const auto& shape) { return std::string(shape.param.name); });

// What drawing allocates above the picture, and how many cells it reads.
struct Cost {
  std::int64_t bytes;
  std::uint64_t cells;
};

Cost cost_of(const PaintedWorld& painted, const View& view) {
  const TileArt art = painted.art();
  const CellReader reader = painted.reader();
  painted.cells_read = 0;
  const MemoryMeter meter;
  const Result<Image> image = draw(painted.world, art, reader, view);
  EXPECT_TRUE(image.ok()) << image.error().message;
  return {meter.most() - static_cast<std::int64_t>(image->rgba.size()), painted.cells_read};
}

TEST(PartCost, OfIsometricTilesThatReachFarIsTheCellsThatReachNotTheSquareAroundThem) {
  PaintedWorld painted(1);
  painted.world.orientation = Orientation::isometric;
  painted.world.tile_width = 4;
  painted.world.tile_height = 2;
  painted.add_tileset(8, 4096);
  painted.add_layer(map::LayerKind::tile);
  const Cost cost = cost_of(painted, {map::Rect::of_size(0, 0, 1, 1), 1});
  // Tiles may be turned, so that their cells lie in 4096 × 4096 pixels to the left and below; each has 4 of those.
  EXPECT_LT(cost.cells, 4096u * 4096 / 4 * 11 / 10);
  EXPECT_GT(cost.cells, 4096u * 4096 / 4);
  EXPECT_LT(cost.bytes, 24 * kMiB);
}

TEST(PartCost, OfALargePictureIsThatOfAPart) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(shape.name);
    PaintedWorld painted(2);
    painted.world.orientation = shape.orientation;
    painted.world.extra = shape.extra;
    painted.world.tile_width = 4;
    painted.world.tile_height = 8;
    painted.add_tileset(4, 8);
    painted.add_layer(map::LayerKind::tile);
    painted.paint(map::Rect::of_size(0, 0, 3, 3));
    const map::Rect view = map::Rect::of_size(0, 0, 2000, 1500);
    const Cost cost = cost_of(painted, {view, 0.03});
    EXPECT_LT(cost.bytes, 24 * kMiB);
    // The corners of an isometric picture show as many cells again; a few lie at the edges of parts.
    EXPECT_LT(cost.cells, view.area() * (shape.orientation == Orientation::isometric ? 5 : 2));
    EXPECT_GE(cost.cells, view.area());
  }
}

TEST(PartCost, OfAWideWorldAtASmallScaleIsNoWholeRowOfItsPixels) {
  PaintedWorld painted(3);
  painted.world.tile_width = painted.world.tile_height = 64;
  painted.add_tileset(64, 64);
  painted.add_layer(map::LayerKind::tile);
  painted.paint(map::Rect::of_size(0, 0, 2, 2));
  // A row of 6,400,000 pixels; 64 of them are one row of the picture.
  const View view{map::Rect::of_size(0, 0, 100'000, 300), 1.0 / 64};
  const Cost cost = cost_of(painted, view);
  EXPECT_LT(cost.bytes, 24 * kMiB);
  EXPECT_LT(cost.cells, view.cells.area() * 5 / 4);
}

}  // namespace
}  // namespace terrazzo::render
