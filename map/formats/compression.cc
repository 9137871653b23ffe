#include "map/formats/compression.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "base/assert.h"

namespace terrazzo::formats {
namespace {

constexpr std::size_t kStepBytes = 256 * 1024;
// Inputs are bounded by kFileBytesMax, far below what zlib's 32-bit counters hold.
constexpr std::size_t kZlibBytesMax = std::numeric_limits<uInt>::max();

Error damaged(Compression compression, const char* why) {
  return {ErrorCode::bad_message, fmt::format("bad {} data: {}", compression_name(compression), why)};
}

Error bomb(Compression compression, std::size_t bytes_max) {
  return {ErrorCode::too_large, fmt::format("{} data decompress to more than the {} bytes expected here",
                                            compression_name(compression), bytes_max)};
}

Result<std::string> inflate_all(std::string_view bytes, Compression compression, std::size_t bytes_max) {
  z_stream stream{};
  if (bytes.size() > kZlibBytesMax) return Error{ErrorCode::too_large, "more than 4 GiB of compressed data"};
  constexpr int kZlibOrGzip = MAX_WBITS + 32;
  if (inflateInit2(&stream, kZlibOrGzip) != Z_OK) return Error{ErrorCode::internal, "zlib could not be started"};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ender(&stream, inflateEnd);
  // zlib does not write through next_in; its type only lacks the const.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  for (;;) {
    const std::size_t start = out.size();
    const std::size_t step = std::min(std::max(kStepBytes, start), bytes_max + 1 - start);
    out.resize(start + step);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + start);
    stream.avail_out = static_cast<uInt>(step);
    const int code = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (out.size() > bytes_max) return bomb(compression, bytes_max);
    if (code == Z_STREAM_END) {
      // gzip allows several members one after the other (RFC 1952 section 2.2).
      const std::string_view rest(reinterpret_cast<const char*>(stream.next_in), stream.avail_in);
      if (!is_gzip(rest) || inflateReset(&stream) != Z_OK) return out;
    } else if (code != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)) {
      return damaged(compression, stream.msg != nullptr ? stream.msg : "cut off before its end");
    }
  }
}

Result<std::string> zstd_all(std::string_view bytes, std::size_t bytes_max) {
  const std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  if (stream == nullptr) return Error{ErrorCode::internal, "zstd could not be started"};
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string out;
  for (;;) {
    const std::size_t start = out.size();
    out.resize(start + std::min(std::max(kStepBytes, start), bytes_max + 1 - start));
    ZSTD_outBuffer to{out.data(), out.size(), start};
    const std::size_t left = ZSTD_decompressStream(stream.get(), &to, &in);
    const bool room = to.pos < to.size;
    out.resize(to.pos);
    if (ZSTD_isError(left) != 0) return damaged(Compression::zstd, ZSTD_getErrorName(left));
    if (out.size() > bytes_max) return bomb(Compression::zstd, bytes_max);
    if (left == 0) return out;
    if (in.pos == in.size && room) return damaged(Compression::zstd, "cut off before its end");
  }
}

std::string deflate_all(std::string_view bytes, Compression compression) {
  z_stream stream{};
  constexpr int kGzipFlag = 16;
  const int window = compression == Compression::gzip ? MAX_WBITS + kGzipFlag : MAX_WBITS;
  const int code = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  TZ_ASSERT(code == Z_OK);
  TZ_ASSERT(bytes.size() <= kZlibBytesMax);
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int end = deflate(&stream, Z_FINISH);
  TZ_ASSERT(end == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::string_view compression_name(Compression compression) {
  constexpr std::array<std::string_view, 4> names = {"uncompressed", "zlib", "gzip", "zstd"};
  return names[static_cast<std::size_t>(compression)];
}

bool is_gzip(std::string_view bytes) {
  return bytes.starts_with("\x1F\x8B");
}

Result<std::string> decompress(std::string_view bytes, Compression compression, std::size_t bytes_max) {
  switch (compression) {
    case Compression::none:
      if (bytes.size() > bytes_max) return bomb(compression, bytes_max);
      return std::string(bytes);
    case Compression::zlib:
    case Compression::gzip:
      return inflate_all(bytes, compression, bytes_max);
    case Compression::zstd:
      return zstd_all(bytes, bytes_max);
  }
  return Error{ErrorCode::internal, "unknown compression"};
}

std::string compress(std::string_view bytes, Compression compression) {
  if (compression == Compression::none) return std::string(bytes);
  if (compression != Compression::zstd) return deflate_all(bytes, compression);
  std::string out(ZSTD_compressBound(bytes.size()), '\0');
  const std::size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  TZ_ASSERT(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

}  // namespace terrazzo::formats
