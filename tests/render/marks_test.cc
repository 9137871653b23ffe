#include <gtest/gtest.h>

#include <array>
#include <map>

#include "painted_world.h"
#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

using Pixel = std::array<int, 4>;

Pixel pixel(const Image& image, std::uint32_t x, std::uint32_t y) {
  const std::uint8_t* at = image.rgba.data() + (std::size_t{y} * image.width + x) * 4;
  return {at[0], at[1], at[2], at[3]};
}
bool grey(const Pixel& pixel) { return pixel[0] == pixel[1] && pixel[1] == pixel[2]; }
bool greenish(const Pixel& pixel) { return pixel[1] > pixel[0] && pixel[1] > pixel[2]; }
bool reddish(const Pixel& pixel) { return pixel[0] > pixel[1] && pixel[0] > pixel[2]; }

struct Marked {
  explicit Marked(map::Orientation orientation, double scale = 1) {
    painted.world.orientation = orientation;
    painted.world.tile_width = 16;
    painted.world.tile_height = 8;
    image.width = static_cast<std::uint32_t>(16 * 4 * scale);
    image.height = static_cast<std::uint32_t>(8 * 4 * scale);
    image.rgba.assign(std::size_t{image.width} * image.height * 4, 255);
    view.scale = scale;
  }
  void mark(const std::map<std::pair<std::int64_t, std::int64_t>, Mark>& marks) {
    mark_cells(image, painted.world, view, [&](std::int64_t x, std::int64_t y) {
      const auto found = marks.find({x, y});
      return found == marks.end() ? Mark::none : found->second;
    });
  }
  PaintedWorld painted{1};
  Image image;
  View view{map::Rect::of_size(10, 20, 4, 4), 1};
};

TEST(Marks, AreColoursOverTheirCellsAndNothingElseHasAny) {
  Marked marked(map::Orientation::orthogonal);
  marked.mark({{{10, 20}, Mark::added}, {{13, 23}, Mark::removed}, {{11, 20}, Mark::changed}, {{9, 20}, Mark::added}});
  for (std::uint32_t y = 0; y < marked.image.height; ++y)
    for (std::uint32_t x = 0; x < marked.image.width; ++x) {
      const Pixel at = pixel(marked.image, x, y);
      const std::uint32_t cell_x = x / 16, cell_y = y / 8;
      if (cell_x == 0 && cell_y == 0) {
        EXPECT_TRUE(greenish(at)) << x << "," << y;
      } else if (cell_x == 3 && cell_y == 3) {
        EXPECT_TRUE(reddish(at)) << x << "," << y;
      } else if (cell_x == 1 && cell_y == 0) {
        EXPECT_TRUE(at[0] > at[1] && at[1] > at[2]) << x << "," << y;
      } else {
        EXPECT_TRUE(grey(at)) << x << "," << y;
      }
    }
}

TEST(Marks, OfIsometricCellsAreDiamonds) {
  Marked marked(map::Orientation::isometric);
  marked.mark({{{10, 20}, Mark::removed}});
  // The uppermost cell of the picture: its middle, and the corners of its box.
  EXPECT_TRUE(reddish(pixel(marked.image, 32, 4)));
  EXPECT_TRUE(grey(pixel(marked.image, 24, 0)));
  EXPECT_TRUE(grey(pixel(marked.image, 39, 7)));
}

TEST(Marks, CanBeSeenHoweverSmallThePictureIs) {
  Marked marked(map::Orientation::orthogonal, 0.03125);  // two pixels by one
  ASSERT_EQ(marked.image.width, 2u);
  marked.mark({{{10, 22}, Mark::added}});
  EXPECT_TRUE(greenish(pixel(marked.image, 0, 0)));
  EXPECT_TRUE(grey(pixel(marked.image, 1, 0)));
}

}  // namespace
}  // namespace terrazzo::render
