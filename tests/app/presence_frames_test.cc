// What is encoded once for many: presence that newcomers ask for one by one.
#include "server/app/presence_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace terrazzo::app {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
using proto::Form;

session::SharedNote note_of(std::uint64_t session, std::int32_t x) {
  boost::intrusive_ptr<session::PresenceNote> note(new session::PresenceNote);
  note->session = SessionId{session};
  note->name = "Ada";
  note->cursor = map::CellPos{x, 0};
  return note;
}

TEST(PresenceFrames, AreEncodedOnceForAllNewcomersOfASecondInEachForm) {
  PresenceFrames frames;
  std::vector<session::SharedNote> notes;
  for (std::uint64_t i = 0; i < 100; ++i) notes.push_back(note_of(i + 1, static_cast<std::int32_t>(i)));
  for (int newcomer = 0; newcomer < 50; ++newcomer) {
    for (const session::SharedNote& note : notes) {
      const Form form = newcomer % 2 == 0 ? Form::json : Form::binary;
      const SharedBytes frame = frames.kept(form, note);
      ASSERT_TRUE(std::ranges::equal(frame.bytes(), PresenceFrames().encode(form, *note).bytes()));
    }
    frames.tick(kSecond + static_cast<std::uint64_t>(newcomer));
  }
  EXPECT_EQ(frames.encodings(), 2 * notes.size());
}

TEST(PresenceFrames, WhatSomebodySaysAnewIsEncodedAnew) {
  PresenceFrames frames;
  const SharedBytes before = frames.kept(Form::json, note_of(1, 5)), after = frames.kept(Form::json, note_of(1, 6));
  EXPECT_FALSE(std::ranges::equal(before.bytes(), after.bytes()));
}

TEST(PresenceFrames, AreForgottenAfterASecondAndNeverTooMany) {
  PresenceFrames frames;
  const session::SharedNote note = note_of(1, 5);
  frames.kept(Form::json, note);
  frames.tick(10 * kSecond);
  EXPECT_EQ(frames.kept_count(), 1u);
  frames.tick(11 * kSecond);
  EXPECT_EQ(frames.kept_count(), 0u);
  EXPECT_EQ(note->use_count(), 1u);
  frames.kept(Form::json, note);
  EXPECT_EQ(frames.encodings(), 2u);
  std::size_t most = 0;
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    frames.kept(Form::binary, note_of(i, 1));
    most = std::max(most, frames.kept_count());
  }
  EXPECT_LE(most, 16'384u);
  EXPECT_GT(most, 10'000u);
}

}  // namespace
}  // namespace terrazzo::app
