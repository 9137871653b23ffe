#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

// Worlds as pictures, drawn by the CPU. The reference that other renderers are compared with: orthogonal maps come out
// as Tiled draws them. Pure but for memory; any thread, nothing shared.
namespace terrazzo::render {

// Straight (not premultiplied) RGBA, 8 bits each, rows from the top.
struct Image {
  std::uint32_t width = 0, height = 0;  // pixels
  std::vector<std::uint8_t> rgba;       // width * height * 4
};

// bad_message: not a PNG, or a damaged one; unsupported: a JPEG; too_large: more than kPixelsMax.
inline constexpr std::uint64_t kPixelsMax = std::uint64_t{1} << 27;
Result<Image> decode_png(std::string_view bytes);
Result<std::string> encode_png(const Image& image);

// A tile's picture inside an image.
struct Sprite {
  const Image* image = nullptr;  // null: this tile has no picture
  std::uint32_t x = 0, y = 0, width = 0, height = 0;
  std::int32_t offset_x = 0, offset_y = 0;  // of its tileset, pixels
  enum class Fill : std::uint8_t { none, stretch, keep_aspect };
  Fill fill =
      Fill::none;  // none: drawn in its own size, on the lower left corner of the cell; else as large as the cell
  // The point of the tile that an object's position is, in shares of its size; negative: as the orientation has it,
  // which is the middle of the lower edge on isometric maps and the lower left corner on others.
  float anchor_x = -1, anchor_y = -1;
};

// The pictures of a world's tiles.
class TileArt {
 public:
  // Gives the bytes of an image file by its hash.
  using AssetSource = std::function<Result<std::string>(const map::Asset& asset)>;
  // Images that are missing or of no readable kind leave their tiles without a picture; `notes` says which and why.
  static TileArt load(const map::World& world, const AssetSource& assets);
  TileArt(TileArt&&) noexcept;
  TileArt& operator=(TileArt&&) noexcept;
  ~TileArt();

  // By the world's tile index; an animated tile shows its first frame.
  Sprite sprite(std::uint32_t tile) const;
  // Of each tileset that has pictures: as wide and as high as the largest of its tiles, without an image.
  std::vector<Sprite> largest() const;
  // Of a layer that is an image; null: it has none.
  const Image* layer_image(map::LayerId layer) const;
  // 0xAARRGGBB: the mean colour of the tile, its alpha the share that is covered. For views from afar.
  std::uint32_t mean_color(std::uint32_t tile) const;
  const std::vector<std::string>& notes() const;

 private:
  struct State;
  explicit TileArt(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Fills `out` with the cells of a rectangle, row-major, rect.area() of them.
using CellReader = std::function<void(map::LayerId layer, const map::Rect& rect, std::span<map::Cell> out)>;

struct View {
  map::Rect cells;   // what is shown, whole cells
  double scale = 1;  // pixels of the picture per pixel of the art; below 1 by averaging, above by repeating
};

// The cells of a layer that draw() may read for a view: those whose pictures can reach into it, which on isometric maps
// are also those beside the view's, in the corners of the picture. Empty: none, as in layers that are not drawn.
map::Rect cells_shown(const map::World& world, const TileArt& art, const map::Layer& layer, const View& view);

// Tiles that are larger than this in either direction, or moved farther by their tileset, are not drawn in cells.
inline constexpr std::int64_t kTileReachMax = 1 << 16;  // pixels

// All visible layers in their order, with opacity, tint and offsets; tile layers, image layers (repeated where they say
// so), and objects that are tiles. The world's background colour lies under everything. Parallax has no effect: the
// camera is at the origin. A part of a world of any size is drawn, one after the other, so that besides the picture and
// what objects need it takes some 30 MiB; far more only below a scale of 1/2000, where a single pixel needs it.
// bad_message: no view or world to draw; too_large: the picture would have more than kPixelsMax pixels, or be the work
// of hours. `cells` is asked for pieces of rows in any order, for some of them repeatedly.
Result<Image> draw(const map::World& world, const TileArt& art, const CellReader& cells, const View& view);

// How a cell differs from what it is compared with.
enum class Mark : std::uint8_t {
  none,
  added,    // it was empty: green
  removed,  // it is empty: red
  changed,  // it holds another tile: amber
};
using MarkReader = std::function<Mark(std::int64_t x, std::int64_t y)>;

// Points out cells in a picture that draw() made of this view: the colour of its mark is laid over each, in the shape of
// the grid's cells, at least a pixel; everything else turns pale and grey. Needs the picture's memory once more.
void mark_cells(Image& image, const map::World& world, const View& view, const MarkReader& marks);

}  // namespace terrazzo::render
