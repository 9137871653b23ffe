// Shards whose cold pages cannot be touched, beside shards whose pages are all there: both must do the same, and the
// first must never touch what looking ahead did not name. Touching it ends the test program; the seed is printed first.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "cold_page_file.h"
#include "memory_page_file.h"
#include "server/shard/shard_router.h"
#include "shard_fixture.h"
#include "shardfile/tree_reader.h"

namespace terrazzo::shard {
namespace {

constexpr map::LayerId kLayers[] = {0, 1};

// One of the two shards.
template <class File>
struct Side {
  File file;
  proto::Encoder encoder;
  EncodedChunks encoded{0};  // every subscription reads its pages
  RecordingOutput out;
  std::vector<std::uint64_t> versions, deleted;
  std::unique_ptr<Shard> shard;

  void open() {
    std::unique_ptr<storage::ShardStore> store;
    const storage::ShardIdentity identity{kWorld, 0, 0};
    if (file.page_count() != 0) store = std::move(storage::ShardStore::open(file, identity)).value();
    shard = std::make_unique<Shard>(ShardKey{kWorld, {0, 0}}, test_world(), RunInfo{Incarnation{1}, versions, deleted},
                                    encoder, encoded, std::move(store),
                                    [this, identity] { return storage::ShardStore::create(file, identity); });
    shard->recovered();
  }
};

class ColdShard {
 public:
  explicit ColdShard(std::uint32_t seed) : random_(seed) {
    cold_.open();
    warm_.open();
  }
  std::size_t brought() const { return brought_; }
  std::size_t released() const { return released_; }

  void step() {
    const std::uint32_t kind = pick(1000);
    if (kind < 550) return edit();
    if (kind < 660) return subscribe();
    if (kind < 700) return refresh();
    if (kind < 740) return version();
    if (kind < 760) return drop();
    if (kind < 800) return restore();
    if (kind < 860) return release();
    if (kind < 900) return reclaim();
    if (kind < 985) return checkpoint_step();
    if (kind < 990) return reopen();
    compare();
  }
  void compare() {
    if (warm_.shard->store() == nullptr) return;
    cold_.file.thaw();
    for (const map::LayerId layer : kLayers) {
      for (unsigned i = 0; i < 0x10000; ++i) {
        const auto chunk = static_cast<std::uint16_t>(i);
        const storage::ChunkRead a = cold_.shard->store()->read(layer, chunk),
                                 b = warm_.shard->store()->read(layer, chunk);
        ASSERT_EQ(a.revision, b.revision) << int{layer} << " " << chunk;
        for (std::size_t cell = 0; cell < 1024; cell += a.cells == nullptr && b.cells == nullptr ? 1024 : 1)
          ASSERT_EQ(a.cells == nullptr ? a.fill : a.cells[cell], b.cells == nullptr ? b.fill : b.cells[cell])
              << int{layer} << " " << chunk;
      }
    }
    freeze();
  }

 private:
  std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }
  void freeze() {
    if (cold_.shard->residency() != nullptr) cold_.file.freeze_all_but(*cold_.shard->residency());
  }

  void bring(const storage::Missing& missing) {
    ASSERT_FALSE(missing.damaged);
    for (const storage::ColdPage& page : missing.pages) {
      cold_.file.thaw(page.page);
      const std::byte* bytes = cold_.file.base() + std::size_t{page.page} * storage::kPageBytes;
      if (page.crc != 0) {
        ASSERT_EQ(page.crc, shardfile::page_checksum(bytes)) << "page " << page.page;
      }
      cold_.shard->residency()->brought(page.page);
      ++brought_;
    }
  }
  template <class Look>
  void look(Look&& ask) {
    for (int round = 0;; ++round) {
      ASSERT_LT(round, 8);
      storage::Missing missing;
      ask(missing);
      if (missing.nothing()) return;
      bring(missing);
    }
  }

