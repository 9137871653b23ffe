#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "proto/codec.h"
#include "proto/wire/limits.h"
#include "tests/proto/message_text.h"
#include "tests/test_paths.h"

// PROTOCOL.md is the normative text, so its examples are tests: every ```json block decodes, each
// line of it a payload. A block's first word after ```json says who sends it.
namespace terrazzo::proto {
namespace {

std::string protocol_text() {
  std::ifstream in(TERRAZZO_SOURCE_DIR "/proto/PROTOCOL.md");
  EXPECT_TRUE(in);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Example {
  bool of_client = false;
  std::string line;
};

std::vector<Example> examples() {
  std::istringstream in(protocol_text());
  std::vector<Example> out;
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("```json")) continue;
    const bool of_client = line == "```json client";
    EXPECT_TRUE(of_client || line == "```json server") << line;
    while (std::getline(in, line) && line != "```") out.push_back({of_client, line});
  }
  return out;
}

TEST(ProtocolText, EveryExampleDecodes) {
  std::set<std::size_t> client, server;
  for (const Example& example : examples()) {
    Arena arena;
    const auto bytes = std::as_bytes(std::span(example.line));
    if (example.of_client) {
      const auto messages = decode_client_messages(Form::json, bytes, arena);
      ASSERT_TRUE(messages.ok()) << example.line << ": " << messages.error().message;
      for (const ClientMessage& message : *messages) {
        EXPECT_FALSE(std::holds_alternative<Invalid>(message)) << example.line << ": " << text_of(message);
        client.insert(message.index());
      }
    } else {
      const auto messages = decode_server_messages(Form::json, bytes, arena);
      ASSERT_TRUE(messages.ok()) << example.line << ": " << messages.error().message;
      EXPECT_FALSE(messages->empty()) << example.line;
      for (const ServerMessage& message : *messages) server.insert(message.index());
    }
  }
  EXPECT_EQ(client.size(), std::variant_size_v<ClientMessage> - 1)
      << "an example of each client message, Invalid is none";
  EXPECT_EQ(server.size(), std::variant_size_v<ServerMessage>) << "an example of each server message";
}

TEST(ProtocolText, NamesEveryErrorCode) {
  const std::string text = protocol_text();
  for (const std::string_view name : kErrorCodeNames)
    EXPECT_NE(text.find("`" + std::string(name) + "`"), std::string::npos) << name;
}

TEST(ProtocolText, TheLimitsAreThoseOfTheCode) {
  const std::string text = protocol_text();
  for (const std::size_t limit : {kTextBytesMax, kOpsMax, kKnownMax, kMessagesMax})
    EXPECT_NE(text.find("| " + std::to_string(limit) + " |"), std::string::npos) << limit;
}

}  // namespace
}  // namespace terrazzo::proto
