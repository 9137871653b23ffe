#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <cstring>

#include "bench/store/peer.h"

// RocksDB 7 with its log on: a put for each edit, unsynced; groups as one batch, synced. A block cache as large as the
// data and bloom filters, no compression, as for values that change in place.
namespace terrazzo::bench {
namespace {

constexpr std::uint32_t kChunksInBatch = 1024;  // while it is filled: 4 MiB

void check(const rocksdb::Status& status) {
  if (!status.ok()) give_up("rocksdb: " + status.ToString());
}

class RocksdbPeer final : public Peer {
 public:
  ~RocksdbPeer() override {
    if (db_ != nullptr) db_->Close();
  }
  std::string name() const override { return "RocksDB"; }

  void fill(const std::filesystem::path& folder, std::uint32_t chunks, const Filled& filled) override {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = 256u << 20;
    options.max_open_files = -1;
    options.IncreaseParallelism(2);
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(std::size_t{chunks} * 4096 * 2);
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(options, folder.string(), &opened));
    db_.reset(opened);
    rocksdb::WriteOptions fast;
    fast.disableWAL = true;
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      check(batch_.Put(key(chunk), {reinterpret_cast<const char*>(chunk_cells(chunk).data()), 4096}));
      if ((chunk + 1) % kChunksInBatch != 0) continue;
      check(db_->Write(fast, &batch_));
      batch_.Clear();
      if (!filled(chunk)) return;
    }
    check(db_->Write(fast, &batch_));
    batch_.Clear();
    check(db_->Flush({}));
    check(db_->CompactRange({}, nullptr, nullptr));
  }
  void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) override {
    check(db_->Get({}, key(chunk), &value_));
    std::memcpy(value_.data() + std::size_t{cell} * 4, &value, 4);
    if (in_group_) {
      check(batch_.Put(key(chunk), value_));
    } else {
      check(db_->Put({}, key(chunk), value_));
    }
  }
  void begin_group() override { in_group_ = true; }
  void sync() override {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    check(db_->Write(synced, &batch_));
    batch_.Clear();
    in_group_ = false;
  }
  std::uint32_t read(std::uint32_t chunk, std::uint32_t cell) override {
    rocksdb::PinnableSlice found;
    check(db_->Get({}, db_->DefaultColumnFamily(), key(chunk), &found));
    std::uint32_t value = 0;
    std::memcpy(&value, found.data() + std::size_t{cell} * 4, 4);
    return value;
  }
  void snapshot() override { db_->ReleaseSnapshot(db_->GetSnapshot()); }

 private:
  rocksdb::Slice key(std::uint32_t chunk) {
    key_ = __builtin_bswap32(chunk);
    return {reinterpret_cast<const char*>(&key_), sizeof key_};
  }

  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteBatch batch_;
  std::string value_;
  std::uint32_t key_ = 0;
  bool in_group_ = false;
};

}  // namespace

std::unique_ptr<Peer> make_rocksdb_peer() {
  return std::make_unique<RocksdbPeer>();
}

}  // namespace terrazzo::bench
