#include "server/io/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace terrazzo::io {
namespace {

Error failed(const std::string& path, const char* what) {
  const ErrorCode code = errno == ENOENT   ? ErrorCode::not_found
                         : errno == ENOSPC ? ErrorCode::overloaded
                                           : ErrorCode::internal;
  return {code, fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
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
  return sync_folder(std::filesystem::path(path).parent_path().string());
}

Result<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(path, "cannot be opened");
  std::string bytes;
  struct stat about {};
  if (::fstat(fd, &about) == 0 && about.st_size > 0) bytes.reserve(static_cast<std::size_t>(about.st_size));
  char buffer[65536];
  ssize_t count = 0;
  while ((count = ::read(fd, buffer, sizeof buffer)) != 0) {
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = failed(path, "cannot be read");
      ::close(fd);
      return error;
    }
    bytes.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(fd);
  return bytes;
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
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error{ErrorCode::internal, fmt::format("{}: the folder cannot be made: {}", path, error.message())};
  const std::filesystem::path parent = std::filesystem::absolute(path).parent_path();
  return sync_folder(parent.string());
}

}  // namespace terrazzo::io
