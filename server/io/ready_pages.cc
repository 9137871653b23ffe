#include "server/io/ready_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

#include "server/io/mmap_page_file.h"

namespace terrazzo::io {
namespace {

using storage::kPageBytes;

// The core waits with changes of its mappings while the kernel is at it.
constexpr std::size_t kRunPages = 16;

}  // namespace

bool make_ready(int fd, std::byte* base, storage::ReadyRequest& request) {
  std::ranges::sort(request.pages);
  for (std::size_t at = 0; at < request.pages.size();) {
    std::size_t run = 1;
    while (at + run < request.pages.size() && run < kRunPages && request.pages[at + run] == request.pages[at] + run)
      ++run;
    // An answer of no is none of ours: the edit that takes the page hears of it, or faults where the kernel is older.
    ::madvise(base + std::size_t{request.pages[at]} * kPageBytes, run * kPageBytes, MADV_POPULATE_WRITE);
    at += run;
  }
  const std::size_t from = request.grow_from * kPageBytes, to = request.grow_to * kPageBytes;
  // A file that somebody cut off must not look whole again: what was lost would read as zeros.
  struct stat about {};
  if (from == to || to > kFileBytesMax || ::fstat(fd, &about) != 0 || static_cast<std::size_t>(about.st_size) < from) return false;
  return ::posix_fallocate(fd, static_cast<off_t>(from), static_cast<off_t>(to - from)) == 0;
}

}  // namespace terrazzo::io
