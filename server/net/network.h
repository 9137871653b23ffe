#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/shared_bytes.h"
#include "proto/messages.h"
#include "server/net/origin_rules.h"
#include "server/runtime/event_loop.h"
#include "server/session/connection.h"

// The sockets of one core: accept, HTTP, WebSocket, outboxes. Everything here is called and calls on its core's thread.
namespace terrazzo::net {

class TlsIdentity;

// A slot and its generation: a stale id names nobody. The sessions' own name for a connection.
using ConnectionId = session::Connection;

struct HttpRequest {
  std::string_view method, target, body, content_type, authorization, origin;
};
struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string extra_headers;  // whole lines, each ended by CRLF
};

// What the network tells its core's services. Completions only enqueue; these calls happen in Network::dispatch().
class NetworkEvents {
 public:
  virtual ~NetworkEvents() = default;
  virtual void on_open(ConnectionId connection, proto::Form form) = 0;
  // One whole WebSocket message, verified UTF-8 for JSON, 8-byte aligned; valid during the call.
  virtual void on_message(ConnectionId connection, std::span<const std::byte> payload) = 0;
  // The last word about a connection, whoever closed it.
  virtual void on_close(ConnectionId connection) = 0;
  // As asked for by Network::tell_room().
  virtual void on_room(ConnectionId connection) = 0;
  // A request whose body has not come (the body is empty here): nothing to take it in; or the answer that refuses it,
  // so that nobody keeps a stranger's bytes.
  virtual std::optional<HttpResponse> refuse_body(const HttpRequest& request) = 0;
  // Answer with Network::respond(), now or later. Views are valid during the call.
  virtual void on_http(ConnectionId connection, const HttpRequest& request) = 0;
};

struct NetworkLimits {
  std::size_t message_bytes_max = 1 << 20;
  // Likewise before greeted(): whoever it is.
  std::size_t greeting_bytes_max = 16 * 1024;
  // Of all messages of the core whose end has not come, or that wait to be expanded. Beyond it who has held the most
  // for the longest is closed with 1008 "overloaded".
  std::size_t unfinished_bytes_max = 64 << 20;
  std::size_t http_header_bytes_max = 16 * 1024;
  std::size_t http_body_bytes_max = 64 << 20;
  std::size_t outbox_bytes_max = 64 << 20;  // beyond it the connection is closed with 1008 "overloaded"
  // Beyond it send_if_room() refuses; a quarter of it is what tell_room() calls room.
  std::size_t outbox_room_bytes = 1 << 20;
  std::uint32_t connections_max = 20000;
  bool compression = true;  // permessage-deflate for JSON, where the client wishes it
  OriginRules origins = {};
  // How many connections are welcomed in one dispatch(), and how many receives of new ones are looked at; the others
  // wait for the next, in the order they came. So a storm of reconnections delays those that are in by a bounded piece
  // of work per tick, not by all of it: a client that came back to a view of 16 changed chunks (64 KB) cost 360 µs in
  // all, so a tick is longer by a millisecond or two, and a core still takes back some thousands a second.
  std::uint32_t newcomer_turns_per_tick = 16;
  // From the connection to the end of its first header, TLS included; for later requests from their first byte on.
  std::uint32_t handshake_timeout_ms = 10000;
  std::uint32_t keep_alive_ms = 60000;    // without a request
  std::uint32_t idle_timeout_ms = 60000;  // for a body, or for taking an answer; each byte of it buys time
  // A WebSocket is asked for a sign of life after the one without a word, and given up after the other.
  std::uint32_t ping_interval_ms = 20000, silence_max_ms = 60000;
};

