// Named versions and undo points of one shard: what they show, going back, and finding the same again after a crash.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "shard_fixture.h"

namespace terrazzo::shard {
namespace {

using storage::PinKind;

const map::Rect kWhole = map::Rect::of_size(0, 0, 8192, 8192);
Restore whole(std::uint64_t version, std::initializer_list<map::LayerId> layers = {0, 1}) {
  Restore restore{PinKind::version, version, {}};
  for (const map::LayerId layer : layers) restore.areas.push_back({layer, kWhole});
  return restore;
}

TEST_F(ShardTest, AVersionShowsTheEditsBeforeIt) {
  edit(1, fill({0, 0, 10, 10}, 5));
  shard->take_version(1);
  edit(2, fill({0, 0, 5, 5}, 6));
  shard->take_version(2);
  edit(3, fill({0, 0, 1, 1}, 7));
  EXPECT_EQ(cell(PinKind::version, 1, 0, {0, 0}), 5u);
  EXPECT_EQ(cell(PinKind::version, 2, 0, {0, 0}), 6u);
  EXPECT_EQ(cell(0, {0, 0}), 7u);
  EXPECT_EQ(cell(PinKind::version, 2, 0, {9, 9}), 5u);
}

TEST_F(ShardTest, GoingBackToAVersionIsAnEditThatViewersSee) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  edit(2, fill({0, 0, 64, 64}, 6));
  edit(3, fill({4000, 4000, 4010, 4010}, 6, 1));
  shard->subscribe(subscription({0, 0, 8, 8}), out);
  restore(4, whole(1));
  EXPECT_EQ(shard->lsn(), Lsn{4});
  EXPECT_EQ(cell(0, {0, 0}), 5u);
  EXPECT_EQ(cell(0, {39, 39}), 5u);
  EXPECT_EQ(cell(0, {40, 40}), 0u);
  EXPECT_EQ(cell(1, {4000, 4000}), 0u);
  // Of what changed, the four chunks that somebody watches.
  ASSERT_EQ(out.published.size(), 1u);
  EXPECT_EQ(out.published[0].publication->lsn, Lsn{4});
  EXPECT_EQ(out.published[0].publication->touched.size(), 4u);
  edit(5, fill({0, 0, 1, 1}, 8));
  EXPECT_EQ(cell(PinKind::version, 1, 0, {0, 0}), 5u) << "pages shared with the version must not be written";
  EXPECT_TRUE(shard->store()->verify().ok());
}

// An edit's LSN comes once, in one message of a bounded size: what does not fit comes as states.
TEST_F(ShardTest, GoingBackOverManyWatchedChunksIsToldAsOneEditOfStates) {
  for (const int side : {8, 9}) {  // 64 chunks, and 81
    out.published.clear();
    const std::uint64_t id = shard->lsn().value + 1, version = id;
    edit(id, fill(map::Rect::of_size(0, 0, side * 32, side * 32), 5));
    shard->take_version(version);
    edit(id + 1, fill(map::Rect::of_size(0, 0, side * 32, side * 32), 6));
    if (side == 8) shard->subscribe(subscription({0, 0, 64, 64}), out);
    out.published.clear();
    restore(id + 2, whole(version));
    ASSERT_EQ(out.published.size(), 1u) << side;
    const Publication& told = *out.published[0].publication;
    EXPECT_EQ(told.lsn, Lsn{id + 2});
    EXPECT_EQ(told.as_states, side == 9);
    EXPECT_EQ(static_cast<bool>(told.frame[0]), side == 8);
    if (side == 9) {
      ASSERT_EQ(told.touched.size(), 1u);
      EXPECT_EQ(told.touched[0], map::Rect::of_size(0, 0, 16, 16));
    }
  }
}

TEST_F(ShardTest, AVersionBeforeTheShardsFirstEditIsEmpty) {
  shard->take_version(1);
  edit(1, fill({0, 0, 40, 40}, 5));
  restore(2, whole(1));
  EXPECT_EQ(out.outcomes.back().stage, Stage::applied);
  EXPECT_EQ(cell(0, {0, 0}), 0u);
}

TEST_F(ShardTest, WhatIsNotThereAnyMoreCannotBeRestored) {
  edit(1, fill({0, 0, 40, 40}, 5));
  shard->take_version(1);
  shard->drop_version(1);
  restore(2, whole(1));
  ASSERT_EQ(out.outcomes.back().stage, Stage::rejected);
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::not_found);
  EXPECT_EQ(cell(0, {0, 0}), 5u);
}

