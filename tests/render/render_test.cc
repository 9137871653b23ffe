#include "terrazzo/render.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "client-lib/src/render/picture.h"
#include "map/formats/sha256.h"

namespace terrazzo::render {
namespace {

// A sheet of two tiles of 2×2 pixels: the first is red, green / blue, white; the second is half transparent red.
Image sheet() {
  Image image{4, 2, {}};
  const std::uint8_t pixels[8][4] = {{255, 0, 0, 255}, {0, 255, 0, 255},     {255, 0, 0, 128}, {255, 0, 0, 128},
                                     {0, 0, 255, 255}, {255, 255, 255, 255}, {255, 0, 0, 128}, {255, 0, 0, 128}};
  for (const auto& pixel : pixels) image.rgba.insert(image.rgba.end(), pixel, pixel + 4);
  return image;
}

struct Fixture {
  map::World world;
  std::string png = *encode_png(sheet());
  std::map<std::pair<std::int64_t, std::int64_t>, map::Cell> cells;

  Fixture() {
    world.tile_width = world.tile_height = 2;
    world.bounds = map::Rect::of_size(0, 0, 8, 8);
    world.layers.push_back({});
    world.tilesets.push_back({});
    map::Tileset& set = world.tilesets[0];
    set.tile_count = 2;
    set.columns = 2;
    set.tile_width = set.tile_height = 2;
    set.image = {formats::sha256_hex(png), "sheet.png", 4, 2};
  }
  TileArt art() const {
    return TileArt::load(world, [this](const map::Asset&) -> Result<std::string> { return png; });
  }
  CellReader reader() const {
    return [this](map::LayerId, const map::Rect& rect, std::span<map::Cell> out) {
      std::size_t i = 0;
      for (std::int64_t y = rect.y0; y < rect.y1; ++y)
        for (std::int64_t x = rect.x0; x < rect.x1; ++x) {
          const auto found = cells.find({x, y});
          out[i++] = found == cells.end() ? map::Cell{} : found->second;
        }
    };
  }
  Image drawn(const map::Rect& view, double scale = 1) const {
    const Result<Image> image = draw(world, art(), reader(), {view, scale});
    EXPECT_TRUE(image.ok()) << image.error().message;
    return *image;
  }
};

std::uint32_t pixel(const Image& image, std::uint32_t x, std::uint32_t y) {
  const std::uint8_t* p = image.rgba.data() + (std::size_t{y} * image.width + x) * 4;
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
}

constexpr std::uint32_t kRed = 0xFF0000FF, kGreen = 0x00FF00FF, kBlue = 0x0000FFFF, kWhite = 0xFFFFFFFF;

TEST(Png, ComesBack) {
  const Result<Image> back = decode_png(*encode_png(sheet()));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->rgba, sheet().rgba);
  const std::string png = *encode_png(sheet());
  for (std::size_t size = 0; size < png.size() - 16; ++size)
    EXPECT_FALSE(decode_png(std::string_view(png).substr(0, size)).ok()) << size;
  EXPECT_EQ(decode_png("GIF89a").error().code, ErrorCode::bad_message);
  EXPECT_EQ(decode_png("\xFF\xD8\xFF\xE0").error().code, ErrorCode::unsupported);
}

struct Flip {
  std::uint32_t bits;
  std::uint32_t corners[4];  // upper left, upper right, lower left, lower right
};

TEST(Draw, FlipsAreTiledsFlips) {
  using C = map::Cell;
  const Flip flips[] = {
      {0, {kRed, kGreen, kBlue, kWhite}},
      {C::kFlipHorizontal, {kGreen, kRed, kWhite, kBlue}},
      {C::kFlipVertical, {kBlue, kWhite, kRed, kGreen}},
      {C::kFlipDiagonal, {kRed, kBlue, kGreen, kWhite}},
      {C::kFlipDiagonal | C::kFlipHorizontal, {kBlue, kRed, kWhite, kGreen}},  // a quarter turn to the right
      {C::kFlipHorizontal | C::kFlipVertical, {kWhite, kBlue, kGreen, kRed}}};
  for (const Flip& flip : flips) {
    Fixture f;
    f.cells[{1, 1}] = C{1 | flip.bits};
    const Image image = f.drawn(map::Rect::of_size(1, 1, 1, 1));
    for (std::uint32_t i = 0; i < 4; ++i)
      EXPECT_EQ(pixel(image, i % 2, i / 2), flip.corners[i]) << std::hex << flip.bits << " corner " << i;
  }
}

TEST(Draw, NothingIsTransparentAndLayersLieOnEachOther) {
  Fixture f;
  f.cells[{0, 0}] = map::Cell{2};
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 2, 1)), 3, 0), 0u);
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 2, 1)), 0, 0), 0xFF000080u);
  f.world.extra = R"({"backgroundcolor":"#0000ff"})";
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 2, 1)), 0, 0), 0x80007FFFu);
}

