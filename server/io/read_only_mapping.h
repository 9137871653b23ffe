#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "shardfile/bus_guard.h"

namespace terrazzo::io {

// A whole file, mapped shared for reading: what its writer changes is seen. Any thread; a mapping of its own beside the
// owner's, which may move.
class ReadOnlyMapping {
 public:
  // not_found, internal. An empty file has no bytes.
  static Result<std::unique_ptr<ReadOnlyMapping>> open(const std::string& path);
  ~ReadOnlyMapping();
  ReadOnlyMapping(const ReadOnlyMapping&) = delete;
  ReadOnlyMapping& operator=(const ReadOnlyMapping&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  // Whether pages were missing when they were touched (install_bus_guard()): the file was cut off meanwhile.
  bool faulted() const { return guard_.faulted(); }

 private:
  explicit ReadOnlyMapping(std::span<const std::byte> bytes) : bytes_(bytes) {
    if (!bytes.empty()) guard_.set(bytes.data(), bytes.size());
  }
  std::span<const std::byte> bytes_;
  shardfile::GuardedRange guard_;
};

}  // namespace terrazzo::io
