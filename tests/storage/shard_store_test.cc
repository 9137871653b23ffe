// The store against a plain model, and against disks that keep any part of what was not synced.
#include "server/storage/shard_store.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "base/crc32c.h"
#include "crashing_file.h"
#include "shardfile/page_layout.h"

namespace terrazzo::storage {

using shardfile::kRootSlots;

namespace {

constexpr ShardIdentity kIdentity{WorldId{42}, -3, 7};
using Cells = std::array<std::uint32_t, 1024>;

struct Chunk {
  Cells cells{};
  std::uint64_t revision = 0;
  bool operator==(const Chunk&) const = default;
};
using Model = std::map<std::pair<std::uint8_t, std::uint16_t>, Chunk>;

// Few layers and chunks that meet: in one region, in neighbouring ones, at the corners of the shard.
constexpr std::array<std::uint8_t, 3> kLayers{0, 1, 255};
constexpr std::array<std::uint16_t, 8> kChunks{0, 1, 15, 16, 255, 256 * 16, 256 * 17 + 3, 65535};

std::uint8_t region_of(std::uint16_t chunk) {
  return static_cast<std::uint8_t>((chunk >> 12 << 4) | (chunk >> 4 & 15));
}

void random_edit(ShardStore& store, Model& model, std::mt19937& random) {
  const Lsn lsn = next(store.lsn());
  ASSERT_TRUE(store.begin_edit(lsn, 16).ok());
  const std::uint8_t layer = kLayers[random() % kLayers.size()];
  const std::uint16_t chunk = kChunks[random() % kChunks.size()];
  const auto value = static_cast<std::uint32_t>(random());
  const auto fill = [&](auto&& matches) {
    for (const std::uint8_t l : kLayers)
      for (const std::uint16_t c : kChunks)
        if (l == layer && matches(c)) {
          model[{l, c}].cells.fill(value);
          model[{l, c}].revision = lsn.value;
        }
  };
  const auto kind = static_cast<unsigned>(random() % 20);
  if (kind < 14) {
    std::uint32_t* cells = store.write(layer, chunk);
    Chunk& expected = model[{layer, chunk}];
    for (int i = 0; i < 3; ++i) {
      const std::size_t at = random() % 1024;
      cells[at] = expected.cells[at] = value + static_cast<std::uint32_t>(i);
    }
    expected.revision = lsn.value;
  } else if (kind < 17) {
    store.fill_chunk(layer, chunk, value);
    fill([&](std::uint16_t c) { return c == chunk; });
  } else if (kind < 19) {
    store.fill_region(layer, region_of(chunk), value);
    fill([&](std::uint16_t c) { return region_of(c) == region_of(chunk); });
  } else {
    store.fill_layer(layer, value);
    fill([](std::uint16_t) { return true; });
  }
}

void expect_state(const ShardStore& store, const Model& model) {
  for (const std::uint8_t layer : kLayers) {
    for (const std::uint16_t chunk : kChunks) {
      const auto found = model.find({layer, chunk});
      const Chunk expected = found == model.end() ? Chunk{} : found->second;
      const ChunkRead read = store.read(layer, chunk);
      ASSERT_EQ(read.revision.value, expected.revision) << int{layer} << " " << chunk;
      for (std::size_t i = 0; i < 1024; ++i)
        ASSERT_EQ(read.cells == nullptr ? read.fill : read.cells[i], expected.cells[i])
            << int{layer} << " " << chunk << " cell " << i;
    }
  }
}

void checkpoint(ShardStore& store, CrashingFile& file, std::span<const std::byte> aux = {}) {
  Result<CheckpointStep> step =
      store.begin_checkpoint(std::make_unique<AuxBytes>(AuxBytes::Bytes(aux.begin(), aux.end())));
  while (step.ok() && *step != CheckpointStep::done) {
    if (*step == CheckpointStep::work) {
      step = store.checkpoint_work(3);
      continue;
    }
    file.sync();
    step = store.checkpoint_synced({});
  }
  ASSERT_TRUE(step.ok()) << step.error().message;
}

std::unique_ptr<ShardStore> reopen(CrashingFile& file) {
  Result<std::unique_ptr<ShardStore>> store = ShardStore::open(file, kIdentity);
  EXPECT_TRUE(store.ok()) << store.error().message;
  return store.ok() ? *std::move(store) : nullptr;
}

class ShardStoreSeeds : public testing::TestWithParam<std::uint32_t> {};

TEST_P(ShardStoreSeeds, DoesWhatTheModelDoesAcrossCheckpointsAndRestarts) {
  std::mt19937 random(GetParam());
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  Model model;
  for (int i = 0; i < 600; ++i) {
    random_edit(*store, model, random);
    if (random() % 40 == 0) checkpoint(*store, file);
    if (random() % 150 == 0) {
      checkpoint(*store, file);
      store = reopen(file);
      ASSERT_NE(store, nullptr);
    }
    if (random() % 50 == 0) {
      const Status verified = store->verify();
      ASSERT_TRUE(verified.ok()) << verified.error().message;
    }
  }
  expect_state(*store, model);
  ASSERT_TRUE(store->verify().ok());
}

TEST_P(ShardStoreSeeds, APowerCutAtAnyPointLeavesTheLastDurableCheckpoint) {
  std::mt19937 random(GetParam() + 1000);
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  Model model, durable, written;
  std::vector<std::byte> durable_aux, written_aux;
  checkpoint(*store, file);  // a file with a root: before, everything is in the log
  for (int round = 0; round < 40; ++round) {
    const auto edits = [&](unsigned most) {
      for (auto i = random() % most; i > 0; --i) random_edit(*store, model, random);
    };
    edits(30);
    const std::vector<std::byte> aux(random() % 9000, static_cast<std::byte>(round));
    Result<CheckpointStep> step = store->begin_checkpoint(std::make_unique<AuxBytes>(aux));
    written = model;
    written_aux = aux;
    const Lsn written_lsn = store->lsn();
    // Edits go on while the checkpoint runs; the cut comes before, between or after its two syncs.
    const auto cut = static_cast<unsigned>(random() % 4);
    bool maybe_written = false;
    while (*step == CheckpointStep::work && cut != 0) {
      step = store->checkpoint_work(1 + random() % 4);
      edits(2);
    }
    for (unsigned at = 0; at < 2 && at < cut; ++at) {
      edits(8);
      file.sync();
      step = store->checkpoint_synced({});
      ASSERT_TRUE(step.ok());
      if (at == 0) maybe_written = true;  // the root is in the mapping now, and may reach the disk at any time
      if (*step == CheckpointStep::done) {
        durable = written;
        durable_aux = written_aux;
      }
    }
    edits(8);
    file.crash(random);
    store = reopen(file);
    ASSERT_NE(store, nullptr) << "round " << round;
    const bool is_written = maybe_written && store->aux() == written_aux && store->lsn() == written_lsn;
    if (is_written) {
      durable = written;
      durable_aux = written_aux;
    }
    EXPECT_EQ(store->aux(), durable_aux);
    expect_state(*store, durable);
    ASSERT_FALSE(HasFatalFailure()) << "round " << round << " cut " << cut;
    const Status verified = store->verify();
    ASSERT_TRUE(verified.ok()) << verified.error().message;
    model = durable;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ShardStoreSeeds, testing::Range(1u, 17u));

TEST(ShardStore, ADamagedPageIsNoticed) {
  std::mt19937 random(3);
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  Model model;
  for (int i = 0; i < 200; ++i) random_edit(*store, model, random);
  checkpoint(*store, file);
  store.reset();
  const std::size_t pages = file.page_count();
  std::size_t noticed = 0, used = 0;
  const ShardStore::Pages counts = reopen(file)->pages();
  for (std::size_t page = kRootSlots; page < pages; ++page) {
    const std::size_t byte = page * kPageBytes + random() % kPageBytes;
    file.flip(byte);
    const Result<std::unique_ptr<ShardStore>> opened = ShardStore::open(file, kIdentity);
    noticed += !opened.ok() || !(*opened)->verify().ok() ? 1u : 0u;
    file.flip(byte);
    ++used;
  }
  // Free pages may hold anything; every other damage is seen.
  EXPECT_EQ(noticed, counts.live - kRootSlots) << used;
}

// Whichever byte of a root is changed: the newest is missed, an older one by nobody unless nothing tells that it is
// one.
TEST(ShardStore, ARootThatMayHaveBeenTheNewestIsMissed) {
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  std::mt19937 random(6);
  Model model;
  EXPECT_EQ(lost_root(file), std::nullopt) << "it was never checkpointed";
  for (std::uint64_t generation = 1; generation <= 5; ++generation) {
    random_edit(*store, model, random);
    checkpoint(*store, file);
    ASSERT_EQ(store->generation(), generation);
    const std::size_t newest = generation % kRootSlots, older = 1 - newest;
    EXPECT_EQ(lost_root(file), std::nullopt);
    for (std::size_t byte = 0; byte < sizeof(shardfile::Root); ++byte) {
      if (generation > 1) {
        file.flip(newest * kPageBytes + byte);
        EXPECT_EQ(lost_root(file), newest) << byte;
        file.flip(newest * kPageBytes + byte);
        file.flip(older * kPageBytes + byte);
        const bool tells = byte >= 8 && (byte < offsetof(shardfile::Root, generation) ||
                                         byte >= offsetof(shardfile::Root, generation) + 8);
        EXPECT_EQ(lost_root(file).has_value(), !tells) << byte;
        file.flip(older * kPageBytes + byte);
      }
    }
  }
  store.reset();
  // A sector that became zeros; and going on without it.
  std::memset(file.base() + 5 % kRootSlots * kPageBytes, 0, 512);
  ASSERT_EQ(lost_root(file), 5 % kRootSlots);
  give_up_lost_root(file);
  EXPECT_EQ(lost_root(file), std::nullopt);
  EXPECT_EQ(damaged_root(file), std::nullopt);
  const auto opened = ShardStore::open(file, kIdentity);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ((*opened)->generation(), 4u);
  EXPECT_TRUE((*opened)->verify({}, true).ok());
}

TEST(ShardStore, AFileOfAnotherShardOrCutOffIsRefused) {
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  std::mt19937 random(5);
  Model model;
  random_edit(*store, model, random);
  checkpoint(*store, file);
  store.reset();
  const auto other = ShardStore::open(file, {WorldId{42}, -3, 8});
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("moved or renamed"), std::string::npos) << other.error().message;
  CrashingFile zeros;
  ASSERT_TRUE(zeros.grow(4).ok());
  EXPECT_TRUE(ShardStore::open(zeros, kIdentity).ok());  // made, and never checkpointed
  zeros.flip(100);
  EXPECT_FALSE(ShardStore::open(zeros, kIdentity).ok());
}

TEST(ShardStore, AFileOfAnotherFormatIsRefusedInWords) {
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  Model model;
  std::mt19937 random(1);
  random_edit(*store, model, random);
  checkpoint(*store, file);
  auto& root = *reinterpret_cast<shardfile::Root*>(file.base() + store->generation() % kRootSlots * kPageBytes);
  ++root.version;
  root.crc = crc32c({reinterpret_cast<const std::byte*>(&root), offsetof(shardfile::Root, crc)});
  const auto opened = ShardStore::open(file, kIdentity);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::unsupported);
  EXPECT_EQ(opened.error().message,
            "the shard file has format version 3, this server knows 2: use the version that wrote it");
}

TEST(ShardStore, AFullDiskChangesNothing) {
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  std::mt19937 random(7);
  Model model;
  for (int i = 0; i < 50; ++i) random_edit(*store, model, random);
  file.pages_max = file.page_count();
  const Lsn before = store->lsn();
  const Status refused = store->begin_edit(next(before), 1u << 16);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::overloaded);
  EXPECT_EQ(store->lsn(), before);
  expect_state(*store, model);
  EXPECT_TRUE(store->verify().ok());
}

