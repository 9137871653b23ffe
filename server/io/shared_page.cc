#include "server/io/shared_page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "server/io/durable_file.h"

namespace terrazzo::io {
namespace {

constexpr std::size_t kBytes = 4096;

}  // namespace

Result<std::unique_ptr<SharedPage>> SharedPage::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return file_error(path, "cannot be opened", errno);
  void* memory = MAP_FAILED;
  const int allocated = ::posix_fallocate(fd, 0, kBytes);
  if (allocated == 0) memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const int error = allocated != 0 ? allocated : errno;
  ::close(fd);
  if (memory == MAP_FAILED) return file_error(path, "cannot be mapped", error);
  return std::unique_ptr<SharedPage>(new SharedPage(memory));
}

SharedPage::~SharedPage() {
  ::munmap(memory_, kBytes);
}

}  // namespace terrazzo::io
