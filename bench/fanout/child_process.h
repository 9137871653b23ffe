#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace terrazzo::bench {

// A server that prints `listening on http://127.0.0.1:PORT` first. Killed by the destructor.
class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> words);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  bool running() const { return port_ != 0; }
  std::uint16_t port() const { return port_; }
  double cpu_seconds() const;  // user and system

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace terrazzo::bench
