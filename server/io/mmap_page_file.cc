#include "server/io/mmap_page_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <filesystem>

#include "server/io/durable_file.h"

namespace terrazzo::io {
namespace {

// Addresses, not memory, taken ahead of need so that growing rarely moves the mapping. Not the most a shard may ever
// take (64 GiB, more with copies): of those a process could open some hundred only, of these a hundred thousand.
constexpr std::size_t kReservedBytesMin = std::size_t{1} << 30;

Error failed(const std::string& path, const char* what) {
  return file_error(path, what, errno);
}

std::size_t bytes_of(storage::PageNo pages) {
  return std::size_t{pages} * storage::kPageBytes;
}

// Twice what is needed now, so that a file that grows to n bytes moves log2(n) times at most.
std::size_t reservation_for(std::size_t bytes) {
  return std::max(kReservedBytesMin, std::bit_ceil(bytes) * 2);
}

}  // namespace

Result<std::unique_ptr<MmapPageFile>> MmapPageFile::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    if (errno != EEXIST) return failed(path, "cannot be made");
    return Error{ErrorCode::already_exists,
                 path + ": is there already; open it, or move it away if it is not a shard's"};
  }
  std::unique_ptr<MmapPageFile> file(new MmapPageFile(path, fd));
  // The name must survive a crash before the log may speak of the shard.
  Status made = sync_folder(std::filesystem::path(path).parent_path().string());
  if (made) made = file->map(0);
  if (made) return file;
  // So that it can be tried again.
  ::unlink(path.c_str());
  return made.error();
}

Result<std::unique_ptr<MmapPageFile>> MmapPageFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return failed(path, "cannot be opened");
  std::unique_ptr<MmapPageFile> file(new MmapPageFile(path, fd));
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);  // see map_part()
  struct stat about {};
  if (::fstat(fd, &about) != 0) return failed(path, "cannot be looked at");
  // What a crash left of growing by less than a page is nobody's.
  const auto pages = static_cast<std::size_t>(about.st_size) / storage::kPageBytes;
  if (pages * storage::kPageBytes > kFileBytesMax)
    return Error{
        ErrorCode::too_large,
        fmt::format("{}: {} pages are more than a shard can have; restore the file from a backup", path, pages)};
  // A copy (of a backup, say) may have come with holes. They are given space when they are needed; the roots at once.
  file->has_holes_ = static_cast<std::size_t>(about.st_blocks) * 512 < pages * storage::kPageBytes;
  const auto roots = static_cast<storage::PageNo>(std::min<std::size_t>(pages, shardfile::kRootSlots));
  // Looking is cheaper than asking for space that is there.
  if (file->has_holes_ && roots != 0 && ::lseek(fd, 0, SEEK_HOLE) < static_cast<off_t>(bytes_of(roots)))
    if (Status backed = file->back(0, roots); !backed) return backed.error();
  if (Status mapped = file->map(static_cast<storage::PageNo>(pages)); !mapped) return mapped.error();
  return file;
}

MmapPageFile::~MmapPageFile() {
  if (base_ != nullptr) ::munmap(base_, reserved_bytes_);
  if (fd_ >= 0) ::close(fd_);
}

// Maps the whole file into a new range; the old one goes afterwards, so that a failure changes nothing.
Status MmapPageFile::map(storage::PageNo pages) {
  const std::size_t bytes = bytes_of(pages), reserved_bytes = reservation_for(bytes);
  void* const range = ::mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return failed(path_, "there is no address range for its mapping");
  auto* const moved = static_cast<std::byte*>(range);
  if (Status mapped = map_part(moved, 0, bytes); !mapped) {
    ::munmap(range, reserved_bytes);
    return mapped;
  }
  if (base_ != nullptr) ::munmap(base_, reserved_bytes_);
  base_ = moved;
  // Page faults behind the file's end are ours, too: all of the range is guarded.
  if (!guard_.faulted()) guard_.set(base_, reserved_bytes);
  reserved_bytes_ = reserved_bytes;
  pages_ = pages;
  return {};
}

