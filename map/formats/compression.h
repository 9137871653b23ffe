#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace terrazzo::formats {

enum class Compression : std::uint8_t { none, zlib, gzip, zstd };

std::string_view compression_name(Compression compression);

// True for the two bytes every gzip file starts with (RFC 1952).
bool is_gzip(std::string_view bytes);

// At most bytes_max come out, so that a small file cannot fill the memory: too_large when there would be more.
// bad_message when the data are damaged or cut off. zlib and gzip data are told apart by their header, not by the name.
Result<std::string> decompress(std::string_view bytes, Compression compression, std::size_t bytes_max);

// The same bytes for the same input on every run.
std::string compress(std::string_view bytes, Compression compression);

}  // namespace terrazzo::formats
