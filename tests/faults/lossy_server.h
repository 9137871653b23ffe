#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../integration/server_process.h"
#include "power_cut.h"

namespace terrazzo::integration {

// A real server on a disk that loses, when the power is cut, what was not synced (power_cut.h). Comes back on the port
// it had first.
class LossyServer {
 public:
  // Data and all that belongs to it are in `folder`. `lie`: TERRAZZO_FAULT_LIE of the shim; empty: no lies.
  LossyServer(const std::filesystem::path& folder, const std::string& lie);

  // False: it ended before it listened. `dies_before` N: the power fails before its Nth change of a file from now on
  // (to the process a SIGKILL, cut_power() is what makes the disk); 0: it does not.
  bool start(std::vector<std::string> flags, long dies_before = 0);
  // Kills it, if it has not died, and makes the disk what it may be then.
  void cut_power(std::mt19937& random);
  int stop() { return process_->terminate(); }

  std::uint16_t port() const { return port_; }
  const std::filesystem::path& data() const { return data_; }
  // What the newest cut did to the disk, names as they had come and gone before it, and the server's words.
  std::string story() const;

 private:
  std::filesystem::path folder_, data_, disk_;
  std::string lie_, cut_;
  std::uint16_t port_ = 0;
  std::unique_ptr<ServerProcess> process_;
};

}  // namespace terrazzo::integration
