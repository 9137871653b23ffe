#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

#include "proto/codec.h"
#include "tests/proto/golden_messages.h"
#include "tests/proto/message_text.h"

// What no correct peer sends. Every byte of a decoded message is read (text_of), so that under
// AddressSanitizer a view that points outside of its frame is found.
namespace terrazzo::proto {
namespace {

class Corpus {
 public:
  Corpus() {
    Encoder encoder;
    for (const Form form : {Form::binary, Form::json}) {
      for (const auto& golden : golden_client_messages()) {
        frames_.push_back({form, {}});
        encoder.append(form, form == Form::binary ? golden.binary : golden.json, frames_.back().bytes);
      }
      for (const auto& golden : golden_server_messages()) {
        frames_.push_back({form, {}});
        encoder.append(form, form == Form::binary ? golden.binary : golden.json, frames_.back().bytes);
      }
    }
  }
  struct Frame {
    Form form;
    ByteBuffer bytes;
  };
  const std::vector<Frame>& frames() const { return frames_; }

 private:
  std::vector<Frame> frames_;
};

// Decodes as both sides would. The copy is exactly as long as the bytes, so that reading one more
// is seen.
void survive(Form form, std::span<const std::byte> bytes) {
  const auto exact = std::make_unique<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, exact.get());
  const std::span<const std::byte> frame(exact.get(), bytes.size());
  Arena arena;
  if (const auto messages = decode_client_messages(form, frame, arena); messages.ok()) {
    for (const ClientMessage& message : *messages) EXPECT_FALSE(text_of(message).empty());
  } else {
    EXPECT_FALSE(messages.error().message.empty());
  }
  if (const auto messages = decode_server_messages(form, frame, arena); messages.ok()) {
    for (const ServerMessage& message : *messages) EXPECT_FALSE(text_of(message).empty());
  } else {
    EXPECT_FALSE(messages.error().message.empty());
  }
}

TEST(Malformed, EveryTruncationIsSurvived) {
  const Corpus corpus;
  for (const auto& [form, bytes] : corpus.frames())
    for (std::size_t length = 0; length < bytes.size(); length += length < 300 ? 1 : 97)
      survive(form, std::span(bytes).first(length));
}

TEST(Malformed, EveryFlippedBitIsSurvived) {
  const Corpus corpus;
  for (const auto& [form, bytes] : corpus.frames()) {
    ByteBuffer changed = bytes;
    const std::size_t bits = std::min<std::size_t>(bytes.size(), 400) * 8;
    for (std::size_t bit = 0; bit < bits; ++bit) {
      const auto mask = static_cast<std::byte>(1u << bit % 8);
      changed[bit / 8] ^= mask;
      survive(form, changed);
      changed[bit / 8] ^= mask;
    }
  }
}

TEST(Malformed, OverwrittenWordsAndGarbageAreSurvived) {
  const char* fixed = std::getenv("TERRAZZO_SEED");
  const std::uint64_t seed = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device()();
  std::printf("TERRAZZO_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const Corpus corpus;
  for (int i = 0; i < 20000; ++i) {
    auto [form, bytes] = corpus.frames()[random() % corpus.frames().size()];
    if (i % 50 == 0) std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
      const std::uint64_t word = random() % 3 == 0 ? ~0ull : random() >> random() % 64;
      const std::size_t at = random() % bytes.size();
      for (std::size_t b = 0; b < 4 && at + b < bytes.size(); ++b)
        bytes[at + b] = static_cast<std::byte>(word >> 8 * b);
    }
    survive(form, bytes);
  }
}

TEST(Malformed, NothingIsNoMessage) {
  Arena arena;
  EXPECT_FALSE(decode_client_messages(Form::binary, {}, arena).ok());
  EXPECT_FALSE(decode_client_messages(Form::json, {}, arena).ok());
}

TEST(Malformed, DeepNestingIsRefused) {  // FO-5
  const std::string deep = R"({"type":"ping","x":)" + std::string(5000, '[') + std::string(5000, ']') + "}";
  Arena arena;
  const auto result = decode_client_messages(Form::json, std::as_bytes(std::span(deep)), arena);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::bad_message);
}

}  // namespace
}  // namespace terrazzo::proto
