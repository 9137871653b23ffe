#pragma once

#include <string_view>

namespace terrazzo::formats {

// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates) without NUL, which no file format here can carry.
bool is_text(std::string_view text);

}  // namespace terrazzo::formats
