#include <lmdb.h>

#include <array>
#include <cstring>

#include "bench/readers/pair.h"
#include "bench/store/peer.h"

// LMDB 0.9: a transaction for each edit with NOSYNC, and a read transaction that is renewed, in another process.
namespace terrazzo::bench {
namespace {

void check(int error) {
  if (error != 0) give_up(std::string("lmdb: ") + ::mdb_strerror(error));
}

class Environment {
 public:
  Environment(const std::filesystem::path& folder, std::size_t bytes, unsigned flags) {
    check(::mdb_env_create(&env_));
    if (bytes != 0) check(::mdb_env_set_mapsize(env_, bytes));
    check(::mdb_env_open(env_, folder.c_str(), flags, 0600));
  }
  ~Environment() { ::mdb_env_close(env_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  MDB_env* get() const { return env_; }

 private:
  MDB_env* env_ = nullptr;
};

const std::uint32_t* find(MDB_txn* transaction, MDB_dbi db, std::uint32_t chunk) {
  MDB_val key{sizeof chunk, &chunk}, value{};
  check(::mdb_get(transaction, db, &key, &value));
  return static_cast<const std::uint32_t*>(value.mv_data);
}

class LmdbWriter final : public Writer {
 public:
  LmdbWriter(const std::filesystem::path& folder, std::uint32_t chunks, bool write_map)
      : env_(folder, std::size_t{chunks} * 16384 + (std::size_t{64} << 20),
             MDB_NOSYNC | (write_map ? MDB_WRITEMAP : 0u)) {
    MDB_txn* const transaction = begin();
    check(::mdb_dbi_open(transaction, nullptr, MDB_INTEGERKEY, &db_));
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) put(transaction, chunk, chunk_cells(chunk).data());
    check(::mdb_txn_commit(transaction));
  }
  void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) override {
    MDB_txn* const transaction = begin();
    std::array<std::uint32_t, 1024> cells;
    std::memcpy(cells.data(), find(transaction, db_, chunk), sizeof cells);
    cells[cell] = value;
    put(transaction, chunk, cells.data());
    check(::mdb_txn_commit(transaction));
  }

 private:
  MDB_txn* begin() {
    MDB_txn* transaction = nullptr;
    check(::mdb_txn_begin(env_.get(), nullptr, 0, &transaction));
    return transaction;
  }
  void put(MDB_txn* transaction, std::uint32_t chunk, const std::uint32_t* cells) {
    MDB_val key{sizeof chunk, &chunk}, value{4096, const_cast<std::uint32_t*>(cells)};
    check(::mdb_put(transaction, db_, &key, &value, 0));
  }
  Environment env_;
  MDB_dbi db_ = 0;
};

class LmdbReader final : public Reader {
 public:
  explicit LmdbReader(const std::filesystem::path& folder) : env_(folder, 0, MDB_RDONLY) {
    check(::mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &transaction_));
    check(::mdb_dbi_open(transaction_, nullptr, MDB_INTEGERKEY, &db_));
  }
  ~LmdbReader() override { ::mdb_txn_abort(transaction_); }
  void refresh() override {
    ::mdb_txn_reset(transaction_);
    check(::mdb_txn_renew(transaction_));
  }
  const std::uint32_t* chunk(std::uint32_t chunk) override { return find(transaction_, db_, chunk); }

 private:
  Environment env_;
  MDB_txn* transaction_ = nullptr;
  MDB_dbi db_ = 0;
};

std::unique_ptr<Reader> make_reader(const std::filesystem::path& folder) {
  return std::make_unique<LmdbReader>(folder);
}

}  // namespace

Pair lmdb_pair() {
  return {"LMDB",
          [](const std::filesystem::path& folder, std::uint32_t chunks) -> std::unique_ptr<Writer> {
            return std::make_unique<LmdbWriter>(folder, chunks, false);
          },
          make_reader};
}
Pair lmdb_write_map_pair() {
  return {"LMDB (write map)",
          [](const std::filesystem::path& folder, std::uint32_t chunks) -> std::unique_ptr<Writer> {
            return std::make_unique<LmdbWriter>(folder, chunks, true);
          },
          make_reader};
}

}  // namespace terrazzo::bench
