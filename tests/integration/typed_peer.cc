#include "typed_peer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <variant>

namespace terrazzo::integration {
namespace {

std::string as_text(const proto::ByteBuffer& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TypedPeer::TypedPeer(std::uint16_t port, proto::Form form)
    : peer_(port, form == proto::Form::json ? "terrazzo.v1.json" : "terrazzo.v1.flatbuffers"), form_(form) {}

void TypedPeer::say(const proto::ClientMessage& message) {
  proto::ByteBuffer bytes;
  encoder_.append(form_, message, bytes);
  EXPECT_TRUE(form_ == proto::Form::json ? peer_.send_text(as_text(bytes)) : peer_.send_binary(as_text(bytes)));
}

void TypedPeer::say(std::span<const proto::ClientMessage> messages) {
  if (form_ == proto::Form::binary) {
    proto::ByteBuffer bytes;
    for (const proto::ClientMessage& message : messages) encoder_.append(form_, message, bytes);
    EXPECT_TRUE(peer_.send_binary(as_text(bytes)));
    return;
  }
  nlohmann::json all = nlohmann::json::array();
  for (const proto::ClientMessage& message : messages) {
    proto::ByteBuffer bytes;
    encoder_.append(form_, message, bytes);
    all.push_back(nlohmann::json::parse(as_text(bytes)));
  }
  EXPECT_TRUE(peer_.send_text(all.dump()));
}

void TypedPeer::enter(const std::string& world, const std::string& token, const std::string& resume,
                      std::uint64_t incarnation) {
  proto::Hello hello;
  hello.token = token;
  if (!resume.empty()) hello.resume = proto::Resume{resume, Incarnation{incarnation}};
  say(hello);
  const nlohmann::json welcome = next("welcome");
  ASSERT_TRUE(welcome.is_object());
  session_ = std::stoull(welcome["session"].get<std::string>());
  resume_ = welcome["resume"];
  incarnation_ = welcome["incarnation"];
  say(proto::Open{world});
  // What came before stays to be read, such as when the token ends.
  std::vector<nlohmann::json> before;
  std::optional<nlohmann::json> message = read();
  for (; message && (*message)["type"] != "world"; message = read()) before.push_back(*std::move(message));
  ASSERT_TRUE(message) << nlohmann::json(before).dump();
  received_.insert(received_.begin(), before.begin(), before.end());
}

std::optional<nlohmann::json> TypedPeer::read() {
  while (received_.empty()) {
    const std::optional<std::string> payload = peer_.read();
    if (!payload) return std::nullopt;
    // Eight-byte aligned, as decoders want it.
    std::vector<std::uint64_t> copy((payload->size() + 7) / 8);
    std::memcpy(copy.data(), payload->data(), payload->size());
    Arena arena;
    const auto messages = proto::decode_server_messages(
        form_, std::as_bytes(std::span(reinterpret_cast<const char*>(copy.data()), payload->size())), arena);
    EXPECT_TRUE(messages.ok()) << messages.error().message;
    if (!messages) return std::nullopt;
    for (const proto::ServerMessage& message : *messages) {
      if (std::holds_alternative<proto::Chunk>(message)) continue;
      proto::ByteBuffer json;
      encoder_.append(proto::Form::json, message, json);
      received_.push_back(nlohmann::json::parse(as_text(json)));
    }
  }
  nlohmann::json first = std::move(received_.front());
  received_.pop_front();
  return first;
}

nlohmann::json TypedPeer::next(const std::string& type, const std::function<bool(const nlohmann::json&)>& meant) {
  std::string others;
  while (const std::optional<nlohmann::json> message = read()) {
    if ((*message)["type"] == type && (!meant || meant(*message))) return *message;
    others += message->dump() + "\n";
  }
  ADD_FAILURE() << "no " << type << " came, but:\n" << others;
  return nullptr;
}

nlohmann::json TypedPeer::next_of(std::initializer_list<std::string_view> types) {
  std::string others;
  while (const std::optional<nlohmann::json> message = read()) {
    if (std::ranges::find(types, (*message)["type"].get<std::string>()) != types.end()) return *message;
    others += message->dump() + "\n";
  }
  ADD_FAILURE() << "none of what was awaited came, but:\n" << others;
  return nullptr;
}

std::vector<nlohmann::json> TypedPeer::until_pong() {
  const std::uint64_t number = ++pings_;
  say(proto::Ping{number});
  std::vector<nlohmann::json> messages;
  while (const std::optional<nlohmann::json> message = read()) {
    if ((*message)["type"] == "pong" && (*message)["t"] == number) return messages;
    messages.push_back(*message);
  }
  ADD_FAILURE() << "no pong came";
  return messages;
}

}  // namespace terrazzo::integration
