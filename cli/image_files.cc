#include "cli/image_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "map/formats/image_size.h"

namespace terrazzo::cli {
namespace {

struct Kind {
  std::string_view extension, magic;
};
constexpr Kind kKinds[] = {{".png", "\x89PNG\r\n\x1A\n"},
                           {".jpg", "\xFF\xD8\xFF"},
                           {".jpeg", "\xFF\xD8\xFF"},
                           {".gif", "GIF8"},
                           {".bmp", "BM"},
                           {".webp", "RIFF"}};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts(1);
  for (const char c : path)
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  return parts;
}

const Kind* kind_of(const std::string& path) {
  std::string lower = path;
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  const auto found = std::ranges::find_if(kKinds, [&](const Kind& kind) { return lower.ends_with(kind.extension); });
  return found == std::end(kKinds) ? nullptr : found;
}

Error system_error(const std::string& path, const char* what) {
  return {ErrorCode::internal, fmt::format("{} {}: {}", path, what, std::strerror(errno))};
}

// The folder that the last part lies in, made where it is missing. Each step refuses links (O_NOFOLLOW).
Result<int> open_parent(const std::filesystem::path& folder, const std::vector<std::string>& parts,
                        const std::string& path) {
  constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  Descriptor at(::open(folder.empty() ? "." : folder.c_str(), kFolder));
  if (!at.ok()) return system_error(folder.string(), "is not a folder that can be opened");
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    if (::mkdirat(at.get(), parts[i].c_str(), 0777) != 0 && errno != EEXIST)
      return system_error(path, "needs a folder that cannot be made");
    Descriptor next(::openat(at.get(), parts[i].c_str(), kFolder | O_NOFOLLOW));
    if (!next.ok())
      return Error{
          ErrorCode::already_exists,
          fmt::format("{}: \"{}\" is there and is no folder (links are not followed); export to another folder", path,
                      parts[i])};
    at = std::move(next);
  }
  return ::dup(at.get());
}

bool holds(int folder, const char* name, std::string_view bytes) {
  const Descriptor file(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!file.ok() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if (static_cast<std::uint64_t>(info.st_size) != bytes.size()) return false;
  std::vector<char> piece(64 * 1024);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t got = ::read(file.get(), piece.data(), std::min(piece.size(), bytes.size() - done));
    if (got <= 0 || bytes.substr(done, static_cast<std::size_t>(got)) !=
                        std::string_view(piece.data(), static_cast<std::size_t>(got)))
      return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(file, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

// A file of its own first, then its final name in one step; without `replace` that step fails where a file has
// appeared.
Status place(int folder, const std::string& name, const std::string& path, std::string_view bytes, bool replace) {
  const std::string temporary = fmt::format(".terrazzo-export-{}", ::getpid());
  const Descriptor file(
      ::openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file.ok()) return system_error(path, "cannot be written");
  Status done;
  if (!write_all(file.get(), bytes)) {
    done = system_error(path, "cannot be written");
  } else if (::renameat2(folder, temporary.c_str(), folder, name.c_str(), replace ? 0u : RENAME_NOREPLACE) == 0) {
    return done;
  } else {
    done = system_error(path, "cannot get its name");
  }
  ::unlinkat(folder, temporary.c_str(), 0);
  return done;
}

}  // namespace

Status check_image_path(const std::string& path) {
  const auto refused = [&](const char* why) {
    return Error{ErrorCode::bad_message,
                 fmt::format("the world names an image \"{}\", which is not written: {}", path, why)};
  };
  if (path.find('\0') != path.npos || path.find('\\') != path.npos || path.find(':') != path.npos)
    return refused("'\\', ':' and NUL must not be in it");
  for (const std::string& part : parts_of(path)) {
    if (part.empty()) return refused("it must be relative to the map, without empty parts");
    if (part[0] == '.') return refused("no folder or file in it may start with a dot");
  }
  if (kind_of(path) == nullptr) return refused("it must end with .png, .jpg, .jpeg, .gif, .bmp or .webp");
  return {};
}

Status write_image(const std::filesystem::path& folder, const std::string& path, std::string_view bytes,
                   Existing existing) {
  if (Status good = check_image_path(path); !good) return good;
  const Kind* kind = kind_of(path);
  if (!bytes.starts_with(kind->magic) || !formats::image_size(bytes))
    return Error{ErrorCode::bad_message,
                 fmt::format("{}: its bytes are not an image of the kind that its name says ({}); nothing is written",
                             path, kind->extension)};
  const std::vector<std::string> parts = parts_of(path);
  const Result<int> opened = open_parent(folder, parts, path);
  if (!opened) return opened.error();
  const Descriptor parent(*opened);
  if (!parent.ok()) return system_error(path, "cannot be written");
  const std::string& name = parts.back();
  if (holds(parent.get(), name.c_str(), bytes)) return {};
  struct stat info {};
  const bool there = ::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && existing == Existing::keep)
    return Error{ErrorCode::already_exists,
                 fmt::format("{} is there with other content; --force replaces it, or export to another folder",
                             (folder / path).string())};
  return place(parent.get(), name, path, bytes, existing == Existing::replace);
}

}  // namespace terrazzo::cli
