#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "proto/ws/deflate.h"
#include "server/net/compressed_frames.h"
#include "server/net/frame_pool.h"
#include "server/net/network.h"
#include "server/net/peer.h"
#include "server/net/tls_identity.h"

// What the network's own files share; nobody else's.
namespace terrazzo::net {

namespace ws = proto::ws;

inline constexpr std::uint64_t kMs = 1'000'000;
inline constexpr std::uint64_t kLookEveryNs = 250 * kMs;
inline constexpr std::uint64_t kCloseWaitNs = 2000 * kMs;  // for the peer to answer a close frame, or to take an answer
inline constexpr std::uint64_t kAcceptPauseNs = 200 * kMs;  // when the process has no descriptor left
inline constexpr std::size_t kHeldBytesMax = 1 << 20;  // of a client that sends on while its request is being answered
// The slowest client that a body or an answer is kept for: beyond the idle time, each byte of it buys time at this
// rate.
inline constexpr std::uint64_t kSlowestBytesPerMs = 16;
// Takes the frame of an acknowledgement, a mark, a presence.
inline constexpr std::size_t kAnswerBlockBytes = 256, kAnswersKept = 1024;
inline constexpr std::size_t kRecordBytes = 16 * 1024;  // of plain text in a TLS record, at most
inline constexpr std::size_t kRefusedMax = 256;  // connections above the limit that are told so; more are just closed

inline SharedBytes shared_copy(std::span<const std::byte> bytes) {
  SharedBytes copy = SharedBytes::allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.writable().data(), bytes.data(), bytes.size());
  return copy;
}
inline std::span<const std::byte> octets(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

struct Network::State final : PeerCompletions {
  State(runtime::EventLoop& own_loop, int fd, const NetworkLimits& own_limits, NetworkEvents& own_events)
      : loop(own_loop), listen_fd(fd), limits(own_limits), events(&own_events) {}

  runtime::EventLoop& loop;
  int listen_fd;
  NetworkLimits limits;
  NetworkEvents* events;
  FramePool frames;
  BlockPool answers{kAnswerBlockBytes, kAnswersKept};  // acknowledgements and such
  NetworkCounters counters;
  std::uint64_t now = 0, looked = 0;

  // By slot. `generations` outlive the peers.
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<std::uint32_t> generations;
  std::vector<std::uint32_t> free_slots;
  std::vector<session::Connection> dirty;    // something to flush
  std::vector<session::Connection> ended;    // on_close is due
  std::vector<session::Connection> roomy;    // on_room is due
  std::vector<session::Connection> unarmed;  // a receive is due
  std::vector<session::Connection> idle;     // gone, and the kernel may have let go of them

  struct Arrival {
    Peer* peer;
    std::int32_t result;
    std::uint32_t flags;
  };
  std::vector<Arrival> received, sent, handling;
  std::deque<int> accepted;                   // not welcomed yet
  std::deque<session::Connection> newcomers;  // with bytes that wait for their turn
  std::uint32_t newcomer_turns = 0;           // left in this dispatch
  bool accepting = false, draining = false;
  std::uint64_t accept_after = 0;
  proto::ByteBuffer header;  // scratch

  // Of those with something to say, and not in use.
  std::vector<std::unique_ptr<Incoming>> spare_incoming;
  // Connections whose next message is compressed: in the order they came; not done in one turn and without an inflater
  // yet; and with one.
  std::deque<session::Connection> short_messages, waiting_messages, expanding;
  std::unique_ptr<ws::Inflater> inflater;                // of the short ones; made for the first
  std::vector<std::unique_ptr<ws::Inflater>> inflaters;  // of long ones, not in use
  CompressedFrames compressed_frames;

  // Over TLS, where there is an identity.
  std::optional<TlsContext> tls;
  std::vector<std::byte> plain;  // scratch of one record

  struct AcceptCompletion final : runtime::Completion {
    explicit AcceptCompletion(State& s) : state(s) {}
    void complete(std::int32_t result, std::uint32_t flags) override {
      if (result >= 0) {
        state.accepted.push_back(result);
      } else if (result != -ECONNABORTED && result != -EINTR && result != -EAGAIN) {
        // Most likely EMFILE: trying on at once would only spin.
        state.accept_after = state.now + kAcceptPauseNs;
      }
      if ((flags & kMore) == 0) state.accepting = false;
    }
    State& state;
  } accept{*this};

  void on_received(Peer& peer, std::int32_t result, std::uint32_t flags) override {
    received.push_back({&peer, result, flags});
  }
  void on_sent(Peer& peer, std::int32_t result, std::uint32_t flags) override {
    sent.push_back({&peer, result, flags});
  }

  Peer* find(session::Connection name) {
    if (name.slot >= peers.size()) return nullptr;
    Peer* peer = peers[name.slot].get();
    return peer != nullptr && peer->name == name ? peer : nullptr;
  }

  void arm_accept();
  void welcome(int fd);
  Peer& make_peer(int fd);
  void arm_receive(Peer& peer);
  void take_received(const Arrival& arrival);
  void take_end(Peer& peer);
  void take_sent(const Arrival& arrival);
  // At once, or where the peer is new and this dispatch has had its share of newcomers, at a later one.
  void feed(Peer& peer, std::span<const std::byte> bytes);
  void take_bytes(Peer& peer, std::span<const std::byte> bytes);
  void take_waiting(Peer& peer);
  void welcome_newcomers();
  void take_plain(Peer& peer, std::span<const std::byte> bytes);
  void take_sealed(Peer& peer, std::span<const std::byte> bytes);
  // ---- messages (network_messages.cc) ----
  std::size_t message_bytes_max(const Peer& peer) const;
  void begin_incoming(Peer& peer);
  void end_incoming(Peer& peer);
  void take_messages(Peer& peer, std::span<const std::byte> bytes);
  std::size_t feed_messages(Peer& peer, std::span<const std::byte> bytes);
  void keep_behind(Peer& peer, std::span<const std::byte> bytes);
  bool too_much_behind(const Peer& peer) const;
  void go_on_behind(Peer& peer);
  void settle(Peer& peer);
  void refuse_unfinished();
  bool expands() const { return !short_messages.empty() || !waiting_messages.empty() || !expanding.empty(); }
  void expand_messages();
  Peer* next_to_expand(std::deque<session::Connection>& queue);
  ws::Inflater& short_inflater();
  std::size_t expand_short(Peer& peer);
  void begin_long(Peer& peer);
  std::size_t expand_long(Peer& peer);
  std::size_t count_expanded(const ws::Inflater& one);

  // Whatever the other side speaks, it is not TLS; true: it was told so.
  bool answer_plain(Peer& peer, std::span<const std::byte> bytes);
  void open_records(Peer& peer);
  void break_off(Peer& peer);
  // Its outbox counts what TLS has sealed.
  void recount_sealed(Peer& peer);
  void feed_http(Peer& peer, std::span<const std::byte> bytes);
  void refuse(Peer& peer, std::string_view answer);
  void respond(Peer& peer, const HttpResponse& response);
  void answered(Peer& peer);
  void upgrade(Peer& peer);
  void queue(Peer& peer, HeldFrame* frame);
  // The same for a window; not before something of the connections' agreed on it.
  HeldFrame* compressed(HeldFrame& frame, ws::Window window);
  void queue_bytes(Peer& peer, std::span<const std::byte> bytes) { queue(peer, frames.hold(shared_copy(bytes))); }
  void queue_control(Peer& peer, ws::Opcode opcode, std::span<const std::byte> payload);
  void mark_dirty(Peer& peer) {
    if (!std::exchange(peer.dirty, true)) dirty.push_back(peer.name);
  }
  void begin_close(Peer& peer, std::uint16_t code, std::string_view reason);
  // Sends what is queued, then ends the connection.
  void finish(Peer& peer, Peer::Ending ending);
  // Nothing is owed to the other side any more. Over TLS it is told so, or it would take the end for a cut.
  void leave(Peer& peer);
  void end(Peer& peer);
  void shut(Peer& peer);
  void tell_closed(Peer& peer) {
    if (std::exchange(peer.announced, false)) ended.push_back(peer.name);
  }
  // Not at once: what calls may still be using the peer.
  void release_if_idle(Peer& peer) {
    if (peer.stage == Stage::gone && !peer.receiving && !peer.outbox.sending()) idle.push_back(peer.name);
  }
  void release(Peer& peer);
  bool busy() const { return accepting || counters.open != 0; }
  std::uint64_t time_for(std::uint64_t bytes) const {
    return limits.idle_timeout_ms * kMs + bytes / kSlowestBytesPerMs * kMs;
  }
  void flush(Peer& peer);
  void flush_sealed(Peer& peer);
  void look_at_clocks();
  // The time for a request is over.
  void give_up_request(Peer& peer);
  void overload(Peer& peer);
};

}  // namespace terrazzo::net
