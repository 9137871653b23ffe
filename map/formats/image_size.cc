#include "map/formats/image_size.h"

#include <cstddef>

namespace terrazzo::formats {
namespace {

// Bytes from the start of an image; reads past the end give 0, which no size check accepts.
class Header {
 public:
  explicit Header(std::string_view bytes) : bytes_(bytes) {}

  bool has(std::size_t at, std::string_view magic) const {
    return at <= bytes_.size() && bytes_.substr(at).starts_with(magic);
  }
  std::uint32_t u8(std::size_t at) const { return at < bytes_.size() ? static_cast<unsigned char>(bytes_[at]) : 0u; }
  std::uint32_t big16(std::size_t at) const { return (u8(at) << 8) | u8(at + 1); }
  std::uint32_t big32(std::size_t at) const { return (big16(at) << 16) | big16(at + 2); }
  std::uint32_t little16(std::size_t at) const { return (u8(at + 1) << 8) | u8(at); }
  std::uint32_t little24(std::size_t at) const { return (u8(at + 2) << 16) | little16(at); }
  std::uint32_t little32(std::size_t at) const { return (little16(at + 2) << 16) | little16(at); }
  std::size_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

// Walks JPEG's segments to the frame header (ITU T.81 B.2.2): FF C0–CF but not the tables C4, C8 and CC.
ImageSize jpeg_size(const Header& h) {
  for (std::size_t at = 2; at + 9 <= h.size();) {
    if (h.u8(at) != 0xFF) return {};
    const std::uint32_t marker = h.u8(at + 1);
    if (marker == 0xFF) {  // fill byte
      at += 1;
    } else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      return {h.big16(at + 7), h.big16(at + 5)};
    } else {
      at += 2 + h.big16(at + 2);
    }
  }
  return {};
}

// The three kinds of WebP's first chunk (RFC 9649).
ImageSize webp_size(const Header& h) {
  if (h.has(12, "VP8X")) return {h.little24(24) + 1, h.little24(27) + 1};
  if (h.has(12, "VP8L")) {
    const std::uint32_t bits = h.little32(21);
    return {(bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1};
  }
  if (h.has(12, "VP8 ")) return {h.little16(26) & 0x3FFF, h.little16(28) & 0x3FFF};
  return {};
}

ImageSize header_size(const Header& h) {
  if (h.has(0, "\x89PNG\r\n\x1A\n") && h.has(12, "IHDR")) return {h.big32(16), h.big32(20)};
  if (h.has(0, "GIF87a") || h.has(0, "GIF89a")) return {h.little16(6), h.little16(8)};
  // Two letters alone would take any text that starts with them; the second header's size tells.
  if (h.has(0, "BM") && (h.little32(14) == 40 || h.little32(14) == 52 || h.little32(14) == 56 ||
                         h.little32(14) == 108 || h.little32(14) == 124)) {
    const std::uint32_t height = h.little32(22);  // negative: rows from the top
    return {h.little32(18), (height & 0x80000000u) != 0 ? ~height + 1 : height};
  }
  if (h.has(0, "\xFF\xD8\xFF")) return jpeg_size(h);
  if (h.has(0, "RIFF") && h.has(8, "WEBP") && h.size() >= 30) return webp_size(h);
  return {};
}

}  // namespace

std::optional<ImageSize> image_size(std::string_view bytes) {
  constexpr std::uint32_t kSideMax = 1u << 24;  // beyond any image; a damaged header otherwise gives absurd tile counts
  const ImageSize size = header_size(Header(bytes));
  if (size.width == 0 || size.height == 0 || size.width > kSideMax || size.height > kSideMax) return {};
  return size;
}

}  // namespace terrazzo::formats
