#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// One store under test: keeps chunks of 1024 cells (4096 bytes) by number, and does the same work as the others. A peer
// that cannot go on ends the program with the reason.
namespace terrazzo::bench {

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string name() const = 0;
  // Makes the store in the folder with `chunks` chunks, each with 40 different cells; tells how many there are, and
  // stops when the answer is no. Many in a transaction, and no sync but a last one.
  using Filled = std::function<bool(std::uint32_t chunks)>;
  virtual void fill(const std::filesystem::path& folder, std::uint32_t chunks, const Filled& filled) = 0;
  // One cell of one chunk, as an edit of its own that survives a crash of the process but not of the machine.
  virtual void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) = 0;
  // What edit() did since the last sync() survives a crash of the machine.
  virtual void begin_group() = 0;
  virtual void sync() = 0;
  virtual std::uint32_t read(std::uint32_t chunk, std::uint32_t cell) = 0;
  // Takes and lets go of a state that can be read while edits go on.
  virtual void snapshot() = 0;
};

std::unique_ptr<Peer> make_terrazzo_peer();
std::unique_ptr<Peer> make_lmdb_peer();
std::unique_ptr<Peer> make_lmdb_write_map_peer();
std::unique_ptr<Peer> make_sqlite_peer();
std::unique_ptr<Peer> make_rocksdb_peer();

// Of one transaction while a store is filled: larger ones make LMDB spill and SQLite's log as large as the data.
inline constexpr std::uint32_t kChunksInTransaction = 8192;

inline std::vector<std::uint32_t> chunk_cells(std::uint32_t chunk) {
  std::vector<std::uint32_t> cells(1024);
  for (std::uint32_t i = 0; i < 1024; ++i) cells[i] = i % 40 + chunk % 7;
  return cells;
}
[[noreturn]] void give_up(const std::string& why);

}  // namespace terrazzo::bench
