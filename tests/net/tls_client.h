#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/net/raw_client.h"

struct ssl_st;
struct ssl_session_st;

namespace terrazzo::net {

// A TLS client on memory over a RawClient, so that a test decides which sealed bytes go out and when. For a thread of
// its own where it waits.
class TlsClient {
 public:
  struct Wish {
    int version_max = 0;                       // of OpenSSL's numbers; 0: the newest
    std::string protocol;                      // ALPN, one; empty: none is asked for
    struct ssl_session_st* session = nullptr;  // to resume
  };
  explicit TlsClient(std::uint16_t port);
  TlsClient(std::uint16_t port, const Wish& wish, int receive_bytes = 0);
  ~TlsClient();

  RawClient& raw();
  struct ssl_st* ssl();
  // Everything OpenSSL wants to send now.
  std::string sealed();
  // How sealed bytes are sent: at once, if nothing is set.
  std::function<bool(std::string_view)> sender;

  // False: problem() says why.
  bool handshake();
  bool send(std::string_view plain);
  // Up to and with `end`, or nothing where the connection ends before.
  std::optional<std::string> read_until(std::string_view end);
  std::optional<std::string> read_bytes(std::size_t count);
  // One unmasked WebSocket frame of less than 126 bytes.
  std::optional<std::string> read_small_frame();
  // Our close_notify.
  bool say_goodbye();
  // The rest; `clean()` says whether a close_notify ended it.
  std::string read_to_end();
  bool clean() const;
  std::string problem() const;
  std::string server_name() const;  // of its certificate
  bool resumed() const;

 private:
  bool push();
  bool pull();
  bool read_some();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace terrazzo::net
