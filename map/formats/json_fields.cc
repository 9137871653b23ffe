#include "map/formats/json_fields.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace terrazzo::formats {

std::string brief(const Json& value) {
  constexpr std::size_t kBriefBytes = 40;
  if (value.is_object()) return "an object";
  if (value.is_array() || value.is_binary()) return "an array";
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > kBriefBytes) text = text.substr(0, kBriefBytes) + "…";
  return text;
}

JsonFields::JsonFields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object_.is_object())
    status_ = Error{ErrorCode::bad_message, fmt::format("{} is {}; it must be an object", path_, brief(object_))};
}

bool JsonFields::has(const char* key) const {
  return find(key) != nullptr;
}

const Json* JsonFields::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto it = object_.find(key);
  return it == object_.end() ? nullptr : &*it;
}

void JsonFields::fail(const char* key, const std::string& right, ErrorCode code) {
  if (!status_.ok()) return;
  const Json* value = find(key);
  const std::string field = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  status_ = Error{code, value == nullptr ? fmt::format("{} is missing; it must be {}", field, right)
                                         : fmt::format("{} is {}; it must be {}", field, brief(*value), right)};
}

std::int64_t JsonFields::integer(const char* key, std::int64_t min, std::int64_t max,
                                 std::optional<std::int64_t> fallback) {
  const Json* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  std::int64_t number = min;
  bool good = false;
  if (value != nullptr && value->is_number_unsigned()) {
    const auto wide = value->get<std::uint64_t>();
    good = wide <= static_cast<std::uint64_t>(INT64_MAX);
    number = good ? static_cast<std::int64_t>(wide) : min;
  } else if (value != nullptr && value->is_number_integer()) {
    number = value->get<std::int64_t>();
    good = true;
  } else if (value != nullptr && value->is_number_float()) {
    const double wide = value->get<double>();  // 10.0 is a whole number too
    good = std::floor(wide) == wide && std::fabs(wide) <= 9007199254740992.0;
    number = good ? static_cast<std::int64_t>(wide) : min;
  }
  if (good && number >= min && number <= max) return number;
  fail(key, fmt::format("a whole number from {} to {}", min, max));
  return fallback.value_or(min);
}

float JsonFields::number(const char* key, float min, float max, float fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_number()) {
    const auto narrow = static_cast<float>(value->get<double>());
    if (narrow >= min && narrow <= max) return narrow;
  }
  fail(key, fmt::format("a number from {} to {}", min, max));
  return fallback;
}

bool JsonFields::boolean(const char* key, bool fallback) {
  const Json* value = find(key);
  if (value == nullptr) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  fail(key, "true or false");
  return fallback;
}

std::string JsonFields::text(const char* key, std::size_t bytes_max, std::optional<std::string> fallback) {
  const Json* value = find(key);
  if (value == nullptr && fallback) return *std::move(fallback);
  if (value != nullptr && value->is_string() && value->get_ref<const std::string&>().size() <= bytes_max)
    return value->get<std::string>();
  fail(key, fmt::format("text of at most {} bytes", bytes_max));
  return {};
}

const Json* JsonFields::array(const char* key) {
  const Json* value = find(key);
  if (value != nullptr && !value->is_array()) {
    fail(key, "an array");
    return nullptr;
  }
  return value;
}

std::string JsonFields::object_text(const char* key) {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) {
    fail(key, "an object");
    return {};
  }
  return extra_text(*value);
}

}  // namespace terrazzo::formats