TEST_F(ShardTest, RecoveryTakesVersionsWhereTheyWereTaken) {
  edit(1, fill({0, 0, 10, 10}, 5));
  checkpoint();
  edit(2, fill({0, 0, 10, 10}, 6));
  shard->take_version(3);
  edit(3, fill({0, 0, 10, 10}, 7));
  shard->take_version(4);
  shard->take_version(8);
  versions = {3, 4, 8, 9};  // the ninth was decided, and the server died
  deleted = {4};
  // As recovery does: opened, replayed, then recovered.
  shard =
      std::make_unique<Shard>(key, test_world(), RunInfo{Incarnation{2}, versions, deleted}, encoder,
                              encoded.emplace(0), *storage::ShardStore::open(file, identity), Shard::StoreFactory());
  for (const LoggedRecord& record : out.records) ASSERT_TRUE(shard->replay(record.view()).ok());
  shard->recovered();
  EXPECT_EQ(cell(PinKind::version, 3, 0, {0, 0}), 6u);
  EXPECT_EQ(shard->store()->find_pin(PinKind::version, 4), nullptr);
  EXPECT_EQ(cell(PinKind::version, 8, 0, {0, 0}), 7u);
  EXPECT_EQ(cell(PinKind::version, 9, 0, {0, 0}), 7u);
  while (shard->reclaim(1000)) {
  }
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(ShardTest, AHugeFillIsUndoneBySharingPages) {
  std::vector<map::Cell> cells(8192 * 8);
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = map::Cell{static_cast<std::uint32_t>(1 + i % 7)};
  edit(1, {map::OpKind::set, 0, map::Rect::of_size(0, 4000, 8192, 8), {}, {}, cells});
  const storage::PageNo live = shard->store()->pages().live;
  edit(2, fill(map::Rect::of_size(5, 5, 8000, 8000), 9));
  EXPECT_EQ(cell(0, {4000, 4001}), 9u);
  restore(3, {PinKind::undo_point, 2, {{0, map::Rect::of_size(5, 5, 8000, 8000)}}});
  for (const int x : {0, 4, 5, 31, 32, 4000, 8004, 8005, 8191}) {
    EXPECT_EQ(cell(0, {x, 4001}), 1u + (8192u + static_cast<unsigned>(x)) % 7) << x;
    EXPECT_EQ(cell(0, {x, 5}), 0u) << x;
  }
  // The border's chunks were copied, once by the fill and once by going back, nothing else.
  EXPECT_LE(shard->store()->pages().live, live + 2 * (4 * 256 + 16 * 16 + 16));
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(ShardTest, OnlyTheNewestUndoPointsAreKept) {
  const map::Rect big = map::Rect::of_size(0, 0, 512, 512);
  for (std::uint64_t id = 1; id <= Shard::kUndoPoints + 3; ++id) edit(id, fill(big, static_cast<std::uint32_t>(id)));
  const std::uint64_t last = shard->lsn().value;
  EXPECT_EQ(shard->store()->find_pin(PinKind::undo_point, 3), nullptr);
  EXPECT_NE(shard->store()->find_pin(PinKind::undo_point, 4), nullptr);
  restore(500, {PinKind::undo_point, 3, {{0, big}}});
  EXPECT_EQ(out.outcomes.back().error->code, ErrorCode::not_found);
  restore(501, {PinKind::undo_point, last, {{0, big}}});
  EXPECT_EQ(cell(0, {0, 0}), static_cast<std::uint32_t>(last - 1));
}

// Going back pins the state before it, which lets the oldest undo point go: here the one that is gone back to.
TEST_F(ShardTest, TheOldestUndoPointCanBeRestored) {
  const map::Rect big = map::Rect::of_size(0, 0, 512, 512);
  for (std::uint64_t id = 1; id <= Shard::kUndoPoints; ++id) edit(id, fill(big, static_cast<std::uint32_t>(id)));
  ASSERT_NE(shard->store()->find_pin(PinKind::undo_point, 1), nullptr);
  restore(500, {PinKind::undo_point, 1, {{0, big}}});
  EXPECT_EQ(out.outcomes.back().stage, Stage::applied);
  EXPECT_EQ(cell(0, {0, 0}), 0u);
  while (shard->reclaim(1000)) {
  }
  EXPECT_EQ(cell(0, {0, 0}), 0u);
  EXPECT_TRUE(shard->store()->verify().ok());
}

TEST_F(ShardTest, ReplayUndoesAndGoesBackLikeTheFirstTime) {
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    file = MemoryPageFile();
    created = false;
    out = RecordingOutput();
    versions.clear();
    start(1);
    const std::uint64_t checkpoint_at = 1 + random() % 40;
    std::vector<std::uint64_t> big;
    for (std::uint64_t id = 1; id <= 60; ++id) {
      const map::Rect rect = map::Rect::of_size(random() % 300, random() % 300, 1 + random() % 600, 1 + random() % 600);
      const auto what = static_cast<unsigned>(random() % 10);
      if (what == 0) {
        versions.push_back(id);
        shard->take_version(id);
      }
      if (what <= 2 && !versions.empty()) {
        restore(id, {PinKind::version, versions[random() % versions.size()], {{0, rect}, {1, rect}}});
      } else if (what <= 4 && !big.empty()) {
        restore(id, {PinKind::undo_point, big[random() % big.size()], {{0, rect}}});
      } else {
        edit(id, fill(rect, static_cast<std::uint32_t>(random() % 3), static_cast<map::LayerId>(random() % 2)));
        if (rect.area() > 65536) big.push_back(shard->lsn().value);
      }
      ASSERT_EQ(out.outcomes.back().stage, Stage::applied) << out.outcomes.back().error->message;
      if (id == checkpoint_at) checkpoint();
    }
    const auto all = [&] {
      std::vector<std::uint32_t> cells;
      for (int i = 0; i < 2 * 900 * 900; i += 7)
        cells.push_back(cell(static_cast<map::LayerId>(i % 2), {i / 2 % 900, i / 1800}));
      for (const std::uint64_t id : versions)
        for (int i = 0; i < 900 * 900; i += 97) {
          const storage::PinInfo* pin = shard->store()->find_pin(PinKind::version, id);
          cells.push_back(pin == nullptr ? 0 : cell(PinKind::version, id, 0, {i % 900, i / 900}));
        }
      return cells;
    };
    const std::vector<std::uint32_t> before = all();
    shard =
        std::make_unique<Shard>(key, test_world(), RunInfo{Incarnation{2}, versions, {}}, encoder, encoded.emplace(0),
                                *storage::ShardStore::open(file, identity), Shard::StoreFactory());
    for (const LoggedRecord& record : out.records) {
      const Status replayed = shard->replay(record.view());
      ASSERT_TRUE(replayed.ok()) << replayed.error().message;
    }
    shard->recovered();
    EXPECT_EQ(before, all());
    EXPECT_TRUE(shard->store()->verify().ok());
  }
}

}  // namespace
}  // namespace terrazzo::shard
