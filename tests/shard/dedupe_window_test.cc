#include "server/shard/dedupe_window.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace terrazzo::shard {
namespace {

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
  std::vector<std::byte> bytes;
  window.encode(bytes);
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

}  // namespace
}  // namespace terrazzo::shard
