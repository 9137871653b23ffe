#include "bench/store/peer.h"
#include "bench/store/shard_world.h"

// A shard as a core has it: check, pre-image, apply, dedupe, log record, log file. Layers of 65,536 chunks.
namespace terrazzo::bench {
namespace {

class TerrazzoPeer final : public Peer {
 public:
  std::string name() const override { return "Terrazzo"; }

  void fill(const std::filesystem::path& folder, std::uint32_t chunks, const Filled& filled) override {
    std::filesystem::create_directories(folder);
    log_ = std::make_unique<LogFile>(folder / "log", std::uint64_t{64} << 20);
    shard_ = std::make_unique<BenchShard>(folder / "0_0.shard", map::ShardPos{0, 0}, encoder_);
    storage::ShardStore& store = shard_->store();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      if (!store.begin_edit(next(store.lsn()), 4)) give_up("the disk is full");
      std::ranges::copy(chunk_cells(chunk), store.write(layer(chunk), static_cast<std::uint16_t>(chunk)));
      if (chunk % kChunksInTransaction == 0 && !filled(chunk)) return;
    }
    shard_->checkpoint();
  }
  void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) override {
    map::Op op;
    op.kind = map::OpKind::set;
    op.layer = layer(chunk);
    const auto x = static_cast<std::int64_t>((chunk & 255) * 32 + cell % 32),
               y = static_cast<std::int64_t>((chunk >> 8 & 255) * 32 + cell / 32);
    op.rect = map::Rect::of_size(x, y, 1, 1);
    const map::Cell to{value};
    op.cells = {&to, 1};
    shard_->edit({&op, 1}, *log_);
    shard_->shard().log_durable(log_->durable(), *log_);
  }
  void begin_group() override {}
  void sync() override { log_->write(true); }
  std::uint32_t read(std::uint32_t chunk, std::uint32_t cell) override {
    const storage::ChunkRead found = shard_->store().read(layer(chunk), static_cast<std::uint16_t>(chunk));
    return found.cells == nullptr ? found.fill : found.cells[cell];
  }
  void snapshot() override {
    shard_->shard().take_snapshot(++snapshots_);
    shard_->shard().drop_snapshot(snapshots_);
    shard_->shard().reclaim(1);
  }

 private:
  static map::LayerId layer(std::uint32_t chunk) { return static_cast<map::LayerId>(chunk >> 16); }
  proto::Encoder encoder_;
  std::unique_ptr<LogFile> log_;
  std::unique_ptr<BenchShard> shard_;
  std::uint64_t snapshots_ = 0;
};

}  // namespace

std::unique_ptr<Peer> make_terrazzo_peer() {
  return std::make_unique<TerrazzoPeer>();
}

}  // namespace terrazzo::bench
