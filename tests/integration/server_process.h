#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace terrazzo::integration {

// A folder under the system's temporary one, or under `parent`; gone with the object.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path());
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A real terrazzo-server on a port of its own. The constructor returns when it listens; a failure to start is a test
// failure with the server's words, unless it need not start: then running() tells. Stopped with SIGKILL at the latest
// by the destructor. `before_exec` runs in the child; false: it does not become a server.
class ServerProcess {
 public:
  explicit ServerProcess(const std::filesystem::path& data, std::vector<std::string> flags = {}, std::uint16_t port = 0,
                         bool must_start = true, const std::function<bool()>& before_exec = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // https:// and wss:// where it was started with a certificate.
  std::string http_url() const { return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_); }
  std::string websocket_url() const { return (tls_ ? "wss://127.0.0.1:" : "ws://127.0.0.1:") + std::to_string(port_); }
  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }

  void kill();              // SIGKILL, and waits
  int terminate();          // SIGTERM, and waits; the exit status as of waitpid
  std::string log() const;  // what it wrote to standard error

 private:
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
  bool tls_ = false;
  std::filesystem::path log_;
};

// Runs a program to its end: exit status, and standard output and error together.
struct Ran {
  int exit_code = -1;
  std::string output;
};
Ran run_program(const std::string& program, const std::vector<std::string>& arguments,
                const std::vector<std::string>& environment = {});

}  // namespace terrazzo::integration