Status MmapPageFile::map_part(std::byte* base, std::size_t from, std::size_t to) {
  if (from == to) return {};
  const auto offset = static_cast<off_t>(from);
  if (::mmap(base + from, to - from, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, offset) == MAP_FAILED)
    return failed(path_, "cannot be mapped");
  // Read-ahead in large folios made checkpoints write many times the dirty bytes (docs/storage.md). A child process has
  // no business with the pages. Both are advice: the file works without.
  ::madvise(base + from, to - from, MADV_RANDOM);
  ::madvise(base + from, to - from, MADV_DONTFORK);
  return {};
}

Status MmapPageFile::grow(storage::PageNo pages) {
  if (pages <= pages_) return {};
  const std::size_t from = bytes_of(pages_), to = bytes_of(pages);
  if (to > kFileBytesMax) {
    return Error{
        ErrorCode::overloaded,
        fmt::format("{}: {} pages are more than a shard can have; drop named versions to free some", path_, pages)};
  }
  // A file that somebody cut off must not look whole again: what was lost would read as zeros.
  if (Status whole = look_whether_whole(); !whole) return whole;
  int error = 0;
  do {
    error = ::posix_fallocate(fd_, static_cast<off_t>(from), static_cast<off_t>(to - from));
  } while (error == EINTR);
  if (error != 0) {
    give_back(from);
    return file_error(path_, "there is no disk space for more pages; the edit can be sent again when there is", error);
  }
  Status mapped = to > reserved_bytes_ ? map(pages) : map_part(base_, from, to);
  if (!mapped) {
    give_back(from);
    return Error{ErrorCode::overloaded, mapped.error().message};
  }
  pages_ = pages;
  return {};
}

void MmapPageFile::unmap_pages(storage::PageNo first, storage::PageNo count) {
  // Of a shared mapping: what was written stays in the file's cache.
  ::madvise(base_ + bytes_of(first), bytes_of(count), MADV_DONTNEED);
}

Status MmapPageFile::look_whether_whole() const {
  struct stat open_file {
  }, named_file{};
  if (::fstat(fd_, &open_file) != 0) return failed(path_, "cannot be looked at");
  if (static_cast<std::size_t>(open_file.st_size) < bytes_of(pages_)) {
    return Error{
        ErrorCode::read_only,
        fmt::format("{}: somebody cut it off to {} of {} bytes while it was in use; stop the server and restore it "
                    "from a backup",
                    path_, open_file.st_size, bytes_of(pages_))};
  }
  if (::stat(path_.c_str(), &named_file) != 0 || named_file.st_ino != open_file.st_ino) {
    return Error{
        ErrorCode::read_only,
        path_ + ": somebody removed or replaced it while it was in use; stop the server and restore it from a backup"};
  }
  if (faulted()) {
    return Error{ErrorCode::read_only,
                 path_ +
                     ": a page could not be read: the disk fails; see the kernel's log, stop the server, and restore "
                     "the file from a backup onto another one"};
  }
  return {};
}

Status MmapPageFile::back(storage::PageNo first, storage::PageNo count) {
  // File systems without fallocate have no cheap way to tell.
  if (::fallocate(fd_, 0, static_cast<off_t>(bytes_of(first)), static_cast<off_t>(bytes_of(count))) == 0 ||
      errno == EOPNOTSUPP)
    return {};
  return file_error(path_, "there is no disk space for its pages; the edit can be sent again when there is", errno);
}

// Some file systems leave behind what they allocated before the space ran out; nobody has seen it yet. If it stays, the
// next open counts it as free pages, which is right too.
void MmapPageFile::give_back(std::size_t from) {
  if (::ftruncate(fd_, static_cast<off_t>(from)) != 0) spdlog::warn("{}", failed(path_, "cannot be cut back").message);
}

}  // namespace terrazzo::io
