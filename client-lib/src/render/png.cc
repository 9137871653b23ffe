#include <spng.h>

#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "terrazzo/render.h"

namespace terrazzo::render {
namespace {

struct Free {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, Free>;

Error wrong(const char* what, int code) {
  return {ErrorCode::bad_message, fmt::format("{}: {}", what, spng_strerror(code))};
}

// Deflate makes at most so many bytes of one (zlib's technical details: 258 bytes of 2 bits).
constexpr std::uint64_t kDeflateRatioMax = 1032;

// What is compressed of a picture: rows of pixels, each with the byte that says how it is filtered.
std::uint64_t rows_bytes(const spng_ihdr& header) {
  std::uint64_t samples = 1;
  if (header.color_type == SPNG_COLOR_TYPE_TRUECOLOR) samples = 3;
  if (header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA) samples = 2;
  if (header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA) samples = 4;
  return header.height * ((header.width * samples * header.bit_depth + 7) / 8 + 1);
}

}  // namespace

Result<Image> decode_png(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF"))
    return Error{ErrorCode::unsupported, "a JPEG picture; pictures of tiles are drawn from PNG files"};
  const Context context(spng_ctx_new(0));
  if (!context) return Error{ErrorCode::internal, "no memory for a picture"};
  // Damaged parts that do not matter for the picture are passed over; sizes are bounded before anything is allocated.
  spng_set_crc_action(context.get(), SPNG_CRC_USE, SPNG_CRC_USE);
  spng_set_image_limits(context.get(), 1u << 20, 1u << 20);
  spng_set_png_buffer(context.get(), bytes.data(), bytes.size());
  spng_ihdr header{};
  if (const int code = spng_get_ihdr(context.get(), &header); code != 0) return wrong("not a PNG picture", code);
  if (std::uint64_t{header.width} * header.height > kPixelsMax)
    return Error{ErrorCode::too_large,
                 fmt::format("a picture of {}×{} pixels; at most {} in all", header.width, header.height, kPixelsMax)};
  if (rows_bytes(header) > bytes.size() * kDeflateRatioMax)
    return Error{ErrorCode::bad_message, fmt::format("a damaged PNG picture: {}×{} pixels are never in {} bytes",
                                                     header.width, header.height, bytes.size())};
  Image image{header.width, header.height, {}};
  image.rgba.resize(std::size_t{header.width} * header.height * 4);
  if (const int code =
          spng_decode_image(context.get(), image.rgba.data(), image.rgba.size(), SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
      code != 0)
    return wrong("a damaged PNG picture", code);
  return image;
}

Result<std::string> encode_png(const Image& image) {
  const Context context(spng_ctx_new(SPNG_CTX_ENCODER));
  if (!context) return Error{ErrorCode::internal, "no memory for a picture"};
  spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{};
  header.width = image.width;
  header.height = image.height;
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
  spng_set_ihdr(context.get(), &header);
  if (const int code =
          spng_encode_image(context.get(), image.rgba.data(), image.rgba.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
      code != 0)
    return wrong("the picture cannot be written as PNG", code);
  std::size_t size = 0;
  int code = 0;
  void* bytes = spng_get_png_buffer(context.get(), &size, &code);
  if (bytes == nullptr) return wrong("the picture cannot be written as PNG", code);
  std::string out(static_cast<const char*>(bytes), size);
  std::free(bytes);
  return out;
}

}  // namespace terrazzo::render
