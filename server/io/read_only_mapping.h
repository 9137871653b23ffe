#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

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

 private:
  explicit ReadOnlyMapping(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace terrazzo::io
