#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/maintenance/shard_trees.h"

namespace terrazzo::maintenance {

// Writes a shard's file without free pages from what backups hold of it. The bytes depend on the trees alone, not on
// how many backups they came from: pages of cells by where they are first reached, then nodes and blobs, those below
// first. One thread; blocking.
class ShardImageWriter {
 public:
  // `trees` must outlive it. internal: the file cannot be made.
  static Result<ShardImageWriter> create(const std::string& path, const ShardTrees& trees);
  ShardImageWriter(ShardImageWriter&& other) noexcept;
  ShardImageWriter& operator=(ShardImageWriter&&) = delete;
  ~ShardImageWriter();

  // Whole pages of cells, numbered from `first` on; those that no tree reaches are left out. internal: a page is not
  // what the trees say.
  Status put_cells(std::uint32_t first, std::span<const std::byte> pages);
  // Everything else, and syncs. internal: pages of cells are missing.
  Status finish();

 private:
  ShardImageWriter(std::string path, const ShardTrees& trees, int fd);
  void place_cells();
  void add_node(std::size_t index);
  shardfile::PageNo add_blob(std::span<const std::byte> bytes, std::uint32_t& crc);
  shardfile::ChainRef add_chain(std::span<const std::byte> bytes);
  shardfile::PageNo add_page(const void* page);
  shardfile::Entry top_of(const shardfile::Entry& top) const;
  Status flush_if_large();
  Status flush();
  Status write_at(std::uint64_t at, std::span<const std::byte> bytes);

  struct Place {
    shardfile::PageNo page = 0;  // 0: nobody reaches it
    std::uint32_t crc = 0;
  };
  std::string path_;
  const ShardTrees& trees_;
  int fd_;
  std::vector<Place> cells_;  // by number
  std::vector<Place> nodes_, blobs_;
  std::uint32_t missing_ = 0;  // pages of cells
  shardfile::PageNo next_;
  std::vector<std::byte> pages_;  // not written yet
  std::uint64_t flushed_ = 0;     // bytes of the file before those
};

}  // namespace terrazzo::maintenance
