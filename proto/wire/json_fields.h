#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/strong_id.h"
#include "map/cell.h"
#include "map/coords.h"
#include "proto/messages.h"
#include "proto/wire/limits.h"

namespace terrazzo::proto {

// Reads the fields of one JSON object. The first thing that is wrong is kept, in words that name
// the field and say what would be right; everything read after it is a default.
class JsonFields {
 public:
  JsonFields(simdjson::dom::object object, std::string_view where, Arena& arena)
      : object_(object), where_(where), arena_(arena) {}

  bool ok() const { return wrong_.empty(); }
  const std::string& wrong() const { return wrong_; }
  void fail(std::string_view field, std::string_view expected);
  // What is wrong inside is wrong here.
  void adopt(const JsonFields& inner) {
    if (wrong_.empty()) wrong_ = inner.wrong_;
  }

  bool has(const char* name) const;
  std::optional<simdjson::dom::element> find(const char* name) const;

  std::string_view text(const char* name, bool required, std::size_t bytes_max = kTextBytesMax);
  bool boolean(const char* name, bool fallback);
  std::int64_t integer(const char* name, std::int64_t from, std::int64_t to, std::optional<std::int64_t> fallback);
  // An id or counter: a number, or the same in decimal as a string (JavaScript's numbers end at
  // 2^53).
  std::uint64_t big(const char* name, std::optional<std::uint64_t> fallback);
  std::uint32_t number32(const char* name, std::optional<std::uint32_t> fallback);
  map::Cell cell(const char* name) { return map::Cell{number32(name, std::nullopt)}; }
  // [x,y,w,h], or the fields x, y, w and h (w and h: 1 if missing).
  map::Rect rect(const char* name, bool or_fields);
  std::optional<map::Rect> optional_rect(const char* name);
  std::optional<map::CellPos> position(const char* name);
  std::span<const map::Cell> cells(const char* name);
  // [[a,b,c]…]: numbers; `width` of them each, row after row. The last of a row is an id or counter
  // (see big()), as the bits of an unsigned number.
  std::span<const std::int64_t> rows(const char* name, std::size_t width, std::size_t count_max);
  // "#rrggbb".
  std::uint32_t color(const char* name);

 private:
  bool take_rect(simdjson::dom::element value, map::Rect& rect);

  simdjson::dom::object object_;
  std::string_view where_;
  Arena& arena_;
  std::string wrong_;
};

}  // namespace terrazzo::proto
