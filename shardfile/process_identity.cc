#include "shardfile/process_identity.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace terrazzo::shardfile {
namespace {

constexpr int kNumberBits = 22;
constexpr std::uint64_t kNumberMask = (std::uint64_t{1} << kNumberBits) - 1;

struct ProcessStat {
  char state = 0;
  std::uint64_t start = 0;
};

// proc(5): the name is in parentheses and may hold some itself; the state is field 3, the start field 22.
std::optional<ProcessStat> read_stat(std::uint64_t number) {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%llu/stat", static_cast<unsigned long long>(number));
  const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::array<char, 1024> text{};
  const ssize_t length = ::read(fd, text.data(), text.size() - 1);
  ::close(fd);
  if (length <= 0) return std::nullopt;
  const char* at = std::strrchr(text.data(), ')');
  if (at == nullptr || at[1] != ' ') return std::nullopt;
  ProcessStat found{at[2], 0};
  at += 2;
  for (int field = 3; field < 22; ++field) {
    at = std::strchr(at, ' ');
    if (at == nullptr) return std::nullopt;
    ++at;
  }
  found.start = std::strtoull(at, nullptr, 10);
  return found;
}

std::uint64_t identity_of(std::uint64_t number, std::uint64_t start) {
  return (start << kNumberBits) | (number & kNumberMask);
}

}  // namespace

std::uint64_t own_identity() {
  const auto number = static_cast<std::uint64_t>(::getpid());
  const std::optional<ProcessStat> stat = read_stat(number);
  return stat ? identity_of(number, stat->start) : 0;
}

bool process_gone(std::uint64_t identity) {
  const std::uint64_t number = identity & kNumberMask;
  // Number 0 would ask for the caller's own group.
  if (number == 0 || (::kill(static_cast<pid_t>(number), 0) != 0 && errno == ESRCH)) return true;
  const std::optional<ProcessStat> stat = read_stat(number);
  return stat && (stat->state == 'Z' || stat->state == 'X' || identity_of(number, stat->start) != identity);
}

}  // namespace terrazzo::shardfile
