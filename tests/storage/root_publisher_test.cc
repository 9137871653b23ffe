// Publishing for readers on the same host: a claimed state stays as it is whatever the store does; what nobody claims
// any more is given back; the sequence lock gives whole publications.
#include "server/storage/root_publisher.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <thread>

#include "crashing_file.h"
#include "shardfile/process_identity.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::storage {
namespace {

constexpr std::array<std::uint16_t, 4> kChunks{0, 1, 17, 300};
constexpr std::uint64_t kHoldNs = 1000;

class Publisher : public testing::Test {
 protected:
  Publisher() : store_(*ShardStore::create(file_, {WorldId{1}, 0, 0})) {}

  void fill(std::uint32_t value) {
    ASSERT_TRUE(store_->begin_edit(next(store_->lsn()), 20).ok());
    for (const std::uint16_t chunk : kChunks) std::fill_n(store_->write(0, chunk), 1024, value);
  }
  void checkpoint() {
    auto step = store_->begin_checkpoint({});
    while (step.ok() && *step != CheckpointStep::done)
      step = *step == CheckpointStep::work ? store_->checkpoint_work(100) : store_->checkpoint_synced({});
    ASSERT_TRUE(step.ok());
  }
  bool publish() {
    const bool read = publisher_.publish(*store_, file_.page_count(), now_ns_);
    while (store_->reclaim(10'000)) {
    }
    return read;
  }
  void expect_all(const shardfile::Publication& state, std::uint32_t value) {
    const shardfile::TreeReader reader({file_.base(), std::size_t{file_.page_count()} * kPageBytes}, state.top);
    for (const std::uint16_t chunk : kChunks) {
      const shardfile::ChunkView view = reader.read(0, chunk);
      ASSERT_NE(view.cells, nullptr);
      for (std::size_t i = 0; i < 1024; ++i) ASSERT_EQ(view.cells[i], value) << chunk << " cell " << i;
    }
  }

  CrashingFile file_;
  std::unique_ptr<ShardStore> store_;
  // Shared, as it is between processes.
  struct Unmap {
    void operator()(shardfile::PublishedRoot* root) const { ::munmap(root, sizeof *root); }
  };
  std::unique_ptr<shardfile::PublishedRoot, Unmap> root_{static_cast<shardfile::PublishedRoot*>(
      ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))};
  RootPublisher publisher_{*root_, kHoldNs};
  std::uint64_t now_ns_ = 5'000'000;  // the publisher's clock
};

TEST_F(Publisher, NobodyReadsNothingIsPinned) {
  fill(1);
  EXPECT_FALSE(publish());
  EXPECT_TRUE(store_->pins().empty());
  EXPECT_EQ(root_->read()->snapshot, 0u);
}

TEST_F(Publisher, AClaimedStateStaysWhileTheStoreReusesEverythingElse) {
  fill(1);
  shardfile::ReaderSlot* slot = root_->take_slot(1);
  ASSERT_NE(slot, nullptr);
  EXPECT_TRUE(publish());
  const auto claimed = root_->claim(*slot);
  ASSERT_TRUE(claimed && claimed->snapshot != 0);
  for (std::uint32_t value = 2; value < 60; ++value) {
    fill(value);
    publish();
    if (value % 5 == 0) checkpoint();
    expect_all(*claimed, 1);
    if (HasFatalFailure()) return;
  }
  EXPECT_LE(store_->pins().size(), 2u);  // the claimed one and the newest
  const auto moved = root_->claim(*slot);
  expect_all(*moved, 59);
  publish();
  EXPECT_LE(store_->pins().size(), 1u);
  root_->leave(*slot, 1);
  publish();
  EXPECT_TRUE(store_->pins().empty());
  checkpoint();
  checkpoint();
  EXPECT_TRUE(store_->verify().ok());
}

TEST_F(Publisher, AClaimGoesWhenItsStateWasOvertakenForTooLong) {
  fill(1);
  shardfile::ReaderSlot* slot = root_->take_slot(1);
  publish();
  const auto kept = root_->claim(*slot);
  ASSERT_TRUE(kept && kept->snapshot != 0);
  now_ns_ += 1000 * kHoldNs;
  publish();
  EXPECT_EQ(slot->claimed.load(), kept->snapshot) << "nothing is newer: it costs nothing";
  fill(2);
  publish();
  now_ns_ += kHoldNs - 1;
  fill(3);
  publish();
  EXPECT_EQ(slot->claimed.load(), kept->snapshot);
  expect_all(*kept, 1);
  EXPECT_EQ(publisher_.evictions(), 0u);
  now_ns_ += 1;
  publish();
  EXPECT_EQ(slot->claimed.load(), shardfile::kEvicted);
  EXPECT_EQ(publisher_.evictions(), 1u);
  EXPECT_EQ(store_->pins().size(), 1u) << "the newest";
  // Its pages are really given back: the file does not grow however long others paint.
  for (std::uint32_t value = 4; value < 20; ++value) {
    fill(value);
    publish();
  }
  checkpoint();
  checkpoint();
  EXPECT_LT(store_->pages().live + store_->pages().pending, 40u);
  // The reader is as good as any other when it asks for the newest.
  const auto moved = root_->claim(*slot);
  ASSERT_TRUE(moved && moved->snapshot != 0);
  expect_all(*moved, 19);
  EXPECT_EQ(slot->claimed.load(), moved->snapshot);
  EXPECT_EQ(publisher_.evictions(), 1u);
}

TEST_F(Publisher, WhoMovesOnInTimeIsNeverEvicted) {
  fill(1);
  shardfile::ReaderSlot* slow = root_->take_slot(1);
  shardfile::ReaderSlot* quick = root_->take_slot(2);
  publish();
  ASSERT_TRUE(root_->claim(*slow));
  for (std::uint32_t value = 2; value < 30; ++value) {
    const auto view = root_->claim(*quick);
    fill(value);
    publish();
    now_ns_ += kHoldNs - 1;
    publish();
    ASSERT_EQ(quick->claimed.load(), view->snapshot);
    expect_all(*view, value - 1);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(slow->claimed.load(), shardfile::kEvicted);
  EXPECT_EQ(publisher_.evictions(), 1u);
}

// No root has ever heard of those pages: they need not wait for the next one.
TEST_F(Publisher, WhatReadersLetGoIsUsedAgainBeforeTheNextCheckpoint) {
  fill(1);
  checkpoint();
  shardfile::ReaderSlot* slot = root_->take_slot(1);
  publish();
  for (std::uint32_t value = 2; value < 500; ++value) {
    const auto view = root_->claim(*slot);
    ASSERT_TRUE(view && view->snapshot != 0);
    fill(value);
    publish();
    expect_all(*view, value - 1);
    if (HasFatalFailure()) return;
    // In the middle of a checkpoint, too, which reads on in what it began with.
    if (value == 200) {
      EXPECT_TRUE(store_->begin_checkpoint({}).ok());
    }
  }
  EXPECT_LE(store_->pages().total, 2 * 64 + shardfile::kRootSlots) << "two extents: the root, two views, the newest";
  auto step = store_->checkpoint_work(1000);
  while (step == CheckpointStep::work) step = store_->checkpoint_work(1000);
  while (step != CheckpointStep::done) step = *store_->checkpoint_synced({});
  EXPECT_TRUE(store_->verify().ok());
}

TEST_F(Publisher, WithoutALimitAClaimStaysAsLongAsItsReader) {
  RootPublisher patient(*root_, 0);
  fill(1);
  shardfile::ReaderSlot* slot = root_->take_slot(1);
  patient.publish(*store_, file_.page_count(), 1);
  const auto kept = root_->claim(*slot);
  fill(2);
  patient.publish(*store_, file_.page_count(), 2);
  patient.publish(*store_, file_.page_count(), ~std::uint64_t{0});
  EXPECT_EQ(slot->claimed.load(), kept->snapshot);
  expect_all(*kept, 1);
}

TEST_F(Publisher, AReaderThatDiedIsNoticed) {
  fill(1);
  const pid_t pid = ::fork();
  if (pid == 0) {
    root_->take_slot(shardfile::own_identity());
    ::pause();
  }
  while (!root_->has_readers()) std::this_thread::yield();
  shardfile::ReaderSlot* slot = &root_->slots[0];
  publish();
  ASSERT_TRUE(root_->claim(*slot));
  fill(2);
  publish();
  publisher_.clear_dead_readers();
  publish();
  EXPECT_FALSE(store_->pins().empty()) << "it lives";
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  // Ended, but nobody has waited for it: it holds nothing any more.
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOWAIT), 0);
  publisher_.clear_dead_readers();
  publish();
  EXPECT_TRUE(store_->pins().empty());
  EXPECT_FALSE(root_->has_readers());
  ::waitpid(pid, nullptr, 0);
}