struct NetworkCounters {
  std::uint64_t accepted = 0, closed = 0, open = 0, messages_in = 0, bytes_in = 0, messages_out = 0, bytes_out = 0,
                sends = 0, http_requests = 0, protocol_errors = 0, overloads = 0, origins_refused = 0;
  std::uint64_t timeouts = 0;  // connections given up as too slow or silent; not those that were just not used any more
  std::uint64_t tls_handshakes = 0, tls_resumed = 0, tls_failures = 0;
  // Frames that were compressed (once for all connections), and bytes before and after.
  std::uint64_t compressions = 0, compressed_from_bytes = 0, compressed_to_bytes = 0;
  std::uint64_t compressed_again = 0;  // large ones that were found compressed
  // Compressed messages that came, what they became, and connections whose next one waits for its turn now.
  std::uint64_t expanded_messages = 0, expanded_bytes = 0, expansions_waiting = 0;
  std::uint64_t unfinished_bytes = 0, unfinished_refused = 0;  // now; connections
  std::uint64_t newcomer_waits = 0;     // receives of new connections that had to wait for a later tick
  std::uint64_t newcomers_waiting = 0;  // connections that wait now: to be welcomed, or for their turn
  std::uint64_t outbox_bytes = 0;       // waiting now, for all connections; shared frames count for each
};

class Network {
 public:
  // `listen_fd`: a listening TCP socket of this core (SO_REUSEPORT), owned from here on.
  Network(runtime::EventLoop& loop, int listen_fd, const NetworkLimits& limits, NetworkEvents& events);
  // Stops, without telling anybody. Elsewhere than on the loop's thread only after stop().
  ~Network();

  // From now on (or from the first connection on) connections are TLS, with this identity; those that there are keep
  // theirs.
  Status use_tls(const TlsIdentity& identity);

  // Delivers everything that has arrived since the last call.
  void dispatch(std::uint64_t now_ns);

  // `frame`: one or more complete WebSocket frames (header included, unmasked; proto/ws). Queued until flush(). One
  // SharedBytes reference for all `connections`; stale ids are skipped. For those that agreed on compression it is
  // compressed once.
  void send(std::span<const ConnectionId> connections, const SharedBytes& frame);
  // Likewise, but connections for which too much waits already do not get it, and are appended to `refused`.
  enum class Room : std::uint8_t {
    some,  // outbox_room_bytes wait at most
    much,  // a quarter of that
  };
  void send_if_room(std::span<const ConnectionId> connections, const SharedBytes& frame,
                    std::vector<ConnectionId>& refused, Room room = Room::some);
  // Who it is has been said, and its messages may be large from now on.
  void greeted(ConnectionId connection);
  // Something waits for the connection; on_room() is called once it has read most of it.
  void tell_room(ConnectionId connection);
  // Copies `payload` behind a header of its own: for messages to one connection.
  void send_message(ConnectionId connection, std::span<const std::byte> payload);
  // The answer to the present request; the next one is looked at when this has left, so that one answer is held at
  // most.
  void respond(ConnectionId connection, const HttpResponse& response);
  // Sends what is queued, then a close frame; `reason` is an error code name.
  void close(ConnectionId connection, std::uint16_t code, std::string_view reason);
  std::size_t outbox_bytes(ConnectionId connection) const;
  proto::Form form(ConnectionId connection) const;

  // One gather write per connection with something queued.
  void flush();
  // Newcomers or compressed messages wait for the next dispatch(): do not sleep before it.
  bool wants_dispatch() const;

  // No more accepts; every WebSocket is closed with 1012 once its outbox is empty. drained(): nobody left.
  void drain();
  bool drained() const;
  // Ends every connection at once and returns when the kernel holds nothing of ours. On the core's thread, before it
  // ends.
  void stop();
  NetworkCounters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Opens a listening socket on host:port with SO_REUSEPORT; port 0 picks a free one (local_port() then tells which).
// `kernel_bytes_max`: what the kernel may hold for one connection of it (its own book-keeping counted, one segment of
// up to 64 KiB above it); net.core.wmem_max may allow less. 0: as the system does, megabytes for a client that stops
// reading. Of bytes that cannot be sent yet, the kernel takes some 32 KiB in either case.
Result<int> open_listener(const std::string& host, std::uint16_t port, std::size_t kernel_bytes_max = 0);
std::uint16_t local_port(int fd);
// What the kernel agreed to.
std::size_t send_buffer_bytes(int fd);

}  // namespace terrazzo::net
