#include <lmdb.h>

#include <array>
#include <cstring>
#include <utility>

#include "bench/store/peer.h"

// LMDB 0.9, a transaction for each edit with NOSYNC, a synced transaction for each group. With a write map, edits are
// fastest and syncs are slow, without it is the other way round: both are measured.
namespace terrazzo::bench {
namespace {

void check(int error) {
  if (error != 0) give_up(std::string("lmdb: ") + ::mdb_strerror(error));
}

class LmdbPeer final : public Peer {
 public:
  explicit LmdbPeer(bool write_map) : write_map_(write_map) {}
  ~LmdbPeer() override {
    for (MDB_txn* transaction : {reading_, snapshot_})
      if (transaction != nullptr) ::mdb_txn_abort(transaction);
    if (env_ != nullptr) ::mdb_env_close(env_);
  }
  std::string name() const override { return write_map_ ? "LMDB (write map)" : "LMDB"; }

  void fill(const std::filesystem::path& folder, std::uint32_t chunks, const Filled& filled) override {
    std::filesystem::create_directories(folder);
    check(::mdb_env_create(&env_));
    check(::mdb_env_set_mapsize(env_, std::size_t{chunks} * 16384 + (std::size_t{64} << 20)));
    check(::mdb_env_open(env_, folder.c_str(), MDB_NOSYNC | MDB_NOTLS | (write_map_ ? MDB_WRITEMAP : 0u), 0600));
    begin_group();
    check(::mdb_dbi_open(writing_, nullptr, MDB_INTEGERKEY, &db_));
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      put(chunk, chunk_cells(chunk).data());
      if ((chunk + 1) % kChunksInTransaction != 0) continue;
      commit();
      if (!filled(chunk)) return;
      begin_group();
    }
    commit();
    check(::mdb_env_sync(env_, 1));
  }
  void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) override {
    const bool alone = writing_ == nullptr;
    if (alone) begin_group();
    std::array<std::uint32_t, 1024> cells;
    std::memcpy(cells.data(), get(writing_, chunk), sizeof cells);
    cells[cell] = value;
    put(chunk, cells.data());
    if (alone) commit();
  }
  void begin_group() override {
    if (reading_ != nullptr) ::mdb_txn_abort(std::exchange(reading_, nullptr));
    check(::mdb_txn_begin(env_, nullptr, 0, &writing_));
  }
  void sync() override {
    check(::mdb_env_set_flags(env_, MDB_NOSYNC, 0));
    commit();
  }
  std::uint32_t read(std::uint32_t chunk, std::uint32_t cell) override {
    if (reading_ == nullptr) check(::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reading_));
    const std::uint32_t value = get(reading_, chunk)[cell];
    return value;
  }
  void snapshot() override {
    if (snapshot_ == nullptr) {
      check(::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &snapshot_));
    } else {
      check(::mdb_txn_renew(snapshot_));
    }
    ::mdb_txn_reset(snapshot_);
  }

 private:
  void commit() {
    check(::mdb_txn_commit(writing_));
    writing_ = nullptr;
  }
  const std::uint32_t* get(MDB_txn* transaction, std::uint32_t chunk) {
    MDB_val key{sizeof chunk, &chunk}, value{};
    check(::mdb_get(transaction, db_, &key, &value));
    return static_cast<const std::uint32_t*>(value.mv_data);
  }
  void put(std::uint32_t chunk, const std::uint32_t* cells) {
    MDB_val key{sizeof chunk, &chunk}, value{4096, const_cast<std::uint32_t*>(cells)};
    check(::mdb_put(writing_, db_, &key, &value, 0));
  }

  const bool write_map_;
  MDB_env* env_ = nullptr;
  MDB_txn *writing_ = nullptr, *reading_ = nullptr, *snapshot_ = nullptr;
  MDB_dbi db_ = 0;
};

}  // namespace

std::unique_ptr<Peer> make_lmdb_peer() {
  return std::make_unique<LmdbPeer>(false);
}
std::unique_ptr<Peer> make_lmdb_write_map_peer() {
  return std::make_unique<LmdbPeer>(true);
}

}  // namespace terrazzo::bench
