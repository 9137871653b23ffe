#include "server/net/outbox.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace terrazzo::net {
namespace {

constexpr std::size_t kPartsMax = 256;  // frames in one gather write

}  // namespace

const msghdr* Outbox::begin_send() {
  TZ_ASSERT(!sending_ && has_frames());
  FrameQueue& queue = *queue_;
  queue.parts.clear();
  const std::size_t count = std::min(queue.frames.size() - queue.first, kPartsMax);
  for (std::size_t i = 0; i < count; ++i) {
    std::span<const std::byte> bytes = queue.frames[queue.first + i]->bytes.bytes();
    if (i == 0) bytes = bytes.subspan(queue.offset);
    queue.parts.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  }
  queue.message.msg_iov = queue.parts.data();
  queue.message.msg_iovlen = queue.parts.size();
  sending_ = true;
  return &queue.message;
}

void Outbox::sent(std::size_t bytes, FramePool& pool) {
  sending_ = false;
  drop_front(bytes, pool);
}

std::size_t Outbox::take(std::span<std::byte> room, FramePool& pool) {
  if (!queue_) return 0;
  const FrameQueue& queue = *queue_;
  std::size_t taken = 0, offset = queue.offset;
  for (std::size_t i = queue.first; i < queue.frames.size() && taken < room.size(); ++i, offset = 0) {
    const std::span<const std::byte> bytes = queue.frames[i]->bytes.bytes().subspan(offset);
    const std::size_t count = std::min(bytes.size(), room.size() - taken);
    std::memcpy(room.data() + taken, bytes.data(), count);
    taken += count;
  }
  drop_front(taken, pool);
  return taken;
}

void Outbox::drop_front(std::size_t bytes, FramePool& pool) {
  if (!queue_) return;
  FrameQueue& queue = *queue_;
  bytes_ -= bytes;
  queue.offset += bytes;
  while (queue.first < queue.frames.size() && queue.offset >= queue.frames[queue.first]->bytes.size()) {
    queue.offset -= queue.frames[queue.first]->bytes.size();
    pool.release(queue.frames[queue.first++]);
  }
  if (queue.first == queue.frames.size()) {
    pool.give_back(std::move(queue_));
  } else if (queue.first > queue.frames.size() / 2 && queue.first >= kPartsMax) {
    queue.frames.erase(queue.frames.begin(), queue.frames.begin() + static_cast<std::ptrdiff_t>(queue.first));
    queue.first = 0;
  }
}

void Outbox::clear(FramePool& pool) {
  TZ_ASSERT(!sending_);
  forget_frames(pool);
  sealed_ = 0;
}

void Outbox::forget_frames(FramePool& pool) {
  bytes_ = 0;
  if (!queue_) return;
  for (std::size_t i = queue_->first; i < queue_->frames.size(); ++i) pool.release(queue_->frames[i]);
  pool.give_back(std::move(queue_));
}

}  // namespace terrazzo::net
