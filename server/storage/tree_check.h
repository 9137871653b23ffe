#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "server/storage/page_file.h"
#include "server/storage/position.h"

namespace terrazzo::storage {

// Proves a shard's pages: walks trees, marks what they reach, then says which pages are nobody's. Reads only.
class TreeCheck {
 public:
  explicit TreeCheck(PageFile& file) : file_(file), places_(file.page_count(), 0) {}
  // Called now and then with the pages looked at.
  std::function<void(PageNo done)> progress;

  // Every page must have a checksum, as after a checkpoint; otherwise those that have none yet are not compared.
  bool all_checksums = false;

  // `lsn`: no revision may be newer. `cursor`: leaves before it are not the tree's any more.
  // internal: says which page is wrong and how.
  Status tree(const shardfile::Entry& top, std::uint64_t lsn, std::uint32_t cursor = 0, bool dropping = false);
  // A page that is `as` and must not be anything else.
  Status page(PageNo page, const std::string& as);
  // After all: every page was named.
  Status complete() const;

 private:
  Status walk(const shardfile::Entry& entry, const Position& at);
  Status blob(const shardfile::Entry& entry, const Position& at);
  // Whether it is the first time; error: the page is something else, too.
  Result<bool> mark(PageNo page, const Position& at);
  Error wrong(PageNo page, const std::string& how) const;

  PageFile& file_;
  std::vector<std::uint32_t> places_;  // by page: 0 not seen, else where
  std::uint64_t lsn_ = 0;
  std::uint32_t cursor_ = 0;
  bool dropping_ = false;
  PageNo seen_ = 0;
};

}  // namespace terrazzo::storage
