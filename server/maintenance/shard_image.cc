#include "server/maintenance/shard_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

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

class ImageWriter {
 public:
  ImageWriter(std::span<const std::byte> file, const ShardImage& image, std::string to, int fd)
      : reader_(file, {}), image_(image), to_(std::move(to)), fd_(fd), copies_(file.size() / kPageBytes) {
    pages_.resize(shardfile::kRootSlots * kPageBytes);
  }

  Status write() {
    shardfile::Root root{};
    std::vector<shardfile::TableRecord> records;
    Result<Entry> main = copy(image_.top, 0);
    if (!main) return main.error();
    for (const storage::PinInfo& pin : image_.pins) {
      Result<Entry> top = copy(pin.top, 0);
      if (!top) return top.error();
      const auto kind =
          pin.kind == storage::PinKind::version ? shardfile::TableKind::version : shardfile::TableKind::undo_point;
      records.push_back({kind, pin.head, pin.id, pin.lsn.value, 0, 0, *top});
    }
    root.magic = shardfile::kRootMagic;
    root.version = shardfile::kShardFormatVersion;
    root.world = image_.identity.world.value;
    root.x = image_.identity.x;
    root.y = image_.identity.y;
    root.generation = 1;
    root.lsn = image_.lsn.value;
    root.layers = *main;
    root.aux = chain(image_.aux);
    root.table = chain(std::as_bytes(std::span(records)));
    // Its own pages are in use, too: a list that says so of all pages has one bit for each of these as well.
    constexpr PageNo kPagesPerBits = 8 * sizeof(ChainPage::bytes);
    const PageNo in_use = next_ + 1 + next_ / kPagesPerBits;
    root.free = chain(std::vector<std::byte>((in_use + 7) / 8));
    root.pages = next_;
    root.crc = crc32c({reinterpret_cast<const std::byte*>(&root), offsetof(shardfile::Root, crc)});
    if (Status flushed = flush(); !flushed) return flushed;
    std::vector<std::byte> slot(kPageBytes);
    std::memcpy(slot.data(), &root, sizeof root);
    const std::uint64_t at = root.generation % shardfile::kRootSlots * kPageBytes;
    if (Status written = write_at(at, slot); !written) return written;
    return ::fsync(fd_) == 0 ? Status() : Status(io::file_error(to_, "cannot be synced", errno));
  }

 private:
  struct Copy {
    PageNo page = 0;
    std::uint32_t crc = 0;
    std::uint64_t revision = 0;
  };

  Error damaged(PageNo page, const char* how) const {
    return {ErrorCode::internal,
            fmt::format("page {}: {}; this shard cannot be backed up. Restore it from an earlier backup", page, how)};
  }

  Result<Entry> copy(const Entry& entry, int level) {
    if (!entry.has_page()) return Entry{entry.tag_and_revision, entry.value, 0};
    if (!reader_.inside(entry.value)) return damaged(entry.value, "it lies outside the file");
    Copy& known = copies_[entry.value];
    if (known.page == 0) {
      const std::byte* from = reader_.bytes(entry.value);
      if (entry.crc != 0 && entry.crc != shardfile::page_checksum(from))
        return damaged(entry.value, "its checksum is wrong");
      const Status copied = entry.tag() == Tag::blob ? copy_blob(entry.value, known)
                            : level == kNodeLevels   ? copy_page(from, known)
                                                     : copy_node(entry.value, level, known);
      if (!copied) return copied.error();
    }
    Entry made = Entry::make(entry.tag(), std::max(entry.revision(), known.revision), known.page);
    made.crc = known.crc;
    return made;
  }

  Status copy_node(PageNo page, int level, Copy& made) {
    Node node;
    std::uint64_t newest = 0;
    for (unsigned i = 0; i < node.size(); ++i) {
      Result<Entry> child = copy(shardfile::load(reader_.node(page)[i]), level + 1);
      if (!child) return child.error();
      node[i] = *child;
      newest = std::max(newest, child->revision());
    }
    made.revision = newest;
    return copy_page(reinterpret_cast<const std::byte*>(node.data()), made);
  }

  // Last page first, as each holds its successor's number and checksum.
  Status copy_blob(PageNo first, Copy& made) {
    std::vector<PageNo> chain;
    for (PageNo page = first; page != 0; page = reinterpret_cast<const BlobPage*>(reader_.bytes(page))->next) {
      if (!reader_.inside(page) || chain.size() > copies_.size()) return damaged(page, "its chain leaves the file");
      chain.push_back(page);
    }
    Copy after;
    for (auto page = chain.rbegin(); page != chain.rend(); ++page) {
      BlobPage blob = *reinterpret_cast<const BlobPage*>(reader_.bytes(*page));
      blob.next = after.page;
      blob.next_crc = after.page == 0 ? 0 : after.crc;
      if (Status copied = copy_page(reinterpret_cast<const std::byte*>(&blob), after); !copied) return copied;
    }
    made = after;
    return {};
  }

  Status copy_page(const std::byte* from, Copy& made) {
    made.page = next_++;
    made.crc = shardfile::page_checksum(from);
    pages_.insert(pages_.end(), from, from + kPageBytes);
    return pages_.size() < kFlushBytes ? Status() : flush();
  }

  shardfile::ChainRef chain(std::span<const std::byte> bytes) {
    if (bytes.empty()) return {};
    const shardfile::ChainRef ref{next_, static_cast<std::uint32_t>(bytes.size()), crc32c(bytes)};
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(ChainPage::bytes)) {
      ChainPage page{};
      const std::size_t count = std::min(sizeof page.bytes, bytes.size() - at);
      std::ranges::copy(bytes.subspan(at, count), page.bytes);
      page.crc = crc32c(page.bytes);
      ++next_;
      page.next = at + count < bytes.size() ? next_ : 0;
      const auto* from = reinterpret_cast<const std::byte*>(&page);
      pages_.insert(pages_.end(), from, from + kPageBytes);
    }
    return ref;
  }

  Status flush() {
    Status written = write_at(flushed_, pages_);
    flushed_ += pages_.size();
    pages_.clear();
    return written;
  }
  Status write_at(std::uint64_t at, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return io::file_error(to_, "cannot be written", errno);
      at += static_cast<std::uint64_t>(count);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  }

  static constexpr std::size_t kFlushBytes = std::size_t{4} << 20;
  const shardfile::TreeReader reader_;
  const ShardImage& image_;
  const std::string to_;
  const int fd_;
  std::vector<Copy> copies_;  // by page of the source
  PageNo next_ = shardfile::kRootSlots;
  std::vector<std::byte> pages_;  // not written yet
  std::uint64_t flushed_ = 0;
};

}  // namespace

Status write_shard_image(std::span<const std::byte> file, const ShardImage& image, const std::string& to) {
  const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return io::file_error(to, "cannot be made", errno);
  Status written = ImageWriter(file, image, to, fd).write();
  ::close(fd);
  if (!written) ::unlink(to.c_str());
  return written;
}

}  // namespace terrazzo::maintenance
