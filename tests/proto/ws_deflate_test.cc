#include "proto/ws/deflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>
#include <string>
#include <vector>

#include "proto/ws/frame_codec.h"

namespace terrazzo::proto::ws {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append_text(std::string_view payload, ByteBuffer& out) {
  append_frame_header(Opcode::text, payload.size(), out);
  const auto bytes = bytes_of(payload);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

struct Frame {
  FrameHeader header;
  std::string payload;
};
std::vector<Frame> frames_in(std::span<const std::byte> bytes) {
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    const std::size_t size = header_bytes(bytes);
    const FrameHeader header = parse_header(bytes.first(size));
    frames.push_back({header, text_of(bytes.subspan(size, static_cast<std::size_t>(header.payload_bytes)))});
    bytes = bytes.subspan(size + static_cast<std::size_t>(header.payload_bytes));
  }
  return frames;
}

std::string words(std::size_t size, std::mt19937& random) {
  std::string text;
  while (text.size() < size) text += R"({"type":"set","x":)" + std::to_string(random() % 1000) + "},";
  text.resize(size);
  return text;
}

// zlib's own, as another implementation would use it: nothing of this module.
std::string inflated(const std::string& payload, int bits) {
  ::z_stream stream{};
  EXPECT_EQ(::inflateInit2(&stream, -bits), Z_OK);
  std::string in = payload + std::string("\x00\x00\xff\xff", 4), out(1 << 22, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<unsigned>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  EXPECT_EQ(::inflate(&stream, Z_SYNC_FLUSH), Z_OK) << (stream.msg != nullptr ? stream.msg : "");
  out.resize(out.size() - stream.avail_out);
  ::inflateEnd(&stream);
  return out;
}

TEST(Deflate, TheFirstOfferThatCanBeKeptIsAccepted) {
  const std::string usual = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  struct Case {
    const char *offered, *answer;
  };
  const std::string small = usual + "; server_max_window_bits=9", large = usual + "; server_max_window_bits=15",
                    bounded = usual + "; client_max_window_bits=10";
  for (const Case& offer :
       {Case{"permessage-deflate", usual.c_str()}, Case{"permessage-deflate; client_max_window_bits", usual.c_str()},
        Case{"Permessage-Deflate ;client_max_window_bits=10; server_no_context_takeover", bounded.c_str()},
        Case{"permessage-deflate; server_max_window_bits=9", small.c_str()},
        Case{"permessage-deflate; server_max_window_bits=\"14\"", small.c_str()},
        Case{"permessage-deflate; server_max_window_bits=15", large.c_str()},
        Case{"x-unknown; a=\"b,c\", permessage-deflate", usual.c_str()},
        Case{"permessage-deflate; server_max_window_bits=8, permessage-deflate", usual.c_str()}}) {
    const auto agreed = agree_on_deflate(offer.offered);
    ASSERT_TRUE(agreed) << offer.offered;
    EXPECT_EQ(agreed->answer, offer.answer) << offer.offered;
  }
}

TEST(Deflate, OffersThatRfc7692DoesNotKnowAreDeclined) {
  for (const char* offered :
       {"", ",", "deflate", "permessage-deflatex", "permessage-deflate; what",
        "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=3",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; =", "permessage-deflate; \"server_max_window_bits=9"})
    EXPECT_FALSE(agree_on_deflate(offered)) << offered;
}

TEST(Deflate, EveryTextThatBecomesSmallerIsCompressedByItself) {
  std::mt19937 random(5);
  for (const Window window : {Window::small, Window::large}) {
    Deflater deflater(window);
    Inflater inflater;
    ByteBuffer run, out, plain;
    std::vector<std::string> payloads;
    for (const std::size_t size : {0u, 1u, 63u, 64u, 125u, 126u, 127u, 600u, 5000u, 65535u, 65536u, 300'000u})
      payloads.push_back(words(size, random));
    for (const std::string& payload : payloads) append_text(payload, run);
    deflater.append_compressed(run, out);
    EXPECT_LT(out.size(), run.size() / 2);
    const std::vector<Frame> frames = frames_in(out);
    ASSERT_EQ(frames.size(), payloads.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_TRUE(frames[i].header.fin && frames[i].header.minimal && !frames[i].header.masked);
      EXPECT_EQ(frames[i].header.reserved_bits, payloads[i].size() >= 200 ? 4 : frames[i].header.reserved_bits);
      if (frames[i].header.reserved_bits == 0) {
        EXPECT_EQ(frames[i].payload, payloads[i]);
        continue;
      }
      EXPECT_TRUE(inflated(frames[i].payload, window == Window::small ? 9 : 15) == payloads[i]) << payloads[i].size();
      EXPECT_EQ(inflater.expand(bytes_of(frames[i].payload), payloads[i].size(), plain), Inflater::Outcome::done);
      EXPECT_TRUE(text_of(plain) == payloads[i]);
    }
  }
}

TEST(Deflate, WhatDoesNotBecomeSmallerAndWhatIsNoTextStaysAsItIs) {
  std::mt19937 random(6);
  std::string noise(1000, ' ');
  for (char& c : noise) c = static_cast<char>(random());
  ByteBuffer run, out;
  append_text(noise, run);
  append_frame_header(Opcode::binary, 500, run);
  run.resize(run.size() + 500);
  append_frame_header(Opcode::ping, 100, run);
  run.resize(run.size() + 100);
  Deflater(Window::large).append_compressed(run, out);
  EXPECT_TRUE(out == run);
}

TEST(Deflate, TheExamplesOfRfc7692AreUnderstood) {
  Inflater inflater;
  ByteBuffer out;
  const auto expanded = [&](std::initializer_list<unsigned> values) {
    ByteBuffer in;
    for (const unsigned value : values) in.push_back(static_cast<std::byte>(value));
    EXPECT_EQ(inflater.expand(in, 100, out), Inflater::Outcome::done);
    return text_of(out);
  };
  EXPECT_EQ(expanded({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), "Hello");                          // 7.2.3.1
  EXPECT_EQ(expanded({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}), "Hello");  // 7.2.3.3
  EXPECT_EQ(expanded({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}), "Hello");                    // 7.2.3.4
  EXPECT_EQ(expanded({0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}),
            "Hello");                                                        // 7.2.3.5
  EXPECT_EQ(expanded({0x00}), "");                                           // 7.2.3.6
  EXPECT_EQ(expanded({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}), "Hello");  // a final block and nothing behind it
}

TEST(Deflate, ABombStopsAtTheLimitInSpaceAndTime) {
  // A thousand to one, twice.
  const std::string zeros(1 << 22, '\0');
  ByteBuffer run, once;
  append_text(zeros, run);
  Deflater(Window::large).append_compressed(run, once);
  const std::string bomb = frames_in(once).at(0).payload;
  ASSERT_LT(bomb.size(), zeros.size() / 200);
  Inflater inflater;
  ByteBuffer out;
  EXPECT_EQ(inflater.expand(bytes_of(bomb), 100'000, out), Inflater::Outcome::too_large);
  EXPECT_LE(out.capacity(), 100'000u + 2 * 16'384u);
  EXPECT_EQ(inflater.expand(bytes_of(bomb), zeros.size() - 1, out), Inflater::Outcome::too_large);
  EXPECT_EQ(inflater.expand(bytes_of(bomb), zeros.size(), out), Inflater::Outcome::done);
  EXPECT_EQ(out.size(), zeros.size());
}

// WS-6: as much at a time as is allowed, whatever a message consists of, with the same result.
TEST(Deflate, AMessageMayBeExpandedBitByBit) {
  std::mt19937 random(8);
  ByteBuffer run, whole, once;
  append_text(words(100'000, random), run);
  Deflater(Window::large).append_compressed(run, whole);
  const std::string payload = frames_in(whole).at(0).payload;
  Inflater inflater;
  ASSERT_EQ(inflater.expand(bytes_of(payload), 1 << 20, once), Inflater::Outcome::done);
  for (const std::size_t at_a_time : {1u, 7u, 1000u, 16'384u, 1u << 20}) {
    inflater.begin(bytes_of(payload), 1 << 20);
    std::size_t calls = 0, work = at_a_time;
    Inflater::Outcome outcome = Inflater::Outcome::more;
    for (; outcome == Inflater::Outcome::more; ++calls, work = at_a_time) outcome = inflater.go_on(work);
    ASSERT_EQ(outcome, Inflater::Outcome::done) << at_a_time;
    EXPECT_TRUE(text_of(inflater.expanded()) == text_of(once)) << at_a_time;
    // A call goes over its work by what it was fed at most.
    EXPECT_GE(calls, 100'000 / (at_a_time + 16'384)) << at_a_time;
  }
  // Another one may begin before the end.
  inflater.begin(bytes_of(payload), 1 << 20);
  std::size_t work = 100;
  EXPECT_EQ(inflater.go_on(work), Inflater::Outcome::more);
  EXPECT_EQ(inflater.expand(bytes_of(payload), 1 << 20, whole), Inflater::Outcome::done);
  EXPECT_TRUE(whole == once);
}

TEST(Deflate, BlocksWithoutContentAreWork) {
  std::string empty_blocks;
  while (empty_blocks.size() < 1 << 20) empty_blocks += std::string("\0\0\0\xff\xff", 5);
  empty_blocks += '\0';
  Inflater inflater;
  inflater.begin(bytes_of(empty_blocks), 1000);
  std::size_t calls = 0;
  for (Inflater::Outcome outcome = Inflater::Outcome::more; outcome == Inflater::Outcome::more; ++calls) {
    std::size_t work = 16'384;
    outcome = inflater.go_on(work);
    EXPECT_NE(outcome, Inflater::Outcome::damaged);
  }
  EXPECT_GE(calls, empty_blocks.size() / 8192);
  EXPECT_EQ(inflater.expanded().size(), 0u);
}

TEST(Deflate, MessagesThatWereCutOffOrChangedAreDamagedOrSomethingElseButNeverTrusted) {
  std::mt19937 random(7);
  ByteBuffer run, compressed, out;
  append_text(words(700, random), run);
  Deflater(Window::large).append_compressed(run, compressed);
  const std::string whole = frames_in(compressed).at(0).payload;
  Inflater inflater;
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(inflater.expand(bytes_of(whole).first(size), 1 << 20, out), Inflater::Outcome::damaged) << size;
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = whole;
    for (int flips = 0; flips < 3; ++flips) changed[random() % changed.size()] ^= static_cast<char>(1 << random() % 8);
    if (inflater.expand(bytes_of(changed), 2000, out) == Inflater::Outcome::done) {
      EXPECT_LE(out.size(), 2000u);
    }
  }
  // And the one after it is none the worse.
  EXPECT_EQ(inflater.expand(bytes_of(whole), 700, out), Inflater::Outcome::done);
  EXPECT_EQ(out.size(), 700u);
}

}  // namespace
}  // namespace terrazzo::proto::ws
