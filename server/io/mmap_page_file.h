#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "server/storage/page_file.h"
#include "shardfile/bus_guard.h"

namespace terrazzo::io {

inline constexpr std::size_t kFileBytesMax = std::size_t{1} << 38;  // of a shard: its cells four times over

// A shard's file, mapped shared. Addresses are reserved ahead, so that the mapping moves only when the file outgrows 1
// GiB and at doublings of that; disk space is allocated before it is mapped in, so a full disk is an error and not a
// SIGBUS. One thread.
class MmapPageFile final : public storage::PageFile {
 public:
  // Makes the file; already_exists, internal.
  static Result<std::unique_ptr<MmapPageFile>> create(const std::string& path);
  static Result<std::unique_ptr<MmapPageFile>> open(const std::string& path);
  ~MmapPageFile() override;
  MmapPageFile(const MmapPageFile&) = delete;
  MmapPageFile& operator=(const MmapPageFile&) = delete;

  std::byte* base() override { return base_; }
  storage::PageNo page_count() const override { return pages_; }
  Status grow(storage::PageNo pages) override;
  bool has_holes() const override { return has_holes_; }
  Status back(storage::PageNo first, storage::PageNo count) override;
  int fd() const { return fd_; }
  // This mapping does not hold these pages any more, so that the kernel can let them go; touching one brings it back.
  void unmap_pages(storage::PageNo first, storage::PageNo count);
  // Whether pages were missing when they were touched: the file was cut off, or its disk fails. What was read since is
  // not to be believed.
  bool faulted() const { return guard_.faulted(); }
  // read_only: the file is not as long as it was made any more, not there under its name, or faulted().
  Status look_whether_whole() const;

 private:
  MmapPageFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  Status map(storage::PageNo pages);
  Status map_part(std::byte* base, std::size_t from, std::size_t to);
  void give_back(std::size_t from);

  std::string path_;
  int fd_;
  std::byte* base_ = nullptr;
  std::size_t reserved_bytes_ = 0;
  storage::PageNo pages_ = 0;
  bool has_holes_ = false;
  shardfile::GuardedRange guard_;
};

}  // namespace terrazzo::io
