// Preloaded into a server: counts the file operations under one folder and makes one of them fail.
//   TERRAZZO_FAULT_FOLDER  paths that begin with this count
//   TERRAZZO_FAULT_AT      the operation that fails, from 1; 0: none
//   TERRAZZO_FAULT_KIND    an errno, or 0: a write that takes half of the bytes (other operations succeed)
//   TERRAZZO_FAULT_COUNT   file that gets the number of operations so far and the name of the one that failed
//   TERRAZZO_FAULT_WHILE   while this file exists, everything that takes disk space fails with ENOSPC
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <bitset>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kFdsMax = 65536;
std::atomic<unsigned char> inside_fd[kFdsMax];
std::atomic<long> operations{0};

struct Settings {
  const char* folder = std::getenv("TERRAZZO_FAULT_FOLDER");
  long at = number("TERRAZZO_FAULT_AT");
  int kind = static_cast<int>(number("TERRAZZO_FAULT_KIND"));
  const char* count = std::getenv("TERRAZZO_FAULT_COUNT");
  const char* while_exists = std::getenv("TERRAZZO_FAULT_WHILE");

  static long number(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  }
};
const Settings& settings() {
  static const Settings read;
  return read;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool inside(const char* path) {
  const char* folder = settings().folder;
  return folder != nullptr && path != nullptr && std::strncmp(path, folder, std::strlen(folder)) == 0;
}
bool inside(int fd) {
  return fd >= 0 && fd < kFdsMax && inside_fd[fd].load(std::memory_order_relaxed) != 0;
}
void mark(int fd, bool is_inside) {
  if (fd >= 0 && fd < kFdsMax) inside_fd[fd].store(is_inside ? 1 : 0, std::memory_order_relaxed);
}

// Whether this operation is the one that fails.
bool chosen(const char* what) {
  const long number = operations.fetch_add(1) + 1;
  const bool fails = number == settings().at;
  if (settings().count != nullptr && (fails || settings().at == 0)) {
    static auto* const open_file = real<int(const char*, int, ...)>("open");
    static auto* const write_file = real<ssize_t(int, const void*, size_t)>("write");
    static auto* const close_file = real<int(int)>("close");
    char text[64];
    const int size = std::snprintf(text, sizeof text, "%ld %s\n", number, what);
    const int fd = open_file(settings().count, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const ssize_t ignored = write_file(fd, text, static_cast<size_t>(size));
    static_cast<void>(ignored);
    close_file(fd);
  }
  return fails;
}

bool full() {
  if (settings().while_exists == nullptr) return false;
  static auto* const look = real<int(const char*, int)>("access");
  return look(settings().while_exists, F_OK) == 0;
}

// True: the operation fails, errno is set.
bool fails(const char* what, bool takes_space) {
  if (takes_space && full()) {
    errno = ENOSPC;
    return true;
  }
  if (!chosen(what) || settings().kind == 0) return false;
  errno = settings().kind;
  return true;
}

int open_as(const char* name, const char* path, int flags, mode_t mode) {
  const bool ours = inside(path);
  if (ours && fails("open", (flags & O_CREAT) != 0)) return -1;
  const int fd = real<int(const char*, int, ...)>(name)(path, flags, mode);
  mark(fd, ours);
  return fd;
}

// What lies in the file already has its space.
bool grows(int fd, size_t size, off_t at) {
  struct stat about {};
  return ::fstat(fd, &about) != 0 || at + static_cast<off_t>(size) > about.st_size;
}

ssize_t pwrite_as(const char* name, int fd, const void* bytes, size_t size, off_t at) {
  auto* const write_real = real<ssize_t(int, const void*, size_t, off_t)>(name);
  if (!inside(fd)) return write_real(fd, bytes, size, at);
  if (full() && grows(fd, size, at)) {
    errno = ENOSPC;
    return -1;
  }
  if (chosen("pwrite")) {
    if (settings().kind == 0) return write_real(fd, bytes, (size + 1) / 2, at);
    errno = settings().kind;
    return -1;
  }
  return write_real(fd, bytes, size, at);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_as("open", path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_as("open64", path, flags, mode);
}
int close(int fd) {
  mark(fd, false);
  return real<int(int)>("close")(fd);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return pwrite_as("pwrite", fd, bytes, size, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t at) {
  return pwrite_as("pwrite64", fd, bytes, size, at);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  auto* const write_real = real<ssize_t(int, const void*, size_t)>("write");
  if (!inside(fd)) return write_real(fd, bytes, size);
  if (full()) {
    errno = ENOSPC;
    return -1;
  }
  if (chosen("write")) {
    if (settings().kind == 0) return write_real(fd, bytes, (size + 1) / 2);
    errno = settings().kind;
    return -1;
  }
  return write_real(fd, bytes, size);
}
ssize_t read(int fd, void* bytes, size_t size) {
  if (inside(fd) && fails("read", false)) return -1;
  return real<ssize_t(int, void*, size_t)>("read")(fd, bytes, size);
}
int fsync(int fd) {
  if (inside(fd) && fails("fsync", false)) return -1;
  return real<int(int)>("fsync")(fd);
}
int fdatasync(int fd) {
  if (inside(fd) && fails("fdatasync", false)) return -1;
  return real<int(int)>("fdatasync")(fd);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  if (inside(fd) && fails("fallocate", false)) return -1;
  return real<int(int, int, off_t, off_t)>("fallocate")(fd, mode, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  if (inside(fd) && fails("posix_fallocate", true)) return errno;
  return real<int(int, off_t, off_t)>("posix_fallocate")(fd, at, size);
}
int ftruncate(int fd, off_t size) {
  if (inside(fd) && fails("ftruncate", false)) return -1;
  return real<int(int, off_t)>("ftruncate")(fd, size);
}
int rename(const char* from, const char* to) {
  if (inside(from) && fails("rename", true)) return -1;
  return real<int(const char*, const char*)>("rename")(from, to);
}
int unlink(const char* path) {
  if (inside(path) && fails("unlink", false)) return -1;
  return real<int(const char*)>("unlink")(path);
}
int mkdir(const char* path, mode_t mode) {
  if (inside(path) && fails("mkdir", true)) return -1;
  return real<int(const char*, mode_t)>("mkdir")(path, mode);
}
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  if (inside(fd) && fails("mmap", false)) return reinterpret_cast<void*>(-1);
  return real<void*(void*, size_t, int, int, int, off_t)>("mmap")(at, size, protection, flags, fd, offset);
}

}  // extern "C"
