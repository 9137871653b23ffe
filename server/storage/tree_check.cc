#include "server/storage/tree_check.h"

#include <fmt/format.h>

#include "shardfile/tree_reader.h"

namespace terrazzo::storage {

using shardfile::BlobPage;
using shardfile::Entry;
using shardfile::kNodeEntries;
using shardfile::kNodeLevels;
using shardfile::Tag;

namespace {

constexpr std::uint32_t kOther = ~0u;  // not in a tree
constexpr PageNo kProgressPages = 4096;

std::uint32_t place_of(const Position& at) {
  return (std::uint32_t{at.level} << 24 | std::uint32_t{at.layer} << 16 | std::uint32_t{at.region} << 8 | at.index) + 1;
}

const std::byte* bytes_of(PageFile& file, PageNo page) {
  return file.base() + std::size_t{page} * kPageBytes;
}

}  // namespace

Error TreeCheck::wrong(PageNo page, const std::string& how) const {
  return {ErrorCode::internal, fmt::format("page {} (at byte {}): {}; restore the file from a backup", page,
                                           std::size_t{page} * kPageBytes, how)};
}

Status TreeCheck::tree(const Entry& top, std::uint64_t lsn, std::uint32_t cursor, bool dropping) {
  lsn_ = lsn;
  cursor_ = cursor;
  dropping_ = dropping;
  return walk(top, {});
}

Result<bool> TreeCheck::mark(PageNo page, const Position& at) {
  if (page < shardfile::kRootSlots || page >= places_.size()) return wrong(page, "it lies outside the file");
  if (places_[page] != 0 && places_[page] != place_of(at)) return wrong(page, "it is reached at two places");
  if (places_[page] != 0) return false;
  places_[page] = place_of(at);
  if (++seen_ % kProgressPages == 0 && progress) progress(seen_);
  return true;
}

Status TreeCheck::walk(const Entry& entry, const Position& at) {
  if (entry.tag() > Tag::blob) return wrong(entry.value, "its entry is of no known kind");
  if (entry.revision() > lsn_) return wrong(entry.value, "its entry is newer than the tree");
  if (!entry.has_page() || at.last_leaf() < cursor_) return {};
  if (entry.tag() == Tag::blob && at.level != kNodeLevels) return wrong(entry.value, "there are bytes above a leaf");
  const Result<bool> first = mark(entry.value, at);
  if (!first) return first.error();
  // Of a tree that is being dropped, nobody needs them any more.
  if (entry.crc == 0 && all_checksums && !dropping_) return wrong(entry.value, "it has no checksum");
  if (entry.crc != 0 && entry.crc != shardfile::page_checksum(bytes_of(file_, entry.value)))
    return wrong(entry.value, "its checksum is wrong");
  if (!*first) return {};  // shared with a tree walked before, and so is all below
  if (entry.tag() == Tag::blob) return blob(entry, at);
  if (at.level == kNodeLevels) return {};
  for (unsigned i = 0; i < kNodeEntries; ++i) {
    const Entry& child = reinterpret_cast<const shardfile::Node*>(bytes_of(file_, entry.value))->at(i);
    if (Status ok = walk(child, at.below(static_cast<std::uint8_t>(i))); !ok) return ok;
  }
  return {};
}

Status TreeCheck::blob(const Entry& entry, const Position& at) {
  const auto* page = reinterpret_cast<const BlobPage*>(bytes_of(file_, entry.value));
  while (page->next != 0) {
    const PageNo next = page->next;
    if (const Result<bool> first = mark(next, at); !first) return first.error();
    if (page->next_crc != shardfile::page_checksum(bytes_of(file_, next))) return wrong(next, "its checksum is wrong");
    const auto* after = reinterpret_cast<const BlobPage*>(bytes_of(file_, next));
    // Shrinking, so that a loop ends.
    if (after->bytes >= page->bytes) return wrong(next, "its chain of bytes makes no sense");
    page = after;
  }
  return {};
}

Status TreeCheck::page(PageNo page, const std::string& as) {
  if (page >= places_.size()) return wrong(page, fmt::format("it is {}, but outside the file", as));
  if (places_[page] != 0) return wrong(page, fmt::format("it is {} and something else, too", as));
  places_[page] = kOther;
  ++seen_;
  return {};
}

Status TreeCheck::complete() const {
  for (PageNo page = 0; page < places_.size(); ++page)
    if (places_[page] == 0) return wrong(page, "it is neither reached nor free");
  return {};
}

}  // namespace terrazzo::storage
