#include "proto/wire/json_fields.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <vector>

#include "proto/wire/limits.h"

namespace terrazzo::proto {
namespace {

using simdjson::dom::element;

constexpr std::int64_t kInt32Min = std::numeric_limits<std::int32_t>::min(),
                       kInt32Max = std::numeric_limits<std::int32_t>::max();

template <class T>
std::optional<T> get(element value) {
  T out;
  if (value.get(out) != simdjson::SUCCESS) return std::nullopt;
  return out;
}

std::optional<std::uint64_t> big_of(element value) {
  if (const auto number = get<std::uint64_t>(value)) return number;
  const auto text = get<std::string_view>(value);
  std::uint64_t out = 0;
  if (!text || text->empty()) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  return error == std::errc() && end == text->data() + text->size() ? std::optional(out) : std::nullopt;
}

}  // namespace

void JsonFields::fail(std::string_view field, std::string_view expected) {
  if (wrong_.empty()) wrong_ = fmt::format("{}: {} must be {}", where_, field, expected);
}

std::optional<element> JsonFields::find(const char* name) const {
  element value;
  if (object_.at_key(name).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

bool JsonFields::has(const char* name) const {
  return find(name).has_value();
}

std::string_view JsonFields::text(const char* name, bool required, std::size_t bytes_max) {
  const auto value = find(name);
  if (!value) {
    if (required) fail(name, "there: a string");
    return {};
  }
  const auto out = get<std::string_view>(*value);
  if (!out || out->size() > bytes_max) {
    fail(name, fmt::format("a string of at most {} bytes", bytes_max));
    return {};
  }
  return *out;
}

bool JsonFields::boolean(const char* name, bool fallback) {
  const auto value = find(name);
  if (!value) return fallback;
  const auto out = get<bool>(*value);
  if (!out) fail(name, "true or false");
  return out.value_or(fallback);
}

std::int64_t JsonFields::integer(const char* name, std::int64_t from, std::int64_t to,
                                 std::optional<std::int64_t> fallback) {
  const auto value = find(name);
  if (!value && fallback) return *fallback;
  const auto out = value ? get<std::int64_t>(*value) : std::nullopt;
  if (!out || *out < from || *out > to) {
    fail(name, fmt::format("a whole number from {} to {}", from, to));
    return from;
  }
  return *out;
}

std::uint64_t JsonFields::big(const char* name, std::optional<std::uint64_t> fallback) {
  const auto value = find(name);
  if (!value && fallback) return *fallback;
  const auto out = value ? big_of(*value) : std::nullopt;
  if (!out) fail(name, "a whole number from 0 to 2^64-1 (as a number, or in decimal as a string)");
  return out.value_or(0);
}

std::uint32_t JsonFields::number32(const char* name, std::optional<std::uint32_t> fallback) {
  return static_cast<std::uint32_t>(integer(name, 0, std::numeric_limits<std::uint32_t>::max(), fallback));
}

bool JsonFields::take_rect(element value, map::Rect& rect) {
  simdjson::dom::array values;
  if (value.get(values) != simdjson::SUCCESS || values.size() != 4) return false;
  std::array<std::int64_t, 4> numbers{};
  std::size_t i = 0;
  for (const element n : values) {
    const auto number = get<std::int64_t>(n);
    if (!number) return false;
    numbers[i++] = *number;
  }
  if (numbers[0] < kInt32Min || numbers[0] > kInt32Max || numbers[1] < kInt32Min || numbers[1] > kInt32Max)
    return false;
  if (numbers[2] < 0 || numbers[2] > kSideMax || numbers[3] < 0 || numbers[3] > kSideMax) return false;
  rect = map::Rect::of_size(numbers[0], numbers[1], numbers[2], numbers[3]);
  return true;
}

map::Rect JsonFields::rect(const char* name, bool or_fields) {
  map::Rect out;
  if (const auto value = find(name)) {
    if (!take_rect(*value, out) || !sane(out))
      fail(name,
           "[x,y,w,h]: whole numbers, at least 1 wide and high, inside the plane of 32-bit "
           "positions");
    return out;
  }
  if (!or_fields) {
    fail(name, "there: [x,y,w,h] in cells");
    return out;
  }
  const std::int64_t x = integer("x", kInt32Min, kInt32Max, std::nullopt),
                     y = integer("y", kInt32Min, kInt32Max, std::nullopt);
  const std::int64_t w = integer("w", 1, kSideMax, 1), h = integer("h", 1, kSideMax, 1);
  out = map::Rect::of_size(x, y, w, h);
  if (ok() && !sane(out)) fail("x, y, w and h", "a rectangle inside the plane of 32-bit positions");
  return out;
}

std::optional<map::Rect> JsonFields::optional_rect(const char* name) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  map::Rect out;
  if (!take_rect(*value, out) || (!out.empty() && !sane(out))) {
    fail(name, "[x,y,w,h] inside the plane of 32-bit positions");
    return std::nullopt;
  }
  return out.empty() ? map::Rect{} : out;
}

std::optional<map::CellPos> JsonFields::position(const char* name) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  simdjson::dom::array values;
  std::array<std::int64_t, 2> numbers{};
  bool good = value->get(values) == simdjson::SUCCESS && values.size() == 2;
  std::size_t i = 0;
  if (good) {
    for (const element n : values) {
      const auto number = get<std::int64_t>(n);
      good = good && number && *number >= kInt32Min && *number <= kInt32Max;
      numbers[i++] = number.value_or(0);
    }
  }
  if (!good) {
    fail(name, "[x,y] in cells");
    return std::nullopt;
  }
  return map::CellPos{static_cast<std::int32_t>(numbers[0]), static_cast<std::int32_t>(numbers[1])};
}

std::span<const map::Cell> JsonFields::cells(const char* name) {
  const auto value = find(name);
  simdjson::dom::array values;
  if (!value || value->get(values) != simdjson::SUCCESS) {
    fail(name, "an array of cells (numbers)");
    return {};
  }
  // An array of more than 2^24 values reports that many as its size; count for real.
  std::vector<map::Cell> out;
  out.reserve(values.size());
  for (const element n : values) {
    const auto number = get<std::uint64_t>(n);
    if (!number || *number > std::numeric_limits<std::uint32_t>::max()) {
      fail(name, "numbers from 0 to 4294967295 (tile index and flips)");
      return {};
    }
    out.push_back(map::Cell{static_cast<std::uint32_t>(*number)});
  }
  return arena_.copy(std::span<const map::Cell>(out));
}

std::span<const std::int64_t> JsonFields::rows(const char* name, std::size_t width, std::size_t count_max) {
  const auto value = find(name);
  if (!value) return {};
  std::vector<std::int64_t> out;
  simdjson::dom::array rows;
  bool good = value->get(rows) == simdjson::SUCCESS;
  if (good) {
    for (const element row : rows) {
      simdjson::dom::array numbers;
      good = good && row.get(numbers) == simdjson::SUCCESS && numbers.size() == width && out.size() < count_max * width;
      if (!good) break;
      std::size_t column = 0;
      for (const element n : numbers) {
        if (++column == width) {
          const auto number = big_of(n);
          good = good && number.has_value();
          out.push_back(static_cast<std::int64_t>(number.value_or(0)));
        } else {
          const auto number = get<std::int64_t>(n);
          good = good && number.has_value();
          out.push_back(number.value_or(0));
        }
      }
    }
  }
  if (!good) {
    fail(name, fmt::format("an array of at most {} rows of {} whole numbers, the last not below 0", count_max, width));
    return {};
  }
  return arena_.copy(std::span<const std::int64_t>(out));
}

std::uint32_t JsonFields::color(const char* name) {
  const std::string_view value = text(name, false);
  if (value.empty()) return 0;
  std::uint32_t out = 0;
  const auto [end, error] = std::from_chars(value.data() + 1, value.data() + value.size(), out, 16);
  if (value.size() != 7 || value[0] != '#' || error != std::errc() || end != value.data() + value.size())
    fail(name, "\"#rrggbb\"");
  return out;
}

}  // namespace terrazzo::proto
