#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace terrazzo::identity {

// How a token may be signed (RFC 7518, RFC 8037). There is no `none`.
enum class Algorithm : std::uint8_t { hs256, rs256, eddsa };
inline constexpr std::array<std::string_view, 3> kAlgorithmNames = {"HS256", "RS256", "EdDSA"};

constexpr std::string_view algorithm_name(Algorithm algorithm) {
  return kAlgorithmNames[static_cast<std::size_t>(algorithm)];
}
constexpr std::optional<Algorithm> algorithm_named(std::string_view name) {
  for (std::size_t i = 0; i < kAlgorithmNames.size(); ++i)
    if (kAlgorithmNames[i] == name) return static_cast<Algorithm>(i);
  return std::nullopt;
}

}  // namespace terrazzo::identity
