#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "proto/ws/message_assembler.h"

namespace terrazzo::proto::ws {
namespace {

// What happened, one line per event.
class Recorder : public AssemblerEvents {
 public:
  void message(std::span<const std::byte> payload) override {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(payload.data()) % 8, 0u);
    add("message", payload);
  }
  void ping(std::span<const std::byte> payload) override { add("ping", payload); }
  void pong(std::span<const std::byte> payload) override { add("pong", payload); }
  void closed(std::uint16_t code, std::string_view reason) override {
    log_ += fmt::format("closed {} {}\n", code, reason);
  }
  void violation(std::uint16_t code, std::string_view why) override {
    EXPECT_FALSE(why.empty());
    log_ += fmt::format("violation {}\n", code);
  }
  const std::string& log() const { return log_; }

 private:
  void add(std::string_view event, std::span<const std::byte> payload) {
    log_ +=
        fmt::format("{} {}\n", event, std::string_view(reinterpret_cast<const char*>(payload.data()), payload.size()));
  }
  std::string log_;
};

constexpr bool kFin = true, kMore = false;

ByteBuffer operator+(ByteBuffer a, const ByteBuffer& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A frame as a client sends it.
ByteBuffer frame(unsigned opcode, bool fin, std::string_view payload, unsigned reserved = 0) {
  ByteBuffer out;
  append_frame_header(static_cast<Opcode>(opcode), payload.size(), out);
  out[0] = static_cast<std::byte>((fin ? 0x80u : 0u) | reserved << 4 | opcode);
  out[1] |= std::byte{0x80};
  const std::array mask{std::byte{0xA1}, std::byte{0x52}, std::byte{0x03}, std::byte{0xF4}};
  out.insert(out.end(), mask.begin(), mask.end());
  const std::size_t start = out.size();
  const auto plain = std::as_bytes(std::span(payload));
  out.resize(start + plain.size());
  unmask(plain, out.data() + start, mask, 0);
  return out;
}

ByteBuffer raw(std::initializer_list<unsigned> values) {
  ByteBuffer out;
  for (const unsigned v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

ByteBuffer close_frame(unsigned code, std::string_view reason) {
  return frame(8, kFin,
               std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)} + std::string(reason));
}

std::string events_of(const ByteBuffer& bytes, Form form = Form::json, std::size_t limit = 1000) {
  MessageAssembler assembler({form, limit});
  Recorder recorder;
  assembler.feed(bytes, recorder);
  return recorder.log();
}

// A conversation with everything that is allowed in it.
ByteBuffer rich_stream() {
  return frame(1, kFin, "first") + frame(9, kFin, "p1") + frame(1, kMore, "sec") + frame(9, kFin, "") +
         frame(0, kMore, "") + frame(0, kMore, "on\xC3") + frame(10, kFin, "late") + frame(0, kFin, "\xA4") +
         frame(1, kFin, "") + frame(1, kFin, std::string(300, 'x')) + close_frame(1000, "bye");
}
const std::string kRichEvents = "message first\nping p1\nping \npong late\nmessage secon\xC3\xA4\nmessage \nmessage " +
                                std::string(300, 'x') + "\nclosed 1000 bye\n";

TEST(Assembler, MessagesAreTheSameHoweverTheBytesAreSplit) {
  const ByteBuffer stream = rich_stream();
  for (std::size_t first = 0; first <= stream.size(); ++first)
    for (std::size_t second = first; second <= stream.size(); second += 1 + (second - first) / 9) {
      MessageAssembler assembler({Form::json, 1000});
      Recorder recorder;
      const std::span<const std::byte> all(stream);
      assembler.feed(all.first(first), recorder);
      assembler.feed(all.subspan(first, second - first), recorder);
      assembler.feed(all.subspan(second), recorder);
      ASSERT_EQ(recorder.log(), kRichEvents) << "split at " << first << " and " << second;
    }
}

TEST(Assembler, MessagesAreTheSameByteByByte) {
  MessageAssembler assembler({Form::json, 1000});
  Recorder recorder;
  for (const std::byte b : rich_stream()) assembler.feed({&b, 1}, recorder);
  EXPECT_EQ(recorder.log(), kRichEvents);
}

TEST(Assembler, NothingIsReadAfterTheEnd) {
  MessageAssembler assembler({Form::json, 1000});
  Recorder recorder;
  EXPECT_EQ(assembler.feed(close_frame(1000, "") + frame(1, kFin, "late"), recorder), close_frame(1000, "").size());
  EXPECT_TRUE(assembler.over());
  EXPECT_EQ(assembler.feed(frame(1, kFin, "later"), recorder), 0u);
  EXPECT_EQ(recorder.log(), "closed 1000 \n");
}

TEST(Assembler, BinaryMessagesMayHoldAnything) {
  EXPECT_EQ(events_of(frame(2, kFin, "\xFF\xFE"), Form::binary), "message \xFF\xFE\n");
}

struct Rule {
  std::string_view name;
  ByteBuffer bytes;
  std::string_view events;
};

TEST(Assembler, EveryRuleOfTheRfcIsKept) {
  const std::string big(126, 'x');
  const Rule rules[] = {
      {"reserved bit 1", frame(1, kFin, "x", 4), "violation 1002\n"},
      {"reserved bit 3", frame(1, kFin, "x", 1), "violation 1002\n"},
      {"opcode 3", frame(3, kFin, ""), "violation 1002\n"},
      {"opcode 7", frame(7, kFin, ""), "violation 1002\n"},
      {"opcode 11", frame(11, kFin, ""), "violation 1002\n"},
      {"opcode 15", frame(15, kFin, ""), "violation 1002\n"},
      {"not masked", raw({0x81, 1, 'x'}), "violation 1002\n"},
      {"16-bit length of 125", raw({0x81, 0xFE, 0, 125, 0, 0, 0, 0}), "violation 1002\n"},
      {"64-bit length of 65535", raw({0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0}), "violation 1002\n"},
      {"top bit of a length", raw({0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), "violation 1002\n"},
      {"ping in fragments", frame(9, kMore, ""), "violation 1002\n"},
      {"long ping", frame(9, kFin, big), "violation 1002\n"},
      {"long close", frame(8, kFin, big), "violation 1002\n"},
      {"continuation of nothing", frame(0, kFin, "x"), "violation 1002\n"},
      {"continuation after the end", frame(1, kMore, "a") + frame(0, kFin, "b") + frame(0, kFin, "c"),
       "message ab\nviolation 1002\n"},
      {"message inside a message", frame(1, kMore, "a") + frame(1, kFin, "b"), "violation 1002\n"},
      {"binary where text was agreed", frame(2, kFin, "x"), "violation 1002\n"},
      {"too large", frame(1, kFin, std::string(1001, 'x')), "violation 1009\n"},
      {"too large by its header alone", raw({0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}),
       "violation 1009\n"},
      {"too large in fragments", frame(1, kMore, std::string(600, 'x')) + frame(0, kFin, std::string(401, 'x')),
       "violation 1009\n"},
      {"as large as allowed", frame(1, kMore, std::string(600, 'x')) + frame(0, kFin, std::string(400, 'x')), ""},
      {"text that is not UTF-8", frame(1, kFin, "a\xC3"), "violation 1007\n"},
      {"an overlong form", frame(1, kFin, "\xC0\x80"), "violation 1007\n"},
      {"a surrogate", frame(1, kFin, "\xED\xA0\x80"), "violation 1007\n"},
      {"close without a code", frame(8, kFin, ""), "closed 1005 \n"},
      {"close with half a code", frame(8, kFin, "x"), "violation 1002\n"},
      {"close with 1005", close_frame(1005, ""), "violation 1002\n"},
      {"close with 1006", close_frame(1006, ""), "violation 1002\n"},
      {"close with 999", close_frame(999, ""), "violation 1002\n"},
      {"close with 2999", close_frame(2999, ""), "violation 1002\n"},
      {"close with 4000", close_frame(4000, "mine"), "closed 4000 mine\n"},
      {"close reason not UTF-8", close_frame(1000, "\xFF"), "violation 1007\n"},
  };
  for (const Rule& rule : rules) {
    const std::string events = events_of(rule.bytes);
    if (rule.events.empty()) {
      EXPECT_EQ(events, "message " + std::string(1000, 'x') + "\n") << rule.name;
    } else {
      EXPECT_EQ(events, rule.events) << rule.name;
    }
    // The same verdict when every byte comes alone.
    MessageAssembler assembler({Form::json, 1000});
    Recorder recorder;
    for (const std::byte b : rule.bytes) assembler.feed({&b, 1}, recorder);
    EXPECT_EQ(recorder.log(), events) << rule.name;
  }
}

TEST(Assembler, LargeMessagesLeaveNoMemoryBehind) {
  MessageAssembler assembler({Form::binary, 1 << 20});
  Recorder recorder;
  assembler.feed(frame(2, kFin, std::string(1 << 19, 'x')), recorder);
  EXPECT_EQ(assembler.buffered_bytes(), 0u);
}

// A connection that waits has no assembler: one serves many, each from the start of a message to its end.
TEST(Assembler, BetweenMessagesItIsFreeForAnyConnection) {
  MessageAssembler assembler({Form::binary, 1 << 20});
  Recorder recorder;
  assembler.feed(frame(2, kFin, std::string(300, 'a')), recorder);
  const std::size_t memory = assembler.buffered_bytes();
  EXPECT_GE(memory, 300u);
  ASSERT_TRUE(assembler.idle());
  assembler.restart({Form::json, 1000});
  assembler.feed(frame(1, kFin, "text"), recorder);
  EXPECT_EQ(assembler.buffered_bytes(), memory) << "the same memory";
  ASSERT_TRUE(assembler.idle());
  assembler.restart({Form::json, 3});
  assembler.feed(frame(1, kFin, "text"), recorder);
  EXPECT_EQ(recorder.log(), "message " + std::string(300, 'a') + "\nmessage text\nviolation 1009\n");
}

TEST(Assembler, IsBusyFromTheFirstByteOfAFrameToTheEndOfItsMessage) {
  MessageAssembler assembler({Form::json, 1000});
  Recorder recorder;
  const ByteBuffer stream = frame(1, kMore, "a") + frame(9, kFin, "p") + frame(0, kFin, "b");
  EXPECT_TRUE(assembler.idle());
  for (std::size_t i = 0; i < stream.size(); ++i) {
    assembler.feed({&stream[i], 1}, recorder);
    EXPECT_EQ(assembler.idle(), i + 1 == stream.size()) << i;
  }
}

TEST(Assembler, MemoryGrowsWithWhatComesAndNotWithWhatIsPromised) {
  MessageAssembler assembler({Form::binary, 1 << 20});
  Recorder recorder;
  const ByteBuffer whole = frame(2, kFin, std::string(1 << 20, 'x'));
  assembler.feed(std::span(whole).first(1000), recorder);
  EXPECT_LE(assembler.buffered_bytes(), 2000u);
}

// WS-6: a compressed message is handed out before anything behind it is looked at.
TEST(Assembler, StopsBehindACompressedMessageUntilItIsExpandedOrDropped) {
  const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);  // "Hello", compressed
  const ByteBuffer one = frame(1, kFin, hello, 4), stream = one + frame(1, kFin, "next") + one + frame(1, kFin, "last");
  MessageAssembler assembler({Form::json, 1000, true});
  Recorder recorder;
  std::span<const std::byte> rest(stream);
  rest = rest.subspan(assembler.feed(rest, recorder));
  ASSERT_TRUE(assembler.holds_compressed());
  EXPECT_FALSE(assembler.idle());
  EXPECT_EQ(stream.size() - rest.size(), one.size());
  EXPECT_EQ(assembler.feed(rest, recorder), 0u);
  Inflater inflater;
  ByteBuffer out;
  ASSERT_EQ(inflater.expand(assembler.compressed_message(), 1000, out), Inflater::Outcome::done);
  assembler.expanded(Inflater::Outcome::done, out, recorder);
  rest = rest.subspan(assembler.feed(rest, recorder));
  ASSERT_TRUE(assembler.holds_compressed());
  assembler.drop_compressed();
  EXPECT_EQ(assembler.feed(rest, recorder), rest.size());
  EXPECT_EQ(recorder.log(), "message Hello\nmessage next\nmessage last\n");
}

TEST(Assembler, GarbageIsSurvived) {
  const std::uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int run = 0; run < 20000; ++run) {
    ByteBuffer bytes = rich_stream();
    for (std::uint64_t edits = 1 + random() % 6; edits > 0; --edits)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    MessageAssembler assembler({run % 2 == 0 ? Form::json : Form::binary, 1000});
    Recorder recorder;
    assembler.feed(bytes, recorder);
  }
}

}  // namespace
}  // namespace terrazzo::proto::ws
