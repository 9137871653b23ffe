#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "map/formats/json_reader.h"
#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

using formats::Json;

std::string text(const Json& o, const char* key) {
  const auto found = o.find(key);
  return found != o.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "#rrggbb": pixels of exactly this colour are not there.
void clear_color(Image& image, const std::string& color) {
  if (color.size() < 7) return;
  const auto key = static_cast<std::uint32_t>(std::strtoul(color.substr(color.size() - 6).c_str(), nullptr, 16));
  for (std::size_t i = 0; i + 3 < image.rgba.size(); i += 4) {
    const std::uint32_t pixel =
        std::uint32_t{image.rgba[i]} << 16 | std::uint32_t{image.rgba[i + 1]} << 8 | image.rgba[i + 2];
    if (pixel == key) image.rgba[i] = image.rgba[i + 1] = image.rgba[i + 2] = image.rgba[i + 3] = 0;
  }
}

// "topleft", "bottom", "center" …: nothing is said where neither direction is named.
void set_anchor(const std::string& alignment, Sprite& sprite) {
  if (alignment.empty() || alignment == "unspecified") return;
  const auto says = [&](const char* word) { return alignment.find(word) != std::string::npos; };
  sprite.anchor_x = says("left") ? 0.0f : says("right") ? 1.0f : 0.5f;
  sprite.anchor_y = says("top") ? 0.0f : says("bottom") ? 1.0f : 0.5f;
}

}  // namespace

struct TileArt::State {
  struct Set {
    std::uint32_t first = 0, end = 0;
    map::Tileset tileset;
    const Image* sheet = nullptr;
    std::unordered_map<std::uint32_t, const Image*> pictures;      // of a collection
    std::unordered_map<std::uint32_t, std::uint32_t> first_frame;  // of animated tiles
    Sprite drawn;                                                  // how its tiles are: offset, fill and anchor
  };
  std::vector<Set> sets;
  std::map<std::string, std::unique_ptr<Image>> images;  // by hash and colour key
  std::map<map::LayerId, const Image*> layers;
  std::vector<std::string> notes;
  mutable std::unordered_map<std::uint32_t, std::uint32_t> means;

  const Image* image(const map::Asset& asset, const std::string& clear, const AssetSource& assets) {
    if (asset.hash.empty()) return nullptr;
    const std::string key = asset.hash + clear;
    if (const auto known = images.find(key); known != images.end()) return known->second.get();
    const Result<std::string> bytes = assets(asset);
    Result<Image> decoded = bytes ? decode_png(*bytes) : Result<Image>(bytes.error());
    if (!decoded) {
      notes.push_back(asset.name + ": " + decoded.error().message);
      images[key] = nullptr;
      return nullptr;
    }
    if (!clear.empty()) clear_color(*decoded, clear);
    return (images[key] = std::make_unique<Image>(*std::move(decoded))).get();
  }
  void add(const map::Tileset& tileset, const AssetSource& assets) {
    Set set;
    set.first = tileset.first_tile;
    set.end = tileset.first_tile + tileset.tile_count;
    const Json extra = formats::extra_object(tileset.extra);
    const std::string clear = text(extra, "transparentcolor");
    set.sheet = image(tileset.image, clear, assets);
    for (const map::CollectionTile& tile : tileset.images) set.pictures[tile.tile] = image(tile.image, clear, assets);
    if (const auto tiles = extra.find("tiles"); tiles != extra.end() && tiles->is_array()) {
      for (const Json& tile : *tiles) {
        if (!tile.is_object() || !tile.contains("animation") || !tile["animation"].is_array() ||
            tile["animation"].empty())
          continue;
        const Json& frame = tile["animation"][0];
        if (tile.contains("id") && tile["id"].is_number_unsigned() && frame.is_object() && frame.contains("tileid") &&
            frame["tileid"].is_number_unsigned())
          set.first_frame[tile["id"].get<std::uint32_t>()] = frame["tileid"].get<std::uint32_t>();
      }
    }
    set.drawn.offset_x = tileset.draw_offset_x;
    set.drawn.offset_y = tileset.draw_offset_y;
    if (text(extra, "tilerendersize") == "grid")
      set.drawn.fill =
          text(extra, "fillmode") == "preserve-aspect-fit" ? Sprite::Fill::keep_aspect : Sprite::Fill::stretch;
    set_anchor(text(extra, "objectalignment"), set.drawn);
    set.tileset = tileset;
    sets.push_back(std::move(set));
  }
};

