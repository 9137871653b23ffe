// The calls of the C library that the simulator answers itself while a Machine runs: time, randomness, sockets that are
// not the kernel's, and what has to do with the files of its disk. Defined in the program, they come before the
// library's, for code in static libraries and in the C++ library alike. Everything else goes to the kernel.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstring>

#include "tests/sim/disk.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace {

using terrazzo::sim::Disk;
using terrazzo::sim::Machine;
using terrazzo::sim::Network;
using Does = Disk::Does;

Disk* disk() {
  return Machine::running == nullptr ? nullptr : Machine::running->disk;
}
Disk* disk_of(const char* path) {
  Disk* const d = disk();
  return d != nullptr && path != nullptr && d->has(path) ? d : nullptr;
}
Disk* disk_of(int fd) {
  Disk* const d = disk();
  return d != nullptr && !d->aside() && !d->dead() && d->has(fd) ? d : nullptr;
}
bool fails(int error) {
  if (error == 0) return false;
  errno = error;
  return true;
}

int open_file(int folder, const char* path, int flags, mode_t mode) {
  const auto kernel = [&] { return static_cast<int>(::syscall(SYS_openat, folder, path, flags, mode)); };
  Disk* const d = disk_of(path);
  if (d == nullptr) return kernel();
  const bool there = ::syscall(SYS_access, path, F_OK) == 0;
  const bool makes = (flags & O_CREAT) != 0 && !there;
  if (fails(d->before(makes ? Does::allocate : Does::read, path))) return -1;
  const int fd = kernel();
  // A cut in before() has frozen the disk: what is made now is nobody's.
  if (fd >= 0 && !d->dead()) d->opened(path, fd, makes, there && (flags & O_TRUNC) != 0);
  return fd;
}

ssize_t write_file(Disk* d, int fd, const void* bytes, size_t size, off_t at) {
  const auto end = static_cast<std::uint64_t>(at) + size;
  if (fails(d->before(d->would_grow(fd, end) ? Does::allocate : Does::write, fd))) return -1;
  const size_t count = d->taken(size);
  const ssize_t written = ::syscall(SYS_pwrite64, fd, bytes, count, at);
  if (written > 0 && !d->dead()) d->wrote(fd, static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(written));
  return written;
}

int sync_file(int fd) {
  Disk* const d = disk_of(fd);
  if (d == nullptr) return 0;  // in memory, and nobody counts on it
  if (fails(d->before(Does::sync, fd))) return -1;
  if (!d->dead()) d->synced(fd);
  return 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  Machine* const machine = Machine::running;
  if (machine == nullptr) return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  // Who looks at the wall clock writes it into a log line; that a run is told of in more words must not change it.
  const bool wall = clock == CLOCK_REALTIME;
  std::uint64_t now = wall ? machine->schedule.now() : machine->schedule.look();
  if (wall) now += static_cast<std::uint64_t>(machine->wall_offset_ns);
  time->tv_sec = static_cast<time_t>(now / terrazzo::sim::kSecond);
  time->tv_nsec = static_cast<long>(now % terrazzo::sim::kSecond);
  return 0;
}

time_t time(time_t* at) noexcept {
  struct timespec now {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != nullptr) *at = now.tv_sec;
  return now.tv_sec;
}

// The number of digits is written to files, and every run has its own process.
pid_t getpid() noexcept {
  return Machine::running == nullptr ? static_cast<pid_t>(::syscall(SYS_getpid)) : 1;
}

ssize_t getrandom(void* bytes, size_t size, unsigned flags) {
  Machine* const machine = Machine::running;
  if (machine == nullptr) return ::syscall(SYS_getrandom, bytes, size, flags);
  auto* to = static_cast<unsigned char*>(bytes);
  for (size_t i = 0; i < size; ++i) to[i] = static_cast<unsigned char>(machine->random.next());
  return static_cast<ssize_t>(size);
}

int shutdown(int fd, int how) noexcept {
  if (Network* const network = Network::of(fd)) return network->shutdown(fd, how);
  return static_cast<int>(::syscall(SYS_shutdown, fd, how));
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  if (Network::of(fd) != nullptr) return 0;
  return static_cast<int>(::syscall(SYS_setsockopt, fd, level, name, value, size));
}

