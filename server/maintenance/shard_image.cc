#include "server/maintenance/shard_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/crc32c.h"
#include "server/io/durable_file.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::maintenance {
namespace {

using shardfile::BlobPage;
using shardfile::ChainPage;
using shardfile::Entry;
using shardfile::kNodeLevels;
using shardfile::kPageBytes;
using shardfile::Node;
using shardfile::PageNo;
using shardfile::Tag;

constexpr std::size_t kFlushBytes = std::size_t{4} << 20;

}  // namespace

Result<ShardImageWriter> ShardImageWriter::create(const std::string& path, const ShardTrees& trees) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return io::file_error(path, "cannot be made", errno);
  return ShardImageWriter(path, trees, fd);
}

ShardImageWriter::ShardImageWriter(std::string path, const ShardTrees& trees, int fd)
    : path_(std::move(path)),
      trees_(trees),
      fd_(fd),
      cells_(trees.cells),
      nodes_(trees.nodes.size()),
      blobs_(trees.blobs.size()),
      next_(shardfile::kRootSlots) {
  place_cells();
  flushed_ = std::uint64_t{next_} * kPageBytes;
}

ShardImageWriter::ShardImageWriter(ShardImageWriter&& other) noexcept
    : path_(std::move(other.path_)),
      trees_(other.trees_),
      fd_(std::exchange(other.fd_, -1)),
      cells_(std::move(other.cells_)),
      nodes_(std::move(other.nodes_)),
      blobs_(std::move(other.blobs_)),
      missing_(other.missing_),
      next_(other.next_),
      pages_(std::move(other.pages_)),
      flushed_(other.flushed_) {}

ShardImageWriter::~ShardImageWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void ShardImageWriter::place_cells() {
  for (std::size_t i = 0; i < trees_.nodes.size(); ++i) {
    if (trees_.levels[i] + 1 != kNodeLevels) continue;
    for (const Entry& entry : trees_.nodes[i])
      if (entry.tag() == Tag::page && cells_[entry.value].page == 0) cells_[entry.value] = {next_++, entry.crc};
  }
  missing_ = next_ - shardfile::kRootSlots;
}

Status ShardImageWriter::put_cells(std::uint32_t first, std::span<const std::byte> pages) {
  TZ_ASSERT(pages.size() % kPageBytes == 0);
  const std::size_t count = pages.size() / kPageBytes;
  if (first > cells_.size() || count > cells_.size() - first)
    return Error{ErrorCode::internal, "there are more pages of cells than its trees know"};
  for (std::size_t i = 0; i < count;) {
    // As many as lie side by side in the file, too.
    std::size_t run = 0;
    for (; i + run < count; ++run) {
      const Place& place = cells_[first + i + run];
      if (place.page == 0 || place.page != cells_[first + i].page + run) break;
      if (place.crc != shardfile::page_checksum(pages.data() + (i + run) * kPageBytes))
        return Error{ErrorCode::internal,
                     fmt::format("page {} of cells is not what its trees say; take another backup", first + i + run)};
    }
    if (run == 0) {
      ++i;
      continue;
    }
    const std::uint64_t at = std::uint64_t{cells_[first + i].page} * kPageBytes;
    if (Status written = write_at(at, pages.subspan(i * kPageBytes, run * kPageBytes)); !written) return written;
    missing_ -= static_cast<std::uint32_t>(run);
    i += run;
  }
  return {};
}

Entry ShardImageWriter::top_of(const Entry& top) const {
  if (!top.has_page()) return top;
  Entry made = Entry::make(top.tag(), top.revision(), nodes_[top.value].page);
  made.crc = nodes_[top.value].crc;
  return made;
}

