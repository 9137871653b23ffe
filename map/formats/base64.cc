#include "map/formats/base64.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace terrazzo::formats {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kWrong = 0xFF, kSpace = 0xFE, kPadding = 0xFD;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(kWrong);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  for (const char c : {' ', '\t', '\n', '\r'}) values[static_cast<unsigned char>(c)] = kSpace;
  values[static_cast<unsigned char>('=')] = kPadding;
  return values;
}
constexpr auto kValues = make_values();

}  // namespace

std::string base64_encode(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = (group << 8) | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? kAlphabet[(group >> (18 - 6 * k)) & 63] : '=';
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  unsigned digits = 0;
  bool padded = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint8_t value = kValues[static_cast<unsigned char>(text[i])];
    if (value == kSpace) continue;
    if (value == kPadding) {
      padded = true;
      continue;
    }
    if (value == kWrong || padded)
      return Error{
          ErrorCode::bad_message,
          fmt::format("bad base64: {} at byte {}; only A–Z, a–z, 0–9, + and /, then = at the end, may stand there",
                      padded ? "text after the padding"
                             : fmt::format("character 0x{:02X}", static_cast<unsigned char>(text[i])),
                      i)};
    group = (group << 6) | value;
    if (++digits == 4) {
      bytes += static_cast<char>(group >> 16);
      bytes += static_cast<char>(group >> 8);
      bytes += static_cast<char>(group);
      group = 0;
      digits = 0;
    }
  }
  if (digits == 1)
    return Error{ErrorCode::bad_message, "bad base64: one digit is left over at the end; the text is cut off"};
  if (digits >= 2) bytes += static_cast<char>(group >> (digits == 2 ? 4 : 10));
  if (digits == 3) bytes += static_cast<char>(group >> 2);
  return bytes;
}

}  // namespace terrazzo::formats
