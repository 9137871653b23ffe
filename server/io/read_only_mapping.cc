#include "server/io/read_only_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "server/io/durable_file.h"

namespace terrazzo::io {

Result<std::unique_ptr<ReadOnlyMapping>> ReadOnlyMapping::open(const std::string& path, Reads reads) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_error(path, "cannot be opened", errno);
  struct stat about {};
  void* start = MAP_FAILED;
  int error = ::fstat(fd, &about) == 0 ? 0 : errno;
  const auto size = static_cast<std::size_t>(about.st_size);
  if (error == 0 && size != 0) {
    start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (start == MAP_FAILED) error = errno;
  }
  if (error != 0) {
    ::close(fd);
    return file_error(path, "cannot be mapped", error);
  }
  std::span<const std::byte> bytes;
  if (size != 0) {
    bytes = {static_cast<const std::byte*>(start), size};
    ::madvise(start, size, reads == Reads::all ? MADV_SEQUENTIAL : MADV_RANDOM);
  }
  return std::unique_ptr<ReadOnlyMapping>(new ReadOnlyMapping(fd, bytes, reads));
}

ReadOnlyMapping::~ReadOnlyMapping() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  // What a server works with it has mapped, and what is not on disk yet is not forgotten either.
  if (reads_ == Reads::all) ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd_);
}

}  // namespace terrazzo::io
