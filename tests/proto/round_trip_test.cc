#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "proto/codec.h"
#include "tests/proto/message_text.h"
#include "tests/proto/random_message.h"

namespace terrazzo::proto {
namespace {

constexpr int kMessages = 4000;

// Another seed at each run; TERRAZZO_SEED repeats one.
std::uint64_t drawn_seed() {
  const char* fixed = std::getenv("TERRAZZO_SEED");
  const std::uint64_t seed = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device()();
  std::printf("TERRAZZO_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

class RoundTrip : public testing::TestWithParam<Form> {};

TEST_P(RoundTrip, EveryClientMessageComesBackAsItWas) {
  Arena drawn, decoded;
  RandomMessage random(drawn_seed(), drawn);
  Encoder encoder;
  ByteBuffer bytes;
  for (int i = 0; i < kMessages; ++i) {
    const ClientMessage message = random.client();
    bytes.clear();
    encoder.append(GetParam(), message, bytes);
    const auto back = decode_client_messages(GetParam(), bytes, decoded);
    ASSERT_TRUE(back.ok()) << back.error().message << " for " << text_of(message);
    ASSERT_EQ(back->size(), 1u);
    ASSERT_EQ(text_of((*back)[0]), text_of(message));
    drawn.reset();
    decoded.reset();
  }
}

TEST_P(RoundTrip, EveryServerMessageComesBackAsItWas) {
  Arena drawn, decoded;
  RandomMessage random(drawn_seed(), drawn);
  Encoder encoder;
  ByteBuffer bytes;
  for (int i = 0; i < kMessages; ++i) {
    const ServerMessage message = random.server(GetParam());
    bytes.clear();
    encoder.append(GetParam(), message, bytes);
    const auto back = decode_server_messages(GetParam(), bytes, decoded);
    ASSERT_TRUE(back.ok()) << back.error().message << " for " << text_of(message);
    ASSERT_EQ(back->size(), 1u);
    ASSERT_EQ(text_of((*back)[0]), text_of(message));
    drawn.reset();
    decoded.reset();
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, RoundTrip, testing::Values(Form::binary, Form::json),
                         [](const auto& form) { return form.param == Form::binary ? "binary" : "json"; });

TEST(BinaryPayload, MessagesOneAfterAnotherAreOnePayload) {  // FO-2
  Arena drawn, decoded;
  RandomMessage random(drawn_seed(), drawn);
  Encoder encoder;
  ByteBuffer bytes;
  std::vector<ServerMessage> messages;
  for (int i = 0; i < 500; ++i) {
    messages.push_back(random.server(Form::binary));
    encoder.append(Form::binary, messages.back(), bytes);
  }
  const auto back = decode_server_messages(Form::binary, bytes, decoded);
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->size(), messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) ASSERT_EQ(text_of((*back)[i]), text_of(messages[i]));
}

TEST(BinaryPayload, CellsAreNotCopied) {
  const std::vector<map::Cell> cells(4096, map::Cell{7});
  const map::Op op{map::OpKind::set, 1, map::Rect::of_size(0, 0, 64, 64), {}, {}, cells};
  const map::Edit edit{EditId{1}, map::AckMode::durable, {&op, 1}, {}};
  Encoder encoder;
  ByteBuffer bytes;
  encoder.append(Form::binary, ClientMessage(edit), bytes);
  Arena arena;
  const auto back = decode_client_messages(Form::binary, bytes, arena);
  ASSERT_TRUE(back.ok());
  const auto* first = reinterpret_cast<const std::byte*>(std::get<map::Edit>((*back)[0]).ops[0].cells.data());
  EXPECT_GE(first, bytes.data());
  EXPECT_LE(first + cells.size() * sizeof(map::Cell), bytes.data() + bytes.size());
}

TEST(JsonPayload, AnArrayOfMessagesIsOnePayload) {  // FO-3
  constexpr std::string_view text = R"([{"type":"ping","t":1},{"type":"ping","t":"18446744073709551615"}])";
  Arena arena;
  const auto back = decode_client_messages(Form::json, std::as_bytes(std::span(text)), arena);
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ(text_of((*back)[0]), "ping 1");
  EXPECT_EQ(text_of((*back)[1]), "ping 18446744073709551615");
}

}  // namespace
}  // namespace terrazzo::proto
