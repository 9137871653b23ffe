#include "server/storage/extent_sieve.h"

namespace terrazzo::storage {

void ExtentSieve::insert(Key key) {
  std::uint32_t at;
  if (unused_.empty()) {
    at = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    at = unused_.back();
    unused_.pop_back();
  }
  nodes_[at] = {key, newest_, kNone};
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = at;
  newest_ = at;
  ++size_;
}

void ExtentSieve::erase_file(std::uint32_t file) {
  for (std::uint32_t at = oldest_; at != kNone;) {
    const std::uint32_t next = nodes_[at].newer;
    if (nodes_[at].key.file == file) remove(at);
    at = next;
  }
}

void ExtentSieve::remove(std::uint32_t at) {
  const Node node = nodes_[at];
  (node.older == kNone ? oldest_ : nodes_[node.older].newer) = node.newer;
  (node.newer == kNone ? newest_ : nodes_[node.newer].older) = node.older;
  if (hand_ == at) hand_ = node.newer;
  unused_.push_back(at);
  --size_;
}

}  // namespace terrazzo::storage