  // Most in a few chunks, some large; now and then to the very border of regions, the shard, or a chunk.
  map::Rect rect() {
    const std::uint32_t kind = pick(20);
    if (kind == 0) return map::Rect::of_size(0, 0, 8192, 8192);
    if (kind == 1) return map::Rect::of_size(512 * pick(4), 512 * pick(4), 512 * (1 + pick(3)), 512);
    if (kind < 4) return map::Rect::of_size(pick(2000), pick(2000), 1 + pick(1500), 1 + pick(700));
    if (kind < 6) return map::Rect::of_size(32 * pick(40), 32 * pick(40), 32 * (1 + pick(3)), 32 * (1 + pick(3)));
    return map::Rect::of_size(pick(1500), pick(1500), 1 + pick(40), 1 + pick(8));
  }
  void send(const std::function<void(EditRequest&)>& change) {
    for (const bool cold : {true, false}) {
      EditRequest request;
      request.shard = {kWorld, {0, 0}};
      request.origin.session = SessionId{1};
      request.edit.id = EditId{next_edit_};
      change(request);
      if (cold) {
        look([&](storage::Missing& missing) { cold_.shard->look(request, missing); });
        cold_.shard->edit(request, cold_.out);
      } else {
        warm_.shard->edit(request, warm_.out);
      }
    }
    ++next_edit_;
    cold_.out = {};
    warm_.out = {};
  }
  // Of at most 300×300 cells, wherever there is something.
  map::Op derived() {
    const auto place = [&] {
      return map::CellPos{static_cast<std::int32_t>(pick(2000)), static_cast<std::int32_t>(pick(2000))};
    };
    const map::CellPos at = place();
    const map::Rect area = map::Rect::of_size(at.x, at.y, 1 + pick(300), 1 + pick(300));
    if (pick(2) == 0) return map::flood_op(kLayers[pick(2)], at, map::Cell{pick(4)}, area);
    return map::copy_op(kLayers[pick(2)], area, kLayers[pick(2)], place(),
                        map::Turn::of(static_cast<map::Flip>(pick(4)), pick(4)));
  }
  void edit() {
    std::vector<map::Op> several;
    if (pick(3) == 0) {
      for (std::uint32_t i = 0; i <= pick(3); ++i) several.push_back(derived());
      // Large enough to be pinned, if it were alone.
      if (pick(4) == 0) several.push_back({map::OpKind::fill, kLayers[pick(2)], rect(), map::Cell{pick(4)}, {}, {}});
      return send([&](EditRequest& request) { request.edit.ops = several; });
    }
    map::Op op;
    op.layer = kLayers[pick(2)];
    op.rect = rect();
    op.cell = map::Cell{pick(4)};
    std::vector<map::Cell> cells;
    const std::uint32_t kind = pick(4);
    if (kind == 0 && op.rect.area() <= 100'000) {
      op.kind = map::OpKind::set;
      for (std::uint64_t i = 0; i < op.rect.area(); ++i) cells.push_back(map::Cell{pick(4)});
      op.cells = cells;
    } else if (kind == 1) {
      op.kind = map::OpKind::replace;
      op.from = map::Cell{pick(4)};
    } else {
      op.kind = map::OpKind::fill;
    }
    map::Condition condition;
    condition.layer = kLayers[pick(2)];
    condition.rect = map::Rect::of_size(pick(1500), pick(1500), 1, 1);
    const map::Cell expected{pick(2)};
    condition.cells = {&expected, 1};
    const bool conditional = pick(5) == 0;
    send([&](EditRequest& request) {
      request.edit.ops = {&op, 1};
      if (conditional) request.edit.conditions = {&condition, 1};
    });
  }
  void restore() {
    if (warm_.shard->store() == nullptr) return;
    const std::vector<storage::PinInfo> pins = warm_.shard->store()->pins();
    if (pins.empty()) return;
    const storage::PinInfo& pin = pins[pick(static_cast<std::uint32_t>(pins.size()))];
    if (pin.dropping) return;
    Restore what{pin.kind, pin.id, {{kLayers[pick(2)], rect()}}};
    send([&](EditRequest& request) { request.restore = what; });
  }
  void subscribe() {
    SubscribeRequest request;
    request.shard = {kWorld, {0, 0}};
    request.origin.core = static_cast<CoreId>(pick(3));
    request.form = pick(2) == 0 ? proto::Form::binary : proto::Form::json;
    request.chunks = map::chunks_of(rect());
    if (request.chunks.area() > 400) request.chunks = map::Rect::of_size(pick(60), pick(60), 8, 8);
    request.layers = {0, 1};
    request.incarnation = Incarnation{1};
    for (std::int64_t x = request.chunks.x0; x < request.chunks.x1 && pick(2) == 0; ++x) {
      const map::ChunkPos chunk{static_cast<std::int32_t>(x), static_cast<std::int32_t>(request.chunks.y0)};
      const Lsn revision =
          warm_.shard->store() == nullptr ? Lsn{} : warm_.shard->store()->read(0, map::index_in_shard(chunk)).revision;
      request.known.push_back({0, chunk, pick(3) == 0 ? next(revision) : revision});
    }
    look([&](storage::Missing& missing) { cold_.shard->look(request, missing); });
    cold_.shard->subscribe(request, cold_.out);
    warm_.shard->subscribe(request, warm_.out);
    expect_same_replies();
  }
  void expect_same_replies() {
    ASSERT_EQ(cold_.out.replies.size(), warm_.out.replies.size());
    const StatesReply &a = *cold_.out.replies.back(), &b = *warm_.out.replies.back();
    ASSERT_EQ(a.frames.size(), b.frames.size());
    for (std::size_t i = 0; i < a.frames.size(); ++i)
      ASSERT_TRUE(std::ranges::equal(a.frames[i].bytes(), b.frames[i].bytes()));
    cold_.out = {};
    warm_.out = {};
  }
  void refresh() {
    RefreshRequest request;
    request.shard = {kWorld, {0, 0}};
    request.form = pick(2) == 0 ? proto::Form::binary : proto::Form::json;
    request.since = Lsn{pick(static_cast<std::uint32_t>(warm_.shard->lsn().value + 1))};
    for (int i = 0; i < 2; ++i) request.areas.push_back({map::Rect::of_size(pick(60), pick(60), 6, 6), {0, 1}});
    look([&](storage::Missing& missing) { cold_.shard->look(request, missing); });
    cold_.shard->refresh(request, cold_.out);
    warm_.shard->refresh(request, warm_.out);
    expect_same_replies();
  }
  void version() {
    ++last_version_;
    for (auto* versions : {&cold_.versions, &warm_.versions}) versions->push_back(last_version_);
    cold_.shard->take_version(last_version_);
    warm_.shard->take_version(last_version_);
  }
  void drop() {
    if (last_version_ == 0) return;
    const std::uint64_t id = 1 + pick(static_cast<std::uint32_t>(last_version_));
    for (auto* deleted : {&cold_.deleted, &warm_.deleted}) deleted->push_back(id);
    cold_.shard->drop_version(id);
    warm_.shard->drop_version(id);
  }
  void reclaim() {
    warm_.shard->reclaim(300);
    storage::Missing missing;
    cold_.shard->reclaim(300, &missing);
    bring(missing);
  }
  void release() {
    storage::Residency* const residency = cold_.shard->residency();
    if (residency == nullptr) return;
    for (storage::PageNo extent = 0; extent * storage::Residency::kExtentPages < cold_.file.page_count(); ++extent)
      if (residency->is_clean(extent) && pick(2) == 0)
        released_ += static_cast<std::size_t>(std::popcount(residency->release(extent)));
    freeze();
  }
  // The two need not be at the same place of a checkpoint.
  template <class SideOf>
  void checkpoint_step(SideOf& side, std::optional<storage::CheckpointStep>& step) {
    if (side.shard->store() == nullptr) return;
    if (!step) {
      if (!side.shard->store()->dirty()) return;
      if (&side.shard == &cold_.shard) look([&](storage::Missing& missing) { cold_.shard->look_checkpoint(missing); });
      const auto begun = side.shard->begin_checkpoint();
      ASSERT_TRUE(begun.ok()) << begun.error().message;
      step = *begun;
    } else if (*step == storage::CheckpointStep::work) {
      storage::Missing missing;
      step = side.shard->checkpoint_work(40, &missing);
      if (&side.shard == &cold_.shard) bring(missing);
    } else {
      step = *side.shard->checkpoint_synced({});
    }
    if (*step == storage::CheckpointStep::done) step.reset();
  }
  void checkpoint_step() {
    checkpoint_step(cold_, cold_step_);
    checkpoint_step(warm_, warm_step_);
  }
  void reopen() {
    if (warm_.shard->store() == nullptr) return;
    for (int i = 0; i < 2; ++i) {
      do checkpoint_step(cold_, cold_step_);
      while (cold_step_ && !testing::Test::HasFatalFailure());
      do checkpoint_step(warm_, warm_step_);
      while (warm_step_ && !testing::Test::HasFatalFailure());
    }
    cold_.file.thaw();
    cold_.open();
    warm_.open();
    freeze();
  }

  std::mt19937 random_;
  Side<ColdPageFile> cold_;
  Side<MemoryPageFile> warm_;
  std::optional<storage::CheckpointStep> cold_step_, warm_step_;
  std::uint64_t next_edit_ = 1, last_version_ = 0;
  std::size_t brought_ = 0, released_ = 0;
};

class LookAheadSeeds : public testing::TestWithParam<std::uint32_t> {};

TEST_P(LookAheadSeeds, NothingIsTouchedThatIsNotPresent) {
  const char* chosen = std::getenv("TERRAZZO_LOOK_SEED");
  const auto seed = chosen != nullptr ? static_cast<std::uint32_t>(std::atoi(chosen)) : GetParam();
  std::printf("TERRAZZO_LOOK_SEED=%u\n", seed);
  std::fflush(stdout);
  ColdShard shard(seed);
  for (int i = 0; i < 600; ++i) {
    shard.step();
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << " step " << i;
  }
  shard.compare();
  EXPECT_GT(shard.brought(), 100u);
  EXPECT_GT(shard.released(), 100u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, LookAheadSeeds, testing::Range(1u, 9u));

}  // namespace
}  // namespace terrazzo::shard
