#include "server/io/cold_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include "base/canary.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::io {
namespace {

using storage::ColdPage;
using storage::kPageBytes;
using storage::PageNo;

// Long enough that a call costs little beside its bytes.
constexpr std::size_t kRunPages = 32;

std::size_t run_length(std::span<const ColdPage> pages) {
  std::size_t length = 1;
  while (length < pages.size() && length < kRunPages && pages[length].page == pages[0].page + length) ++length;
  return length;
}

off_t offset_of(PageNo page) {
  return static_cast<off_t>(std::size_t{page} * kPageBytes);
}

bool read_all(int fd, std::span<std::byte> bytes, off_t offset) {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
  return true;
}

}  // namespace

std::vector<PageNo> bring_in(int fd, std::span<ColdPage> pages) {
  std::ranges::sort(pages, {}, &ColdPage::page);
  // All reads are on their way before the first is waited for.
  for (std::size_t at = 0; at < pages.size();) {
    const std::size_t run = run_length(pages.subspan(at));
    if (run < pages.size())
      ::posix_fadvise(fd, offset_of(pages[at].page), static_cast<off_t>(run * kPageBytes), POSIX_FADV_WILLNEED);
    at += run;
  }
  std::vector<PageNo> damaged;
  alignas(kPageBytes) std::array<std::byte, kRunPages * kPageBytes> buffer;
  for (std::size_t at = 0; at < pages.size();) {
    const std::size_t run = run_length(pages.subspan(at));
    const std::span<std::byte> bytes = std::span(buffer).first(run * kPageBytes);
    // One bad sector must not make its neighbours unreadable.
    const bool read = read_all(fd, bytes, offset_of(pages[at].page));
    for (std::size_t i = 0; i < run; ++i) {
      const ColdPage& page = pages[at + i];
      const std::span<std::byte> one = bytes.subspan(i * kPageBytes, kPageBytes);
      const bool here = read || read_all(fd, one, offset_of(page.page));
      const bool looks = page.crc != 0 && !canary::is(canary::Bug::checksum_not_looked_at);
      if (!here || (looks && page.crc != shardfile::page_checksum(one.data()))) damaged.push_back(page.page);
    }
    at += run;
  }
  return damaged;
}

void let_go(int fd, PageNo extent, std::uint64_t pages) {
  const PageNo first = extent * storage::Residency::kExtentPages;
  while (pages != 0) {
    const int from = std::countr_zero(pages);
    const int count = std::countr_one(pages >> from);
    ::posix_fadvise(fd, offset_of(first + static_cast<PageNo>(from)), static_cast<off_t>(count) * kPageBytes,
                    POSIX_FADV_DONTNEED);
    pages &= count == 64 ? 0 : ~(((std::uint64_t{1} << count) - 1) << from);
  }
}

}  // namespace terrazzo::io
