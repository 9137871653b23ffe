#include "bench/readers/pair.h"
#include "bench/store/peer.h"
#include "bench/store/shard_world.h"
#include "server/io/shared_page.h"
#include "server/runtime/clock.h"
#include "server/storage/root_publisher.h"
#include "terrazzo/local_shard.h"

// A shard as a core has it (check, pre-image, apply, dedupe, log record, log file) that publishes every 10 ms, as a
// server does by default, and a program that reads its file. Layers of 65,536 chunks.
namespace terrazzo::bench {
namespace {

constexpr std::uint64_t kPublishNs = 10'000'000, kHoldNs = 60'000'000'000;
constexpr std::size_t kEntriesPerTick = 16384;  // as of a server's checkpoints

map::LayerId layer_of(std::uint32_t chunk) {
  return static_cast<map::LayerId>(chunk >> 16);
}

class TerrazzoWriter final : public Writer {
 public:
  TerrazzoWriter(const std::filesystem::path& folder, std::uint32_t chunks)
      : log_(folder / "log", std::uint64_t{64} << 20),
        shard_(folder / "0_0.shard", map::ShardPos{0, 0}, encoder_),
        page_(open_page(folder)),
        publisher_(*static_cast<shardfile::PublishedRoot*>(page_->memory()), kHoldNs) {
    storage::ShardStore& store = shard_.store();
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      if (!store.begin_edit(next(store.lsn()), 4)) give_up("the disk is full");
      std::ranges::copy(chunk_cells(chunk), store.write(layer_of(chunk), static_cast<std::uint16_t>(chunk)));
    }
    shard_.checkpoint();
  }
  void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) override {
    map::Op op;
    op.kind = map::OpKind::set;
    op.layer = layer_of(chunk);
    op.rect = map::Rect::of_size((chunk & 255) * 32 + cell % 32, (chunk >> 8 & 255) * 32 + cell / 32, 1, 1);
    const map::Cell to{value};
    op.cells = {&to, 1};
    shard_.edit({&op, 1}, log_);
    if (++edits_ % 32 == 0) end_tick();
  }

 private:
  static std::unique_ptr<io::SharedPage> open_page(const std::filesystem::path& folder) {
    auto page = io::SharedPage::open(folder / "0_0.readers");
    if (!page) give_up(page.error().message);
    return *std::move(page);
  }
  void end_tick() {
    shard_.shard().log_durable(log_.durable(), log_);
    if (reclaiming_) reclaiming_ = shard_.shard().reclaim(kEntriesPerTick);
    const std::uint64_t now = runtime::monotonic_ns();
    if (now < next_ns_) return;
    next_ns_ = now + kPublishNs;
    shard_.shard().publish_root(publisher_, shard_.store().pages().total, now);
    reclaiming_ = true;
  }

  proto::Encoder encoder_;
  LogFile log_;
  BenchShard shard_;
  std::unique_ptr<io::SharedPage> page_;
  storage::RootPublisher publisher_;
  std::uint64_t edits_ = 0, next_ns_ = 0;
  bool reclaiming_ = false;
};

class TerrazzoReader final : public Reader {
 public:
  explicit TerrazzoReader(const std::filesystem::path& folder) {
    auto opened = client::LocalShard::open(folder / "0_0.shard", std::chrono::seconds(10));
    if (!opened) give_up(opened.error().message);
    shard_ = *std::move(opened);
  }
  void refresh() override {
    if (const Status moved = shard_->refresh(); !moved) give_up(moved.error().message);
  }
  const std::uint32_t* chunk(std::uint32_t chunk) override {
    const map::ChunkPos at{static_cast<std::int32_t>(chunk & 255), static_cast<std::int32_t>(chunk >> 8 & 255)};
    const Result<client::LocalChunk> found = shard_->chunk(layer_of(chunk), at);
    if (!found) give_up(found.error().message);
    if (found->cells.empty()) give_up("a chunk is missing");
    return reinterpret_cast<const std::uint32_t*>(found->cells.data());
  }
  void prove() override {
    if (const Status valid = shard_->valid(); !valid) give_up(valid.error().message);
  }

 private:
  std::unique_ptr<client::LocalShard> shard_;
};

}  // namespace

Pair terrazzo_pair() {
  return {"Terrazzo",
          [](const std::filesystem::path& folder, std::uint32_t chunks) -> std::unique_ptr<Writer> {
            return std::make_unique<TerrazzoWriter>(folder, chunks);
          },
          [](const std::filesystem::path& folder) -> std::unique_ptr<Reader> {
            return std::make_unique<TerrazzoReader>(folder);
          }};
}

}  // namespace terrazzo::bench
