#pragma once

#include <cstdint>
#include <memory>

#include "proto/ws/deflate.h"
#include "server/net/http_exchange.h"
#include "server/net/incoming.h"
#include "server/net/outbox.h"
#include "server/net/tls_stream.h"
#include "server/runtime/completion.h"
#include "server/session/connection.h"

namespace terrazzo::net {

enum class Stage : std::uint8_t {
  http,       // requests, or a handshake
  answering,  // a request is with the services; bytes that come wait
  writing,    // its answer is on its way out; bytes that come wait, so that one answer at most is held for a client
  websocket,
  closing,  // a last frame or answer is on its way out; nothing is listened to any more but the end
  gone,     // the socket is shut; waiting for the kernel to let go
};

struct Peer;

// Receives that a new connection has among the newcomers' (NetworkLimits::newcomer_turns_per_tick): the handshake,
// `hello` with `open`, the first subscriptions.
constexpr std::uint8_t kNewcomerTurns = 4;

// Completions of peers' operations; they are only queued.
class PeerCompletions {
 public:
  virtual ~PeerCompletions() = default;
  virtual void on_received(Peer& peer, std::int32_t result, std::uint32_t flags) = 0;
  virtual void on_sent(Peer& peer, std::int32_t result, std::uint32_t flags) = 0;
};

// One socket. Lives until the kernel has nothing of it any more, so that completions never meet freed memory. Most of a
// large crowd only wait, so what serves those that say something is elsewhere while they do not.
struct Peer {
  // Once everything is sent: nothing special; the socket is shut; or only our side of it is, and what still comes is
  // thrown away until the other side ends, so that a client that is still sending gets to read our last words.
  enum class Ending : std::uint8_t { none, shut, half };

  Peer(session::Connection own_name, int own_fd, PeerCompletions& completions)
      : name(own_name), fd(own_fd), queue(completions), receive(*this), send(*this) {}

  session::Connection name;
  int fd;
  Stage stage = Stage::http;
  Ending ending = Ending::none;
  proto::Form form = proto::Form::json;
  proto::ws::Window window = proto::ws::Window::none;  // of the compression that was agreed on
  std::uint8_t newcomer_turns = kNewcomerTurns;        // left
  bool receiving = false;                              // a receive is with the kernel
  bool announced = false;                              // on_open was called, on_close was not
  bool heard_end = false;                              // the other side sends no more; it may still be reading
  bool header_begun = true;                            // its time runs; for the first one from the connection on
  bool served = false;                                 // a request was answered
  bool wants_room = false;                             // on_room is to be called
  bool is_websocket = false;                           // from the upgrade on, to the end
  bool greeted = false;                                // who it is has been said
  bool said_all = false;                               // it closed, or broke a rule; what still comes means nothing
  bool dirty = false;                                  // in the list of those with something to flush
  std::uint64_t last_heard_ns = 0, last_ping_ns = 0, deadline_ns = 0;
  std::uint64_t body_began_ns = 0;             // of the request that is coming in; 0: its header still is
  std::unique_ptr<proto::ByteBuffer> waiting;  // received, and its turn has not come
  std::unique_ptr<HttpExchange> http;          // until it is a WebSocket
  std::unique_ptr<Incoming> incoming;          // from then on, while something of a message is there
  std::unique_ptr<TlsStream> tls;              // between the socket and all of these, or none
  // Its next message is compressed and waits for its turn.
  bool expands() const { return incoming && incoming->assembler.holds_compressed(); }
  Outbox outbox;

  PeerCompletions& queue;
  struct Receive final : runtime::Completion {
    explicit Receive(Peer& own) : peer(own) {}
    void complete(std::int32_t result, std::uint32_t flags) override { peer.queue.on_received(peer, result, flags); }
    Peer& peer;
  } receive;
  struct Send final : runtime::Completion {
    explicit Send(Peer& own) : peer(own) {}
    void complete(std::int32_t result, std::uint32_t flags) override { peer.queue.on_sent(peer, result, flags); }
    Peer& peer;
  } send;
};
// What each connection costs; the next size of the allocator is a quarter more.
static_assert(sizeof(Peer) <= 160);

}  // namespace terrazzo::net
