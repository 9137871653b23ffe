#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "server/net/frame_pool.h"

namespace terrazzo::net {

// What one connection still has to send, in order; one gather write is under way at most. Bytes are never copied here.
// An empty one holds no memory.
class Outbox {
 public:
  void push(HeldFrame* frame, FramePool& pool) {
    ++frame->uses;
    if (!queue_) queue_ = pool.take_queue();
    queue_->frames.push_back(frame);
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
  void count_sealed(std::size_t bytes) { sealed_ = static_cast<std::uint32_t>(bytes); }
  void begin_sealed_send() { sending_ = true; }
  void sealed_sent() { sending_ = false; }
  // Frames that cannot be sealed any more.
  void forget_frames(FramePool& pool);

 private:
  void drop_front(std::size_t bytes, FramePool& pool);
  std::unique_ptr<FrameQueue> queue_;  // of the pool, while there are frames
  std::size_t bytes_ = 0;              // of the frames
  std::uint32_t sealed_ = 0;
  bool sending_ = false;
};

}  // namespace terrazzo::net