TEST(Draw, OpacityAndTintOfGroupsMultiply) {
  Fixture f;
  f.cells[{0, 0}] = map::Cell{1};
  f.world.layers[0].parent = map::LayerId{5};
  f.world.layers[0].opacity = 0.5f;
  f.world.layers[0].offset_x = 2;
  map::Layer group;
  group.id = 5;
  group.kind = map::LayerKind::group;
  group.tint = 0xFF808080;
  f.world.layers.insert(f.world.layers.begin(), group);
  const Image image = f.drawn(map::Rect::of_size(0, 0, 2, 1));
  EXPECT_EQ(pixel(image, 0, 0), 0u);  // moved by the offset
  const std::uint32_t red = pixel(image, 2, 0);
  EXPECT_EQ(red & 0xFF, 128u);
  EXPECT_NEAR(static_cast<int>(red >> 24), 128, 1);
  f.world.layers[0].visible = false;
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 2, 1)), 2, 0), 0u);
}

// Puts tiles of one colour on two cells whose pictures overlap: which one lies in front says what was drawn last.
struct Overlap : Fixture {
  Overlap(map::Orientation orientation, const std::string& extra) {
    // Twice as high and wide as a cell, so that it reaches over its neighbours to the right and above.
    world.tile_width = world.tile_height = 2;
    world.orientation = orientation;
    world.extra = extra;
    Image image{8, 4, {}};
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 8; ++x)
        for (const int value : {x < 4 ? 255 : 0, x < 4 ? 0 : 255, 0, 255})
          image.rgba.push_back(static_cast<std::uint8_t>(value));
    png = *encode_png(image);
    world.tilesets[0].tile_width = world.tilesets[0].tile_height = 4;
  }
  // The colours that are seen of red at `red` and green at `green`: their pictures cover each other partly.
  std::pair<std::size_t, std::size_t> seen(std::pair<int, int> red, std::pair<int, int> green) {
    cells = {{red, map::Cell{1}}, {green, map::Cell{2}}};
    const Image image = drawn(map::Rect::of_size(-4, -4, 12, 12));
    std::pair<std::size_t, std::size_t> count;
    for (std::uint32_t y = 0; y < image.height; ++y)
      for (std::uint32_t x = 0; x < image.width; ++x) {
        count.first += pixel(image, x, y) == kRed;
        count.second += pixel(image, x, y) == kGreen;
      }
    return count;
  }
};

TEST(Draw, RenderOrderSaysWhichTileIsInFront) {
  using map::Orientation;
  const std::pair<std::size_t, std::size_t> red_in_front{16, 8}, green_in_front{8, 16};
  Overlap plain(Orientation::orthogonal, "");
  EXPECT_EQ(plain.seen({1, 1}, {2, 1}), green_in_front);
  EXPECT_EQ(plain.seen({1, 1}, {1, 2}), green_in_front);
  Overlap left_up(Orientation::orthogonal, R"({"renderorder":"left-up"})");
  EXPECT_EQ(left_up.seen({1, 1}, {2, 1}), red_in_front);
  EXPECT_EQ(left_up.seen({1, 1}, {1, 2}), red_in_front);
}

TEST(Draw, RowsOfTheScreenAreDrawnFromTheTopWhereCellsAreStaggered) {
  using map::Orientation;
  // The column of odd cells is half a cell lower than the one to its right, and thus in front of it.
  Overlap staggered(Orientation::staggered, R"({"staggeraxis":"x","staggerindex":"odd"})");
  const auto [red, green] = staggered.seen({1, 1}, {2, 1});
  EXPECT_EQ(red, 16u);
  EXPECT_LT(green, 16u);
  // (3, 0) is two rows of the screen below (0, 1), though its row of cells is above.
  Overlap isometric(Orientation::isometric, "");
  isometric.world.tile_width = 1;
  const auto [behind, in_front] = isometric.seen({0, 1}, {3, 0});
  EXPECT_EQ(in_front, 16u);
  EXPECT_LT(behind, 16u);
}

