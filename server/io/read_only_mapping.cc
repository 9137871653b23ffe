#include "server/io/read_only_mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "server/io/durable_file.h"

namespace terrazzo::io {

Result<std::unique_ptr<ReadOnlyMapping>> ReadOnlyMapping::open(const std::string& path) {
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
  ::close(fd);
  if (error != 0) return file_error(path, "cannot be mapped", error);
  std::span<const std::byte> bytes;
  if (size != 0) bytes = {static_cast<const std::byte*>(start), size};
  return std::unique_ptr<ReadOnlyMapping>(new ReadOnlyMapping(bytes));
}

ReadOnlyMapping::~ReadOnlyMapping() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace terrazzo::io
