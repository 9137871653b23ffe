#include "server/net/frame_pool.h"

#include <utility>

namespace terrazzo::net {

HeldFrame* FramePool::hold(SharedBytes bytes) {
  if (free_.empty()) {
    all_.push_back(std::make_unique<HeldFrame>());
    free_.push_back(all_.back().get());
  }
  HeldFrame* frame = free_.back();
  free_.pop_back();
  frame->bytes = std::move(bytes);
  frame->uses = 0;
  return frame;
}

void FramePool::recycle(HeldFrame* frame) {
  frame->bytes = {};
  for (HeldFrame*& compressed : frame->compressed)
    if (HeldFrame* const twin = std::exchange(compressed, nullptr)) release(twin);
  free_.push_back(frame);
}

}  // namespace terrazzo::net
