// What comes in over WebSockets: frames become messages, compressed ones in turns, and what is not finished has a
// bound.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/assert.h"
#include "server/net/network_state.h"

namespace terrazzo::net {
namespace {

// What all compressed messages of a core may become in one dispatch(), and those of one connection. A message of a few
// bytes may become a thousand times as much: without a bound a few Mbit/s would occupy a core.
constexpr std::size_t kExpandedPerTurn = 256 * 1024, kExpandedPerConnection = 16 * 1024;
// What a message counts at least: its decoding and its answer.
constexpr std::size_t kMessageCost = 256;
// Messages that take more than one turn and are expanded at the same time; each has an inflater of 40 KiB and what it
// has become so far.
constexpr std::size_t kLongMessages = 8;
// Behind a message that waits for its turn. Beyond it nothing more is received, until half of it is gone.
constexpr std::size_t kBehindBytesMax = 64 * 1024;
constexpr std::size_t kSpareIncoming = 64;

// What a WebSocket connection's bytes mean, while they are fed.
template <class State>
class Sink final : public ws::AssemblerEvents {
 public:
  Sink(State& state, Peer& peer) : state_(state), peer_(peer) {}
  void message(std::span<const std::byte> payload) override {
    if (peer_.stage != Stage::websocket) return;  // closed by an earlier message of the same bytes
    ++state_.counters.messages_in;
    state_.events->on_message(peer_.name, payload);
  }
  void ping(std::span<const std::byte> payload) override {
    if (peer_.stage == Stage::websocket) state_.queue_control(peer_, ws::Opcode::pong, payload);
  }
  void pong(std::span<const std::byte>) override {}
  void closed(std::uint16_t code, std::string_view) override {
    if (peer_.stage == Stage::websocket)
      state_.begin_close(peer_, code == ws::kCloseNoStatus ? ws::kCloseNormal : code, {});
    state_.finish(peer_, Peer::Ending::shut);  // both sides have said goodbye
  }
  void violation(std::uint16_t code, std::string_view why) override {
    if (peer_.stage != Stage::websocket) return;
    ++state_.counters.protocol_errors;
    spdlog::debug("connection {}: closed with {}: {}", peer_.name.slot, code, why);
    const ErrorCode reason = code == ws::kCloseTooBig ? ErrorCode::too_large : ErrorCode::bad_message;
    state_.begin_close(peer_, code, error_code_name(reason));
    state_.finish(peer_, Peer::Ending::half);
  }