TileArt::TileArt(std::unique_ptr<State> state) : state_(std::move(state)) {}
TileArt::TileArt(TileArt&&) noexcept = default;
TileArt& TileArt::operator=(TileArt&&) noexcept = default;
TileArt::~TileArt() = default;
std::vector<Sprite> TileArt::largest() const {
  std::vector<Sprite> all;
  for (const State::Set& set : state_->sets) {
    Sprite most = set.drawn;
    if (set.sheet != nullptr && set.tileset.tile_width <= set.sheet->width &&
        set.tileset.tile_height <= set.sheet->height) {
      most.width = set.tileset.tile_width;
      most.height = set.tileset.tile_height;
    }
    for (const auto& [tile, picture] : set.pictures) {
      if (picture == nullptr) continue;
      most.width = std::max(most.width, picture->width);
      most.height = std::max(most.height, picture->height);
    }
    if (most.width > 0 && most.height > 0) all.push_back(most);
  }
  return all;
}
const std::vector<std::string>& TileArt::notes() const {
  return state_->notes;
}

TileArt TileArt::load(const map::World& world, const AssetSource& assets) {
  auto state = std::make_unique<State>();
  for (const map::Tileset& tileset : world.tilesets) state->add(tileset, assets);
  for (const map::Layer& layer : world.layers) {
    if (layer.kind != map::LayerKind::image) continue;
    const Json extra = formats::extra_object(layer.extra);
    state->layers[layer.id] =
        state->image({text(extra, "image_hash"), text(extra, "image"), 0, 0}, text(extra, "transparentcolor"), assets);
  }
  return TileArt(std::move(state));
}

Sprite TileArt::sprite(std::uint32_t tile) const {
  const auto after = std::ranges::upper_bound(state_->sets, tile, {}, &State::Set::first);
  if (after == state_->sets.begin()) return {};
  const State::Set& set = *std::prev(after);
  if (tile >= set.end) return {};
  std::uint32_t local = tile - set.first;
  if (const auto frame = set.first_frame.find(local); frame != set.first_frame.end()) local = frame->second;
  const map::Tileset& t = set.tileset;
  Sprite sprite = set.drawn;
  if (const auto picture = set.pictures.find(local); picture != set.pictures.end()) {
    if (picture->second == nullptr) return {};
    sprite.image = picture->second;
    sprite.width = sprite.image->width;
    sprite.height = sprite.image->height;
    return sprite;
  }
  if (set.sheet == nullptr || t.columns == 0) return {};
  sprite.x = t.margin + local % t.columns * (t.tile_width + t.spacing);
  sprite.y = t.margin + local / t.columns * (t.tile_height + t.spacing);
  sprite.width = t.tile_width;
  sprite.height = t.tile_height;
  // Beyond the sheet there is nothing to show.
  if (std::uint64_t{sprite.x} + sprite.width > set.sheet->width ||
      std::uint64_t{sprite.y} + sprite.height > set.sheet->height)
    return {};
  sprite.image = set.sheet;
  return sprite;
}

const Image* TileArt::layer_image(map::LayerId layer) const {
  const auto found = state_->layers.find(layer);
  return found == state_->layers.end() ? nullptr : found->second;
}

std::uint32_t TileArt::mean_color(std::uint32_t tile) const {
  const auto known = state_->means.find(tile);
  if (known != state_->means.end()) return known->second;
  const Sprite s = sprite(tile);
  std::uint64_t sum[4] = {0, 0, 0, 0};  // red, green and blue weighted by alpha
  for (std::uint32_t y = 0; s.image != nullptr && y < s.height; ++y) {
    for (std::uint32_t x = 0; x < s.width; ++x) {
      const std::uint8_t* p = s.image->rgba.data() + (std::size_t{s.y + y} * s.image->width + s.x + x) * 4;
      for (int c = 0; c < 3; ++c) sum[c] += std::uint64_t{p[c]} * p[3];
      sum[3] += p[3];
    }
  }
  std::uint32_t mean = 0;
  if (sum[3] != 0) {
    const auto channel = [&](int c) { return static_cast<std::uint32_t>(sum[c] / sum[3]); };
    mean = static_cast<std::uint32_t>(sum[3] / (std::uint64_t{s.width} * s.height)) << 24 | channel(0) << 16 |
           channel(1) << 8 | channel(2);
  }
  return state_->means[tile] = mean;
}

}  // namespace terrazzo::render
