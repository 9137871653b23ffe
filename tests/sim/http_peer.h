#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tests/sim/network.h"

namespace terrazzo::sim {

// One HTTP request over a connection of its own.
class HttpPeer final : private Dialer {
 public:
  // Status 0: no answer came; whether the request was carried out is not known.
  using Done = std::function<void(unsigned status, const std::string& body)>;
  static void request(Machine& machine, Network& network, std::string method, std::string target, std::string body,
                      Done done);

 private:
  HttpPeer(Network& network, Done done) : network_(network), done_(std::move(done)) {}
  void on_connected() override;
  void on_bytes(std::span<const std::byte> bytes) override;
  void on_lost() override;
  void finish(unsigned status, const std::string& body);

  Network& network_;
  Done done_;
  std::string text_, answer_;
  Network::Link link_ = 0;
  std::shared_ptr<HttpPeer> self_;  // until it is done
};

}  // namespace terrazzo::sim