map::Layer layer_of(map::LayerKind kind, const std::string& extra) {
  map::Layer layer;
  layer.kind = kind;
  layer.extra = extra;
  return layer;
}

TEST(Draw, ObjectsAreRotatedAboutTheirPositionAndStretched) {
  Fixture f;
  const auto object = [&](const std::string& fields) {
    f.world.layers[0] =
        layer_of(map::LayerKind::object, R"({"objects":[{"gid":1,"x":4,"y":4,"width":2,"height":2)" + fields + "}]}");
    return f.drawn(map::Rect::of_size(0, 0, 4, 4));
  };
  EXPECT_EQ(pixel(object(""), 4, 2), kRed);  // it stands on its position
  const Image quarter = object(R"(,"rotation":90)");
  EXPECT_EQ(pixel(quarter, 4, 2), 0u);
  EXPECT_EQ(pixel(quarter, 4, 4), kBlue);
  EXPECT_EQ(pixel(quarter, 5, 4), kRed);
  EXPECT_EQ(pixel(quarter, 5, 5), kGreen);
  EXPECT_EQ(pixel(object(R"(,"rotation":-180)"), 2, 5), kGreen);
  EXPECT_EQ(pixel(object(R"(,"visible":false)"), 4, 2), 0u);
  f.world.tilesets[0].extra = R"({"objectalignment":"topleft"})";
  EXPECT_EQ(pixel(object(""), 4, 4), kRed);
  f.world.tilesets[0].extra = R"({"objectalignment":"center"})";
  EXPECT_EQ(pixel(object(""), 3, 3), kRed);
}

TEST(Draw, AnObjectFromAHostileFileDrawsNothing) {
  Fixture f;
  for (const char* fields : {R"("width":1e300)", R"("height":-4)", R"("x":1e300)", R"("rotation":1e300)",
                             R"("width":"wide")", R"("rotation":null)"}) {
    f.world.layers[0] =
        layer_of(map::LayerKind::object,
                 std::string(R"({"objects":[null,7,{"gid":-1},{"gid":1,"x":-90,"y":4,)") + fields + "}]}");
    const Image image = f.drawn(map::Rect::of_size(0, 0, 4, 4));
    EXPECT_TRUE(std::ranges::all_of(image.rgba, [](std::uint8_t byte) { return byte == 0; })) << fields;
  }
}

TEST(Draw, AnImageLayerRepeatsOverTheView) {
  Fixture f;
  f.world.layers[0] = layer_of(map::LayerKind::image, R"({"image":"sheet.png","image_hash":")" +
                                                          formats::sha256_hex(f.png) + R"(","repeatx":true})");
  f.world.layers[0].offset_x = 1;
  const Image image = f.drawn(map::Rect::of_size(0, 0, 5, 3));
  for (std::uint32_t x = 0; x < image.width; ++x) {
    EXPECT_EQ(pixel(image, x, 0) == kRed, x % 4 == 1) << x;
    EXPECT_EQ(pixel(image, x, 3), 0u) << x;
  }
}

TEST(Draw, TilesFillTheGridWhereTheirSetSaysSo) {
  Fixture f;
  f.world.tile_width = 8;
  f.world.tile_height = 4;
  f.cells[{0, 0}] = map::Cell{1};
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 1, 1)), 0, 0), 0u);
  f.world.tilesets[0].extra = R"({"tilerendersize":"grid"})";
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 1, 1)), 0, 0), kRed);
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 1, 1)), 7, 3), kWhite);
  f.world.tilesets[0].extra = R"({"tilerendersize":"grid","fillmode":"preserve-aspect-fit"})";
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 1, 1)), 1, 0), 0u);
  EXPECT_EQ(pixel(f.drawn(map::Rect::of_size(0, 0, 1, 1)), 2, 0), kRed);
}

TEST(Draw, ScalingDownTakesTheMeanAndUpRepeats) {
  Fixture f;
  f.cells[{0, 0}] = map::Cell{1};
  const Image small = f.drawn(map::Rect::of_size(0, 0, 1, 1), 0.5);
  ASSERT_EQ(small.width, 1u);
  EXPECT_EQ(pixel(small, 0, 0), 0x808080FFu);
  const Image large = f.drawn(map::Rect::of_size(0, 0, 1, 1), 3);
  ASSERT_EQ(large.width, 6u);
  EXPECT_EQ(pixel(large, 2, 2), kRed);
  EXPECT_EQ(pixel(large, 3, 2), kGreen);
}

