#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "proto/codec.h"
#include "tests/proto/golden_messages.h"
#include "tests/proto/message_text.h"
#include "tests/test_paths.h"

// The files in tests/proto/golden are what encoders must write, byte by byte. After a wanted change
// of the wire:
//   TERRAZZO_UPDATE_GOLDEN=1 build/release/bin/proto_test --gtest_filter='Golden*'
// and read the diff: a changed file breaks every client that is out there.
namespace terrazzo::proto {
namespace {

std::filesystem::path path_of(const std::string& name, Form form) {
  return std::filesystem::path(TERRAZZO_SOURCE_DIR) / "tests/proto/golden" /
         (name + (form == Form::binary ? ".bin" : ".json"));
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

template <class Message>
void check(const Golden<Message>& golden, Form form) {
  const Message& message = form == Form::binary ? golden.binary : golden.json;
  Encoder encoder;
  ByteBuffer bytes;
  encoder.append(form, message, bytes);
  const std::string encoded(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::filesystem::path path = path_of(golden.name, form);
  if (std::getenv("TERRAZZO_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << encoded;
  const std::string kept = read(path);
  EXPECT_TRUE(kept == encoded) << path << " differs from what the encoder writes"
                               << (form == Form::json ? ": " + encoded : "");

  const ByteBuffer aligned(reinterpret_cast<const std::byte*>(kept.data()),
                           reinterpret_cast<const std::byte*>(kept.data()) + kept.size());
  Arena arena;
  std::string decoded;
  if constexpr (std::is_same_v<Message, ClientMessage>) {
    const auto back = decode_client_messages(form, aligned, arena);
    ASSERT_TRUE(back.ok()) << path << ": " << back.error().message;
    decoded = text_of((*back)[0]);
  } else {
    const auto back = decode_server_messages(form, aligned, arena);
    ASSERT_TRUE(back.ok()) << path << ": " << back.error().message;
    decoded = text_of((*back)[0]);
  }
  EXPECT_EQ(decoded, text_of(message)) << path;
}

TEST(Golden, ClientMessagesAreTheseBytes) {
  for (const auto& golden : golden_client_messages())
    for (const Form form : {Form::binary, Form::json}) check(golden, form);
}

TEST(Golden, ServerMessagesAreTheseBytes) {
  for (const auto& golden : golden_server_messages())
    for (const Form form : {Form::binary, Form::json}) check(golden, form);
}

}  // namespace
}  // namespace terrazzo::proto
