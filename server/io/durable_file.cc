#include "server/io/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace terrazzo::io {
namespace {

std::string_view advice(int error_number) {
  switch (error_number) {
    case ENOENT:
      return "check that the path is right and that nobody removed it";
    case EACCES:
    case EPERM:
      return "give the user the server runs as the right to read and write there";
    case EROFS:
      return "the file system is mounted read-only: mount it for writing, or choose another data folder";
    case ENOSPC:
    case EDQUOT:
      return "free some disk space (or raise the quota)";
    case EFBIG:
      return "raise the limit on file size (ulimit -f, LimitFSIZE=)";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files (ulimit -n, LimitNOFILE=)";
    case ENOMEM:
      return "raise the limit on memory or address space (ulimit -v), or on mappings (vm.max_map_count)";
    case ENOTDIR:
    case EISDIR:
      return "something else has this name: move it away";
    case EIO:
      return "the disk fails: see the kernel's log, and restore from a backup onto another one";
    default:
      return "see the kernel's log";
  }
}

ErrorCode code_of(int error_number) {
  if (error_number == ENOENT) return ErrorCode::not_found;
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return full ? ErrorCode::overloaded : ErrorCode::internal;
}

// "." for a name without a folder; trailing slashes do not count.
std::string parent_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Error failed(const std::string& path, std::string_view what) {
  return file_error(path, what, errno);
}

// Into room for all of it at once: log segments are large, and a start reads every one. At most `most` bytes.
template <class Bytes>
Result<Bytes> read_all(const std::string& path, std::size_t most = SIZE_MAX) {
  constexpr std::size_t kMore = 65536;  // beyond what the file said it has
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(path, "cannot be opened");
  struct stat about {};
  Bytes bytes;
  std::size_t size = 0;
  // One more than there should be, so that the end is seen without growing.
  if (::fstat(fd, &about) == 0 && about.st_size > 0)
    bytes.resize(std::min(static_cast<std::size_t>(about.st_size) + 1, most));
  while (size < most) {
    if (size == bytes.size()) bytes.resize(size + std::min(kMore, most - size));
    const ssize_t count = ::read(fd, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = failed(path, "cannot be read");
      ::close(fd);
      return error;
    }
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  ::close(fd);
  bytes.resize(size);
  return bytes;
}

Status write_all(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(path, "cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(fd) == 0 ? Status() : failed(path, "cannot be synced");
}

}  // namespace

Error file_error(const std::string& path, std::string_view what, int error_number) {
  return {code_of(error_number),
          fmt::format("{}: {}: {}; {}", path, what, std::strerror(error_number), advice(error_number))};
}

Status replace_file(const std::string& path, std::string_view bytes, unsigned mode) {
  static std::atomic<std::uint64_t> counter{0};  // two threads may replace the same file
  const std::string temporary = fmt::format("{}.new.{}", path, counter.fetch_add(1));
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return failed(temporary, "cannot be made");
  Status written = write_all(fd, temporary, bytes);
  ::close(fd);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = failed(path, "cannot be replaced");
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(parent_of(path));
}

Status append_file(const std::string& path, std::string_view bytes, unsigned mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode);
  if (fd < 0) return failed(path, "cannot be opened");
  struct stat about {};
  const bool fresh = ::fstat(fd, &about) == 0 && about.st_size == 0;
  Status written = write_all(fd, path, bytes);
  ::close(fd);
  return written && fresh ? sync_folder(parent_of(path)) : written;
}

Result<std::string> read_file(const std::string& path) {
  return read_all<std::string>(path);
}
Result<std::vector<std::byte>> read_bytes(const std::string& path, std::size_t bytes_max) {
  return read_all<std::vector<std::byte>>(path, bytes_max);
}

Status look_at_disk(const std::string& path, std::size_t bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_error(path, "cannot be opened", errno);
  const int failed = ::fdatasync(fd) == 0 ? 0 : errno;
  ::posix_fadvise(fd, 0, static_cast<off_t>(bytes), POSIX_FADV_DONTNEED);
  ::close(fd);
  return failed == 0 ? Status() : file_error(path, "cannot be synced", failed);
}

Status sync_folder(const std::string& path) {
  const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failed(path, "cannot be opened");
  const bool synced = ::fsync(fd) == 0;
  const Status outcome = synced ? Status() : Status(failed(path, "cannot be synced"));
  ::close(fd);
  return outcome;
}

Status make_folder(const std::string& path) {
  if (path.empty() || ::mkdir(path.c_str(), 0700) == 0) return path.empty() ? Status() : sync_folder(parent_of(path));
  if (errno == ENOENT) {
    const std::string parent = parent_of(path);
    if (parent == path) return failed(path, "the folder cannot be made");
    if (Status made = make_folder(parent); !made) return made;
    if (::mkdir(path.c_str(), 0700) == 0) return sync_folder(parent);
  }
  if (errno != EEXIST) return failed(path, "the folder cannot be made");
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return failed(path, "cannot be looked at");
  if (!S_ISDIR(about.st_mode)) return file_error(path, "is no folder", ENOTDIR);
  // Whoever made it may have ended, or failed, before its name was on disk.
  return sync_folder(parent_of(path));
}

}  // namespace terrazzo::io
