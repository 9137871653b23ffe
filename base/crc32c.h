#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace terrazzo {
// CRC-32C (Castagnoli, reflected, RFC 3720 appendix B.4). crc32c(b, crc32c(a)) == crc32c(a ++ b).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0) noexcept;
}  // namespace terrazzo
