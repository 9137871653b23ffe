#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

// One store of chunks of 1024 cells (4096 bytes, by number) as two processes have it: one writes as fast as it can, one
// reads. A side that cannot go on ends its process with the reason.
namespace terrazzo::bench {

// Makes the store in a new folder, with 40 different cells in each chunk.
class Writer {
 public:
  virtual ~Writer() = default;
  // One cell, as an edit of its own that survives a crash of the process but not of the machine.
  virtual void edit(std::uint32_t chunk, std::uint32_t cell, std::uint32_t value) = 0;
};

class Reader {
 public:
  virtual ~Reader() = default;
  // Everything read until the next call is of one state of the store.
  virtual void refresh() = 0;
  // 1024 cells where the store has them.
  virtual const std::uint32_t* chunk(std::uint32_t chunk) = 0;
  // Ends the program if what was read since refresh() was not of one state.
  virtual void prove() {}
};

struct Pair {
  std::string name;
  std::unique_ptr<Writer> (*writer)(const std::filesystem::path& folder, std::uint32_t chunks);
  std::unique_ptr<Reader> (*reader)(const std::filesystem::path& folder);
};

Pair terrazzo_pair();
Pair lmdb_pair();
Pair lmdb_write_map_pair();

}  // namespace terrazzo::bench
