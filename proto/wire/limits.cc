#include "proto/wire/limits.h"

#include <simdjson.h>

namespace terrazzo::proto {

bool valid_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

bool sane(const map::Rect& rect) {
  return !rect.empty() && rect.width() <= kSideMax && rect.height() <= kSideMax && map::kPlane.contains(rect);
}

}  // namespace terrazzo::proto