TEST(ShardStore, AfterAFailedSyncItTakesNoMoreEdits) {
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  std::mt19937 random(9);
  Model model;
  random_edit(*store, model, random);
  ASSERT_TRUE(store->begin_checkpoint({}).ok());
  EXPECT_FALSE(store->begin_checkpoint({}).ok());  // one at a time
  while (store->checkpoint_work(1) == CheckpointStep::work) {
  }
  EXPECT_FALSE(store->checkpoint_synced(Error{ErrorCode::read_only, "EIO"}).ok());
  EXPECT_EQ(store->begin_edit(next(store->lsn()), 4).error().code, ErrorCode::read_only);
  EXPECT_FALSE(store->begin_checkpoint({}).ok());
  expect_state(*store, model);  // reading goes on
}

TEST(ShardStore, HugeFillsTakeNoPages) {
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  ASSERT_TRUE(store->begin_edit(Lsn{1}, 300).ok());
  for (unsigned chunk = 0; chunk < 65536; ++chunk) store->write(0, 0);
  store->fill_layer(0, 9);
  const PageNo live = store->pages().live;
  EXPECT_LE(live, 4u);
  EXPECT_EQ(store->read(0, 65535).fill, 9u);
  EXPECT_EQ(store->read(0, 65535).revision, Lsn{1});
  EXPECT_EQ(store->read(1, 65535).revision, Lsn{0});
}

