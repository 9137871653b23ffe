#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string_view>

namespace terrazzo {
namespace {

std::uint32_t crc_of(std::string_view text, std::uint32_t seed = 0) {
  return crc32c(std::as_bytes(std::span(text.data(), text.size())), seed);
}

// RFC 3720 appendix B.4.
TEST(Crc32c, MatchesThePublishedVectors) {
  std::array<std::byte, 32> zeros{};
  EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);
  std::array<std::byte, 32> ones;
  ones.fill(std::byte{0xFF});
  EXPECT_EQ(crc32c(ones), 0x62A8AB43u);
  EXPECT_EQ(crc_of("123456789"), 0xE3069283u);
}

TEST(Crc32c, ContinuesWhereTheFirstPartEnded) {
  const std::string_view text = "a terrazzo floor is laid by many hands";
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(crc_of(text.substr(cut), crc_of(text.substr(0, cut))), crc_of(text)) << cut;
}

}  // namespace
}  // namespace terrazzo
