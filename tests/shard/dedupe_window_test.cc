#include "server/shard/dedupe_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <vector>

namespace terrazzo::shard {
namespace {

// In pieces, as a checkpoint asks for them.
std::vector<std::byte> all_of(storage::AuxSource& source, const std::function<void()>& between = {}) {
  std::vector<std::byte> bytes(source.bytes());
  for (std::size_t at = 0; at < bytes.size(); at += 1000) {
    source.next(std::span(bytes).subspan(at, std::min<std::size_t>(1000, bytes.size() - at)));
    if (between) between();
  }
  return bytes;
}

TEST(DedupeWindow, AgreesWithASetInsideTheWindow) {
  std::mt19937 random(5);
  DedupeWindow window;
  std::set<std::uint64_t> model;
  std::uint64_t newest = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t low = newest > DedupeWindow::kIds ? newest - DedupeWindow::kIds + 1 : 1;
    const std::uint64_t id = low + random() % (newest - low + 20);
    ASSERT_EQ(window.seen(SessionId{1}, EditId{id}), model.contains(id)) << id << " of " << newest;
    ASSERT_EQ(window.remembers(SessionId{1}, EditId{id}), model.contains(id));
    if (random() % 2 == 0) continue;
    window.remember(SessionId{1}, EditId{id}, Lsn{static_cast<std::uint64_t>(i)});
    model.insert(id);
    newest = std::max(newest, id);
  }
}

TEST(DedupeWindow, WhatIsOlderCountsAsAppliedButIsNotRemembered) {
  DedupeWindow window;
  window.remember(SessionId{1}, EditId{5000}, Lsn{1});
  EXPECT_TRUE(window.seen(SessionId{1}, EditId{5000 - DedupeWindow::kIds}));
  EXPECT_FALSE(window.remembers(SessionId{1}, EditId{5000 - DedupeWindow::kIds}));
  EXPECT_FALSE(window.seen(SessionId{1}, EditId{5000 - DedupeWindow::kIds + 1}));
  EXPECT_FALSE(window.seen(SessionId{2}, EditId{1}));
}

TEST(DedupeWindow, ForgetsTheSessionsThatWroteLongAgo) {
  DedupeWindow window;
  for (std::uint64_t i = 1; i <= 2 * DedupeWindow::kSessionsMax; ++i) window.remember(SessionId{i}, EditId{1}, Lsn{i});
  EXPECT_LE(window.sessions(), DedupeWindow::kSessionsMax);
  EXPECT_FALSE(window.seen(SessionId{1}, EditId{1}));
  EXPECT_TRUE(window.seen(SessionId{2 * DedupeWindow::kSessionsMax}, EditId{1}));
}

TEST(DedupeWindow, ComesBackFromItsBytesAndRefusesTornOnes) {
  DedupeWindow window;
  for (std::uint64_t session = 1; session <= 50; ++session)
    for (std::uint64_t id = 1; id < session * 7; id += 3) window.remember(SessionId{session}, EditId{id}, Lsn{session});
  const std::vector<std::byte> bytes = all_of(*window.bytes());
  DedupeWindow back;
  std::span<const std::byte> rest = bytes;
  ASSERT_TRUE(back.decode(rest).ok());
  EXPECT_TRUE(rest.empty());
  for (std::uint64_t session = 1; session <= 51; ++session)
    for (std::uint64_t id = 1; id < 400; ++id)
      ASSERT_EQ(back.seen(SessionId{session}, EditId{id}), window.seen(SessionId{session}, EditId{id}));
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{8}, bytes.size() - 1}) {
    rest = std::span<const std::byte>(bytes).first(size);
    EXPECT_FALSE(DedupeWindow().decode(rest).ok()) << size;
  }
}

// A checkpoint is as of its beginning: an edit that came later is not in its root, so it must not count as applied.
TEST(DedupeWindow, ItsBytesAreThoseOfTheMomentWhateverIsAppliedWhileTheyAreRead) {
  DedupeWindow window;
  std::uint64_t lsn = 0, sessions = 0;
  const auto newcomers = [&](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) window.remember(SessionId{++sessions}, EditId{1 + i % 5}, Lsn{++lsn});
  };
  newcomers(DedupeWindow::kSessionsMax);
  const std::vector<std::byte> expected = all_of(*window.bytes());
  std::mt19937_64 random(7);
  const auto source = window.bytes();
  const std::vector<std::byte> read = all_of(*source, [&] {
    for (int i = 0; i < 20; ++i)
      window.remember(SessionId{1 + random() % sessions}, EditId{6 + random() % 2000}, Lsn{++lsn});
    newcomers(3);  // before long a quarter is dropped
  });
  EXPECT_EQ(read, expected);
  EXPECT_LE(window.sessions(), DedupeWindow::kSessionsMax);
  EXPECT_NE(all_of(*window.bytes()), expected);
}

}  // namespace
}  // namespace terrazzo::shard
