#include "bench/store/disk_costs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "bench/store/peer.h"

namespace terrazzo::bench {
namespace {

constexpr double kPageMib = 4096.0 / (1 << 20);

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) give_up(path.string() + " cannot be opened");
  }
  ~OpenFile() { ::close(fd_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Memory memory_of_this_process() {
  long pages = 0, resident = 0, of_files = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld %ld", &pages, &resident, &of_files) != 3) resident = of_files = 0;
    std::fclose(file);
  }
  return {static_cast<double>(resident) * kPageMib, static_cast<double>(resident - of_files) * kPageMib};
}

double bytes_written() {
  std::ifstream file("/proc/self/io");
  std::string name;
  double bytes = 0;
  while (file >> name >> bytes)
    if (name == "write_bytes:") return bytes;
  return 0;
}

bool make_cold(const std::filesystem::path& path) {
  const OpenFile file(path);
  if (::fsync(file.fd()) != 0) give_up(path.string() + " cannot be synced");
  ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
  return pages_in_memory(path) == 0;
}

std::uint64_t pages_in_memory(const std::filesystem::path& path) {
  const OpenFile file(path);
  struct stat about {};
  if (::fstat(file.fd(), &about) != 0 || about.st_size == 0) return 0;
  const auto bytes = static_cast<std::size_t>(about.st_size);
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.fd(), 0);
  if (mapped == MAP_FAILED) give_up(path.string() + " cannot be mapped");
  std::vector<unsigned char> there((bytes + 4095) / 4096);
  if (::mincore(mapped, bytes, there.data()) != 0) give_up(path.string() + " cannot be asked for its pages in memory");
  ::munmap(mapped, bytes);
  return static_cast<std::uint64_t>(std::ranges::count_if(there, [](unsigned char page) { return (page & 1) != 0; }));
}

}  // namespace terrazzo::bench
