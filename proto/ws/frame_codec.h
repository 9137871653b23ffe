#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/block_pool.h"
#include "base/shared_bytes.h"
#include "proto/codec.h"

// RFC 6455 frames, the parts that know nothing of sockets. Pure.
namespace terrazzo::proto::ws {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
constexpr bool is_control(Opcode opcode) {
  return static_cast<unsigned>(opcode) >= 8;
}

constexpr Opcode opcode_of(Form form) {
  return form == Form::json ? Opcode::text : Opcode::binary;
}

inline constexpr std::uint16_t kCloseNormal = 1000, kCloseProtocolError = 1002, kCloseInvalidPayload = 1007,
                               kClosePolicy = 1008, kCloseTooBig = 1009, kCloseRestart = 1012, kCloseNoStatus = 1005;
inline constexpr std::size_t kHeaderBytesMax = 14;
inline constexpr std::size_t kControlBytesMax = 125;

// The header of a whole, unmasked message in one frame (server to client).
void append_frame_header(Opcode opcode, std::uint64_t payload_bytes, ByteBuffer& out);
// Such a header and its payload, in a block of the pool if they fit.
SharedBytes whole_frame(Opcode opcode, std::span<const std::byte> payload, BlockPool& pool);
// A close frame; the reason is cut to what fits.
void append_close(std::uint16_t code, std::string_view reason, ByteBuffer& out);
// Codes that may stand in a close frame (RFC 6455, 7.4, and the registry's 1012 to 1014).
bool valid_close_code(std::uint16_t code);

struct FrameHeader {
  bool fin = false;
  std::uint8_t reserved_bits = 0;
  std::uint8_t opcode = 0;  // as it came, perhaps none of Opcode
  bool masked = false;
  std::uint64_t payload_bytes = 0;
  bool minimal = true;  // the length is in its shortest form, as it must be
  std::array<std::byte, 4> mask{};
};
// Bytes that the header takes, judged by its first two; at least two must be there.
std::size_t header_bytes(std::span<const std::byte> start);
// `bytes`: exactly header_bytes() of them.
FrameHeader parse_header(std::span<const std::byte> bytes);

// to[i] = from[i] ^ mask[(phase + i) % 4]; may be the same memory.
void unmask(std::span<const std::byte> from, std::byte* to, std::array<std::byte, 4> mask, std::size_t phase);

}  // namespace terrazzo::proto::ws
