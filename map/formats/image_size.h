#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace terrazzo::formats {

struct ImageSize {
  std::uint32_t width = 0, height = 0;  // pixels
  bool operator==(const ImageSize&) const = default;
};

// What the header of a PNG, GIF, BMP, JPEG or WebP file says; nothing for other formats or a damaged header.
std::optional<ImageSize> image_size(std::string_view bytes);

}  // namespace terrazzo::formats
