#pragma once

#include <cstring>
#include <new>
#include <random>
#include <vector>

#include "server/storage/page_file.h"

namespace terrazzo::storage {

// Pages in memory, and what of them is on disk for certain.
class CrashingFile final : public PageFile {
 public:
  std::byte* base() override { return bytes_.data(); }
  PageNo page_count() const override { return static_cast<PageNo>(bytes_.size() / kPageBytes); }
  Status grow(PageNo pages) override {
    if (pages > pages_max) return Error{ErrorCode::overloaded, "the disk is full"};
    bytes_.resize(std::size_t{pages} * kPageBytes);
    return {};
  }
  void sync() { disk_ = bytes_; }
  // After a power cut: every sector of every page is as it was at the last sync, or as it is now.
  void crash(std::mt19937& random) {
    constexpr std::size_t kSector = 512;
    disk_.resize(bytes_.size());
    for (std::size_t page = 0; page * kPageBytes < bytes_.size(); ++page) {
      const auto fate = static_cast<unsigned>(random() % 4);  // old, new, or torn
      for (std::size_t at = page * kPageBytes; at < (page + 1) * kPageBytes; at += kSector)
        if (fate == 1 || (fate == 2 && random() % 2 == 0)) std::memcpy(&disk_[at], &bytes_[at], kSector);
    }
    bytes_ = disk_;
  }
  void flip(std::size_t byte) { bytes_[byte] ^= std::byte{1}; }

  PageNo pages_max = 1u << 18;

 private:
  // Aligned as a mapping would be: nodes are read in place.
  template <class T>
  struct PageAllocator {
    using value_type = T;
    PageAllocator() = default;
    template <class U>
    PageAllocator(const PageAllocator<U>&) {}
    T* allocate(std::size_t n) { return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kPageBytes})); }
    void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{kPageBytes}); }
    bool operator==(const PageAllocator&) const { return true; }
  };
  using Bytes = std::vector<std::byte, PageAllocator<std::byte>>;
  Bytes bytes_, disk_;
};

}  // namespace terrazzo::storage
