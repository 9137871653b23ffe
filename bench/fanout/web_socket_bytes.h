#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

// The little of WebSocket that a client which only counts needs.
namespace terrazzo::bench {

std::string handshake(std::uint16_t port, const std::string& path, const std::string& protocol);
// A masked binary message in one frame.
std::string masked_frame(std::span<const std::byte> payload);

// Counts the frames in a stream of bytes, however it is split.
class FrameCounter {
 public:
  // Frames with a smaller payload do not count from here on: servers say other things, too.
  void count_from(std::size_t least_bytes) { least_bytes_ = least_bytes; }
  // How many frames these bytes complete.
  std::uint64_t feed(std::span<const std::byte> bytes);

 private:
  std::size_t least_bytes_ = 0;
  std::uint64_t size_ = 0;  // payload bytes of the current frame
  std::uint64_t skip_ = 0;  // of these, still to come
  std::size_t have_ = 0;    // header bytes
  unsigned char header_[10] = {};
};

}  // namespace terrazzo::bench
