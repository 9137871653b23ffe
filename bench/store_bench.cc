// Edits and reads through the shard store and the shard, beside LMDB and plain memory in the same run. Unsynced: what
// the core's own time is spent on; syncs are shared by groups and measured by the load test.
#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <vector>
#ifdef TERRAZZO_HAVE_LMDB
#include <lmdb.h>
#endif

#include "map/chunk_codec.h"
#include "server/io/mmap_page_file.h"
#include "server/shard/shard.h"
#include "server/shard/shard_router.h"
#include "server/storage/shard_store.h"
#include "server/storage/wal.h"

namespace terrazzo {
namespace {

namespace fs = std::filesystem;
constexpr std::uint32_t kChunks = 65536;  // a whole shard, every chunk with a page
const storage::ShardIdentity kIdentity{WorldId{1}, 0, 0};

struct Folder {
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path = fs::temp_directory_path() / ("terrazzo-store-bench-" + std::to_string(::getpid()));
};
Folder& folder() {
  static Folder one;
  return one;
}

struct Filled {
  std::unique_ptr<io::MmapPageFile> file;
  std::unique_ptr<storage::ShardStore> store;
};
// A store in a real file whose every chunk has its page.
Filled& filled() {
  static Filled one = [] {
    Filled made;
    const std::string path = (folder().path / "filled.shard").string();
    made.file = std::move(io::MmapPageFile::create(path)).value();
    made.store = std::move(storage::ShardStore::create(*made.file, kIdentity)).value();
    for (std::uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      if (!made.store->begin_edit(next(made.store->lsn()), 4)) std::abort();
      std::uint32_t* cells = made.store->write(0, static_cast<std::uint16_t>(chunk));
      for (std::uint32_t i = 0; i < 1024; ++i) cells[i] = i % 40 + chunk % 7;
    }
    return made;
  }();
  return one;
}

void store_edit_random_cell(benchmark::State& state) {
  storage::ShardStore& store = *filled().store;
  std::mt19937 random(1);
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    if (!store.begin_edit(next(store.lsn()), 4)) state.SkipWithError("disk full");
    store.write(0, static_cast<std::uint16_t>(bits))[bits >> 16 & 1023] = bits & 0xFF;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(store_edit_random_cell);

void store_edit_in_one_region(benchmark::State& state) {
  storage::ShardStore& store = *filled().store;
  std::mt19937 random(1);
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    if (!store.begin_edit(next(store.lsn()), 4)) state.SkipWithError("disk full");
    store.write(0, static_cast<std::uint16_t>((bits & 15) | (bits >> 4 & 15) << 8))[bits >> 16 & 1023] = bits & 0xFF;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(store_edit_in_one_region);

void store_read_random_cell(benchmark::State& state) {
  const storage::ShardStore& store = *filled().store;
  std::mt19937 random(1);
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    const storage::ChunkRead read = store.read(0, static_cast<std::uint16_t>(bits));
    benchmark::DoNotOptimize(read.cells == nullptr ? read.fill : read.cells[bits >> 16 & 1023]);
  }
}
BENCHMARK(store_read_random_cell);

void store_fill_whole_layer(benchmark::State& state) {
  Filled made;
  const std::string path = (folder().path / "fill.shard").string();
  fs::remove(path);
  made.file = std::move(io::MmapPageFile::create(path)).value();
  made.store = std::move(storage::ShardStore::create(*made.file, kIdentity)).value();
  std::uint32_t value = 0;
  for (auto _ : state) {
    if (!made.store->begin_edit(next(made.store->lsn()), 300)) state.SkipWithError("disk full");
    made.store->fill_layer(0, ++value);
  }
}
BENCHMARK(store_fill_whole_layer);

// The whole of a core's work for one single-cell edit that nobody watches: split, check, apply, remember, log.
class LogOnly final : public shard::ShardOutput {
 public:
  std::optional<Error> busy() const override { return std::nullopt; }
  std::uint64_t log(const storage::Record& record) override {
    const std::uint64_t sequence = writer_.append(record);
    if (writer_.pending_bytes() > 1 << 20) {
      if (writer_.next_group()) writer_.group_synced({});
    }
    return sequence;
  }
  std::uint64_t durable() const { return writer_.durable_sequence(); }
  void publish(shard::CoreMask, shard::SharedPublication) override {}
  void reply(std::unique_ptr<shard::StatesReply>) override {}
  void outcome(shard::EditOutcome) override {}
  void durable(shard::CoreMask, const shard::DurableMark&) override {}
  void forward(std::unique_ptr<shard::EditRequest>) override {}

 private:
  storage::WalWriter writer_{0, Incarnation{1}, 1, 1u << 30};
};

void shard_edit_random_cell(benchmark::State& state) {
  proto::Encoder encoder;
  shard::EncodedChunks encoded(0);
  const shard::ShardKey key{WorldId{1}, {0, 0}};
  Filled made;
  const std::string path = (folder().path / "shard.shard").string();
  fs::remove(path);
  const auto make = [&]() -> Result<std::unique_ptr<storage::ShardStore>> {
    made.file = std::move(io::MmapPageFile::create(path)).value();
    return storage::ShardStore::create(*made.file, kIdentity);
  };
  shard::Shard shard(key, std::make_shared<map::World>(), {Incarnation{1}}, encoder, encoded, nullptr, make);
  LogOnly out;
  std::mt19937 random(1);
  std::uint64_t id = 0;
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    const map::Cell cell{bits & 0xFF};
    const map::Op op{map::OpKind::set, 0, map::Rect::of_size(bits & 1023, bits >> 10 & 1023, 1, 1), {}, {}, {&cell, 1}};
    const auto parts =
        shard::split_edit(WorldId{1}, {SessionId{7}, 0, 0, 0}, {EditId{++id}, map::AckMode::durable, {&op, 1}, {}});
    shard.edit(*parts->front(), out);
    if (id % 256 == 0) shard.log_durable(out.durable(), out);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(shard_edit_random_cell);

// What a core asks before each edit: is everything there that it will touch?
void shard_look_random_cell(benchmark::State& state) {
  proto::Encoder encoder;
  shard::EncodedChunks encoded(0);
  const shard::ShardKey key{WorldId{1}, {0, 0}};
  const std::string path = (folder().path / "look.shard").string();
  fs::remove(path);
  const auto file = io::MmapPageFile::create(path).value();
  const auto make = [&] { return storage::ShardStore::create(*file, {WorldId{1}, 0, 0}); };
  shard::Shard shard(key, std::make_shared<map::World>(), {Incarnation{1}}, encoder, encoded, nullptr, make);
  LogOnly out;
  std::mt19937 random(1);
  std::vector<std::unique_ptr<shard::EditRequest>> edits;
  std::vector<map::Op> ops(4096);
  for (map::Op& op : ops) {
    op.kind = map::OpKind::fill;
    op.rect = map::Rect::of_size(random() % 8192, random() % 8192, 1, 1);
    op.cell = map::Cell{7};
    auto parts = shard::split_edit(WorldId{1}, {SessionId{7}, 0, 0, 0},
                                   {EditId{edits.size() + 1}, map::AckMode::durable, {&op, 1}, {}});
    shard.edit(*parts->front(), out);
    edits.push_back(std::move(parts->front()));
  }
  std::size_t at = 0;
  storage::Missing missing;
  for (auto _ : state) {
    shard.look(*edits[at++ % edits.size()], missing);
    benchmark::DoNotOptimize(missing.pages.data());
  }
}
BENCHMARK(shard_look_random_cell);

#ifdef TERRAZZO_HAVE_LMDB
// The same in LMDB: a chunk is a value of 4096 bytes under its number; one transaction per edit, without syncs.
struct Lmdb {
  Lmdb() {
    const fs::path path = folder().path / "lmdb";
    fs::create_directories(path);
    mdb_env_create(&env);
    mdb_env_set_mapsize(env, std::size_t{4} << 30);
    mdb_env_open(env, path.c_str(), MDB_NOSYNC | MDB_WRITEMAP, 0600);
    MDB_txn* txn = nullptr;
    mdb_txn_begin(env, nullptr, 0, &txn);
    mdb_dbi_open(txn, nullptr, MDB_INTEGERKEY | MDB_CREATE, &dbi);
    std::array<std::uint32_t, 1024> cells{};
    for (std::uint32_t chunk = 0; chunk < kChunks; ++chunk) {
      for (std::uint32_t i = 0; i < 1024; ++i) cells[i] = i % 40 + chunk % 7;
      MDB_val key{sizeof chunk, &chunk}, value{sizeof cells, cells.data()};
      mdb_put(txn, dbi, &key, &value, MDB_APPEND);
    }
    mdb_txn_commit(txn);
  }
  ~Lmdb() { mdb_env_close(env); }
  MDB_env* env = nullptr;
  MDB_dbi dbi = 0;
};
Lmdb& lmdb() {
  folder();  // outlives it
  static Lmdb one;
  return one;
}

void lmdb_edit_random_cell(benchmark::State& state) {
  lmdb();  // filled before the clock runs
  std::mt19937 random(1);
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    std::uint32_t chunk = bits & 0xFFFF;
    MDB_txn* txn = nullptr;
    mdb_txn_begin(lmdb().env, nullptr, 0, &txn);
    MDB_val key{sizeof chunk, &chunk}, value{};
    mdb_get(txn, lmdb().dbi, &key, &value);
    std::array<std::uint32_t, 1024> cells;
    std::memcpy(cells.data(), value.mv_data, sizeof cells);
    cells[bits >> 16 & 1023] = bits & 0xFF;
    MDB_val changed{sizeof cells, cells.data()};
    mdb_put(txn, lmdb().dbi, &key, &changed, 0);
    mdb_txn_commit(txn);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(lmdb_edit_random_cell);

void lmdb_read_random_cell(benchmark::State& state) {
  std::mt19937 random(1);
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    std::uint32_t chunk = bits & 0xFFFF;
    MDB_txn* txn = nullptr;
    mdb_txn_begin(lmdb().env, nullptr, MDB_RDONLY, &txn);
    MDB_val key{sizeof chunk, &chunk}, value{};
    mdb_get(txn, lmdb().dbi, &key, &value);
    benchmark::DoNotOptimize(static_cast<const std::uint32_t*>(value.mv_data)[bits >> 16 & 1023]);
    mdb_txn_abort(txn);
  }
}
BENCHMARK(lmdb_read_random_cell);
#endif

void memory_edit_random_cell(benchmark::State& state) {
  static std::vector<std::uint32_t> cells(std::size_t{kChunks} * 1024, 1);
  std::mt19937 random(1);
  for (auto _ : state) {
    const auto bits = static_cast<std::uint32_t>(random());
    cells[std::size_t{bits & 0xFFFF} * 1024 + (bits >> 16 & 1023)] = bits & 0xFF;
  }
  benchmark::ClobberMemory();
}
BENCHMARK(memory_edit_random_cell);

void codec_encode(benchmark::State& state) {
  std::array<map::Cell, 1024> cells;
  for (std::uint32_t i = 0; i < 1024; ++i) cells[i] = map::Cell{i / 7 % static_cast<std::uint32_t>(state.range(0))};
  std::vector<std::byte> out;
  for (auto _ : state) {
    out.clear();
    map::encode_chunk(cells, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(codec_encode)->Arg(4)->Arg(40);

void codec_decode(benchmark::State& state) {
  std::array<map::Cell, 1024> cells;
  for (std::uint32_t i = 0; i < 1024; ++i) cells[i] = map::Cell{i / 7 % static_cast<std::uint32_t>(state.range(0))};
  std::vector<std::byte> coded;
  map::encode_chunk(cells, coded);
  for (auto _ : state) benchmark::DoNotOptimize(map::decode_chunk(coded, cells).ok());
}
BENCHMARK(codec_decode)->Arg(4)->Arg(40);

}  // namespace
}  // namespace terrazzo

BENCHMARK_MAIN();
