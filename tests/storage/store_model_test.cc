// Random edits, fills, blobs, snapshots, versions, branches, restores, drops, checkpoints, power cuts and reopenings of
// a shard's store against a plain model in memory, byte for byte. The seed is the test's parameter; TERRAZZO_STORE_SEED
// and TERRAZZO_STORE_STEPS run another.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "crashing_file.h"
#include "server/storage/shard_store.h"
#include "shardfile/tree_diff.h"
#include "store_model.h"

namespace terrazzo::storage {
namespace {

constexpr ShardIdentity kIdentity{WorldId{42}, -3, 7};
// Layers and chunks that meet: in one region, in neighbouring ones, at the corners of the shard. The seed draws more.
constexpr std::array<std::uint8_t, 3> kLayers{0, 1, 255};
constexpr std::array<std::uint16_t, 12> kChunks{0,    1,     15,   16, 17, 255, 256 * 16, 256 * 17 + 3, 256 * 17 + 4,
                                                4097, 40000, 65535};
constexpr std::size_t kLayersDrawn = 2, kChunksDrawn = 60;

std::uint32_t env(const char* name, std::uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

// A number may be given once for each kind and head.
struct PinKey {
  PinKind kind = PinKind::version;
  std::uint64_t id = 0;
  HeadId head = kMainHead;
  auto operator<=>(const PinKey&) const = default;
};

// The model of a whole store: heads and pins with their states.
struct Model {
  std::map<HeadId, ModelState> heads{{kMainHead, {}}};
  struct Pin {
    HeadId head;
    ModelState state;
  };
  std::map<PinKey, Pin> pins;
};

class StoreModel {
 public:
  explicit StoreModel(std::uint32_t seed) : random_(seed), store_(*ShardStore::create(file_, kIdentity)) {
    while (layers_.size() < kLayers.size() + kLayersDrawn) draw(layers_);
    while (chunks_.size() < kChunks.size() + kChunksDrawn) draw(chunks_);
    checkpoint();  // before the first root, everything is in the log
  }

  void step() {
    const unsigned kind = pick(1000);
    if (kind < 700) return edit();
    if (kind < 730) return pin();
    if (kind < 760) return unpin();
    if (kind < 790) return restore();
    if (kind < 800) return add_branch();
    if (kind < 808) return drop_branch();
    if (kind < 920) return reclaim();
    if (kind < 940) return begin_checkpoint();
    if (kind < 985) return advance_checkpoint();
    if (kind < 990) return crash();
    if (kind < 993) return reopen_clean();
    if (kind < 996) return diff();
    check();
  }

  void finish() {
    check();
    if (testing::Test::HasFatalFailure()) return;
    while (!model_.pins.empty()) drop_pin(model_.pins.begin()->first);
    for (const HeadId branch : store_->branches()) ASSERT_TRUE(store_->drop_branch(branch).ok());
    model_.heads = {{kMainHead, model_.heads[kMainHead]}};
    while (store_->reclaim(1000)) {
    }
    // Two roots later nothing of the past is pending, not even the chains of the root before; the file holds exactly
    // the live pages.
    checkpoint();
    checkpoint();
    check();
    EXPECT_EQ(store_->pages().pending, 0u);
    EXPECT_EQ(store_->pages().live, reached_by_main());
  }

 private:
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }
  // Half of the time one of the fixed ones, so that they meet.
  std::uint8_t layer() { return layers_[pick(static_cast<unsigned>(pick(2) == 0 ? kLayers.size() : layers_.size()))]; }
  std::uint16_t chunk() { return chunks_[pick(static_cast<unsigned>(pick(2) == 0 ? kChunks.size() : chunks_.size()))]; }
  template <class Number>
  void draw(std::vector<Number>& into) {
    const auto drawn = static_cast<Number>(random_());
    if (std::ranges::find(into, drawn) == into.end()) into.push_back(drawn);
  }
  HeadId any_head() {
    auto it = model_.heads.begin();
    std::advance(it, pick(2) == 0 ? 0 : pick(static_cast<unsigned>(model_.heads.size())));
    return it->first;
  }

  void edit() {
    const HeadId head = any_head();
    ModelState& state = model_.heads[head];
    ASSERT_EQ(store_->lsn(head).value, state.lsn);
    ASSERT_TRUE(store_->begin_edit(Lsn{++state.lsn}, 40, head).ok());
    const std::uint8_t l = layer();
    const std::uint16_t c = chunk();
    const auto value = static_cast<std::uint32_t>(random_());
    const auto fill = [&](auto&& matches) {
      for (const std::uint16_t other : chunks_) {
        if (!matches(other)) continue;
        ModelChunk& changed = state.change(l, other, state.lsn);
        changed.cells.fill(value);
        changed.blob.clear();
      }
    };
    const unsigned kind = pick(100);
    if (kind < 70) {
      std::uint32_t* cells = store_->write(l, c);
      ModelChunk& changed = state.change(l, c, state.lsn);
      changed.blob.clear();
      for (int i = 0; i < 3; ++i) {
        const std::size_t at = pick(1024);
        cells[at] = changed.cells[at] = value + static_cast<std::uint32_t>(i);
      }
    } else if (kind < 80) {
      store_->fill_chunk(l, c, value);
      fill([&](std::uint16_t other) { return other == c; });
    } else if (kind < 86) {
      store_->fill_region(l, shardfile::region_of(c), value);
      fill([&](std::uint16_t other) { return shardfile::region_of(other) == shardfile::region_of(c); });
    } else if (kind < 88) {
      store_->fill_layer(l, value);
      fill([](std::uint16_t) { return true; });
    } else {
      std::vector<std::byte> bytes(pick(3) == 0 ? 0 : pick(13000));
      for (std::byte& b : bytes) b = static_cast<std::byte>(random_());
      store_->write_blob(l, c, bytes);
      ModelChunk& changed = state.change(l, c, state.lsn);
      changed.cells.fill(0);
      changed.blob = std::move(bytes);
    }
  }

  void pin() {
    if (model_.pins.size() >= 12) return;
    const HeadId head = any_head();
    const auto kind = static_cast<PinKind>(pick(3));
    const std::uint64_t id = ++last_ids_[head];
    store_->pin(kind, id, head);
    model_.pins[{kind, id, head}] = {head, model_.heads[head]};
  }
  void drop_pin(PinKey key) {
    ASSERT_TRUE(store_->unpin(key.kind, key.id, key.head).ok());
    EXPECT_FALSE(store_->unpin(key.kind, key.id, key.head).ok());
    model_.pins.erase(key);
  }
  const Model::Pin* any_pin(PinKey& key) {
    if (model_.pins.empty()) return nullptr;
    auto it = model_.pins.begin();
    std::advance(it, pick(static_cast<unsigned>(model_.pins.size())));
    key = it->first;
    return &it->second;
  }
  void unpin() {
    PinKey key;
    if (any_pin(key) != nullptr) drop_pin(key);
  }

  void restore() {
    PinKey key;
    const Model::Pin* pin = any_pin(key);
    if (pin == nullptr) return;
    const HeadId head = any_head();
    ModelState& state = model_.heads[head];
    const int x = static_cast<int>(pick(256)), y = static_cast<int>(pick(256));
    const ChunkRect area = pick(2) == 0
                               ? ChunkRect{}
                               : ChunkRect{pick(2) == 0 ? 0 : x, pick(2) == 0 ? 0 : y, pick(2) == 0 ? 256 : x + 1, 256};
    ASSERT_TRUE(store_->begin_edit(Lsn{++state.lsn}, 1200, head).ok());
    const PinInfo info = *store_->find_pin(key.kind, key.id, key.head);
    for (unsigned i = pick(2); i < 2; ++i) {
      const std::uint8_t l = layer();
      store_->restore(info, l, area);
      for (const std::uint16_t c : chunks_) {
        const int cx = c & 255, cy = c >> 8;
        if (cx < area.x0 || cx >= area.x1 || cy < area.y0 || cy >= area.y1) continue;
        const ModelChunk& wanted = pin->state.at(l, c);
        const ModelChunk& now = state.at(l, c);
        if (wanted.cells == now.cells && wanted.blob == now.blob) {
          // A region that becomes one entry again is news as a whole.
          if (store_->read(l, c, head).revision.value == state.lsn) state.change(l, c, state.lsn);
          continue;
        }
        ModelChunk& changed = state.change(l, c, state.lsn);
        changed.cells = wanted.cells;
        changed.blob = wanted.blob;
      }
    }
  }

  void add_branch() {
    PinKey key;
    const Model::Pin* pin = any_pin(key);
    if (pin == nullptr || model_.heads.size() >= 4) return;
    const HeadId branch = ++last_branch_;
    ASSERT_TRUE(store_->add_branch(branch, *store_->find_pin(key.kind, key.id, key.head)).ok());
    EXPECT_FALSE(store_->add_branch(branch, *store_->find_pin(key.kind, key.id, key.head)).ok());
    model_.heads[branch] = pin->state;
  }
  void drop_branch() {
    if (model_.heads.size() < 2) return;
    const HeadId branch = std::prev(model_.heads.end())->first;
    ASSERT_TRUE(store_->drop_branch(branch).ok());
    model_.heads.erase(branch);
    std::erase_if(model_.pins, [&](const auto& pin) { return pin.first.head == branch; });
  }
  void reclaim() { store_->reclaim(pick(2000)); }

  // ---- checkpoints and the ends of runs ----

  void begin_checkpoint() {
    if (store_->checkpoint_running()) return;
    const std::vector<std::byte> aux(pick(9000), static_cast<std::byte>(random_()));
    const Result<CheckpointStep> begun = store_->begin_checkpoint(std::make_unique<AuxBytes>(aux));
    ASSERT_TRUE(begun.ok()) << begun.error().message;
    next_ = *begun;
    written_ = model_;
    written_aux_ = aux;
    root_written_ = false;
  }
  void advance_checkpoint() {
    if (!store_->checkpoint_running()) return;
    if (next_ == CheckpointStep::work) {
      next_ = store_->checkpoint_work(1 + pick(6));
      return;
    }
    file_.sync();
    const Result<CheckpointStep> step = store_->checkpoint_synced({});
    ASSERT_TRUE(step.ok()) << step.error().message;
    next_ = *step;
    root_written_ = next_ == CheckpointStep::sync_root;
    if (next_ == CheckpointStep::done) {
      durable_ = written_;
      durable_aux_ = written_aux_;
    }
  }
  void checkpoint() {
    begin_checkpoint();
    while (store_->checkpoint_running() && !testing::Test::HasFatalFailure()) advance_checkpoint();
    if (pick(2) != 0) return;
    begin_checkpoint();
    while (store_->checkpoint_running() && !testing::Test::HasFatalFailure()) advance_checkpoint();
  }
  void open() {
    Result<std::unique_ptr<ShardStore>> opened = ShardStore::open(file_, kIdentity);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store_ = *std::move(opened);
    std::erase_if(durable_.pins, [](const auto& pin) { return pin.first.kind == PinKind::snapshot; });
    model_ = durable_;
  }
  // Of what was not synced, any part is on the disk; a root that was written may be, too.
  void crash() {
    const bool maybe = store_->checkpoint_running() && root_written_;
    file_.crash(random_);
    Result<std::unique_ptr<ShardStore>> opened = ShardStore::open(file_, kIdentity);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    if (maybe && (*opened)->aux() == written_aux_ && (*opened)->aux() != durable_aux_) {
      durable_ = written_;
      durable_aux_ = written_aux_;
    }
    opened = Error{};
    open();
    if (testing::Test::HasFatalFailure()) return;
    EXPECT_EQ(store_->aux(), durable_aux_);
    check();
  }
  void reopen_clean() {
    checkpoint();
    if (testing::Test::HasFatalFailure()) return;
    file_.sync();
    open();
    if (!testing::Test::HasFatalFailure()) check();
  }

  // ---- looking ----

  template <class Read>
  void expect_state(const ModelState& state, Read&& read, const char* what, std::uint64_t number) {
    for (const std::uint8_t l : layers_) {
      for (const std::uint16_t c : chunks_) {
        const ModelChunk& expected = state.at(l, c);
        const ChunkRead found = read(l, c);
        ASSERT_EQ(found.revision.value, expected.revision) << what << number << " layer " << int{l} << " chunk " << c;
        if (found.cells != nullptr && std::memcmp(found.cells, expected.cells.data(), kPageBytes) == 0) continue;
        for (std::size_t i = 0; i < 1024; ++i)
          ASSERT_EQ(found.cells == nullptr ? found.fill : found.cells[i], expected.cells[i])
              << what << number << " layer " << int{l} << " chunk " << c << " cell " << i;
      }
    }
  }

  void check() {
    for (const auto& [id, state] : model_.heads) {
      expect_state(
          state, [&](std::uint8_t l, std::uint16_t c) { return store_->read(l, c, id); }, "head ", id);
      if (testing::Test::HasFatalFailure()) return;
      for (const std::uint8_t l : layers_)
        for (const std::uint16_t c : chunks_)
          ASSERT_EQ(store_->read_blob(l, c, id).value_or(std::vector<std::byte>()), state.at(l, c).blob);
    }
    for (const auto& [key, pin] : model_.pins) {
      const PinInfo* info = store_->find_pin(key.kind, key.id, key.head);
      ASSERT_NE(info, nullptr);
      EXPECT_EQ(info->lsn.value, pin.state.lsn);
      expect_state(
          pin.state, [&](std::uint8_t l, std::uint16_t c) { return store_->read(*info, l, c); }, "pin ", key.id);
      if (testing::Test::HasFatalFailure()) return;
    }
    const Status verified = store_->verify();
    ASSERT_TRUE(verified.ok()) << verified.error().message;
  }

  shardfile::TreeReader reader(const shardfile::Entry& top) {
    return {{file_.base(), std::size_t{file_.page_count()} * kPageBytes}, top};
  }
  void diff() {
    PinKey a, b;
    const Model::Pin *pin_a = any_pin(a), *pin_b = any_pin(b);
    if (pin_a == nullptr) return;
    std::map<ModelState::Key, bool> visited;
    ASSERT_TRUE(shardfile::diff_trees(reader(store_->find_pin(a.kind, a.id, a.head)->top),
                                      reader(store_->find_pin(b.kind, b.id, b.head)->top),
                                      [&](std::uint8_t l, std::uint16_t c) {
                                        visited[{l, c}] = true;
                                      }));
    for (const std::uint8_t l : layers_)
      for (const std::uint16_t c : chunks_) {
        const ModelChunk &x = pin_a->state.at(l, c), &y = pin_b->state.at(l, c);
        const bool differs = x.cells != y.cells || x.blob != y.blob;
        ASSERT_TRUE(!differs || visited.contains({l, c})) << int{l} << " " << c;
        // Nothing ever touched, or the very same: not looked at.
        if (x.revision == 0 && y.revision == 0) {
          ASSERT_FALSE(visited.contains({l, c}));
        }
      }
  }

  template <class Visit>
  void visit_pages(const shardfile::Entry& top, std::uint8_t layer, Visit&& visit) {
    const auto below = [&](auto& self, const shardfile::Entry& entry, int level) -> void {
      if (!entry.has_page()) return;
      visit(entry.value);
      const std::byte* bytes = file_.base() + std::size_t{entry.value} * kPageBytes;
      if (entry.tag() == shardfile::Tag::blob) {
        const PageNo next = reinterpret_cast<const shardfile::BlobPage*>(bytes)->next;
        if (next != 0) self(self, shardfile::Entry::make(shardfile::Tag::blob, 0, next), level);
      } else if (level < 3) {
        const auto& node = *reinterpret_cast<const shardfile::Node*>(bytes);
        for (unsigned i = 0; i < shardfile::kNodeEntries; ++i)
          if (level != 0 || i == layer) self(self, node[i], level + 1);
      }
    };
    below(below, top, 0);
  }

  PageNo reached_by_main() {
    PageNo pages = shardfile::kRootSlots;
    const auto chain = [&](std::size_t bytes) { pages += static_cast<PageNo>((bytes + 4087) / 4088); };
    chain(durable_aux_.size());
    chain((file_.page_count() + 7) / 8);
    std::vector<bool> seen(file_.page_count());
    for (const std::uint8_t l : layers_)
      visit_pages(store_->top(), l, [&](PageNo page) {
        if (!seen[page]) ++pages;
        seen[page] = true;
      });
    return pages;
  }

  std::mt19937 random_;
  std::vector<std::uint8_t> layers_{kLayers.begin(), kLayers.end()};
  std::vector<std::uint16_t> chunks_{kChunks.begin(), kChunks.end()};
  CrashingFile file_;
  std::unique_ptr<ShardStore> store_;
  Model model_, written_, durable_;
  std::vector<std::byte> written_aux_, durable_aux_;
  CheckpointStep next_ = CheckpointStep::done;
  bool root_written_ = false;
  std::map<HeadId, std::uint64_t> last_ids_;
  HeadId last_branch_ = 0;
};

class StoreModelSeeds : public testing::TestWithParam<std::uint32_t> {};

TEST_P(StoreModelSeeds, TheStoreIsWhatTheModelIs) {
  const std::uint32_t seed = env("TERRAZZO_STORE_SEED", GetParam()), steps = env("TERRAZZO_STORE_STEPS", 10000);
  std::printf("TERRAZZO_STORE_SEED=%u TERRAZZO_STORE_STEPS=%u\n", seed, steps);
  StoreModel model(seed);
  for (std::uint32_t i = 0; i < steps; ++i) {
    model.step();
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << " step " << i;
  }
  model.finish();
  ASSERT_FALSE(HasFailure()) << "seed " << seed;
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreModelSeeds, testing::Range(1u, 9u));

}  // namespace
}  // namespace terrazzo::storage
