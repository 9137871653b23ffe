#pragma once

#include <string>
#include <string_view>

namespace terrazzo::formats {

// The SHA-256 of the bytes in lower-case hex: the name of an asset.
std::string sha256_hex(std::string_view bytes);

}  // namespace terrazzo::formats
