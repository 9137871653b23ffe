#pragma once

#include <cstdint>
#include <memory>

namespace terrazzo::net {

// Takes plain connections on a port of its own and carries each over TLS to a server on the loopback interface, ends
// and breaks included, so that clients that know nothing of TLS test a server that speaks it. On a thread of its own.
class TlsTunnel {
 public:
  explicit TlsTunnel(std::uint16_t server_port);
  ~TlsTunnel();
  std::uint16_t port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::net
