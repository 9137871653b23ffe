#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

#include "server/net/frame_pool.h"

namespace terrazzo::net {

// What one connection still has to send, in order; one gather write is under way at most. Bytes are never copied here.
class Outbox {
 public:
  void push(HeldFrame* frame) {
    ++frame->uses;
    frames_.push_back(frame);
    bytes_ += frame->bytes.size();
  }
  bool empty() const { return bytes() == 0; }
  bool sending() const { return sending_; }
  std::size_t bytes() const { return bytes_ + sealed_; }

  // The next gather write; its message stays valid until sent().
  const msghdr* begin_send();
  // The kernel took this many bytes of it.
  void sent(std::size_t bytes, FramePool& pool);
  void send_failed() { sending_ = false; }
  void clear(FramePool& pool);

  // Over TLS frames are taken out and sealed, and it is the sealed bytes (TlsStream) that are sent; they are counted
  // here, so that whoever asks how much waits is told of both.
  bool has_frames() const { return bytes_ != 0; }
  // Copies what comes next, as much as there is room for.
  std::size_t take(std::span<std::byte> room, FramePool& pool);
  void count_sealed(std::size_t bytes) { sealed_ = bytes; }
  void begin_sealed_send() { sending_ = true; }
  void sealed_sent() { sending_ = false; }
  // Frames that cannot be sealed any more.
  void forget_frames(FramePool& pool);

 private:
  void drop_front(std::size_t bytes, FramePool& pool);
  std::vector<HeldFrame*> frames_;  // from first_ on
  std::size_t first_ = 0;
  std::size_t offset_ = 0;  // bytes of frames_[first_] that are gone
  std::size_t bytes_ = 0;   // of the frames
  std::size_t sealed_ = 0;
  bool sending_ = false;
  std::vector<iovec> parts_;
  msghdr message_{};
};

}  // namespace terrazzo::net
