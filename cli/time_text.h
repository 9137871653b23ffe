#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace terrazzo::cli {

// A time as people say it, in milliseconds since 1970: so long ago (90s, 30m, 2h, 7d), a day or a time of a day
// (2026-11-22, "2026-11-22 13:30", 2026-11-22T13:30:05; of this machine's time zone, or UTC with a Z behind it), or now.
Result<std::uint64_t> parse_time(std::string_view text, std::uint64_t now_ms);
std::uint64_t now_ms();
// Likewise, of now.
Result<std::uint64_t> parse_time(std::string_view text);

}  // namespace terrazzo::cli
