#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "memory_page_file.h"
#include "recording_output.h"
#include "server/shard/shard.h"
#include "server/shard/shard_router.h"

namespace terrazzo::shard {

using Stage = EditOutcome::Stage;
inline constexpr WorldId kWorld{7};

inline std::shared_ptr<const map::World> test_world() {
  auto world = std::make_shared<map::World>();
  world->id = kWorld;
  world->name = "w";
  world->layers.resize(2);
  world->layers[1].id = 1;
  world->tilesets.resize(1);
  world->tilesets[0].tile_count = 100;
  return world;
}

// One shard over a file in memory that survives its restarts.
class ShardTest : public testing::Test {
 protected:
  ShardTest() { start(1); }

  void start(std::uint64_t incarnation) {
    shard.reset();
    encoded.emplace(1 << 20);
    std::unique_ptr<storage::ShardStore> store;
    if (created) store = std::move(storage::ShardStore::open(file, identity)).value();
    shard = std::make_unique<Shard>(key, test_world(), RunInfo{Incarnation{incarnation}, versions, deleted}, encoder,
                                    *encoded, std::move(store), [this] {
                                      created = true;
                                      return storage::ShardStore::create(file, identity);
                                    });
    shard->recovered();
  }
  void checkpoint() {
    auto step = shard->begin_checkpoint();
    while (step.ok() && *step != storage::CheckpointStep::done)
      step = *step == storage::CheckpointStep::work ? shard->checkpoint_work(16) : shard->checkpoint_synced({});
    ASSERT_TRUE(step.ok()) << step.error().message;
  }
  void edit(std::uint64_t id, const map::Op& op, std::span<const map::Condition> conditions = {},
            std::uint64_t author = 1) {
    auto parts =
        split_edit(kWorld, {SessionId{author}, 0, 0, 0}, {EditId{id}, map::AckMode::durable, {&op, 1}, conditions});
    ASSERT_EQ(parts->size(), 1u);
    shard->edit(*parts->front(), out);
  }
  static map::Op fill(const map::Rect& rect, std::uint32_t tile, map::LayerId layer = 0) {
    return {map::OpKind::fill, layer, rect, map::Cell{tile}, {}, {}};
  }
  std::uint32_t cell(map::LayerId layer, map::CellPos position) {
    if (shard->store() == nullptr) return 0;
    const storage::ChunkRead read = shard->store()->read(layer, map::index_in_shard(map::chunk_of(position)));
    return read.cells == nullptr ? read.fill : read.cells[map::index_in_chunk(position)];
  }
  SubscribeRequest subscription(const map::Rect& chunks, proto::Form form = proto::Form::binary, CoreId core = 0) {
    SubscribeRequest request;
    request.shard = key;
    request.origin.core = core;
    request.form = form;
    request.sub = 4;
    request.ticket = 8;
    request.chunks = chunks;
    request.layers = {0, 1};
    return request;
  }

  void restore(std::uint64_t id, Restore what, std::uint64_t coordinated = 0) {
    EditRequest request;
    request.shard = key;
    request.origin.session = SessionId{1};
    request.edit.id = EditId{id};
    request.restore = std::move(what);
    request.coordinated = coordinated;
    shard->edit(request, out);
  }
  std::uint32_t cell(storage::PinKind kind, std::uint64_t id, map::LayerId layer, map::CellPos position) {
    const storage::PinInfo* pin = shard->store()->find_pin(kind, id);
    EXPECT_NE(pin, nullptr);
    if (pin == nullptr) return ~0u;
    const storage::ChunkRead read = shard->store()->read(*pin, layer, map::index_in_shard(map::chunk_of(position)));
    return read.cells == nullptr ? read.fill : read.cells[map::index_in_chunk(position)];
  }

  const ShardKey key{kWorld, {0, 0}};
  const storage::ShardIdentity identity{kWorld, 0, 0};
  MemoryPageFile file;
  bool created = false;
  proto::Encoder encoder;
  std::optional<EncodedChunks> encoded;  // of one run
  RecordingOutput out;
  std::vector<std::uint64_t> versions, deleted;  // what the next start knows of the world
  std::unique_ptr<Shard> shard;
};

}  // namespace terrazzo::shard