TEST(Draw, ATooLargePictureIsRefused) {
  Fixture f;
  f.world.bounds.reset();
  const auto nothing = [](map::LayerId, const map::Rect&, std::span<map::Cell> out) {
    std::ranges::fill(out, map::Cell{});
  };
  EXPECT_EQ(draw(f.world, f.art(), nothing, {map::Rect::of_size(0, 0, 1 << 20, 1 << 20), 1}).error().code,
            ErrorCode::too_large);
  EXPECT_EQ(draw(f.world, f.art(), nothing, {map::Rect{}, 1}).error().code, ErrorCode::bad_message);
}

TEST(Draw, BandsDoNotShow) {
  using map::Orientation;
  std::mt19937 random(7);
  for (const Orientation orientation :
       {Orientation::orthogonal, Orientation::isometric, Orientation::staggered, Orientation::hexagonal})
    for (const char* axis : {"x", "y"})
      for (const double scale : {0.13, 0.5, 1.0, 2.0}) {
        Overlap f(orientation, std::string(R"({"staggeraxis":")") + axis + R"(","hexsidelength":1})");
        f.world.tile_height = 3;
        f.world.bounds.reset();
        f.world.layers[0].offset_y = 9.5f;
        f.world.layers[0].opacity = 0.75f;
        for (int i = 0; i < 400; ++i)
          f.cells[{static_cast<int>(random() % 40) - 20, static_cast<int>(random() % 40) - 20}] =
              map::Cell{1 + static_cast<std::uint32_t>(random() % 2)};
        const map::Rect view = map::Rect::of_size(-7, -9, 20, 24);
        const Image whole = f.drawn(view, scale);
        const Result<Image> banded = draw_in_parts(f.world, f.art(), f.reader(), {view, scale}, 150);
        ASSERT_TRUE(banded.ok());
        EXPECT_TRUE(std::ranges::any_of(whole.rgba, [](std::uint8_t byte) { return byte != 0; }));
        EXPECT_EQ(whole.rgba, banded->rgba) << static_cast<int>(orientation) << " " << axis << " " << scale;
      }
}

TEST(Draw, AWorldOfMorePixelsThanAPictureMayHaveComesOutWholeAtASmallScale) {
  Fixture f;
  f.world.tile_width = f.world.tile_height = 64;
  f.world.bounds.reset();
  f.world.tilesets[0].extra = R"({"tilerendersize":"grid"})";
  const auto left_half = [](map::LayerId, const map::Rect& rect, std::span<map::Cell> out) {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::int64_t>(i) % rect.width() + rect.x0 < 64 ? map::Cell{2} : map::Cell{};
  };
  const map::Rect view = map::Rect::of_size(0, 0, 256, 136);
  ASSERT_GT(view.area() * 64 * 64, kPixelsMax);
  EXPECT_EQ(draw(f.world, f.art(), left_half, {view, 1}).error().code, ErrorCode::too_large);
  const Result<Image> image = draw(f.world, f.art(), left_half, {view, 1.0 / 512});
  ASSERT_TRUE(image.ok()) << image.error().message;
  ASSERT_EQ(image->width, 32u);
  ASSERT_EQ(image->height, 17u);
  for (std::uint32_t y = 0; y < 17; ++y)
    for (std::uint32_t x = 0; x < 32; ++x) EXPECT_EQ(pixel(*image, x, y), x < 8 ? 0xFF000080u : 0u) << x << "," << y;
}

TEST(TileArt, TellsWhichImagesAreMissing) {
  const Fixture f;
  const TileArt art = TileArt::load(f.world, [](const map::Asset&) -> Result<std::string> {
    return Error{ErrorCode::not_found, "gone"};
  });
  ASSERT_EQ(art.notes().size(), 1u);
  EXPECT_NE(art.notes()[0].find("sheet.png"), std::string::npos);
  EXPECT_EQ(art.sprite(1).image, nullptr);
  EXPECT_EQ(f.art().mean_color(2), 0x80FF0000u);
  EXPECT_EQ(f.art().sprite(3).image, nullptr);
}

}  // namespace
}  // namespace terrazzo::render
