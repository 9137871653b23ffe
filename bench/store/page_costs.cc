#include "bench/store/page_costs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <random>
#include <string>

#include "bench/store/disk_costs.h"
#include "bench/store/peer.h"
#include "bench/store/timing.h"

namespace terrazzo::bench {
namespace {

constexpr std::size_t kPage = 4096, kPages = 65536, kReads = 4'000'000, kDirtied = 655;

class MappedFile {
 public:
  MappedFile(const std::filesystem::path& path, int advice) : path_(path), advice_(advice) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd_ < 0 || ::posix_fallocate(fd_, 0, kPages * kPage) != 0) give_up("no file for pages");
    map();
  }
  ~MappedFile() {
    ::munmap(base_, kPages * kPage);
    ::close(fd_);
    std::filesystem::remove(path_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // CPU time per page.
  double write(std::size_t first, std::size_t count) {
    const double began = thread_cpu_ns();
    for (std::size_t page = first; page < first + count; ++page) base_[page * kPage] = std::byte{1};
    return (thread_cpu_ns() - began) / static_cast<double>(count);
  }
  double populate(std::size_t first, std::size_t count) {
    const double began = thread_cpu_ns();
    for (std::size_t page = first; page < first + count; page += 16)
      if (::madvise(base_ + page * kPage, 16 * kPage, MADV_POPULATE_WRITE) != 0)
        give_up("this kernel populates no pages");
    return (thread_cpu_ns() - began) / static_cast<double>(count);
  }
  void sync() {
    if (::fdatasync(fd_) != 0) give_up("the file cannot be synced");
  }
  // From the disk again, as after a start.
  void read_again() {
    sync();
    ::munmap(base_, kPages * kPage);
    ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
    map();
    unsigned sum = 0;
    for (std::size_t page = 0; page < kPages; ++page) sum += std::to_integer<unsigned>(base_[page * kPage]);
    if (sum != kPages) give_up("the pages are not what was written");
  }
  double random_read(std::mt19937_64& random) {
    unsigned sum = 0;
    const double began = thread_cpu_ns();
    for (std::size_t i = 0; i < kReads; ++i) sum += std::to_integer<unsigned>(base_[random() % (kPages * kPage)]);
    const double each = (thread_cpu_ns() - began) / kReads;
    return sum == 0 ? 0 : each;
  }
  void dirty_some(std::mt19937_64& random) {
    for (std::size_t i = 0; i < kDirtied; ++i) base_[random() % kPages * kPage] = std::byte{2};
  }

 private:
  void map() {
    void* const mapped = ::mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (mapped == MAP_FAILED) give_up("no mapping for pages");
    base_ = static_cast<std::byte*>(mapped);
    ::madvise(base_, kPages * kPage, advice_);
  }

  const std::filesystem::path path_;
  const int advice_;
  int fd_ = -1;
  std::byte* base_ = nullptr;
};

void measure_huge(Results& results, const std::filesystem::path& folder, int advice, const std::string& name) {
  std::mt19937_64 random(1);
  MappedFile file(folder / "pages", advice);
  file.write(0, kPages);
  file.read_again();
  results.add(name + ": random byte read, CPU", file.random_read(random), "ns");
  const double before = bytes_written();
  file.dirty_some(random);
  file.sync();
  results.add(name + ": written by a sync after 655 random pages (2.7 MB) were", (bytes_written() - before) / 1e6,
              "MB");
}

}  // namespace

void measure_page_costs(Results& results, const std::filesystem::path& folder) {
  results.section("pages of a mapped file (256 MiB): CPU time of the thread that writes");
  {
    MappedFile file(folder / "pages", MADV_RANDOM);
    constexpr std::size_t kHalf = kPages / 2;
    results.add("first write to a new page", file.write(0, kHalf), "ns");
    results.add("new pages populated, 16 at a time", file.populate(kHalf, kHalf), "ns");
    results.add("first write to a populated page", file.write(kHalf, kHalf), "ns");
    file.sync();
    results.add("first write to a page since it was synced", file.write(0, kHalf), "ns");
    results.add("synced pages populated", file.populate(kHalf, kHalf), "ns");
  }
  measure_huge(results, folder, MADV_RANDOM, "4 KiB pages");
  measure_huge(results, folder, MADV_HUGEPAGE, "huge pages asked for");
}

}  // namespace terrazzo::bench
