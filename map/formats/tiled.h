#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "map/cell.h"
#include "map/coords.h"
#include "map/world.h"

// Maps of the Tiled editor, TMX (XML) and TMJ (JSON), in and out. Pure: bytes in, bytes out; any thread.
// docs/formats.md says what is taken from a map, where it goes and what an export gives back.
namespace terrazzo::formats {

// Returns the bytes of a file named relative to the folder of the map ("../art/beach.png"; '/' separates). The caller
// decides what may be read, for example whether a path may climb out of the map's folder. not_found: no such file.
using FileReader = std::function<Result<std::string>(const std::string& relative_path)>;

// Cells of one rectangle, row-major, rect.area() of them.
struct CellBlock {
  map::Rect rect;
  std::vector<map::Cell> cells;
};

// The cells of one tile layer. A finite map has one block, an infinite one a block per chunk of the file; where blocks
// overlap the later one counts.
struct LayerCells {
  map::LayerId layer = 0;
  map::Rect area;  // the smallest rectangle around the blocks; empty where there are none
  std::vector<CellBlock> blocks;
};

// The file of an image that the world refers to.
struct ImageFile {
  std::string hash;  // SHA-256 of the bytes, lower-case hex
  std::string name;  // path relative to the folder of the map
  std::string bytes;
};

// A map without foreign numbering: cells (and the "gid" of objects in `extra`) hold the world's tile indices, with
// Tiled's flips in the high four bits.
struct TiledMap {
  map::World world;  // id 0; named after the file
  std::vector<LayerCells> layers;
  std::vector<ImageFile> images;  // each once, by hash
};

// Reads a map in either form, also gzip-compressed as a whole; `file_name` names the world and stands in messages.
// Tilesets, templates and images that are files of their own are asked from `read_file` (where a tileset or template is
// not found, its name with ".gz" is tried).
// Errors name the file, the element or field, the line or offset where known, what is wrong and what would be right:
// bad_message (malformed), unsupported (a feature or encoding nobody reads), too_large (over a limit below, or data
// that decompress to more than the map says), not_found (a file).
Result<TiledMap> import_tiled(std::string_view bytes, const std::string& file_name, const FileReader& read_file);

inline constexpr std::uint64_t kMapCellsMax = std::uint64_t{1} << 28;   // over all layers of an import or export: 1 GiB
inline constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 29;  // of one file after decompression

// Where an export takes cells from: a server, a file, an imported map.
struct CellSource {
  // Fills `cells` (row-major, rect.area() of them). Asked in bands of some rows, top to bottom; an error ends the
  // export.
  std::function<Status(map::LayerId layer, const map::Rect& rect, std::span<map::Cell> cells)> read;
  // Only for worlds that are written as infinite maps: rectangles that together hold every cell of the layer that is
  // not empty. They may overlap.
  std::function<Result<std::vector<map::Rect>>(map::LayerId layer)> used;
};

// The cells of an imported map, which must outlive the source.
CellSource source_of(const TiledMap& tiled);

enum class CellEncoding : std::uint8_t { csv, base64, base64_zlib, base64_gzip, base64_zstd };

struct ExportOptions {
  CellEncoding encoding = CellEncoding::csv;
  // The path that the map gives for an image; empty: as export_images() says.
  std::function<std::string(const map::Asset& image)> image_path;
};

// The file stands alone: tilesets are inside, templates are merged into their objects.
// A world with bounds that start at (0, 0) becomes a finite map; any other an infinite one in chunks of 16×16 (Tiled's
// finite maps have no origin). bad_message for a cell whose tile no tileset owns; too_large over kMapCellsMax.
Result<std::string> export_tmx(const map::World& world, const CellSource& cells, const ExportOptions& options = {});
Result<std::string> export_tmj(const map::World& world, const CellSource& cells, const ExportOptions& options = {});

// An image of the world and the path, relative to the exported map, under which the map refers to it.
struct ExportedImage {
  map::Asset asset;
  std::string path;
};

// Every image of the world (sheets, collections, image layers), each path once. Paths never leave the folder of the map
// and differ where the bytes differ, so a caller may write each asset to its path as it is.
std::vector<ExportedImage> export_images(const map::World& world);

}  // namespace terrazzo::formats
