#include "server/shard/encoded_chunks.h"

#include <functional>
#include <iterator>

#include "base/assert.h"

namespace terrazzo::shard {
namespace {

// The list's and the table's nodes, the shared bytes' header, and what malloc adds to the three.
constexpr std::size_t kEntryBytes = 192;

}  // namespace

std::size_t EncodedChunks::Hash::operator()(const Key& key) const noexcept {
  // One multiplication spreads the packed words well enough for a table of prime size.
  const std::uint64_t place = std::uint64_t{static_cast<std::uint32_t>(key.shard.position.x)} << 32 |
                              static_cast<std::uint32_t>(key.shard.position.y);
  const std::uint64_t inside =
      std::uint64_t{key.chunk} << 16 | std::uint64_t{key.layer} << 8 | static_cast<std::uint64_t>(key.form);
  std::uint64_t h = (place ^ key.shard.world.value * 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
  h = (h ^ h >> 31 ^ inside) * 0x94D049BB133111EBu;
  return static_cast<std::size_t>(h ^ h >> 29);
}

std::size_t EncodedChunks::cost(const SharedBytes& frame) {
  return frame.size() + kEntryBytes;
}

SharedBytes EncodedChunks::find(const Key& key, Lsn revision) {
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second->revision != revision) {
    ++counters_.misses;
    return {};
  }
  ++counters_.hits;
  found->second->asked = true;
  return found->second->frame;
}

void EncodedChunks::insert(const Key& key, Lsn revision, const SharedBytes& frame) {
  if (const auto found = entries_.find(key); found != entries_.end()) erase(found->second);
  if (cost(frame) > bytes_max_) return;
  while (bytes_ + cost(frame) > bytes_max_) evict();
  order_.push_front({key, revision, frame});
  entries_.emplace(key, order_.begin());
  bytes_ += cost(frame);
}

void EncodedChunks::evict() {
  TZ_ASSERT(!order_.empty());
  if (hand_ == order_.end()) hand_ = std::prev(order_.end());
  while (hand_->asked) {
    hand_->asked = false;
    hand_ = hand_ == order_.begin() ? std::prev(order_.end()) : std::prev(hand_);
  }
  ++counters_.evicted;
  erase(hand_);
}

void EncodedChunks::erase(Order::iterator entry) {
  // The hand goes on towards the newest; end: it begins anew at the oldest.
  if (hand_ == entry) hand_ = entry == order_.begin() ? order_.end() : std::prev(entry);
  TZ_ASSERT(bytes_ >= cost(entry->frame));
  bytes_ -= cost(entry->frame);
  entries_.erase(entry->key);
  order_.erase(entry);
}

}  // namespace terrazzo::shard