Status ShardImageWriter::finish() {
  if (missing_ != 0)
    return Error{ErrorCode::internal, fmt::format("{} pages of cells are missing; take another backup", missing_)};
  for (std::size_t i = 0; i < trees_.nodes.size(); ++i) {
    add_node(i);
    if (Status flushed = flush_if_large(); !flushed) return flushed;
  }
  const ShardImage& image = trees_.roots;
  std::vector<shardfile::TableRecord> records;
  for (const storage::BranchState& branch : image.branches)
    records.push_back(
        {shardfile::TableKind::branch, branch.head, branch.head, branch.lsn.value, 0, 0, top_of(branch.top)});
  for (const storage::PinInfo& pin : image.pins) {
    const auto kind =
        pin.kind == storage::PinKind::version ? shardfile::TableKind::version : shardfile::TableKind::undo_point;
    records.push_back({kind, pin.head, pin.id, pin.lsn.value, 0, 0, top_of(pin.top)});
  }
  shardfile::Root root{};
  root.magic = shardfile::kRootMagic;
  root.version = shardfile::kShardFormatVersion;
  root.world = image.identity.world.value;
  root.x = image.identity.x;
  root.y = image.identity.y;
  root.generation = 1;
  root.lsn = image.lsn.value;
  root.layers = top_of(image.top);
  root.aux = add_chain(image.aux);
  root.table = add_chain(std::as_bytes(std::span(records)));
  // Its own pages are in use, too: a list that says so of all pages has one bit for each of these as well.
  constexpr PageNo kPagesPerBits = 8 * sizeof(ChainPage::bytes);
  const PageNo in_use = next_ + 1 + next_ / kPagesPerBits;
  root.free = add_chain(std::vector<std::byte>((in_use + 7) / 8));
  root.pages = next_;
  root.crc = crc32c({reinterpret_cast<const std::byte*>(&root), offsetof(shardfile::Root, crc)});
  if (Status flushed = flush(); !flushed) return flushed;
  std::vector<std::byte> slots(shardfile::kRootSlots * kPageBytes);
  std::memcpy(slots.data() + root.generation % shardfile::kRootSlots * kPageBytes, &root, sizeof root);
  if (Status written = write_at(0, slots); !written) return written;
  return ::fsync(fd_) == 0 ? Status() : Status(io::file_error(path_, "cannot be synced", errno));
}

// The blobs of a leaf come before it.
void ShardImageWriter::add_node(std::size_t index) {
  Node node = trees_.nodes[index];
  const bool leaf = trees_.levels[index] + 1 == kNodeLevels;
  for (Entry& entry : node) {
    if (!entry.has_page()) continue;
    const bool is_blob = entry.tag() == Tag::blob;
    if (is_blob && blobs_[entry.value].page == 0) {
      Place& blob = blobs_[entry.value];
      blob.page = add_blob(trees_.blobs[entry.value], blob.crc);
    }
    const Place& below = (is_blob ? blobs_ : leaf ? cells_ : nodes_)[entry.value];
    entry.value = below.page;
    entry.crc = below.crc;
  }
  nodes_[index].crc = shardfile::page_checksum(reinterpret_cast<const std::byte*>(node.data()));
  nodes_[index].page = add_page(node.data());
}

// Last page first, as each holds its successor's number and checksum.
PageNo ShardImageWriter::add_blob(std::span<const std::byte> bytes, std::uint32_t& crc) {
  constexpr std::size_t kContent = sizeof(BlobPage::content);
  PageNo next = 0;
  crc = 0;
  for (std::size_t pages = (bytes.size() + kContent - 1) / kContent; pages > 0; --pages) {
    const auto part = bytes.subspan((pages - 1) * kContent);
    BlobPage page{};
    page.next = next;
    page.next_crc = crc;
    page.bytes = static_cast<std::uint32_t>(part.size());
    std::ranges::copy(part.first(std::min(kContent, part.size())), page.content);
    crc = shardfile::page_checksum(reinterpret_cast<const std::byte*>(&page));
    next = add_page(&page);
  }
  return next;
}

shardfile::ChainRef ShardImageWriter::add_chain(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  const shardfile::ChainRef ref{next_, static_cast<std::uint32_t>(bytes.size()), crc32c(bytes)};
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(ChainPage::bytes)) {
    ChainPage page{};
    const std::size_t count = std::min(sizeof page.bytes, bytes.size() - at);
    std::ranges::copy(bytes.subspan(at, count), page.bytes);
    page.crc = crc32c(page.bytes);
    page.next = at + count < bytes.size() ? next_ + 1 : 0;
    add_page(&page);
  }
  return ref;
}

PageNo ShardImageWriter::add_page(const void* page) {
  const auto* from = static_cast<const std::byte*>(page);
  pages_.insert(pages_.end(), from, from + kPageBytes);
  return next_++;
}

Status ShardImageWriter::flush_if_large() {
  return pages_.size() < kFlushBytes ? Status() : flush();
}

Status ShardImageWriter::flush() {
  Status written = write_at(flushed_, pages_);
  flushed_ += pages_.size();
  pages_.clear();
  return written;
}

Status ShardImageWriter::write_at(std::uint64_t at, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io::file_error(path_, "cannot be written", errno);
    at += static_cast<std::uint64_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace terrazzo::maintenance
