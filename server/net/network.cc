#include "server/net/network.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/canary.h"
#include "server/net/network_state.h"

namespace terrazzo::net {
namespace {

// Listens to a network whose services are gone.
class Nobody final : public NetworkEvents {
  void on_open(ConnectionId, proto::Form) override {}
  void on_message(ConnectionId, std::span<const std::byte>) override {}
  void on_close(ConnectionId) override {}
  void on_room(ConnectionId) override {}
  std::optional<HttpResponse> refuse_body(const HttpRequest&) override { return std::nullopt; }
  void on_http(ConnectionId, const HttpRequest&) override {}
};
Nobody nobody;

}  // namespace

// ---- coming and going ----

void Network::State::arm_accept() {
  if (accepting || draining || listen_fd < 0 || now < accept_after) return;
  accepting = true;
  loop.accept(listen_fd, &accept);
}

void Network::State::welcome(int fd) {
  const std::size_t open = peers.size() - free_slots.size();
  const bool full = open >= limits.connections_max;
  if (full) ++counters.overloads;
  if (draining || open >= limits.connections_max + kRefusedMax) {
    ::close(fd);
    return;
  }
  Peer& peer = make_peer(fd);
  if (full) {
    const HttpResponse answer =
        refusal_of(503, ErrorCode::overloaded, "this server has as many connections as it takes; try again later");
    refuse(peer, peer.http->response(answer, false));
  }
  arm_receive(peer);
}

Peer& Network::State::make_peer(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (free_slots.empty()) {
    free_slots.push_back(static_cast<std::uint32_t>(peers.size()));
    peers.emplace_back();
    generations.push_back(0);
  }
  const std::uint32_t slot = free_slots.back();
  free_slots.pop_back();
  const session::Connection name{slot, ++generations[slot]};
  peers[slot] = std::make_unique<Peer>(name, fd, *this);
  Peer& peer = *peers[slot];
  if (tls) peer.tls = std::make_unique<TlsStream>(*tls);
  peer.http = std::make_unique<HttpExchange>(limits.http_header_bytes_max, limits.http_body_bytes_max, limits.origins);
  peer.last_heard_ns = now;
  peer.deadline_ns = now + limits.handshake_timeout_ms * kMs;
  ++counters.accepted;
  ++counters.open;
  return peer;
}

void Network::State::arm_receive(Peer& peer) {
  if (peer.receiving || peer.heard_end || peer.stage == Stage::gone || too_much_behind(peer)) return;
  peer.receiving = true;
  loop.receive(peer.fd, &peer.receive);
}

void Network::State::shut(Peer& peer) {
  if (peer.stage == Stage::gone) return;
  tell_closed(peer);
  peer.stage = Stage::gone;
  // Ends the receive and the send that the kernel may still have; their completions let the peer go.
  ::shutdown(peer.fd, SHUT_RDWR);
  release_if_idle(peer);
}

void Network::State::release(Peer& peer) {
  TZ_ASSERT(peer.stage == Stage::gone && !peer.receiving && !peer.outbox.sending());
  counters.outbox_bytes -= peer.outbox.bytes();
  peer.outbox.clear(frames);
  end_incoming(peer);
  loop.close(peer.fd);
  ++counters.closed;
  --counters.open;
  const std::uint32_t slot = peer.name.slot;
  // Nothing in the arrival lists points to it: the last completion of either kind has been taken.
  peers[slot].reset();
  free_slots.push_back(slot);
}

void Network::State::finish(Peer& peer, Peer::Ending ending) {
  if (peer.stage == Stage::gone) return;
  peer.ending = ending;
  if (peer.outbox.empty()) return end(peer);
  mark_dirty(peer);
}

void Network::State::leave(Peer& peer) {
  if (!peer.tls) return shut(peer);
  tell_closed(peer);
  peer.stage = Stage::closing;
  peer.deadline_ns = now + kCloseWaitNs;
  finish(peer, Peer::Ending::shut);
}

void Network::State::end(Peer& peer) {
  // Over TLS the other side is told that this is the end, and not a cut.
  if (peer.tls && peer.tls->say_goodbye()) {
    recount_sealed(peer);
    return mark_dirty(peer);
  }
  if (peer.ending == Peer::Ending::shut) return shut(peer);
  ::shutdown(peer.fd, SHUT_WR);  // its answer is the end of its side, or the deadline
}

void Network::State::begin_close(Peer& peer, std::uint16_t code, std::string_view reason) {
  if (peer.stage != Stage::websocket) return;
  header.clear();
  ws::append_close(code, reason, header);
  queue_bytes(peer, header);
  peer.stage = Stage::closing;
  peer.deadline_ns = now + kCloseWaitNs;
  tell_closed(peer);
}

// ---- receiving ----

void Network::State::take_received(const Arrival& arrival) {
  Peer& peer = *arrival.peer;
  const bool has_buffer = (arrival.flags & runtime::Completion::kHasBuffer) != 0;
  const std::uint16_t buffer = runtime::Completion::buffer_of(arrival.flags);
  if (arrival.result > 0 && has_buffer) {
    const auto size = static_cast<std::size_t>(arrival.result);
    counters.bytes_in += size;
    peer.last_heard_ns = now;
    if (peer.stage != Stage::gone) feed(peer, loop.buffer(buffer, size));
  }
  if (has_buffer) loop.give_back(buffer);
  // Not before: what feed() does may shut the peer, and one that still receives is not released.
  if ((arrival.flags & runtime::Completion::kMore) == 0) peer.receiving = false;
  if (peer.stage == Stage::gone) return release_if_idle(peer);
  if (arrival.result == 0) return take_end(peer);
  const bool goes_on = arrival.result == -ENOBUFS || arrival.result == -EINTR || arrival.result == -EAGAIN ||
                       arrival.result == -ECANCELED;  // stop_receiving()
  if (arrival.result < 0 && !goes_on) return shut(peer);
  if (!peer.receiving) unarmed.push_back(peer.name);
}

// The other side sends no more. Whoever closes only its sending half still reads what we owe it.
void Network::State::take_end(Peer& peer) {
  if (peer.waiting) take_waiting(peer);  // what came before the end counts
  peer.heard_end = true;
  if (peer.stage == Stage::gone) return release_if_idle(peer);
  if (peer.stage == Stage::answering || peer.stage == Stage::writing) return;
  if (peer.stage == Stage::websocket && peer.expands()) return;  // likewise; settle() goes on
  if (peer.stage == Stage::closing) return finish(peer, Peer::Ending::shut);
  leave(peer);
}

void Network::State::feed(Peer& peer, std::span<const std::byte> bytes) {
  if (peer.newcomer_turns == 0) return take_bytes(peer, bytes);
  if (!peer.waiting && newcomer_turns != 0) {
    --newcomer_turns;
    --peer.newcomer_turns;
    return take_bytes(peer, bytes);
  }
  if (!peer.waiting) {
    peer.waiting = std::make_unique<proto::ByteBuffer>();
    newcomers.push_back(peer.name);
  }
  ++counters.newcomer_waits;
  peer.waiting->insert(peer.waiting->end(), bytes.begin(), bytes.end());
  // A queue per connection is not to grow without bound, and to end it for being quick would be unfair.
  if (peer.waiting->size() > kHeldBytesMax) take_waiting(peer);
}

void Network::State::take_waiting(Peer& peer) {
  const std::unique_ptr<proto::ByteBuffer> bytes = std::move(peer.waiting);
  if (peer.newcomer_turns != 0) --peer.newcomer_turns;
  if (peer.stage != Stage::gone) take_bytes(peer, *bytes);
}

void Network::State::welcome_newcomers() {
  newcomer_turns = limits.newcomer_turns_per_tick;
  for (std::uint32_t i = 0; i < limits.newcomer_turns_per_tick && !accepted.empty(); ++i) {
    const int fd = accepted.front();
    accepted.pop_front();
    welcome(fd);
  }
  while (newcomer_turns != 0 && !newcomers.empty()) {
    Peer* peer = find(newcomers.front());
    newcomers.pop_front();
    if (peer == nullptr || !peer->waiting) continue;  // it has gone, or could not wait
    --newcomer_turns;
    take_waiting(*peer);
  }
}

void Network::State::take_bytes(Peer& peer, std::span<const std::byte> bytes) {
  if (peer.tls) return take_sealed(peer, bytes);
  take_plain(peer, bytes);
}

void Network::State::take_plain(Peer& peer, std::span<const std::byte> bytes) {
  if (peer.is_websocket) {
    take_messages(peer, bytes);
  } else if (peer.stage == Stage::http) {
    feed_http(peer, bytes);
  } else if (peer.stage == Stage::answering || peer.stage == Stage::writing) {
    peer.http->hold(bytes);  // the next request, early
    if (peer.http->held_bytes() > kHeldBytesMax) shut(peer);
  }
}

void Network::State::feed_http(Peer& peer, std::span<const std::byte> bytes) {
  switch (peer.http->feed(bytes)) {
    case HttpExchange::Step::more:
      if (!peer.http->in_body()) {
        if (peer.http->held_bytes() != 0 && !std::exchange(peer.header_begun, true))
          peer.deadline_ns = now + limits.handshake_timeout_ms * kMs;
        return;
      }
      if (peer.body_began_ns == 0) {
        if (const std::optional<HttpResponse> no = events->refuse_body(peer.http->request_so_far()))
          return refuse(peer, peer.http->response(*no, false));
      }
      if (peer.http->take_continue()) queue_bytes(peer, octets("HTTP/1.1 100 Continue\r\n\r\n"));
      if (peer.body_began_ns == 0) peer.body_began_ns = now;
      peer.deadline_ns = peer.body_began_ns + time_for(peer.http->taken_bytes());
      return;
    case HttpExchange::Step::bad:
      ++counters.protocol_errors;
      return refuse(peer, peer.http->response(peer.http->refusal(), false));
    case HttpExchange::Step::unwelcome:
      ++counters.origins_refused;
      return refuse(peer, peer.http->response(peer.http->refusal(), false));
    case HttpExchange::Step::request:
      break;
  }
  if (peer.http->wants_websocket()) return upgrade(peer);
  ++counters.http_requests;
  peer.stage = Stage::answering;
  peer.deadline_ns = now + limits.idle_timeout_ms * kMs;
  if (std::optional<HttpResponse> answer = peer.http->preflight()) return respond(peer, *answer);
  events->on_http(peer.name, peer.http->request());
}

void Network::State::respond(Peer& peer, const HttpResponse& response) {
  const bool stays = peer.http->keep_alive() && !draining;
  queue_bytes(peer, octets(peer.http->response(response, stays)));
  peer.stage = stays ? Stage::writing : Stage::closing;
  peer.deadline_ns = now + time_for(peer.outbox.bytes());
  if (!stays) finish(peer, peer.heard_end ? Peer::Ending::shut : Peer::Ending::half);
}

void Network::State::refuse(Peer& peer, std::string_view answer) {
  queue_bytes(peer, octets(answer));
  peer.stage = Stage::closing;
  peer.deadline_ns = now + kCloseWaitNs;
  finish(peer, Peer::Ending::half);
}

// An answer has left; the connection is free for the next request, which may be there already.
void Network::State::answered(Peer& peer) {
  if (draining) return leave(peer);
  peer.http->next();
  peer.stage = Stage::http;
  peer.body_began_ns = 0;
  peer.header_begun = false;
  peer.served = true;
  peer.deadline_ns = now + limits.keep_alive_ms * kMs;
  feed_http(peer, {});
  if (peer.stage == Stage::http && peer.heard_end) leave(peer);
}

void Network::State::upgrade(Peer& peer) {
  const HttpExchange::Upgrade answer = peer.http->upgrade(limits.compression);
  if (!answer.form) {
    ++counters.protocol_errors;
    return refuse(peer, answer.response);
  }
  queue_bytes(peer, octets(answer.response));
  const std::string rest = peer.http->take_rest();
  peer.http.reset();
  peer.form = *answer.form;
  peer.window = answer.window;
  peer.is_websocket = true;
  peer.stage = Stage::websocket;
  peer.last_ping_ns = now;
  peer.announced = true;
  events->on_open(peer.name, peer.form);
  if (!rest.empty()) take_plain(peer, octets(rest));
}

// ---- sending ----

void Network::State::queue(Peer& peer, HeldFrame* frame) {
  peer.outbox.push(frame, frames);
  counters.outbox_bytes += frame->bytes.size();
  mark_dirty(peer);
}

HeldFrame* Network::State::compressed(HeldFrame& frame, ws::Window window) {
  HeldFrame*& twin = frame.compressed[window == ws::Window::small ? 0 : 1];
  if (twin != nullptr) return twin;
  twin = frames.hold(compressed_frames.of(frame.bytes, window));
  ++twin->uses;
  return twin;
}

void Network::State::queue_control(Peer& peer, ws::Opcode opcode, std::span<const std::byte> payload) {
  header.clear();
  ws::append_frame_header(opcode, payload.size(), header);
  header.insert(header.end(), payload.begin(), payload.end());
  queue_bytes(peer, header);
  // A client may ask for pongs for ever and read none.
  if (peer.outbox.bytes() > limits.outbox_bytes_max) overload(peer);
}

void Network::State::overload(Peer& peer) {
  ++counters.overloads;
  spdlog::info("connection {}: {} bytes wait for a client that does not read; closed", peer.name.slot,
               peer.outbox.bytes());
  begin_close(peer, ws::kClosePolicy, error_code_name(ErrorCode::overloaded));
}

void Network::State::flush(Peer& peer) {
  if (peer.stage == Stage::gone || peer.outbox.sending() || peer.outbox.empty()) return;
  if (peer.tls) return flush_sealed(peer);
  ++counters.sends;
  loop.send(peer.fd, peer.outbox.begin_send(), &peer.send);
}

void Network::State::take_sent(const Arrival& arrival) {
  Peer& peer = *arrival.peer;
  if (arrival.result > 0) {
    counters.bytes_out += static_cast<std::uint64_t>(arrival.result);
    const auto size = static_cast<std::size_t>(arrival.result);
    if (peer.tls) {
      peer.tls->sent(size);
      peer.outbox.sealed_sent();
      recount_sealed(peer);
    } else {
      counters.outbox_bytes -= size;
      peer.outbox.sent(size, frames);
    }
    if (peer.wants_room && peer.outbox.bytes() <= limits.outbox_room_bytes / 4) {
      peer.wants_room = false;
      roomy.push_back(peer.name);
    }
  } else {
    peer.outbox.send_failed();
  }
  if (peer.stage == Stage::gone) return release_if_idle(peer);
  const bool again = arrival.result == -EINTR || arrival.result == -EAGAIN;
  if (arrival.result <= 0 && !again) return shut(peer);
  if (!peer.outbox.empty()) return mark_dirty(peer);
  if (peer.ending != Peer::Ending::none) return end(peer);
  if (peer.stage == Stage::writing) answered(peer);
}

// ---- time ----

void Network::State::look_at_clocks() {
  if (now - looked < kLookEveryNs) return;
  looked = now;
  frames.trim();
  for (std::size_t slot = 0; slot < peers.size(); ++slot) {
    Peer* peer = peers[slot].get();
    if (peer == nullptr || peer->waiting) continue;  // it is we who are late
    switch (peer->stage) {
      case Stage::http:
        if (now >= peer->deadline_ns) give_up_request(*peer);
        break;
      case Stage::answering:
      case Stage::writing:
        if (now < peer->deadline_ns) break;
        ++counters.timeouts;
        shut(*peer);
        break;
      case Stage::closing:
        if (now >= peer->deadline_ns) shut(*peer);
        break;
      case Stage::websocket:
        if (peer->expands()) break;  // it is we who are late
        if (now - peer->last_heard_ns > limits.silence_max_ms * kMs) {
          ++counters.timeouts;
          shut(*peer);
        } else if (now - std::max(peer->last_heard_ns, peer->last_ping_ns) > limits.ping_interval_ms * kMs) {
          peer->last_ping_ns = now;
          queue_control(*peer, ws::Opcode::ping, {});
        }
        break;
      case Stage::gone:
        break;
    }
  }
}

void Network::State::give_up_request(Peer& peer) {
  const bool begun = peer.http->in_body() || peer.http->held_bytes() != 0;
  if (begun || !peer.served) ++counters.timeouts;
  // Between requests, and before the first byte, there is nothing to answer.
  if (!begun) return leave(peer);
  refuse(peer, peer.http->response(
                   refusal_of(408, ErrorCode::bad_message, "the request did not come to its end in time"), false));
}

// ---- the interface ----

Network::Network(runtime::EventLoop& loop, int listen_fd, const NetworkLimits& limits, NetworkEvents& events)
    : state_(new State(loop, listen_fd, limits, events)) {}

Network::~Network() {
  state_->events = &nobody;
  // Another thread's loop cannot be waited for from here; its thread has called stop() then.
  if (state_->loop.usable_here()) {
    stop();
  } else {
    TZ_ASSERT(!state_->busy());
  }
  if (state_->listen_fd >= 0) state_->loop.close(state_->listen_fd);
  for (const int fd : state_->accepted) ::close(fd);
}

Status Network::use_tls(const TlsIdentity& identity) {
  Result<TlsContext> context = TlsContext::create(identity);
  if (!context) return context.error();
  state_->tls = *std::move(context);
  state_->plain.resize(kRecordBytes);
  return {};
}

void Network::dispatch(std::uint64_t now_ns) {
  State& s = *state_;
  s.now = now_ns;
  s.welcome_newcomers();
  s.handling.swap(s.sent);
  for (const State::Arrival& arrival : s.handling) s.take_sent(arrival);
  s.handling.clear();
  s.handling.swap(s.received);
  for (const State::Arrival& arrival : s.handling) s.take_received(arrival);
  s.handling.clear();
  s.expand_messages();
  s.look_at_clocks();
  for (const session::Connection name : std::exchange(s.roomy, {}))
    if (s.find(name) != nullptr) s.events->on_room(name);
  for (const session::Connection name : std::exchange(s.ended, {})) s.events->on_close(name);
  for (const session::Connection name : std::exchange(s.idle, {}))
    if (Peer* peer = s.find(name)) s.release(*peer);
  for (const session::Connection name : std::exchange(s.unarmed, {}))
    if (Peer* peer = s.find(name)) s.arm_receive(*peer);
  s.arm_accept();
}

void Network::send(std::span<const ConnectionId> connections, const SharedBytes& frame) {
  State& s = *state_;
  HeldFrame* held = s.frames.hold(frame);
  ++held->uses;  // ours, while we go through the connections
  for (const ConnectionId name : connections) {
    Peer* peer = s.find(name);
    if (peer == nullptr || peer->stage != Stage::websocket) continue;
    ++s.counters.messages_out;
    s.queue(*peer, peer->window == ws::Window::none ? held : s.compressed(*held, peer->window));
    if (peer->outbox.bytes() > s.limits.outbox_bytes_max) s.overload(*peer);
  }
  s.frames.release(held);
}

void Network::send_if_room(std::span<const ConnectionId> connections, const SharedBytes& frame,
                           std::vector<ConnectionId>& refused, Room room) {
  const std::size_t most = state_->limits.outbox_room_bytes / (room == Room::much ? 4 : 1);
  State& s = *state_;
  HeldFrame* held = s.frames.hold(frame);
  ++held->uses;
  for (const ConnectionId name : connections) {
    Peer* peer = s.find(name);
    if (peer == nullptr || peer->stage != Stage::websocket) continue;
    if (peer->outbox.bytes() > most && !canary::is(canary::Bug::conflation_ignored)) {
      refused.push_back(name);
      continue;
    }
    ++s.counters.messages_out;
    s.queue(*peer, peer->window == ws::Window::none ? held : s.compressed(*held, peer->window));
  }
  s.frames.release(held);
}

void Network::greeted(ConnectionId connection) {
  Peer* peer = state_->find(connection);
  if (peer == nullptr) return;
  peer->greeted = true;
  if (peer->incoming) peer->incoming->assembler.set_message_bytes_max(state_->message_bytes_max(*peer));
}

void Network::tell_room(ConnectionId connection) {
  if (Peer* peer = state_->find(connection)) peer->wants_room = true;
}

void Network::send_message(ConnectionId connection, std::span<const std::byte> payload) {
  State& s = *state_;
  Peer* peer = s.find(connection);
  if (peer == nullptr || peer->stage != Stage::websocket) return;
  ++s.counters.messages_out;
  HeldFrame* const held = s.frames.hold(ws::whole_frame(ws::opcode_of(peer->form), payload, s.answers));
  ++held->uses;
  s.queue(*peer, peer->window == ws::Window::none ? held : s.compressed(*held, peer->window));
  s.frames.release(held);
  if (peer->outbox.bytes() > s.limits.outbox_bytes_max) s.overload(*peer);
}

void Network::respond(ConnectionId connection, const HttpResponse& response) {
  State& s = *state_;
  Peer* peer = s.find(connection);
  if (peer == nullptr || peer->stage != Stage::answering) return;
  s.respond(*peer, response);
}

void Network::close(ConnectionId connection, std::uint16_t code, std::string_view reason) {
  if (Peer* peer = state_->find(connection)) state_->begin_close(*peer, code, reason);
}

std::size_t Network::outbox_bytes(ConnectionId connection) const {
  const Peer* peer = state_->find(connection);
  return peer == nullptr ? 0 : peer->outbox.bytes();
}

proto::Form Network::form(ConnectionId connection) const {
  const Peer* peer = state_->find(connection);
  return peer == nullptr ? proto::Form::json : peer->form;
}

void Network::flush() {
  State& s = *state_;
  // Whom TLS fails while its bytes are sealed joins the list.
  for (std::size_t i = 0; i < s.dirty.size(); ++i) {
    Peer* peer = s.find(s.dirty[i]);
    if (peer == nullptr) continue;
    peer->dirty = false;
    s.flush(*peer);
  }
  s.dirty.clear();
}

bool Network::wants_dispatch() const {
  return !state_->accepted.empty() || !state_->newcomers.empty() || state_->expands();
}

void Network::drain() {
  State& s = *state_;
  if (std::exchange(s.draining, true)) return;
  // Wakes the accept that waits in the kernel.
  ::shutdown(s.listen_fd, SHUT_RDWR);
  for (std::size_t slot = 0; slot < s.peers.size(); ++slot) {
    Peer* peer = s.peers[slot].get();
    if (peer == nullptr) continue;
    if (peer->stage == Stage::websocket) {
      s.begin_close(*peer, ws::kCloseRestart, "going_away");
    } else if (peer->stage == Stage::http) {
      s.finish(*peer, Peer::Ending::shut);
    }
  }
}

bool Network::drained() const {
  return state_->draining && state_->counters.open == 0;
}

void Network::stop() {
  State& s = *state_;
  drain();
  while (s.busy()) {
    for (std::size_t slot = 0; slot < s.peers.size(); ++slot)
      if (Peer* peer = s.peers[slot].get()) s.shut(*peer);
    dispatch(s.now);
    if (s.busy()) s.loop.submit_and_wait(10 * kMs);
  }
}

NetworkCounters Network::counters() const {
  NetworkCounters counters = state_->counters;
  const CompressedFrames::Counters& compressed = state_->compressed_frames.counters();
  counters.compressions = compressed.compressions;
  counters.compressed_again = compressed.found;
  counters.compressed_from_bytes = compressed.from_bytes;
  counters.compressed_to_bytes = compressed.to_bytes;
  counters.expansions_waiting =
      state_->short_messages.size() + state_->waiting_messages.size() + state_->expanding.size();
  counters.newcomers_waiting = state_->accepted.size() + state_->newcomers.size();
  return counters;
}

}  // namespace terrazzo::net