int close(int fd) {
  if (Network* const network = Network::of(fd)) return network->close(fd);
  if (Disk* const d = disk(); d != nullptr && !d->aside()) d->closed(fd);
  return static_cast<int>(::syscall(SYS_close, fd));
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_file(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<mode_t>(va_arg(rest, int));
  va_end(rest);
  return open_file(AT_FDCWD, path, flags, mode);
}

// Where the process runs is another place in every run; of the disk's folder only its name is known.
char* realpath(const char* path, char* to) noexcept {
  if (Disk* const d = disk(); d != nullptr && to == nullptr && d->is_folder_itself(path))
    return ::strdup(d->folder().c_str());
  static const auto library = reinterpret_cast<char* (*)(const char*, char*)>(::dlsym(RTLD_NEXT, "realpath"));
  return library(path, to);
}

ssize_t read(int fd, void* bytes, size_t size) {
  if (Disk* const d = disk_of(fd); d != nullptr && fails(d->before(Does::read, fd))) return -1;
  return ::syscall(SYS_read, fd, bytes, size);
}
ssize_t pread(int fd, void* bytes, size_t size, off_t at) {
  if (Disk* const d = disk_of(fd); d != nullptr && fails(d->before(Does::read, fd))) return -1;
  return ::syscall(SYS_pread64, fd, bytes, size, at);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  Disk* const d = disk_of(fd);
  if (d == nullptr) return ::syscall(SYS_write, fd, bytes, size);
  const off_t at = ::lseek(fd, 0, SEEK_CUR);
  const ssize_t written = write_file(d, fd, bytes, size, at);
  if (written > 0) ::lseek(fd, at + written, SEEK_SET);
  return written;
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  Disk* const d = disk_of(fd);
  return d == nullptr ? ::syscall(SYS_pwrite64, fd, bytes, size, at) : write_file(d, fd, bytes, size, at);
}

int fsync(int fd) {
  return sync_file(fd);
}
int fdatasync(int fd) {
  return sync_file(fd);
}

int posix_fadvise(int fd, off_t at, off_t size, int advice) noexcept {
  if (Disk* const d = disk_of(fd); d != nullptr && advice == POSIX_FADV_DONTNEED)
    d->forgotten(fd, static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(size));
  return static_cast<int>(::syscall(SYS_fadvise64, fd, at, size, advice));
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  Disk* const d = disk_of(fd);
  if (d != nullptr && fails(d->before(Does::allocate, fd))) return -1;
  const auto result = static_cast<int>(::syscall(SYS_fallocate, fd, mode, at, size));
  if (d != nullptr && result == 0 && !d->dead()) d->resized(fd);
  return result;
}
int posix_fallocate(int fd, off_t at, off_t size) {
  const int before = errno;
  const int result = fallocate(fd, 0, at, size) == 0 ? 0 : errno;
  errno = before;
  return result;
}
int ftruncate(int fd, off_t size) noexcept {
  Disk* const d = disk_of(fd);
  if (d != nullptr && fails(d->before(Does::change, fd))) return -1;
  const auto result = static_cast<int>(::syscall(SYS_ftruncate, fd, size));
  if (d != nullptr && result == 0 && !d->dead()) d->resized(fd);
  return result;
}

int rename(const char* from, const char* to) noexcept {
  Disk* const d = disk_of(from);
  if (d != nullptr && fails(d->before(Does::allocate, from))) return -1;
  const auto result = static_cast<int>(::syscall(SYS_rename, from, to));
  if (d != nullptr && result == 0 && !d->dead()) d->renamed(from, to);
  return result;
}
int unlink(const char* path) noexcept {
  Disk* const d = disk_of(path);
  if (d != nullptr && fails(d->before(Does::change, path))) return -1;
  const auto result = static_cast<int>(::syscall(SYS_unlink, path));
  if (d != nullptr && result == 0 && !d->dead()) d->removed(path);
  return result;
}
int mkdir(const char* path, mode_t mode) noexcept {
  Disk* const d = disk_of(path);
  if (d != nullptr && ::syscall(SYS_access, path, F_OK) != 0 && fails(d->before(Does::allocate, path))) return -1;
  const auto result = static_cast<int>(::syscall(SYS_mkdir, path, mode));
  if (d != nullptr && result == 0 && !d->dead()) d->made_folder(path);
  return result;
}

void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  const long result = ::syscall(SYS_mmap, at, size, protection, flags, fd, offset);
  if (result != -1 && (flags & MAP_SHARED) != 0 && (protection & PROT_WRITE) != 0)
    if (Disk* const d = disk_of(fd)) d->mapped(fd);
  return reinterpret_cast<void*>(result);
}

}  // extern "C"
