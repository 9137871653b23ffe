#include "bench/fanout/web_socket_bytes.h"

#include <algorithm>

namespace terrazzo::bench {

std::string handshake(std::uint16_t port, const std::string& path, const std::string& protocol) {
  std::string text = "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\n";
  if (!protocol.empty()) text += "Sec-WebSocket-Protocol: " + protocol + "\r\n";
  return text + "\r\n";
}

std::string masked_frame(std::span<const std::byte> payload) {
  std::string frame("\x82", 1);
  const auto put = [&](std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) frame.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  };
  if (payload.size() < 126) {
    put(0x80 | payload.size(), 1);
  } else if (payload.size() < 65536) {
    put(0x80 | 126, 1);
    put(payload.size(), 2);
  } else {
    put(0x80 | 127, 1);
    put(payload.size(), 8);
  }
  frame.append(4, '\0');  // the mask that changes nothing
  frame.append(reinterpret_cast<const char*>(payload.data()), payload.size());
  return frame;
}

std::uint64_t FrameCounter::feed(std::span<const std::byte> bytes) {
  std::uint64_t frames = 0;
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (skip_ != 0) {
      const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size() - at));
      at += count;
      skip_ -= count;
      frames += skip_ == 0 && size_ >= least_bytes_ ? 1u : 0u;
      continue;
    }
    header_[have_++] = std::to_integer<unsigned char>(bytes[at++]);
    if (have_ < 2) continue;
    const unsigned length = header_[1] & 0x7F;
    const std::size_t wanted = length == 126 ? 4 : length == 127 ? 10 : 2;
    if (have_ < wanted) continue;
    skip_ = length;
    if (wanted > 2) {
      skip_ = 0;
      for (std::size_t i = 2; i < wanted; ++i) skip_ = skip_ << 8 | header_[i];
    }
    have_ = 0;
    size_ = skip_;
    if (skip_ == 0 && least_bytes_ == 0) ++frames;
  }
  return frames;
}

}  // namespace terrazzo::bench
