#include "server/net/frame_pool.h"

#include <algorithm>
#include <utility>

namespace terrazzo::net {
namespace {

constexpr std::size_t kKeptFrames = 1024;

}  // namespace

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

std::unique_ptr<FrameQueue> FramePool::take_queue() {
  if (spare_.empty()) return std::make_unique<FrameQueue>();
  std::unique_ptr<FrameQueue> queue = std::move(spare_.back());
  spare_.pop_back();
  least_spare_ = std::min(least_spare_, spare_.size());
  return queue;
}

void FramePool::give_back(std::unique_ptr<FrameQueue> queue) {
  queue->frames.clear();
  queue->first = queue->offset = 0;
  // Of a connection that was far behind.
  if (queue->frames.capacity() > kKeptFrames) queue->frames = {};
  spare_.push_back(std::move(queue));
}

void FramePool::trim() {
  spare_.resize(spare_.size() - (least_spare_ + 1) / 2);
  least_spare_ = spare_.size();
}

}  // namespace terrazzo::net
