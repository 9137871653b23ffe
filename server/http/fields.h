#pragma once

#include <charconv>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "map/coords.h"

// Values in what is asked: in the query of an address, or in a body of JSON. They come from anybody.
namespace terrazzo::http {

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// `count` numbers with commas or points between.
template <class Number>
std::optional<std::vector<Number>> read_numbers(std::string_view text, char between, std::size_t count) {
  std::vector<Number> numbers;
  while (true) {
    const std::size_t end = text.find(between);
    Number number{};
    if (!read_number(text.substr(0, end), number)) return std::nullopt;
    numbers.push_back(number);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return numbers.size() == count ? std::optional(numbers) : std::nullopt;
}

// Milliseconds since 1970, as microseconds.
bool read_time(std::string_view text, std::optional<std::uint64_t>& out);
bool time_of(const nlohmann::json& value, std::optional<std::uint64_t>& out);
// X,Y,WIDTH,HEIGHT, and [x, y, width, height]: at least one cell.
bool read_rect(std::string_view text, std::optional<map::Rect>& out);
std::optional<map::Rect> rect_of(const nlohmann::json& value);
nlohmann::json json_of(const map::Rect& rect);

// Calls read(name, value) for each field of the query of an address; false: one of them is wrong.
bool read_query(std::string_view target, const std::function<bool(std::string_view name, const std::string& value)>& read);

}  // namespace terrazzo::http
