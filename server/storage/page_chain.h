#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "server/storage/page_file.h"
#include "server/storage/page_pool.h"

namespace terrazzo::storage {

// Bytes of a root, replaced whole at each checkpoint: kept in pages of their own, one leading to the next.
class PageChain {
 public:
  static std::size_t pages_for(std::size_t bytes);

  explicit PageChain(PageFile& file) : file_(file) {}
  // Pages for this many bytes out of the pool, which has enough; the old ones retire.
  void replace(std::size_t bytes, PagePool& pool);
  // Writes one page more: `fill(from, to)` gives the bytes from `from` on. True: there are more to write.
  bool write_page(const std::function<void(std::size_t from, std::span<std::byte> to)>& fill);
  // Whole only when all is written.
  const shardfile::ChainRef& ref() const { return ref_; }
  const std::vector<PageNo>& pages() const { return pages_; }
  // After open. False: the chain leaves the file, has a loop, or its checksum is wrong.
  bool adopt(const shardfile::ChainRef& ref);
  std::vector<std::byte> read() const;

 private:
  shardfile::ChainPage& page(PageNo number) const {
    return *reinterpret_cast<shardfile::ChainPage*>(file_.base() + std::size_t{number} * kPageBytes);
  }

  PageFile& file_;
  shardfile::ChainRef ref_;
  std::vector<PageNo> pages_;
  std::size_t written_ = 0;  // pages
};

}  // namespace terrazzo::storage