// Nobody waits longer for a checkpoint than for a few pages, however much there is to write.
TEST(ShardStore, ACheckpointIsDoneInSlices) {
  constexpr std::size_t kDirty = 4000, kSlice = 8;
  CrashingFile file;
  std::unique_ptr<ShardStore> store = *ShardStore::create(file, kIdentity);
  const auto count_calls = [&](std::size_t aux_bytes) {
    EXPECT_TRUE(store->begin_checkpoint(std::make_unique<AuxBytes>(AuxBytes::Bytes(aux_bytes))).ok());
    std::size_t calls = 1;
    while (store->checkpoint_work(kSlice) == CheckpointStep::work) ++calls;
    EXPECT_TRUE(store->checkpoint_synced({}).ok());
    EXPECT_TRUE(store->checkpoint_synced({}).ok());
    return calls;
  };
  for (std::uint16_t chunk = 0; chunk < kDirty; ++chunk) {
    ASSERT_TRUE(store->begin_edit(next(store->lsn()), 4).ok());
    store->write(0, chunk)[0] = chunk;
  }
  EXPECT_GE(count_calls(0), kDirty / kSlice);
  EXPECT_LE(count_calls(0), 10u) << "nothing has changed";
  // The owner's bytes are pages that somebody must write, too.
  EXPECT_GE(count_calls(1000 * kPageBytes), 1000 / kSlice);
}

}  // namespace
}  // namespace terrazzo::storage