 private:
  State& state_;
  Peer& peer_;
};

}  // namespace

// ---- one connection ----

std::size_t Network::State::message_bytes_max(const Peer& peer) const {
  return peer.greeted ? limits.message_bytes_max : std::min(limits.greeting_bytes_max, limits.message_bytes_max);
}

void Network::State::begin_incoming(Peer& peer) {
  const ws::MessageAssembler::Rules rules{peer.form, message_bytes_max(peer), peer.window != ws::Window::none};
  if (spare_incoming.empty()) {
    peer.incoming = std::make_unique<Incoming>(rules);
  } else {
    peer.incoming = std::move(spare_incoming.back());
    spare_incoming.pop_back();
    peer.incoming->assembler.restart(rules);
  }
  peer.incoming->since_ns = now;
}

void Network::State::end_incoming(Peer& peer) {
  if (!peer.incoming) return;
  Incoming& incoming = *peer.incoming;
  counters.unfinished_bytes -= std::exchange(incoming.counted_bytes, 0);
  if (incoming.inflater) inflaters.push_back(std::move(incoming.inflater));
  if (incoming.finished() && spare_incoming.size() < kSpareIncoming) {
    incoming.behind = {};
    incoming.behind_at = 0;
    spare_incoming.push_back(std::move(peer.incoming));
  }
  peer.incoming.reset();
}

void Network::State::take_messages(Peer& peer, std::span<const std::byte> bytes) {
  if (peer.said_all) return;
  if (!peer.incoming) begin_incoming(peer);
  if (!peer.expands()) {
    bytes = bytes.subspan(feed_messages(peer, bytes));
    if (peer.expands()) short_messages.push_back(peer.name);
  }
  if (peer.expands() && !bytes.empty()) keep_behind(peer, bytes);
  settle(peer);
}

// Up to a compressed message that is to be expanded.
std::size_t Network::State::feed_messages(Peer& peer, std::span<const std::byte> bytes) {
  Sink<State> sink(*this, peer);
  ws::MessageAssembler& assembler = peer.incoming->assembler;
  std::size_t taken = 0;
  for (;;) {
    taken += assembler.feed(bytes.subspan(taken), sink);
    if (!assembler.holds_compressed() || peer.stage == Stage::websocket) return taken;
    assembler.drop_compressed();  // only the end is listened to any more
  }
}

void Network::State::keep_behind(Peer& peer, std::span<const std::byte> bytes) {
  Incoming& incoming = *peer.incoming;
  if (incoming.behind_at > incoming.behind.size() / 2) {
    incoming.behind.erase(incoming.behind.begin(),
                          incoming.behind.begin() + static_cast<std::ptrdiff_t>(incoming.behind_at));
    incoming.behind_at = 0;
  }
  incoming.behind.insert(incoming.behind.end(), bytes.begin(), bytes.end());
  // Again with each receive that was under way already.
  if (incoming.behind_bytes() > kBehindBytesMax && peer.receiving) loop.stop_receiving(peer.fd, &peer.receive);
}

bool Network::State::too_much_behind(const Peer& peer) const {
  return peer.expands() && peer.incoming->behind_bytes() > kBehindBytesMax / 2;
}

// The message is out of the way: what came behind it is looked at, up to the next one that is compressed.
void Network::State::go_on_behind(Peer& peer) {
  Incoming& incoming = *peer.incoming;
  incoming.behind_at += feed_messages(peer, std::span(incoming.behind).subspan(incoming.behind_at));
  if (incoming.behind_bytes() == 0 || incoming.assembler.over()) {
    incoming.behind = {};
    incoming.behind_at = 0;
  }
  if (!peer.receiving && !too_much_behind(peer)) unarmed.push_back(peer.name);
}

void Network::State::settle(Peer& peer) {
  Incoming& incoming = *peer.incoming;
  if (incoming.assembler.over()) {
    peer.said_all = true;
    return end_incoming(peer);
  }
  if (incoming.finished()) {
    end_incoming(peer);
    if (peer.heard_end && peer.stage == Stage::websocket) leave(peer);
    return;
  }
  const std::size_t bytes = incoming.memory_bytes();
  counters.unfinished_bytes += bytes - std::exchange(incoming.counted_bytes, bytes);  // may wrap, which is right
  while (counters.unfinished_bytes > limits.unfinished_bytes_max) refuse_unfinished();
}

// Who has held the most for the longest: a slow or idle sender of half a message, rather than one who is sending a
// large one.
void Network::State::refuse_unfinished() {
  Peer* most = nullptr;
  double most_held = -1;
  for (const std::unique_ptr<Peer>& peer : peers) {
    if (peer == nullptr || !peer->incoming || peer->incoming->counted_bytes == 0) continue;
    const double held =
        static_cast<double>(peer->incoming->counted_bytes) * static_cast<double>(now - peer->incoming->since_ns + kMs);
    if (held > most_held) most = peer.get();
    most_held = std::max(held, most_held);
  }
  TZ_ASSERT(most != nullptr);
  ++counters.unfinished_refused;
  spdlog::info(
      "connection {}: {} bytes of a message whose end has not come for {} ms, while all such messages of this "
      "core take more than {} bytes; closed",
      most->name.slot, most->incoming->counted_bytes, (now - most->incoming->since_ns) / kMs,
      limits.unfinished_bytes_max);
  begin_close(*most, ws::kClosePolicy, error_code_name(ErrorCode::overloaded));
  finish(*most, Peer::Ending::half);
  most->said_all = true;  // in the middle of a frame nothing can be told from it any more
  end_incoming(*most);
}

// ---- compressed messages, in turns ----

// Short messages are expanded with one inflater for all, and never wait for long ones: these, which were not done after
// what a connection has in a turn, get one each as they become free, and begin anew.
void Network::State::expand_messages() {
  if (!expands()) return;
  std::size_t left = kExpandedPerTurn / 2;
  for (std::size_t turns = short_messages.size(); turns != 0 && left != 0; --turns)
    if (Peer* peer = next_to_expand(short_messages)) left -= std::min(left, expand_short(*peer));
  left += kExpandedPerTurn / 2;
  while (expanding.size() < kLongMessages && !waiting_messages.empty()) {
    if (Peer* peer = next_to_expand(waiting_messages)) begin_long(*peer);
  }
  for (std::size_t turns = expanding.size(); turns != 0 && left != 0; --turns)
    if (Peer* peer = next_to_expand(expanding)) left -= std::min(left, expand_long(*peer));
}

Peer* Network::State::next_to_expand(std::deque<session::Connection>& queue) {
  Peer* const peer = find(queue.front());
  queue.pop_front();
  if (peer == nullptr || !peer->expands()) return nullptr;
  if (peer->stage == Stage::websocket) return peer;
  // Closed meanwhile: its messages count no more.
  peer->incoming->assembler.drop_compressed();
  go_on_behind(*peer);
  settle(*peer);
  return nullptr;
}

ws::Inflater& Network::State::short_inflater() {
  if (!inflater) inflater = std::make_unique<ws::Inflater>();
  return *inflater;
}

// Returns what it took of the turn.
std::size_t Network::State::expand_short(Peer& peer) {
  ws::MessageAssembler& assembler = peer.incoming->assembler;
  Sink<State> sink(*this, peer);
  std::size_t left = kExpandedPerConnection, decoded = 0;
  while (peer.expands() && peer.stage == Stage::websocket && left != 0) {
    ws::Inflater& one = short_inflater();
    std::size_t work = left;
    one.begin(assembler.compressed_message(), assembler.message_bytes_max());
    const ws::Inflater::Outcome outcome = one.go_on(work);
    if (outcome == ws::Inflater::Outcome::more) {
      if (left == kExpandedPerConnection) {
        waiting_messages.push_back(peer.name);
        return left;
      }
      left = 0;  // with the whole of the next turn it may be enough
      break;
    }
    left -= std::min(left, left - work + kMessageCost);
    if (outcome == ws::Inflater::Outcome::done) decoded += count_expanded(one);
    assembler.expanded(outcome, one.expanded(), sink);
    go_on_behind(peer);
  }
  if (peer.expands()) short_messages.push_back(peer.name);
  settle(peer);
  return kExpandedPerConnection - left + decoded;
}

void Network::State::begin_long(Peer& peer) {
  Incoming& incoming = *peer.incoming;
  if (inflaters.empty()) {
    incoming.inflater = std::make_unique<ws::Inflater>();
  } else {
    incoming.inflater = std::move(inflaters.back());
    inflaters.pop_back();
  }
  incoming.inflater->begin(incoming.assembler.compressed_message(), incoming.assembler.message_bytes_max());
  expanding.push_back(peer.name);
}

std::size_t Network::State::expand_long(Peer& peer) {
  Incoming& incoming = *peer.incoming;
  std::size_t work = kExpandedPerConnection;
  const ws::Inflater::Outcome outcome = incoming.inflater->go_on(work);
  if (outcome == ws::Inflater::Outcome::more) {
    expanding.push_back(peer.name);
    return kExpandedPerConnection;
  }
  // The decoding of all of it comes at once, so it counts against this turn.
  const std::size_t decoded = outcome == ws::Inflater::Outcome::done ? count_expanded(*incoming.inflater) : 0;
  Sink<State> sink(*this, peer);
  incoming.assembler.expanded(outcome, incoming.inflater->expanded(), sink);
  incoming.inflater->trim();
  inflaters.push_back(std::move(incoming.inflater));
  go_on_behind(peer);
  if (peer.expands()) short_messages.push_back(peer.name);
  settle(peer);
  return kExpandedPerConnection - work + decoded;
}

std::size_t Network::State::count_expanded(const ws::Inflater& one) {
  const std::size_t bytes = one.expanded().size();
  ++counters.expanded_messages;
  counters.expanded_bytes += bytes;
  return bytes;
}

}  // namespace terrazzo::net
