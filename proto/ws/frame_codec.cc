#include "proto/ws/frame_codec.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace terrazzo::proto::ws {
namespace {

constexpr unsigned kFin = 0x80, kMasked = 0x80;

std::uint64_t big_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (const std::byte b : bytes) value = value << 8 | std::to_integer<std::uint64_t>(b);
  return value;
}

}  // namespace

namespace {

using ServerHeader = std::array<std::byte, 10>;

// Returns how many bytes of `to` it takes.
std::size_t put_header(Opcode opcode, std::uint64_t payload_bytes, ServerHeader& to) {
  const std::size_t extra = payload_bytes < 126 ? 0 : payload_bytes <= 0xFFFF ? 2 : 8;
  to[0] = static_cast<std::byte>(kFin | static_cast<unsigned>(opcode));
  to[1] = static_cast<std::byte>(extra == 0 ? payload_bytes : extra == 2 ? 126 : 127);
  for (std::size_t i = 0; i < extra; ++i)
    to[2 + i] = static_cast<std::byte>(payload_bytes >> (8 * (extra - 1 - i)) & 0xFF);
  return 2 + extra;
}

}  // namespace

void append_frame_header(Opcode opcode, std::uint64_t payload_bytes, ByteBuffer& out) {
  ServerHeader header;
  const std::size_t size = put_header(opcode, payload_bytes, header);
  out.insert(out.end(), header.begin(), header.begin() + static_cast<std::ptrdiff_t>(size));
}

SharedBytes whole_frame(Opcode opcode, std::span<const std::byte> payload, BlockPool& pool) {
  ServerHeader header;
  const std::size_t size = put_header(opcode, payload.size(), header);
  SharedBytes frame = SharedBytes::allocate(size + payload.size(), pool);
  std::byte* const to = frame.writable().data();
  std::memcpy(to, header.data(), size);
  if (!payload.empty()) std::memcpy(to + size, payload.data(), payload.size());
  return frame;
}

void append_close(std::uint16_t code, std::string_view reason, ByteBuffer& out) {
  if (reason.size() > kControlBytesMax - 2) {
    std::size_t end = kControlBytesMax - 2;
    while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xC0) == 0x80) --end;  // not inside a character
    reason = reason.substr(0, end);
  }
  append_frame_header(Opcode::close, reason.size() + 2, out);
  out.push_back(static_cast<std::byte>(code >> 8));
  out.push_back(static_cast<std::byte>(code & 0xFF));
  const auto bytes = std::as_bytes(std::span(reason.data(), reason.size()));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

bool valid_close_code(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

std::size_t header_bytes(std::span<const std::byte> start) {
  TZ_ASSERT(start.size() >= 2);
  const auto second = std::to_integer<unsigned>(start[1]);
  const unsigned length = second & 0x7F;
  return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + ((second & kMasked) != 0 ? 4u : 0u);
}

FrameHeader parse_header(std::span<const std::byte> bytes) {
  TZ_ASSERT(bytes.size() == header_bytes(bytes));
  FrameHeader header;
  const auto first = std::to_integer<unsigned>(bytes[0]), second = std::to_integer<unsigned>(bytes[1]);
  header.fin = (first & kFin) != 0;
  header.reserved_bits = static_cast<std::uint8_t>(first >> 4 & 7);
  header.opcode = static_cast<std::uint8_t>(first & 15);
  header.masked = (second & kMasked) != 0;
  header.payload_bytes = second & 0x7F;
  std::size_t at = 2;
  if (header.payload_bytes == 126) {
    header.payload_bytes = big_endian(bytes.subspan(at, 2));
    header.minimal = header.payload_bytes >= 126;
    at += 2;
  } else if (header.payload_bytes == 127) {
    header.payload_bytes = big_endian(bytes.subspan(at, 8));
    header.minimal = header.payload_bytes > 0xFFFF;
    at += 8;
  }
  if (header.masked) std::ranges::copy(bytes.subspan(at, 4), header.mask.begin());
  return header;
}

void unmask(std::span<const std::byte> from, std::byte* to, std::array<std::byte, 4> mask, std::size_t phase) {
  std::array<std::byte, 8> turned;
  for (std::size_t i = 0; i < 8; ++i) turned[i] = mask[(phase + i) % 4];
  const auto key = std::bit_cast<std::uint64_t>(turned);
  std::size_t i = 0;
  for (; i + 8 <= from.size(); i += 8) {  // the compiler makes vectors of it
    std::uint64_t word;
    std::memcpy(&word, from.data() + i, 8);
    word ^= key;
    std::memcpy(to + i, &word, 8);
  }
  for (; i < from.size(); ++i) to[i] = from[i] ^ turned[i % 8];
}

}  // namespace terrazzo::proto::ws
