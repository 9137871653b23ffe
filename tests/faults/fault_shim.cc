// Preloaded into a server: counts the file operations under one folder and makes one of them fail.
//   TERRAZZO_FAULT_FOLDER  paths that begin with this count
//   TERRAZZO_FAULT_AT      the operation that fails, from 1; 0: none
//   TERRAZZO_FAULT_KIND    an errno, or 0: a read or write that takes half of the bytes. Counted are only operations
//                          that can fail so: all for EIO, what takes space for ENOSPC, transfers for 0. -1: the power
//                          is cut, the process ends before the operation; what changes files is counted.
//   TERRAZZO_FAULT_DISK    folder that is told what is on disk for certain, for power_cut.h: a copy of each file as of
//                          its last sync, and a journal of names
//   TERRAZZO_FAULT_PAGE    of each mapping of TERRAZZO_FAULT_PAGE_OF (how the path ends), a page that gives SIGBUS
//   TERRAZZO_FAULT_SECTOR  1: reads of that page fail with EIO as well, each time, as those of a bad sector do
//   TERRAZZO_FAULT_COUNT   file that gets the number of operations so far and the name of the one that failed
//   TERRAZZO_FAULT_WHILE   while this file exists, everything that takes disk space fails with ENOSPC
//   TERRAZZO_FAULT_SLOW_SYNCS while this file exists, each sync takes 200 ms more
//   TERRAZZO_FAULT_SLOW_MS each operation takes this much longer, as on a disk that is far away
//   TERRAZZO_FAULT_LIE     syncs of what has a path that ends so do nothing and say that all is well
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>

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
  const char* slow_while_exists = std::getenv("TERRAZZO_FAULT_SLOW_SYNCS");
  const char* disk = std::getenv("TERRAZZO_FAULT_DISK");
  const char* page_of = std::getenv("TERRAZZO_FAULT_PAGE_OF");
  const char* lie = std::getenv("TERRAZZO_FAULT_LIE");
  long page = number("TERRAZZO_FAULT_PAGE");
  long slow_ms = number("TERRAZZO_FAULT_SLOW_MS");
  bool sector = number("TERRAZZO_FAULT_SECTOR") != 0;

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

// What an operation does, which tells how it can fail.
enum class Does {
  look,      // open, stat, list, map
  read,      // transfers
  write,     //
  allocate,  // disk space or names
  sync,      // delayed allocation finds the disk full as late as here
  remove,
};
bool can_fail(Does does) {
  switch (settings().kind) {
    case 0:
      return does == Does::read || does == Does::write;
    case ENOSPC:
      return does == Does::write || does == Does::allocate || does == Does::sync;
    case -1:
      return does != Does::look && does != Does::read;
    default:
      return true;
  }
}

