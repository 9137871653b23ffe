#include "server/storage/checksum_walk.h"

#include <algorithm>
#include <atomic>

#include "shardfile/tree_reader.h"

namespace terrazzo::storage {

using shardfile::Entry;
using shardfile::kNodeEntries;
using shardfile::kNodeLevels;
using shardfile::Tag;

void ChecksumWalk::begin(std::vector<Entry> tops) {
  tops_ = std::move(tops);
  next_top_ = 0;
  path_.clear();
}

// Readers of a pinned tree on other threads may look at the entry at this moment.
void ChecksumWalk::finish(Entry& entry, std::uint64_t newest) {
  Entry raised = entry;
  raised.set_revision(std::max(newest, entry.revision()));
  std::atomic_ref(entry.tag_and_revision).store(raised.tag_and_revision, std::memory_order_relaxed);
  std::atomic_ref(entry.crc).store(shardfile::page_checksum(bytes(entry.value)), std::memory_order_relaxed);
}

Entry& ChecksumWalk::entry_of(const Frame& frame, std::size_t depth) {
  return depth == 0 ? tops_[frame.parent_index] : node(path_[depth - 1].page)[frame.parent_index];
}

bool ChecksumWalk::enter(Entry& entry, std::uint32_t index, std::size_t depth) {
  if (!entry.has_page() || entry.crc != 0) return false;
  if (depth == kNodeLevels || entry.tag() == Tag::blob) {
    finish(entry, entry.revision());
    return false;
  }
  path_.push_back({entry.value, index, 0, 0});
  return true;
}

bool ChecksumWalk::is_missing(const Entry& entry, Missing* missing) {
  if (missing == nullptr || !entry.has_page() || entry.crc != 0 || residency_.touch(entry.value)) return false;
  missing->pages.push_back({entry.value, 0});
  return true;
}

bool ChecksumWalk::step(std::size_t pages, Missing* missing) {
  // Looking at an entry costs a few nanoseconds, the checksum of a page a few hundred.
  constexpr std::size_t kPageCost = 64;
  std::size_t cost = 0;
  while (cost < pages * kPageCost) {
    if (path_.empty()) {
      if (next_top_ == tops_.size()) return false;
      if (is_missing(tops_[next_top_], missing)) return true;
      enter(tops_[next_top_], static_cast<std::uint32_t>(next_top_), 0);
      ++next_top_;
      continue;
    }
    const std::size_t depth = path_.size();
    Frame& frame = path_.back();
    if (frame.next == kNodeEntries) {
      const Frame done = frame;
      finish(entry_of(done, depth - 1), done.newest);
      const std::uint64_t newest = entry_of(done, depth - 1).revision();
      path_.pop_back();
      if (!path_.empty()) path_.back().newest = std::max(path_.back().newest, newest);
      cost += kPageCost;
      continue;
    }
    Entry& child = node(frame.page)[frame.next];
    if (is_missing(child, missing)) return true;
    const std::uint32_t index = frame.next++;
    const bool pending = child.has_page() && child.crc == 0;
    if (!enter(child, index, depth)) {
      frame.newest = std::max(frame.newest, child.revision());
      if (pending) cost += kPageCost;
    }
    ++cost;
  }
  return true;
}

}  // namespace terrazzo::storage
