#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace terrazzo::loadtest {

// A terrazzo-server of this program's own, on loopback and on a folder of its own, so that it may be stalled, killed
// and looked into. Ends with the object, and at the latest with this program.
class OwnServer {
 public:
  // `program`: empty: the terrazzo-server beside this program. `flags` besides the data folder, the address and
  // --auth none.
  static Result<std::unique_ptr<OwnServer>> start(const std::string& program, std::vector<std::string> flags);
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::uint16_t port() const { return port_; }
  pid_t pid() const { return pid_; }

  void stop(int signal);  // and waits for its end
  Status start_again();   // on the same port and folder
  // A world with one tile layer and 50 tiles.
  Status make_world(const std::string& name);

 private:
  OwnServer(std::vector<std::string> words, std::filesystem::path folder)
      : words_(std::move(words)), folder_(std::move(folder)) {}
  Status launch();

  std::vector<std::string> words_;
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

// One request to a server on loopback; the body of an answer with a status below 300.
Result<std::string> http_request(std::uint16_t port, const std::string& method, const std::string& target,
                                 const std::string& body = {});

}  // namespace terrazzo::loadtest
