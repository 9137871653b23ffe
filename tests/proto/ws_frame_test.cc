#include <gtest/gtest.h>

#include <random>

#include "proto/ws/frame_codec.h"

namespace terrazzo::proto::ws {
namespace {

ByteBuffer bytes_of(std::initializer_list<unsigned> values) {
  ByteBuffer out;
  for (const unsigned v : values) out.push_back(static_cast<std::byte>(v));
  return out;
}

TEST(FrameHeader, LengthsAreWrittenInTheirShortestForm) {  // RFC 6455, 5.2
  const auto header = [](std::uint64_t length) {
    ByteBuffer out;
    append_frame_header(Opcode::binary, length, out);
    return out;
  };
  EXPECT_EQ(header(0), bytes_of({0x82, 0}));
  EXPECT_EQ(header(125), bytes_of({0x82, 125}));
  EXPECT_EQ(header(126), bytes_of({0x82, 126, 0, 126}));
  EXPECT_EQ(header(65535), bytes_of({0x82, 126, 0xFF, 0xFF}));
  EXPECT_EQ(header(65536), bytes_of({0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(FrameHeader, WhatIsWrittenIsRead) {
  for (const std::uint64_t length : {0ull, 1ull, 125ull, 126ull, 65535ull, 65536ull, 1ull << 40}) {
    ByteBuffer bytes;
    append_frame_header(Opcode::text, length, bytes);
    ASSERT_EQ(header_bytes(bytes), bytes.size());
    const FrameHeader header = parse_header(bytes);
    EXPECT_TRUE(header.fin);
    EXPECT_TRUE(header.minimal);
    EXPECT_FALSE(header.masked);
    EXPECT_EQ(header.opcode, 1);
    EXPECT_EQ(header.payload_bytes, length);
  }
}

TEST(FrameHeader, LongerLengthsThanNeededAreSeen) {
  EXPECT_FALSE(parse_header(bytes_of({0x82, 126, 0, 125})).minimal);
  EXPECT_FALSE(parse_header(bytes_of({0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})).minimal);
}

TEST(FrameHeader, TheMaskIsKept) {
  const FrameHeader header = parse_header(bytes_of({0x01, 0x85, 1, 2, 3, 4}));
  EXPECT_FALSE(header.fin);
  EXPECT_TRUE(header.masked);
  EXPECT_EQ(header.payload_bytes, 5u);
  EXPECT_EQ(header.mask, (std::array{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}}));
}

TEST(Unmask, EqualsTheDefinitionAtEveryPhaseLengthAndAlignment) {  // RFC 6455, 5.3
  std::mt19937 random(7);
  ByteBuffer from(64);
  for (std::byte& b : from) b = static_cast<std::byte>(random());
  const std::array mask{std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
  for (std::size_t phase = 0; phase < 4; ++phase)
    for (std::size_t start = 0; start < 8; ++start)
      for (std::size_t length = 0; start + length <= from.size(); ++length) {
        const std::span<const std::byte> part(from.data() + start, length);
        ByteBuffer apart(length), in_place(part.begin(), part.end()), expected(length);
        for (std::size_t i = 0; i < length; ++i) expected[i] = part[i] ^ mask[(phase + i) % 4];
        unmask(part, apart.data(), mask, phase);
        unmask(in_place, in_place.data(), mask, phase);
        ASSERT_EQ(apart, expected);
        ASSERT_EQ(in_place, expected);
      }
}

TEST(CloseFrame, CarriesCodeAndReason) {
  ByteBuffer out;
  append_close(kCloseTooBig, "too_large", out);
  ByteBuffer expected = bytes_of({0x88, 11, 0x03, 0xF1});
  for (const char c : std::string_view("too_large")) expected.push_back(static_cast<std::byte>(c));
  EXPECT_EQ(out, expected);
}

TEST(CloseFrame, LongReasonsAreCut) {
  ByteBuffer out;
  append_close(1000, std::string(500, 'x'), out);
  EXPECT_EQ(out.size(), 2 + kControlBytesMax);
}

TEST(CloseFrame, AReasonIsNotCutInsideACharacter) {
  ByteBuffer out;
  std::string reason(122, 'x');
  reason += "ä";
  append_close(1000, reason, out);
  EXPECT_EQ(out.size(), 2u + 2u + 122u);
}

TEST(CloseCodes, OnlyThoseThatMayBeSent) {  // RFC 6455, 7.4
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999})
    EXPECT_TRUE(valid_close_code(static_cast<std::uint16_t>(code))) << code;
  for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
    EXPECT_FALSE(valid_close_code(static_cast<std::uint16_t>(code))) << code;
}

}  // namespace
}  // namespace terrazzo::proto::ws
