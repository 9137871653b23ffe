#include "server/io/mmap_page_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "server/io/durable_file.h"

namespace terrazzo::io {
namespace {

// Of addresses, not of memory: all layers of a full shard (256 × 65536 chunks) take 64 GiB, twice that with copies.
constexpr std::size_t kReservedBytes = std::size_t{1} << 37;

Error failed(const std::string& path, const char* what, ErrorCode code = ErrorCode::internal) {
  return {code, fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
}

}  // namespace

Result<std::unique_ptr<MmapPageFile>> MmapPageFile::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return failed(path, "cannot be made", errno == EEXIST ? ErrorCode::already_exists : ErrorCode::internal);
  std::unique_ptr<MmapPageFile> file(new MmapPageFile(path, fd));
  // The name must survive a crash before the log may speak of the shard.
  if (Status synced = sync_folder(std::filesystem::path(path).parent_path().string()); !synced) return synced.error();
  if (Status mapped = file->map(0); !mapped) return mapped.error();
  return file;
}

Result<std::unique_ptr<MmapPageFile>> MmapPageFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return failed(path, "cannot be opened");
  std::unique_ptr<MmapPageFile> file(new MmapPageFile(path, fd));
  struct stat about {};
  if (::fstat(fd, &about) != 0) return failed(path, "cannot be looked at");
  // What a crash left of growing by less than a page is nobody's.
  const auto pages = static_cast<std::size_t>(about.st_size) / storage::kPageBytes;
  if (pages * storage::kPageBytes > kReservedBytes)
    return Error{ErrorCode::too_large, fmt::format("{}: {} pages are more than a shard can have", path, pages)};
  if (Status mapped = file->map(static_cast<storage::PageNo>(pages)); !mapped) return mapped.error();
  return file;
}

MmapPageFile::~MmapPageFile() {
  if (base_ != nullptr) ::munmap(base_, kReservedBytes);
  if (fd_ >= 0) ::close(fd_);
}

Status MmapPageFile::map(storage::PageNo pages) {
  void* reserved = ::mmap(nullptr, kReservedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return failed(path_, "no address range for its mapping (is there a limit on virtual memory?)");
  base_ = static_cast<std::byte*>(reserved);
  const std::size_t bytes = std::size_t{pages} * storage::kPageBytes;
  if (bytes == 0) return {};
  if (::mmap(base_, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, 0) == MAP_FAILED)
    return failed(path_, "cannot be mapped");
  // Read-ahead in large folios made checkpoints write many times the dirty bytes (docs/storage.md).
  ::madvise(base_, bytes, MADV_RANDOM);
  pages_ = pages;
  return {};
}

Status MmapPageFile::grow(storage::PageNo pages) {
  if (pages <= pages_) return {};
  const std::size_t from = std::size_t{pages_} * storage::kPageBytes, to = std::size_t{pages} * storage::kPageBytes;
  if (to > kReservedBytes)
    return Error{ErrorCode::overloaded, fmt::format("{}: {} pages are more than a shard can have", path_, pages)};
  int error = 0;
  do {
    error = ::posix_fallocate(fd_, static_cast<off_t>(from), static_cast<off_t>(to - from));
  } while (error == EINTR);
  if (error != 0) {
    errno = error;
    return failed(path_, "no disk space for more pages; free some, the edit can then be sent again", ErrorCode::overloaded);
  }
  // Page by page what the extent needs: the part that is mapped already stays as it is.
  if (::mmap(base_ + from, to - from, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, static_cast<off_t>(from)) == MAP_FAILED)
    return failed(path_, "the new pages cannot be mapped", ErrorCode::overloaded);
  ::madvise(base_ + from, to - from, MADV_RANDOM);
  pages_ = pages;
  return {};
}

}  // namespace terrazzo::io
