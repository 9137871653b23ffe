#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/shared_bytes.h"

namespace terrazzo::net {

// One core's hold on shared bytes: however many of its connections queue them, the count that cores share is touched
// once.
struct HeldFrame {
  SharedBytes bytes;
  std::uint32_t uses = 0;
  // What it is for connections that agreed on compression, by window, once one has asked for it; held by this.
  std::array<HeldFrame*, 2> compressed{};
};

// Frames in the order in which a connection gets them, and the gather write that is made of the first of them.
struct FrameQueue {
  std::vector<HeldFrame*> frames;  // from `first` on
  std::size_t first = 0;
  std::size_t offset = 0;  // bytes of frames[first] that are gone
  std::vector<iovec> parts;
  msghdr message{};
};

// What the outboxes of a core are made of: frames, and queues for those that have any, with the memory that they took
// the last time.
class FramePool {
 public:
  HeldFrame* hold(SharedBytes bytes);
  void release(HeldFrame* frame) {
    if (--frame->uses == 0) recycle(frame);
  }

  std::unique_ptr<FrameQueue> take_queue();
  // An empty one.
  void give_back(std::unique_ptr<FrameQueue> queue);
  // From time to time: of the queues that nobody took since the last time, a half goes.
  void trim();
  std::size_t spare_queues() const { return spare_.size(); }

 private:
  void recycle(HeldFrame* frame);
  std::vector<std::unique_ptr<HeldFrame>> all_;
  std::vector<HeldFrame*> free_;
  std::vector<std::unique_ptr<FrameQueue>> spare_;  // the last one used is the next
  std::size_t least_spare_ = 0;                     // since the last trim()
};

}  // namespace terrazzo::net
