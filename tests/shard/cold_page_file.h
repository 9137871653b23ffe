#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "server/storage/page_file.h"
#include "server/storage/residency.h"

namespace terrazzo::shard {

// Pages in memory of which those that a Residency does not call present cannot be touched: whoever does dies of it.
class ColdPageFile final : public storage::PageFile {
 public:
  ColdPageFile() {
    void* const range = ::mmap(nullptr, std::size_t{kPagesMax} * storage::kPageBytes, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    base_ = range == MAP_FAILED ? nullptr : static_cast<std::byte*>(range);
  }
  ~ColdPageFile() override { ::munmap(base_, std::size_t{kPagesMax} * storage::kPageBytes); }
  std::byte* base() override { return base_; }
  storage::PageNo page_count() const override { return pages_; }
  Status grow(storage::PageNo pages) override {
    if (pages > kPagesMax) return Error{ErrorCode::overloaded, "the disk is full"};
    protect(pages_, pages, PROT_READ | PROT_WRITE);
    pages_ = pages;
    return {};
  }
  void thaw() { protect(0, pages_, PROT_READ | PROT_WRITE); }
  void freeze_all_but(const storage::Residency& residency) {
    for (storage::PageNo page = 0; page < pages_; ++page)
      if (!residency.is_present(page)) protect(page, page + 1, PROT_NONE);
  }
  void thaw(storage::PageNo page) { protect(page, page + 1, PROT_READ | PROT_WRITE); }

 private:
  static constexpr storage::PageNo kPagesMax = 1u << 16;
  void protect(storage::PageNo from, storage::PageNo to, int how) {
    ::mprotect(base_ + std::size_t{from} * storage::kPageBytes, std::size_t{to - from} * storage::kPageBytes, how);
  }

  std::byte* base_ = nullptr;
  storage::PageNo pages_ = 0;
};

}  // namespace terrazzo::shard
