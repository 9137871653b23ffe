#include "map/formats/text_check.h"

#include <cstddef>

namespace terrazzo::formats {

bool is_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0u; };
    const auto tail = [&](std::size_t k) { return (byte(k) & 0xC0u) == 0x80u; };
    const unsigned lead = byte(0);
    if (lead == 0) return false;
    if (lead < 0x80) {
      i += 1;
    } else if (lead >= 0xC2 && lead <= 0xDF && tail(1)) {
      i += 2;
    } else if (lead >= 0xE0 && lead <= 0xEF && tail(1) && tail(2) && !(lead == 0xE0 && byte(1) < 0xA0) &&
               !(lead == 0xED && byte(1) > 0x9F)) {
      i += 3;
    } else if (lead >= 0xF0 && lead <= 0xF4 && tail(1) && tail(2) && tail(3) && !(lead == 0xF0 && byte(1) < 0x90) &&
               !(lead == 0xF4 && byte(1) > 0x8F)) {
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace terrazzo::formats
