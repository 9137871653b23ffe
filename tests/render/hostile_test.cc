// Worlds whose every number is as bad as it can be: nothing crashes, memory stays that of a part, and what comes out is
// a picture of the right size or an error that says why. TERRAZZO_RENDER_SEED and TERRAZZO_RENDER_STEPS replay a run or
// make it longer.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <limits>

#include "client-lib/src/render/grid.h"
#include "memory_meter.h"
#include "painted_world.h"

namespace terrazzo::render {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* value = std::getenv(name);
  return value == nullptr ? fallback : std::strtoull(value, nullptr, 10);
}

class HostileWorld : public PaintedWorld {
 public:
  explicit HostileWorld(std::uint64_t seed) : PaintedWorld(seed) {
    using map::Orientation;
    world.orientation =
        any({Orientation::orthogonal, Orientation::isometric, Orientation::staggered, Orientation::hexagonal});
    for (std::uint32_t* size : {&world.tile_width, &world.tile_height})
      *size = one_of(9) ? any<std::uint32_t>({0, 65537, 1'000'000'000, UINT32_MAX})
                        : any<std::uint32_t>({1, 2, 7, 64, 300});
    world.extra =
        std::string(any({R"({)", R"({"staggeraxis":"x",)", R"({"staggeraxis":7,"staggerindex":"even",)"})) +
        any({R"("hexsidelength":1e300)", R"("hexsidelength":-5)", R"("hexsidelength":"x")", R"("hexsidelength":6)",
             R"("backgroundcolor":"#zz")", R"("backgroundcolor":"#12345678")", R"("renderorder":"left-up")"}) +
        "}";
    if (one_of(9)) world.extra = any({"", "null", "[1", "{\"a\":"});
    if (!one_of(3)) world.bounds = bounds();
    for (std::int64_t n = pick(0, 4); n > 0; --n) add_hostile_tileset();
    for (std::int64_t n = pick(0, 6); n > 0; --n) add_hostile_layer();
  }

  // Cells of the rectangles that are asked for, which must be possible ones.
  CellReader any_cells() {
    return [this](map::LayerId, const map::Rect& rect, std::span<map::Cell> out) {
      ASSERT_FALSE(rect.empty());
      ASSERT_TRUE(map::kPlane.contains(rect));
      ASSERT_EQ(rect.area(), out.size());
      for (map::Cell& cell : out)
        cell.bits = random() % 4 == 0 ? static_cast<std::uint32_t>(random()) : static_cast<std::uint32_t>(random() % 6);
    };
  }

  View view() {
    View view{map::Rect::of_size(pick(-20, 20), pick(-20, 20), pick(1, 9), pick(1, 9)), any({1.0, 0.3, 2.5, 0.001})};
    constexpr std::int64_t far = std::int64_t{1} << 31;
    if (one_of(6)) view.cells = map::Rect::of_size(any({-far, far - 2}), any({-far, far - 2}), 2, 2);
    if (one_of(12))
      view.cells = any<map::Rect>({{},
                                   {5, 5, 1, 1},
                                   {far, 0, far + 1, 1},
                                   {INT64_MIN, 0, INT64_MAX, 1},
                                   map::kPlane,
                                   {INT64_MAX - 1, INT64_MAX - 1, INT64_MAX, INT64_MAX}});
    if (one_of(8)) view.scale = any({0.0, -1.0, kNan, kInfinity, 1e-300, 1e300});
    return view;
  }

  bool one_of(std::int64_t count) { return pick(1, count) == 1; }
  template <typename T>
  T any(std::initializer_list<T> list) {
    return list.begin()[pick(0, std::ssize(list) - 1)];
  }

 private:
  map::Rect bounds() {
    return any<map::Rect>(
        {{-30, -30, 30, 30}, {0, 0, 1, 1}, {9, 9, 2, 2}, {INT64_MIN, INT64_MIN, INT64_MAX, INT64_MAX}});
  }
  std::int32_t draw_offset() {
    // Where the world has no end, very many cells can be moved into view by less than kTileReachMax.
    const bool small = world.area().width() < 100;
    return small ? any({0, 5, -60'000, 60'000, INT32_MIN, INT32_MAX}) : any({0, -5, 70'000, INT32_MIN, INT32_MAX});
  }
  void add_hostile_tileset() {
    map::Tileset& set = add_tileset(any({1u, 3u, 16u}), any({1u, 5u, 40u}));
    constexpr std::uint32_t most = UINT32_MAX;
    if (one_of(4)) set.first_tile = any({0u, 1u, 1u << 28, most});
    if (one_of(3)) set.tile_count = any({0u, 1000u, most});
    if (one_of(4)) set.tile_width = any({0u, 1u, 1'000'000'000u, most});
    if (one_of(4)) set.tile_height = any({0u, 1u, 1'000'000'000u, most});
    if (one_of(4)) set.columns = any({0u, 1u, most});
    if (one_of(6)) set.margin = any({1u, 1u << 31, most});
    if (one_of(6)) set.spacing = any({1u, 1u << 31, most});
    set.draw_offset_x = draw_offset();
    set.draw_offset_y = draw_offset();
    if (one_of(3)) set.images.push_back({any({0u, most}), {add_picture(9, 14), "p.png", any({0u, most}), 0}});
    if (one_of(6)) set.images.push_back({0, {"0123", "gone.png", 1, 1}});
    set.extra =
        any({"", "7", R"({"tilerendersize":"grid"})", R"({"tilerendersize":"grid","fillmode":"preserve-aspect-fit"})",
             R"({"tiles":[{"id":0,"animation":[{"tileid":4294967295}]},{"id":1,"animation":[{"tileid":-1}]},7]})",
             R"({"tiles":{"a":1},"objectalignment":"bottomright","transparentcolor":"#xyz"})"});
  }
  std::string object() {
    const std::initializer_list<const char*> numbers = {"0",      "-3.5",  "1e12",  "-1e300", "2147483648",
                                                        "1e-300", "99999", "\"7\"", "null"};
    return std::string(R"({"gid":)") + any({"1", "2", "3", "4294967295", "-1", "18446744073709551615", "2684354561"}) +
           R"(,"x":)" + any(numbers) + R"(,"y":)" + any(numbers) + R"(,"width":)" + any(numbers) + R"(,"height":)" +
           any(numbers) + R"(,"rotation":)" + any({"0", "45", "-90.0001", "999999", "1e300", "null"}) + "}";
  }
  void add_hostile_layer() {
    map::Layer& layer = add_layer(any({map::LayerKind::tile, map::LayerKind::tile, map::LayerKind::object,
                                       map::LayerKind::image, map::LayerKind::group}));
    if (one_of(6)) layer.id = 1;
    if (one_of(3)) layer.parent = static_cast<map::LayerId>(pick(0, 7));  // maybe itself, or one that is in this one
    layer.opacity = any({1.0f, 0.5f, -1.0f, 1e30f, static_cast<float>(kNan)});
    layer.tint = static_cast<std::uint32_t>(random());
    for (float* offset : {&layer.offset_x, &layer.offset_y})
      *offset =
          any({0.0f, 0.0f, -7.3f, 2147483648.0f, -1e38f, static_cast<float>(kInfinity), static_cast<float>(kNan)});
    layer.extra = std::string(R"({"objects":[null,)") + object() + "," + object() + "," + object() +
                  R"(],"draworder":)" + any({"7", "\"index\"", "\"topdown\""}) + R"(,"image":"p.png","image_hash":")" +
                  add_picture(5, 4) + R"(","repeatx":)" + any({"true", "false", "7"}) + R"(,"repeaty":)" +
                  any({"true", "false", "[]"}) + "}";
    if (one_of(9)) layer.extra = any({"", "[]", "{\"objects\":5}", "{\"objects\":[[[[", "\"\\ud800\""});
  }
};

TEST(Hostile, WorldsGiveAPictureOrAnErrorAndTakeLittleMemory) {
  const std::uint64_t first = from_environment("TERRAZZO_RENDER_SEED", std::random_device{}());
  const std::uint64_t steps = from_environment("TERRAZZO_RENDER_STEPS", 60);
  RecordProperty("seed", std::to_string(first));
  std::uint64_t pictures = 0, empty = 0;
  for (std::uint64_t seed = first; seed < first + steps && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("TERRAZZO_RENDER_SEED=" + std::to_string(seed) + " TERRAZZO_RENDER_STEPS=1");
    HostileWorld hostile(seed);
    const TileArt art = hostile.art();
    const CellReader cells = hostile.any_cells();
    for (int n = 0; n < 3; ++n) {
      const View view = hostile.view();
      const MemoryMeter meter;
      const Result<Image> image = draw(hostile.world, art, cells, view);
      const std::int64_t most = meter.most();
      if (!image) {
        EXPECT_FALSE(image.error().message.empty());
        EXPECT_LT(most, kMiB) << "spent on " << image.error().message;
        continue;
      }
      ++pictures;
      empty += std::ranges::all_of(image->rgba, [](std::uint8_t byte) { return byte == 0; }) ? 1u : 0u;
      EXPECT_GT(view.scale, 0);
      EXPECT_LE(std::uint64_t{image->width} * image->height, kPixelsMax);
      EXPECT_EQ(image->rgba.size(), std::size_t{image->width} * image->height * 4);
      // A pixel's art is held whole, however much it is.
      const Grid::Box art_box = Grid(hostile.world).box(view.cells);
      const std::int64_t of_pixel = 4 * (art_box.width / image->width + 1) * (art_box.height / image->height + 1);
      EXPECT_LT(most - static_cast<std::int64_t>(image->rgba.size()), 40 * kMiB + of_pixel);
      for (const map::Layer& layer : hostile.world.layers)
        EXPECT_TRUE(map::kPlane.contains(cells_shown(hostile.world, art, layer, view)));
    }
    for (int n = 0; n < 20; ++n) art.mean_color(static_cast<std::uint32_t>(hostile.random()));
  }
  // Of so many worlds some are drawable, and not all of those blank; on average it is two pictures a world, one of five
  // not blank.
  if (steps >= 50) {
    EXPECT_GT(pictures, steps / 2);
    EXPECT_LT(empty, pictures);
  }
}

TEST(Hostile, DamagedPicturesTakeNoMoreMemoryThanTheirBytesCanHold) {
  const std::uint64_t seed = from_environment("TERRAZZO_RENDER_SEED", std::random_device{}());
  SCOPED_TRACE("TERRAZZO_RENDER_SEED=" + std::to_string(seed));
  PaintedWorld painted(seed);
  const std::string png = *encode_png({17, 13, std::vector<std::uint8_t>(17 * 13 * 4, 90)});
  // Deflate's 1032 bytes for one, eight pixels in each, of four bytes; and what the decoder needs itself.
  const std::int64_t bytes_max = std::ssize(png) * 1032 * 8 * 4 + kMiB;
  std::uint64_t pictures = 0;
  for (int step = 0; step < 3000; ++step) {
    std::string damaged = png;
    // Mostly where the size is.
    for (std::int64_t n = painted.pick(1, 4); n > 0; --n)
      damaged[static_cast<std::size_t>(painted.pick(8, painted.pick(0, 1) == 0 ? 28 : std::ssize(png) - 1))] =
          static_cast<char>(painted.pick(0, 255));
    const MemoryMeter meter;
    const Result<Image> decoded = decode_png(damaged);
    EXPECT_LT(meter.most(), bytes_max);
    if (!decoded) continue;
    ++pictures;
    EXPECT_EQ(decoded->rgba.size(), std::size_t{decoded->width} * decoded->height * 4);
  }
  EXPECT_GT(pictures, 0u) << "damage that does not matter is passed over";
}

}  // namespace
}  // namespace terrazzo::render
