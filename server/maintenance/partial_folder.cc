#include "server/maintenance/partial_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "server/io/durable_file.h"

namespace terrazzo::maintenance {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kSuffix = ".partial";
// Tells a folder of ours from one that somebody else gave such a name; locked by who fills the folder.
constexpr std::string_view kMark = "/UNFINISHED";

// -1: somebody else has it, or it cannot be opened.
int lock_file(const std::string& file, int flags) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

// What a crash left: true when nothing is there any more. An empty one has not been marked yet.
bool remove_left_over(const std::string& partial) {
  std::error_code error;
  if (fs::is_empty(partial, error) && !error) return fs::remove(partial, error);
  const int lock = lock_file(partial + std::string(kMark), 0);
  if (lock < 0) return false;
  fs::remove_all(partial, error);
  ::close(lock);
  return !error;
}

}  // namespace

std::string whole_name(const std::string& folder) {
  std::error_code error;
  const fs::path whole = fs::absolute(folder, error).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).string();
}

Result<PartialFolder> PartialFolder::begin(const std::string& folder) {
  const std::string path = whole_name(folder);
  std::error_code error;
  const fs::file_status there = fs::symlink_status(path, error);
  if (there.type() != fs::file_type::not_found && (!fs::is_directory(there) || !fs::is_empty(path, error)))
    return Error{ErrorCode::already_exists, path + " is there already, and no empty folder: choose another name"};
  std::string partial = path + std::string(kSuffix);
  if (fs::symlink_status(partial, error).type() != fs::file_type::not_found && !remove_left_over(partial))
    return Error{ErrorCode::conflict,
                 partial +
                     " is in the way: somebody is filling it right now, or it is something else; wait, or "
                     "choose another name"};
  const Status made = io::make_folder(partial);
  const int lock = made ? lock_file(partial + std::string(kMark), O_CREAT | O_EXCL) : -1;
  if (lock < 0) {
    const Error failed = made ? io::file_error(partial, "cannot be locked", errno) : made.error();
    fs::remove(partial, error);  // made, but not durable or not locked
    return failed;
  }
  return PartialFolder(path, std::move(partial), lock);
}

PartialFolder::PartialFolder(PartialFolder&& other) noexcept
    : path_(std::move(other.path_)), partial_(std::move(other.partial_)), lock_(std::exchange(other.lock_, -1)) {}

PartialFolder& PartialFolder::operator=(PartialFolder&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  partial_ = std::move(other.partial_);
  lock_ = std::exchange(other.lock_, -1);
  return *this;
}

PartialFolder::~PartialFolder() {
  discard();
}

void PartialFolder::discard() {
  if (lock_ < 0) return;
  std::error_code error;
  fs::remove_all(partial_, error);
  ::close(std::exchange(lock_, -1));
}

Status PartialFolder::sync() {
  std::error_code error;
  if (Status synced = io::sync_folder(partial_); !synced) return synced;
  fs::recursive_directory_iterator it(partial_, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (!it->is_directory(error) || error) continue;
    if (Status synced = io::sync_folder(it->path().string()); !synced) return synced;
  }
  return error ? Status(io::file_error(partial_, "cannot be listed", error.value())) : Status();
}

Status PartialFolder::finish() {
  TZ_ASSERT(lock_ >= 0);
  if (Status synced = sync(); !synced) return synced;
  // The mark goes last: until the name is there, this is nothing but a left-over.
  if (::rename(partial_.c_str(), path_.c_str()) != 0) return io::file_error(path_, "cannot be put in place", errno);
  partial_ = path_;
  const std::string parent = fs::path(path_).parent_path().string();
  if (Status synced = io::sync_folder(parent); !synced) return synced;
  // Should a power cut bring the mark back, it does no harm: only in a folder of the other name it means something.
  ::unlink((path_ + std::string(kMark)).c_str());
  ::close(std::exchange(lock_, -1));
  return {};
}

Status remove_partial_folders(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return {};
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code of_this;
    if (it->is_directory(of_this) && is_partial_name(it->path().filename().string()))
      remove_left_over(it->path().string());
  }
  return error ? Status(io::file_error(folder, "cannot be listed", error.value())) : Status();
}

bool is_partial_name(const std::string& name) {
  return name.ends_with(kSuffix);
}

}  // namespace terrazzo::maintenance