TEST_F(Publisher, AnotherProcessWithADeadReadersNumberIsNotThatReader) {
  fill(1);
  constexpr std::uint64_t kOneTick = std::uint64_t{1} << 22;
  shardfile::ReaderSlot* slot = root_->take_slot(shardfile::own_identity() - kOneTick);
  publish();
  ASSERT_TRUE(root_->claim(*slot));
  publisher_.clear_dead_readers();
  publish();
  EXPECT_TRUE(store_->pins().empty());
}

// Killed after it took its slot, before it said so: the next one that comes is served, and leaves nothing behind.
TEST_F(Publisher, AReaderKilledWhileItCameDoesNotDisturbTheNext) {
  fill(1);
  publish();
  root_->slots[0].reader.store((std::uint64_t{1} << 22) - 1);  // no such process: no arrival either
  publisher_.clear_dead_readers();
  shardfile::ReaderSlot* slot = root_->take_slot(shardfile::own_identity());
  EXPECT_TRUE(publish());
  const auto claimed = root_->claim(*slot);
  ASSERT_TRUE(claimed && claimed->snapshot != 0);
  root_->leave(*slot, shardfile::own_identity());
  EXPECT_FALSE(publish());
  EXPECT_TRUE(store_->pins().empty());
}

TEST(PublishedRoot, SixtyReadersAndNoMore) {
  const auto root = std::make_unique<shardfile::PublishedRoot>();
  for (std::size_t i = 0; i < shardfile::kReaderSlots; ++i) ASSERT_NE(root->take_slot(7), nullptr);
  EXPECT_EQ(root->take_slot(7), nullptr);
}

TEST(PublishedRoot, APublicationIsReadWhole) {
  const auto root = std::make_unique<shardfile::PublishedRoot>();
  const std::jthread writer([&](const std::stop_token& stop) {
    for (std::uint64_t i = 1; !stop.stop_requested(); ++i)
      root->publish({i, i * 3, {i * 5, static_cast<std::uint32_t>(i * 7), 0}, static_cast<std::uint32_t>(i * 11)});
  });
  for (int i = 0; i < 200'000; ++i) {
    const auto found = root->read();
    ASSERT_TRUE(found);
    const std::uint64_t n = found->snapshot;
    ASSERT_EQ(found->lsn, n * 3);
    ASSERT_EQ(found->top.tag_and_revision, n * 5);
    ASSERT_EQ(found->top.value, static_cast<std::uint32_t>(n * 7));
    ASSERT_EQ(found->pages, static_cast<std::uint32_t>(n * 11));
  }
}

}  // namespace
}  // namespace terrazzo::storage
