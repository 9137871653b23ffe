#include "terrazzo/render.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

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
  Image drawn(const map::Rect& view, double scale = 1) const {
    const Result<Image> image = draw(world, art(),
                                     [this](map::LayerId, const map::Rect& rect, std::span<map::Cell> out) {
                                       std::size_t i = 0;
                                       for (std::int64_t y = rect.y0; y < rect.y1; ++y)
                                         for (std::int64_t x = rect.x0; x < rect.x1; ++x) {
                                           const auto found = cells.find({x, y});
                                           out[i++] = found == cells.end() ? map::Cell{} : found->second;
                                         }
                                     },
                                     {view, scale});
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
  EXPECT_FALSE(decode_png("GIF89a").ok());
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
