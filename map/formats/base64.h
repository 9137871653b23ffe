#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

// Base64 of RFC 4648 section 4, as map files use it.
namespace terrazzo::formats {

std::string base64_encode(std::string_view bytes);

// White space is skipped anywhere, padding may be missing. bad_message names the first wrong character and its place.
Result<std::string> base64_decode(std::string_view text);

}  // namespace terrazzo::formats
