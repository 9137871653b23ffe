#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http_peer.h"
#include "proto/codec.h"

namespace terrazzo::integration {

// A WebSocket peer that says and hears single messages in either form, without the client library; the test looks at
// them as JSON whatever came over the wire. Chunk states are left out.
class TypedPeer {
 public:
  TypedPeer(std::uint16_t port, proto::Form form);

  void say(const proto::ClientMessage& message);
  // All of them in one payload.
  void say(std::span<const proto::ClientMessage> messages);
  // Says hello and opens the world; gives the session's number and its resume token.
  void enter(const std::string& world, const std::string& token = {}, const std::string& resume = {},
             std::uint64_t incarnation = 0);
  // The next message of this type (and, where given, that the test means); others before it are dropped. Null: none
  // came in time, and the test has failed.
  nlohmann::json next(const std::string& type, const std::function<bool(const nlohmann::json&)>& meant = {});
  // The next message of any of these types.
  nlohmann::json next_of(std::initializer_list<std::string_view> types);
  // Everything that comes before the answer to a ping: what was to come has come.
  std::vector<nlohmann::json> until_pong();

  std::uint64_t session() const { return session_; }
  const std::string& resume() const { return resume_; }
  std::uint64_t incarnation() const { return incarnation_; }
  WebSocketPeer& socket() { return peer_; }

 private:
  std::optional<nlohmann::json> read();

  WebSocketPeer peer_;
  const proto::Form form_;
  proto::Encoder encoder_;
  std::deque<nlohmann::json> received_;
  std::uint64_t session_ = 0, incarnation_ = 0, pings_ = 0;
  std::string resume_;
};

}  // namespace terrazzo::integration
