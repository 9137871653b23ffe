#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include "base/shared_bytes.h"
#include "proto/ws/deflate.h"

namespace terrazzo::net {

// Compresses frames of one core for the connections that agreed on it. What is small is an edit or an answer and its
// sender asks once for all who get it; what is large is a chunk's state, which the next subscriber gets as the same
// bytes, so these are kept, the newest of them.
class CompressedFrames {
 public:
  // The frames of `frames` compressed (proto::ws::Deflater).
  SharedBytes of(const SharedBytes& frames, proto::ws::Window window);

  struct Counters {
    std::uint64_t compressions = 0, found = 0, from_bytes = 0, to_bytes = 0;
  };
  const Counters& counters() const { return counters_; }
  std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  static std::size_t index(proto::ws::Window window) { return window == proto::ws::Window::small ? 0 : 1; }
  SharedBytes compress(const SharedBytes& frames, proto::ws::Window window);
  void forget_oldest();

  struct Kept {
    SharedBytes frames;  // so that no others can lie at the same address
    std::array<SharedBytes, 2> compressed;
  };
  std::array<std::unique_ptr<proto::ws::Deflater>, 2> deflaters_;  // made for the first who wants them
  proto::ByteBuffer scratch_;
  std::unordered_map<const std::byte*, Kept> kept_;
  std::deque<const std::byte*> order_;  // oldest first
  std::size_t kept_bytes_ = 0;
  Counters counters_;
};

}  // namespace terrazzo::net
