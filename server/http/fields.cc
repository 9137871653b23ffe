#include "server/http/fields.h"

#include <algorithm>

#include "server/http/api.h"

namespace terrazzo::http {
namespace {

// Beyond this nothing lies; sums of such numbers do not overflow.
constexpr std::int64_t kMost = std::int64_t{1} << 32;
constexpr std::uint64_t kTimeMaxMs = std::uint64_t{1} << 52;

std::optional<map::Rect> rect_from(const std::vector<std::int64_t>& numbers) {
  const bool sound = std::ranges::all_of(numbers, [](std::int64_t n) { return n >= -kMost && n <= kMost; });
  if (!sound || numbers[2] < 1 || numbers[3] < 1) return std::nullopt;
  return map::Rect::of_size(numbers[0], numbers[1], numbers[2], numbers[3]);
}

}  // namespace

bool read_time(std::string_view text, std::optional<std::uint64_t>& out) {
  std::uint64_t ms = 0;
  if (!read_number(text, ms) || ms > kTimeMaxMs) return false;
  out = ms * 1000;
  return true;
}

bool time_of(const nlohmann::json& value, std::optional<std::uint64_t>& out) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kTimeMaxMs) return false;
  out = value.get<std::uint64_t>() * 1000;
  return true;
}

bool read_rect(std::string_view text, std::optional<map::Rect>& out) {
  const auto numbers = read_numbers<std::int64_t>(text, ',', 4);
  if (!numbers) return false;
  out = rect_from(*numbers);
  return out.has_value();
}

std::optional<map::Rect> rect_of(const nlohmann::json& value) {
  if (!value.is_array() || value.size() != 4) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const nlohmann::json& each : value) {
    if (!each.is_number_integer()) return std::nullopt;
    if (each.is_number_unsigned() && each.get<std::uint64_t>() > static_cast<std::uint64_t>(kMost)) return std::nullopt;
    numbers.push_back(each.get<std::int64_t>());
  }
  return rect_from(numbers);
}

nlohmann::json json_of(const map::Rect& rect) {
  return {rect.x0, rect.y0, rect.width(), rect.height()};
}

bool read_query(std::string_view target,
                const std::function<bool(std::string_view name, const std::string& value)>& read) {
  const std::size_t begin = target.find('?');
  std::string_view query = begin == std::string_view::npos ? "" : target.substr(begin + 1);
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::size_t equals = one.find('=');
    const Result<std::string> value = percent_decode(equals == std::string_view::npos ? "" : one.substr(equals + 1));
    if (!value || !read(one.substr(0, equals), *value)) return false;
  }
  return true;
}

}  // namespace terrazzo::http
