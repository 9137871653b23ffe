// TLS between a connection's socket and its protocol: the same gather writes, bounds and ends as without.
#include <spdlog/spdlog.h>

#include "base/assert.h"
#include "server/net/network_state.h"

namespace terrazzo::net {
namespace {

// Sealed ahead of one write; the rest stays in the outbox, where it can still be conflated or closed as overload.
constexpr std::size_t kSealedBytes = 64 * 1024;
// Of answers that TLS gives by itself (alerts, key updates) to a client that does not read them.
constexpr std::size_t kOwnOutputBytesMax = 256 * 1024;
constexpr std::byte kHandshakeRecord{0x16};

}  // namespace

void Network::State::recount_sealed(Peer& peer) {
  const std::size_t before = peer.outbox.bytes();
  peer.outbox.count_sealed(peer.tls->output_bytes());
  counters.outbox_bytes += peer.outbox.bytes() - before;  // may wrap on the way down, which is right
}

void Network::State::take_sealed(Peer& peer, std::span<const std::byte> bytes) {
  // After a failure nothing is listened to but the end: an alert waits to be read.
  if (peer.stage == Stage::gone || peer.tls->failed()) return;
  if (peer.tls->fresh() && bytes.front() != kHandshakeRecord && answer_plain(peer, bytes)) return;
  const bool before = peer.tls->established();
  peer.tls->put(bytes);
  open_records(peer);
  if (peer.stage == Stage::gone) return;
  if (!before && peer.tls->established()) {
    ++counters.tls_handshakes;
    if (peer.tls->resumed()) ++counters.tls_resumed;
  }
  recount_sealed(peer);
  if (peer.tls->output_bytes() > kSealedBytes + kOwnOutputBytesMax) return shut(peer);
  if (!peer.outbox.empty()) mark_dirty(peer);
}

void Network::State::open_records(Peer& peer) {
  for (;;) {
    const TlsStream::Taken taken = peer.tls->take(plain);
    switch (taken.step) {
      case TlsStream::Step::plain:
        take_plain(peer, taken.plain);
        if (peer.stage == Stage::gone) return;
        break;
      case TlsStream::Step::more:
        return;
      case TlsStream::Step::end:
        return take_end(peer);
      case TlsStream::Step::failed:
        return break_off(peer);
    }
  }
}

bool Network::State::answer_plain(Peer& peer, std::span<const std::byte> bytes) {
  const char first = static_cast<char>(bytes.front());
  if (first < 'A' || first > 'Z') return false;  // no HTTP method; OpenSSL knows what to say
  ++counters.protocol_errors;
  // If it was refused already (no more connections are taken), that answer goes out as it is.
  peer.tls.reset();
  if (peer.stage == Stage::closing) {
    mark_dirty(peer);
  } else {
    refuse(peer, peer.http->response(refusal_of(400, ErrorCode::bad_message,
                                                "this port speaks TLS: use https:// or wss:// in the address"),
                                     false));
  }
  return true;
}

// What TLS cannot go on with. The alert that says why, if there is one, is given time to be read.
void Network::State::break_off(Peer& peer) {
  ++counters.tls_failures;
  spdlog::debug("connection {}: TLS ended: {}", peer.name.slot, peer.tls->problem());
  const std::size_t before = peer.outbox.bytes();
  peer.outbox.forget_frames(frames);
  counters.outbox_bytes -= before - peer.outbox.bytes();
  recount_sealed(peer);
  tell_closed(peer);
  peer.stage = Stage::closing;
  peer.deadline_ns = now + kCloseWaitNs;
  finish(peer, Peer::Ending::half);
}

void Network::State::flush_sealed(Peer& peer) {
  TlsStream& stream = *peer.tls;
  while (stream.can_seal() && peer.outbox.has_frames() && stream.output_bytes() < kSealedBytes) {
    const std::size_t before = peer.outbox.bytes();
    const std::size_t size = peer.outbox.take(plain, frames);
    counters.outbox_bytes -= before - peer.outbox.bytes();
    if (!stream.seal(std::span(plain).first(size))) return break_off(peer);
  }
  recount_sealed(peer);
  if (stream.output_bytes() == 0) return;  // the handshake comes first
  ++counters.sends;
  peer.outbox.begin_sealed_send();
  loop.send(peer.fd, stream.begin_send(), &peer.send);
}

}  // namespace terrazzo::net
