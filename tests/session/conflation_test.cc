// What a slow connection is owed: BP of PROTOCOL.md.
#include "server/session/conflation.h"

#include <gtest/gtest.h>

namespace terrazzo::session {
namespace {

constexpr map::ShardPos kHere{0, 0}, kThere{-1, 0};

SharedNote note(std::uint64_t session, bool left = false) {
  boost::intrusive_ptr<PresenceNote> note(new PresenceNote);
  note->session = SessionId{session};
  note->left = left;
  return note;
}

TEST(Conflation, AShardIsStaleFromItsFirstEditThatWasLeftOut) {
  Conflation owed;
  owed.outbox_full();
  EXPECT_TRUE(owed.leaves_out(kHere));
  EXPECT_FALSE(owed.is_stale(kHere));
  EXPECT_TRUE(owed.left_out(kHere, Lsn{7}));
  EXPECT_FALSE(owed.left_out(kHere, Lsn{7})) << "an edit may come in several publications";
  EXPECT_FALSE(owed.left_out(kHere, Lsn{9}));
  const auto stale = owed.next(5);
  ASSERT_TRUE(stale);
  EXPECT_EQ(stale->position, kHere);
  EXPECT_EQ(stale->since, Lsn{7});
  EXPECT_EQ(stale->ticket, 5u);
}

TEST(Conflation, WithRoomOnlyStaleShardsAreLeftOut) {
  Conflation owed;
  owed.outbox_full();
  owed.left_out(kHere, Lsn{7});
  ASSERT_TRUE(owed.next(5));
  EXPECT_TRUE(owed.leaves_out(kHere)) << "its states are on their way and contain the edit";
  EXPECT_FALSE(owed.leaves_out(kThere));
  EXPECT_TRUE(owed.refreshed(kHere, 5));
  EXPECT_FALSE(owed.leaves_out(kHere));
  EXPECT_TRUE(owed.over());
}

TEST(Conflation, OneShardIsAskedForAtATimeInTheOrderOfFallingBehind) {
  Conflation owed;
  owed.outbox_full();
  owed.left_out(kThere, Lsn{3});
  owed.left_out(kHere, Lsn{7});
  EXPECT_EQ(owed.next(5).value().position, kThere);
  EXPECT_FALSE(owed.next(6));
  EXPECT_TRUE(owed.refreshed(kThere, 5));
  EXPECT_FALSE(owed.over());
  EXPECT_EQ(owed.next(7).value().position, kHere);
  EXPECT_TRUE(owed.refreshed(kHere, 7));
  EXPECT_TRUE(owed.over());
}

TEST(Conflation, AnAnswerCountsOnceAndOnlyUnderItsTicket) {
  Conflation owed;
  owed.outbox_full();
  owed.left_out(kHere, Lsn{7});
  EXPECT_FALSE(owed.refreshed(kHere, 0)) << "nobody asked";
  ASSERT_TRUE(owed.next(5));
  EXPECT_FALSE(owed.refreshed(kHere, 4));
  EXPECT_FALSE(owed.refreshed(kThere, 5));
  EXPECT_TRUE(owed.refreshed(kHere, 5));
  EXPECT_FALSE(owed.refreshed(kHere, 5));
}

TEST(Conflation, AShardMayFallBehindAgain) {
  Conflation owed;
  owed.outbox_full();
  owed.left_out(kHere, Lsn{7});
  ASSERT_TRUE(owed.next(5));
  owed.outbox_full();  // while the answer is on its way
  EXPECT_FALSE(owed.left_out(kHere, Lsn{8}));
  EXPECT_TRUE(owed.refreshed(kHere, 5));
  EXPECT_TRUE(owed.leaves_out(kHere)) << "the outbox is full of its states";
  EXPECT_TRUE(owed.left_out(kHere, Lsn{12}));
  EXPECT_EQ(owed.next(6).value().since, Lsn{12});
}

TEST(Conflation, TheNewestMarkAndPresenceWait) {
  Conflation owed;
  owed.owe_durable(kHere, Lsn{7});
  owed.owe_durable(kThere, Lsn{2});
  owed.owe_durable(kHere, Lsn{9});
  EXPECT_FALSE(owed.over());
  const auto marks = owed.take_durable();
  ASSERT_EQ(marks.size(), 2u);
  EXPECT_EQ(marks[0].lsn, Lsn{9});
  EXPECT_EQ(marks[1].lsn, Lsn{2});
  EXPECT_TRUE(owed.owe_presence(note(2)));
  EXPECT_TRUE(owed.owe_presence(note(1)));
  EXPECT_TRUE(owed.owe_presence(note(2, true)));
  const auto notes = owed.take_presence();
  ASSERT_EQ(notes.size(), 2u);
  EXPECT_FALSE(notes[0]->left);
  EXPECT_TRUE(notes[1]->left);
  EXPECT_TRUE(owed.over());
}

TEST(Conflation, PresenceOfOnlySoManySessionsIsOwed) {
  Conflation owed;
  for (std::uint64_t i = 0; i < Conflation::kPresenceMax; ++i) ASSERT_TRUE(owed.owe_presence(note(i)));
  EXPECT_TRUE(owed.owe_presence(note(7)));
  EXPECT_FALSE(owed.owe_presence(note(Conflation::kPresenceMax)));
}

}  // namespace
}  // namespace terrazzo::session
