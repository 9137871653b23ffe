#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "server/storage/page_file.h"

namespace terrazzo::shard {

// Pages in memory. What is there is as good as on disk; crashes are the store's own tests.
class MemoryPageFile final : public storage::PageFile {
  struct AlignedDelete {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{storage::kPageBytes}); }
  };
  using Bytes = std::unique_ptr<std::byte[], AlignedDelete>;

 public:
  std::byte* base() override { return bytes_.get(); }
  storage::PageNo page_count() const override { return pages_; }
  Status grow(storage::PageNo pages) override {
    if (pages <= pages_) return {};
    if (pages > pages_max) return Error{ErrorCode::overloaded, "the disk is full"};
    Bytes grown(new (std::align_val_t{storage::kPageBytes}) std::byte[pages * storage::kPageBytes]());
    if (pages_ != 0) std::memcpy(grown.get(), bytes_.get(), pages_ * storage::kPageBytes);
    bytes_ = std::move(grown);
    pages_ = pages;
    return {};
  }

  storage::PageNo pages_max = 1u << 20;

 private:
  Bytes bytes_;
  storage::PageNo pages_ = 0;
};

}  // namespace terrazzo::shard
