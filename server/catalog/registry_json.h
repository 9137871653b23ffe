#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>

// What the lists of a world's versions and of its branches have in common as files.
namespace terrazzo::catalog {

inline constexpr std::size_t kNameBytesMax = 200;  // of a version or branch

// A member of the type of `value`; false: it is not there, of another type, or out of its range.
template <class T>
bool take(const nlohmann::json& object, const char* member, T& value) {
  const auto found = object.find(member);
  if (found == object.end()) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!found->is_boolean()) return false;
  } else {
    if (!found->is_number_integer()) return false;
    const bool fits = found->is_number_unsigned() ? std::in_range<T>(found->get<std::uint64_t>())
                                                  : std::in_range<T>(found->get<std::int64_t>());
    if (!fits) return false;
  }
  value = found->get<T>();
  return true;
}

// As it is written. Names are what people sent: bytes that are no UTF-8 are replaced.
inline std::string to_file(const nlohmann::json& list) {
  return list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace terrazzo::catalog
