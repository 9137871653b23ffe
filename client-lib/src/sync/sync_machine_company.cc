// The machine's part in presence and chat: who else is there, and what is said.
#include <algorithm>
#include <string>
#include <utility>

#include "client-lib/src/sync/sync_machine.h"
#include "proto/wire/limits.h"

namespace terrazzo::client {
namespace {

constexpr std::uint64_t kUsPerSecond = 1'000'000;

}  // namespace

void SyncMachine::set_presence(const Presence& presence, std::uint64_t now_us) {
  if (presence.cursor) presence_.cursor = presence.cursor;
  if (presence.viewport) presence_.viewport = presence.viewport;
  if (presence.selection) presence_.selection = presence.selection;
  if (presence.tool && presence.tool->size() <= proto::kToolBytesMax && proto::valid_utf8(*presence.tool))
    presence_.tool = presence.tool;
  presence_set_ = presence_waits_ = true;
  tick_presence(now_us);
}

std::optional<std::uint64_t> SyncMachine::presence_due_us() const {
  if (!presence_waits_ || !presence_can_go()) return std::nullopt;
  if (!presence_sent_us_) return 0;
  return *presence_sent_us_ + kUsPerSecond / std::max(options_.presence_per_second, 1u);
}

void SyncMachine::tick_presence(std::uint64_t now_us) {
  const auto due = presence_due_us();
  if (!due || now_us < *due) return;
  // Behind what the connection has not taken yet it would be old when it arrives.
  if (!out_.writable()) return;
  presence_sent_us_ = now_us;
  presence_waits_ = false;
  proto::Presence message{presence_.cursor, presence_.viewport, presence_.selection, {}};
  if (presence_.tool) message.tool = *presence_.tool;
  out_.send(message);
}

void SyncMachine::follow(SessionId session) {
  if (session == std::exchange(followed_, session)) return;
  if (state_ == State::live) out_.send(proto::Follow{session});
}

Status SyncMachine::chat(std::string_view text) {
  if (text.empty() || text.size() > proto::kChatBytesMax || !proto::valid_utf8(text)) {
    return Error{ErrorCode::bad_message,
                 "a line of chat is UTF-8 of 1 to " + std::to_string(proto::kChatBytesMax) + " bytes"};
  }
  if (state_ != State::live) return Error{ErrorCode::conflict, "no world is open now; chat is not kept for later"};
  if (!out_.writable()) return Error{ErrorCode::overloaded, "the connection takes nothing more at the moment"};
  out_.send(proto::Chat{text});
  return {};
}

void SyncMachine::on(const proto::PresenceOf& message) {
  Peer& peer = peers_[message.session];
  peer.session = message.session;
  if (!message.name.empty()) peer.name = message.name;
  if (message.color != 0) peer.color = message.color;
  if (message.presence.cursor) peer.presence.cursor = message.presence.cursor;
  if (message.presence.viewport) peer.presence.viewport = message.presence.viewport;
  if (message.presence.selection) peer.presence.selection = message.presence.selection;
  if (message.presence.tool) peer.presence.tool = std::string(*message.presence.tool);
  tell(PeerChanged{message.session});
}

void SyncMachine::on(const proto::Left& message) {
  if (peers_.erase(message.session) != 0) tell(PeerLeft{message.session});
}

void SyncMachine::on(const proto::ChatOf& message) {
  tell(Chatted{message.session, std::string(message.name), std::string(message.text)});
}

}  // namespace terrazzo::client
