#include <sqlite3.h>

#include <array>
#include <cstring>

#include "bench/store/peer.h"

// SQLite 3 in WAL mode: prepared statements, a transaction for each edit with synchronous=OFF; groups with
// synchronous=FULL, one transaction each. A blob of 4096 bytes by rowid.
namespace terrazzo::bench {
namespace {

class SqlitePeer final : public Peer {
 public:
  ~SqlitePeer() override {
    for (sqlite3_stmt* statement : {get_, put_, begin_, commit_}) ::sqlite3_finalize(statement);
    ::sqlite3_close(db_);
  }
  std::string name() const override { return "SQLite"; }

  void fill(const std::filesystem::path& folder, std::uint32_t chunks, const Filled& filled) override {
    std::filesystem::create_directories(folder);
    check(::sqlite3_open((folder / "chunks.db").c_str(), &db_));
    run("PRAGMA page_size=8192");    // a chunk and its header fit one page
    run("PRAGMA journal_mode=OFF");  // while it is filled
    run("PRAGMA synchronous=OFF");
    run("PRAGMA cache_size=-1048576");
    run("PRAGMA mmap_size=17179869184");
    run("CREATE TABLE chunks (id INTEGER PRIMARY KEY, cells BLOB)");
    get_ = prepare("SELECT cells FROM chunks WHERE id=?1");
    put_ = prepare("INSERT OR REPLACE INTO chunks VALUES (?1, ?2)");
    begin_ = prepare("BEGIN IMMEDIATE");
    commit_ = prepare("COMMIT");
    step(begin_);
    for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
      put(chunk, chunk_cells(chunk).data());
      if ((chunk + 1) % kChunksInTransaction != 0) continue;
      step(commit_);
      if (!filled(chunk)) return;
      step(begin_);
    }
    step(commit_);
    run("PRAGMA journal_mode=WAL");
  }
  void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) override {
    if (!in_group_) step(begin_);
    std::array<std::uint32_t, 1024> cells;
    get(chunk, [&](const void* found) { std::memcpy(cells.data(), found, sizeof cells); });
    cells[cell] = value;
    put(chunk, cells.data());
    if (!in_group_) step(commit_);
  }
  void begin_group() override {
    if (!synchronous_) run("PRAGMA synchronous=FULL");
    synchronous_ = true;
    step(begin_);
    in_group_ = true;
  }
  void sync() override {
    step(commit_);
    in_group_ = false;
  }
  std::uint32_t read(std::uint32_t chunk, std::uint32_t cell) override {
    std::uint32_t value = 0;
    get(chunk, [&](const void* found) { value = static_cast<const std::uint32_t*>(found)[cell]; });
    return value;
  }
  void snapshot() override {
    run("BEGIN");
    get(0, [](const void*) {});
    run("COMMIT");
  }

 private:
  void check(int error) {
    if (error != SQLITE_OK) give_up(std::string("sqlite: ") + ::sqlite3_errmsg(db_));
  }
  void run(const char* sql) { check(::sqlite3_exec(db_, sql, nullptr, nullptr, nullptr)); }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    check(::sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr));
    return statement;
  }
  void step(sqlite3_stmt* statement) {
    if (::sqlite3_step(statement) != SQLITE_DONE) give_up(std::string("sqlite: ") + ::sqlite3_errmsg(db_));
    ::sqlite3_reset(statement);
  }
  template <class Visit>
  void get(std::uint32_t chunk, Visit&& visit) {
    ::sqlite3_bind_int64(get_, 1, chunk);
    if (::sqlite3_step(get_) != SQLITE_ROW) give_up("sqlite: a chunk is gone");
    visit(::sqlite3_column_blob(get_, 0));
    ::sqlite3_reset(get_);
  }
  void put(std::uint32_t chunk, const std::uint32_t* cells) {
    ::sqlite3_bind_int64(put_, 1, chunk);
    ::sqlite3_bind_blob(put_, 2, cells, 4096, SQLITE_STATIC);
    step(put_);
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt *get_ = nullptr, *put_ = nullptr, *begin_ = nullptr, *commit_ = nullptr;
  bool in_group_ = false, synchronous_ = false;
};

}  // namespace

std::unique_ptr<Peer> make_sqlite_peer() {
  return std::make_unique<SqlitePeer>();
}

}  // namespace terrazzo::bench
