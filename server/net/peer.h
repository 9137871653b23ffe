#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proto/ws/message_assembler.h"
#include "server/net/http_exchange.h"
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

// A completion of one of a peer's operations; the network's queue takes it from here.
class PeerCompletion final : public runtime::Completion {
 public:
  using Enqueue = void (*)(void* network, Peer& peer, std::int32_t result, std::uint32_t flags);
  PeerCompletion(Peer& peer, void* network, Enqueue enqueue) : peer_(peer), network_(network), enqueue_(enqueue) {}
  void complete(std::int32_t result, std::uint32_t flags) override { enqueue_(network_, peer_, result, flags); }

 private:
  Peer& peer_;
  void* network_;
  Enqueue enqueue_;
};

// One socket. Lives until the kernel has nothing of it any more, so that completions never meet freed memory.
struct Peer {
  Peer(session::Connection own_name, int own_fd, void* network, PeerCompletion::Enqueue received,
       PeerCompletion::Enqueue sent)
      : name(own_name), fd(own_fd), receive(*this, network, received), send(*this, network, sent) {}

  session::Connection name;
  int fd;
  Stage stage = Stage::http;
  proto::Form form = proto::Form::json;
  proto::ws::Window window = proto::ws::Window::none;  // of the compression that was agreed on
  bool receiving = false;                              // a receive is with the kernel
  bool announced = false;                              // on_open was called, on_close was not
  bool heard_end = false;                              // the other side sends no more; it may still be reading
  // Once everything is sent: nothing special; the socket is shut; or only our side of it is, and what still comes is
  // thrown away until the other side ends, so that a client that is still sending gets to read our last words.
  enum class Ending : std::uint8_t { none, shut, half } ending = Ending::none;
  bool header_begun = true;                      // its time runs; for the first one from the connection on
  bool served = false;                           // a request was answered
  bool wants_room = false;                       // on_room is to be called
  bool dirty = false;                            // in the list of those with something to flush
  std::uint8_t newcomer_turns = kNewcomerTurns;  // left
  std::string waiting;                           // received, and its turn has not come
  std::uint64_t last_heard_ns = 0, last_ping_ns = 0, deadline_ns = 0;
  std::uint64_t body_began_ns = 0;                         // of the request that is coming in; 0: its header still is
  std::unique_ptr<HttpExchange> http;                      // until it is a WebSocket
  std::unique_ptr<proto::ws::MessageAssembler> assembler;  // from then on
  std::unique_ptr<TlsStream> tls;                          // between the socket and all of these, or none
  Outbox outbox;
  PeerCompletion receive, send;
};

}  // namespace terrazzo::net
