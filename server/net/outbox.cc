#include "server/net/outbox.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace terrazzo::net {
namespace {

constexpr std::size_t kPartsMax = 256;  // frames in one gather write

}  // namespace

const msghdr* Outbox::begin_send() {
  TZ_ASSERT(!sending_ && !empty());
  parts_.clear();
  const std::size_t count = std::min(frames_.size() - first_, kPartsMax);
  for (std::size_t i = 0; i < count; ++i) {
    std::span<const std::byte> bytes = frames_[first_ + i]->bytes.bytes();
    if (i == 0) bytes = bytes.subspan(offset_);
    parts_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
  }
  message_.msg_iov = parts_.data();
  message_.msg_iovlen = parts_.size();
  sending_ = true;
  return &message_;
}

void Outbox::sent(std::size_t bytes, FramePool& pool) {
  sending_ = false;
  drop_front(bytes, pool);
}

std::size_t Outbox::take(std::span<std::byte> room, FramePool& pool) {
  std::size_t taken = 0, offset = offset_;
  for (std::size_t i = first_; i < frames_.size() && taken < room.size(); ++i, offset = 0) {
    const std::span<const std::byte> bytes = frames_[i]->bytes.bytes().subspan(offset);
    const std::size_t count = std::min(bytes.size(), room.size() - taken);
    std::memcpy(room.data() + taken, bytes.data(), count);
    taken += count;
  }
  drop_front(taken, pool);
  return taken;
}

void Outbox::drop_front(std::size_t bytes, FramePool& pool) {
  bytes_ -= bytes;
  offset_ += bytes;
  while (first_ < frames_.size() && offset_ >= frames_[first_]->bytes.size()) {
    offset_ -= frames_[first_]->bytes.size();
    pool.release(frames_[first_++]);
  }
  if (first_ == frames_.size()) {
    frames_.clear();
    first_ = 0;
  } else if (first_ > frames_.size() / 2 && first_ >= kPartsMax) {
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void Outbox::clear(FramePool& pool) {
  TZ_ASSERT(!sending_);
  forget_frames(pool);
  sealed_ = 0;
}

void Outbox::forget_frames(FramePool& pool) {
  for (std::size_t i = first_; i < frames_.size(); ++i) pool.release(frames_[i]);
  frames_.clear();
  first_ = offset_ = bytes_ = 0;
}

}  // namespace terrazzo::net