void write_count(long number, const char* what) {
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

// Whether this operation is the one that fails.
bool chosen(const char* what, Does does) {
  if (settings().slow_ms != 0) ::poll(nullptr, 0, static_cast<int>(settings().slow_ms));
  if (!can_fail(does)) return false;
  const long number = operations.fetch_add(1) + 1;
  const bool fails = number == settings().at;
  if (settings().count != nullptr && (fails || settings().at == 0)) write_count(number, what);
  if (fails && settings().kind == -1) ::kill(::getpid(), SIGKILL);
  return fails;
}

// ---- what is on disk for certain ----

// Held from before an operation until it is written down, so that the journal has their order.
std::recursive_mutex order;
class Journal {
 public:
  Journal() : lock_(order) {}
  template <class... Words>
  void write(const char* form, Words... words) {
    static const int fd = open_in_disk("journal", O_APPEND);
    char text[3 * 4096];
    const int size = std::snprintf(text, sizeof text, form, words...);
    const ssize_t ignored = real<ssize_t(int, const void*, size_t)>("write")(fd, text, static_cast<size_t>(size));
    static_cast<void>(ignored);
  }
  // The file's content as of now becomes <inode><ending>: at once, because a kill, by another thread's operation or
  // from outside, comes at any moment, and a copy that it cuts short would forget what an earlier sync had made
  // certain.
  void copy(int fd, const char* ending) {
    char path[64], name[64], half[64 + 8], buffer[65536];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    std::snprintf(name, sizeof name, "%lu%s", inode(fd), ending);
    std::snprintf(half, sizeof half, "%s.half", name);
    const int from = real<int(const char*, int, ...)>("open")(path, O_RDONLY | O_CLOEXEC);
    const int to = open_in_disk(half, O_TRUNC);
    ssize_t count = 0;
    while ((count = real<ssize_t(int, void*, size_t)>("read")(from, buffer, sizeof buffer)) > 0) {
      const ssize_t ignored = real<ssize_t(int, const void*, size_t)>("write")(to, buffer, static_cast<size_t>(count));
      static_cast<void>(ignored);
    }
    real<int(int)>("close")(from);
    real<int(int)>("close")(to);
    char half_path[4096], whole_path[4096];
    path_in_disk(half, half_path);
    path_in_disk(name, whole_path);
    real<int(const char*, const char*)>("rename")(half_path, whole_path);
  }
  void copy(const char* path, const char* ending) {
    const int fd = real<int(const char*, int, ...)>("open")(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    copy(fd, ending);
    real<int(int)>("close")(fd);
  }
  static unsigned long inode(int fd) {
    struct stat about {};
    return real<int(int, struct stat*)>("fstat")(fd, &about) == 0 ? about.st_ino : 0;
  }
  static unsigned long inode(const char* path) {
    struct stat about {};
    return real<int(const char*, struct stat*)>("stat")(path, &about) == 0 ? about.st_ino : 0;
  }

 private:
  // Into 4096 bytes.
  static void path_in_disk(const char* name, char* path) { std::snprintf(path, 4096, "%s/%s", settings().disk, name); }
  static int open_in_disk(const char* name, int how) {
    char path[4096];
    path_in_disk(name, path);
    return real<int(const char*, int, ...)>("open")(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600);
  }
  std::lock_guard<std::recursive_mutex> lock_;
};
bool journaled() {
  return settings().disk != nullptr;
}

// Into 4096 bytes; empty: unknown.
void path_of(int fd, char* path) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  path[std::max<ssize_t>(::readlink(link, path, 4095), 0)] = 0;
}
// `ending` null: no path does.
bool path_ends(int fd, const char* ending) {
  if (ending == nullptr) return false;
  char path[4096];
  path_of(fd, path);
  return std::string_view(path).ends_with(ending);
}

void synced(int fd) {
  Journal journal;
  struct stat about {};
  if (real<int(int, struct stat*)>("fstat")(fd, &about) != 0) return;
  if (!S_ISDIR(about.st_mode)) return journal.copy(fd, "");
  char path[4096];
  path_of(fd, path);
  journal.write("synced-folder %s\n", path);
}

bool there(const char* file) {
  static auto* const look = real<int(const char*, int)>("access");
  return file != nullptr && look(file, F_OK) == 0;
}
bool full() {
  return there(settings().while_exists);
}

// True: the operation fails, errno is set.
bool fails(const char* what, Does does) {
  if (does == Does::allocate && full()) {
    errno = ENOSPC;
    return true;
  }
  if (!chosen(what, does)) return false;
  errno = settings().kind;
  return true;
}

template <class Open>
int make_file(const char* path, Open&& open_file) {
  Journal journal;
  const unsigned long before = Journal::inode(path);
  if (fails("open", Does::allocate)) return -1;
  const int fd = open_file();
  mark(fd, true);
  if (fd >= 0 && before == 0) journal.write("made %s %lu\n", path, Journal::inode(fd));
  return fd;
}

template <class Open>
int open_as(const char* path, int flags, Open&& open_file) {
  const bool ours = inside(path);
  if (ours && journaled() && (flags & O_CREAT) != 0) return make_file(path, open_file);
  if (ours && fails("open", (flags & O_CREAT) != 0 ? Does::allocate : Does::look)) return -1;
  const int fd = open_file();
  mark(fd, ours);
  return fd;
}

// What lies in the file already has its space.
bool grows(int fd, size_t size, off_t at) {
  static auto* const look = real<int(int, struct stat*)>("fstat");
  struct stat about {};
  return look(fd, &about) != 0 || at + static_cast<off_t>(size) > about.st_size;
}

// `transfer(bytes)` moves that many.
template <class Transfer>
ssize_t transfer_as(const char* what, Does does, size_t size, Transfer&& transfer) {
  if (!chosen(what, does)) return transfer(size);
  if (settings().kind == 0) return transfer((size + 1) / 2);
  errno = settings().kind;
  return -1;
}

ssize_t pwrite_as(const char* name, int fd, const void* bytes, size_t size, off_t at) {
  auto* const write_real = real<ssize_t(int, const void*, size_t, off_t)>(name);
  if (!inside(fd)) return write_real(fd, bytes, size, at);
  if (full() && grows(fd, size, at)) {
    errno = ENOSPC;
    return -1;
  }
  return transfer_as("pwrite", Does::write, size, [&](size_t count) { return write_real(fd, bytes, count, at); });
}

// Whether a page that the disk does not give is among these bytes.
bool on_bad_sector(int fd, size_t size, off_t at) {
  const off_t bad = settings().page * 4096;
  return settings().sector && at < bad + 4096 && bad < at + static_cast<off_t>(size) &&
         path_ends(fd, settings().page_of);
}

ssize_t pread_as(const char* name, int fd, void* bytes, size_t size, off_t at) {
  auto* const read_real = real<ssize_t(int, void*, size_t, off_t)>(name);
  if (!inside(fd)) return read_real(fd, bytes, size, at);
  if (on_bad_sector(fd, size, at)) {
    errno = EIO;
    return -1;
  }
  return transfer_as("pread", Does::read, size, [&](size_t count) { return read_real(fd, bytes, count, at); });
}

int sync_as(const char* name, int fd) {
  if (inside(fd)) {
    if (fails(name, Does::sync)) return -1;
    if (path_ends(fd, settings().lie)) return 0;
    if (there(settings().slow_while_exists)) ::usleep(200'000);
    if (journaled()) synced(fd);
  }
  return real<int(int)>(name)(fd);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_as(path, flags, [&] { return real<int(const char*, int, ...)>("open")(path, flags, mode); });
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_as(path, flags, [&] { return real<int(const char*, int, ...)>("open64")(path, flags, mode); });
}
int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_as(path, flags,
                 [&] { return real<int(int, const char*, int, ...)>("openat")(folder, path, flags, mode); });
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
  return transfer_as("write", Does::write, size, [&](size_t count) { return write_real(fd, bytes, count); });
}
ssize_t read(int fd, void* bytes, size_t size) {
  auto* const read_real = real<ssize_t(int, void*, size_t)>("read");
  if (!inside(fd)) return read_real(fd, bytes, size);
  return transfer_as("read", Does::read, size, [&](size_t count) { return read_real(fd, bytes, count); });
}
ssize_t pread(int fd, void* bytes, size_t size, off_t at) {
  return pread_as("pread", fd, bytes, size, at);
}
ssize_t pread64(int fd, void* bytes, size_t size, off_t at) {
  return pread_as("pread64", fd, bytes, size, at);
}
int fsync(int fd) {
  return sync_as("fsync", fd);
}
int fdatasync(int fd) {
  return sync_as("fdatasync", fd);
}
int fallocate(int fd, int mode, off_t at, off_t size) {
  if (inside(fd) && fails("fallocate", Does::allocate)) return -1;
  return real<int(int, int, off_t, off_t)>("fallocate")(fd, mode, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  if (inside(fd) && fails("posix_fallocate", Does::allocate)) return errno;
  return real<int(int, off_t, off_t)>("posix_fallocate")(fd, at, size);
}
int ftruncate(int fd, off_t size) {
  if (inside(fd) && fails("ftruncate", Does::remove)) return -1;
  return real<int(int, off_t)>("ftruncate")(fd, size);
}
int rename(const char* from, const char* to) {
  auto* const rename_real = real<int(const char*, const char*)>("rename");
  if (!inside(from)) return rename_real(from, to);
  const std::lock_guard<std::recursive_mutex> lock(order);
  if (fails("rename", Does::allocate)) return -1;
  if (!journaled()) return rename_real(from, to);
  Journal journal;
  journal.copy(to, ".gone");
  const int result = rename_real(from, to);
  if (result == 0) journal.write("moved %s %s %lu\n", from, to, Journal::inode(to));
  return result;
}
int unlink(const char* path) {
  auto* const unlink_real = real<int(const char*)>("unlink");
  if (!inside(path)) return unlink_real(path);
  const std::lock_guard<std::recursive_mutex> lock(order);
  if (fails("unlink", Does::remove)) return -1;
  if (!journaled()) return unlink_real(path);
  Journal journal;
  journal.copy(path, ".gone");
  const int result = unlink_real(path);
  if (result == 0) journal.write("gone %s\n", path);
  return result;
}
int mkdir(const char* path, mode_t mode) {
  auto* const mkdir_real = real<int(const char*, mode_t)>("mkdir");
  if (!inside(path)) return mkdir_real(path, mode);
  const std::lock_guard<std::recursive_mutex> lock(order);
  if (fails("mkdir", Does::allocate)) return -1;
  const int result = mkdir_real(path, mode);
  if (result == 0 && journaled()) Journal().write("folder %s %lu\n", path, Journal::inode(path));
  return result;
}
int access(const char* path, int mode) {
  if (inside(path) && fails("access", Does::look)) return -1;
  return real<int(const char*, int)>("access")(path, mode);
}
int stat(const char* path, struct stat* about) {
  if (inside(path) && fails("stat", Does::look)) return -1;
  return real<int(const char*, struct stat*)>("stat")(path, about);
}
int fstat(int fd, struct stat* about) {
  if (inside(fd) && fails("fstat", Does::look)) return -1;
  return real<int(int, struct stat*)>("fstat")(fd, about);
}
DIR* opendir(const char* path) {
  const bool ours = inside(path);
  if (ours && fails("opendir", Does::look)) return nullptr;
  DIR* const folder = real<DIR*(const char*)>("opendir")(path);
  if (folder != nullptr) mark(::dirfd(folder), ours);
  return folder;
}
struct dirent* readdir(DIR* folder) {
  if (inside(::dirfd(folder)) && fails("readdir", Does::look)) return nullptr;
  return real<struct dirent*(DIR*)>("readdir")(folder);
}
int closedir(DIR* folder) {
  mark(::dirfd(folder), false);
  return real<int(DIR*)>("closedir")(folder);
}
void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  auto* const map_real = real<void*(void*, size_t, int, int, int, off_t)>("mmap");
  if (inside(fd) && fails("mmap", Does::look)) return reinterpret_cast<void*>(-1);
  void* const memory = map_real(at, size, protection, flags, fd, offset);
  const off_t bad = settings().page * 4096;
  if (memory != MAP_FAILED && inside(fd) && path_ends(fd, settings().page_of) && bad >= offset &&
      bad < offset + static_cast<off_t>(size)) {
    // A page behind the end of an empty file is what a page that the disk does not give looks like.
    static const int nothing = ::memfd_create("nothing", MFD_CLOEXEC);
    map_real(static_cast<char*>(memory) + (bad - offset), 4096, protection, MAP_SHARED | MAP_FIXED, nothing, 0);
  }
  return memory;
}

}  // extern "C"
