#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server/net/network.h"
#include "server/net/tls_identity.h"
#include "server/runtime/clock.h"
#include "tests/net/certificates.h"
#include "tests/net/tls_tunnel.h"

namespace terrazzo::net {

SharedBytes shared_frame(proto::Form form, std::string_view payload);
std::span<const std::byte> bytes_of(std::string_view text);

// Suites run once more with TLS between client and server (TERRAZZO_TEST_TLS=auto or =epoll).
bool tls_of_this_run();
std::shared_ptr<const TlsIdentity> identity_of(const TestCertificate& certificate, const TicketKeys& tickets);

// A network and its loop on the test's thread, and what it told. Its clock stands still until a test moves it.
class NetworkHost final : public NetworkEvents {
 public:
  explicit NetworkHost(const NetworkLimits& limits = {});
  // Speaks TLS on port(), whatever the run.
  NetworkHost(const NetworkLimits& limits, const TlsIdentity& identity);
  ~NetworkHost() override;

  Network& network() { return *network_; }
  NetworkCounters counters() const { return network_->counters(); }
  std::uint16_t port() const { return port_; }
  void destroy_network() { network_.reset(); }

  void tick();
  // False: it did not come true within a minute.
  bool run_until(const std::function<bool()>& condition);
  // Blocking work of a client on a thread of its own while the network runs. Ends the network's connections when it
  // takes longer than a minute, so that no test hangs.
  template <class Work>
  void serve(Work work) {
    std::atomic<bool> done{false};
    std::thread client([&] {
      work();
      done.store(true);
      loop_->wake();
    });
    if (!run_until([&] { return done.load(); })) stop_late();
    client.join();
  }
  void advance_ms(std::uint64_t ms) { now_ns_ += ms * runtime::kNsPerMs; }

  struct Request {
    ConnectionId connection;
    std::string method, target, body, content_type, authorization;
  };
  std::vector<ConnectionId> opened, closed, roomy;
  std::vector<proto::Form> forms;
  std::vector<std::string> messages;
  std::vector<Request> requests;
  bool greets = true;  // whoever comes may say much at once
  // What a test does about them; nothing by default.
  std::function<void(ConnectionId, std::string_view)> message;
  std::function<void(ConnectionId, const HttpRequest&)> http;

 private:
  void on_open(ConnectionId connection, proto::Form form) override;
  void on_message(ConnectionId connection, std::span<const std::byte> payload) override;
  void on_close(ConnectionId connection) override;
  void on_room(ConnectionId connection) override { roomy.push_back(connection); }
  std::optional<HttpResponse> refuse_body(const HttpRequest& request) override;
  void on_http(ConnectionId connection, const HttpRequest& request) override;
  void stop_late();
  void start(const NetworkLimits& limits, const TlsIdentity* identity);

  std::uint64_t now_ns_ = 1000 * runtime::kNsPerSecond;
  std::uint16_t port_ = 0;
  std::unique_ptr<runtime::EventLoop> loop_;
  std::unique_ptr<Network> network_;
  std::unique_ptr<TlsTunnel> tunnel_;
};

}  // namespace terrazzo::net
