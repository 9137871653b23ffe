#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"
#include "shardfile/bus_guard.h"

namespace terrazzo::io {

// How much of a file its reader will look at.
enum class Reads : std::uint8_t {
  here_and_there,  // nothing is read ahead
  all,             // read ahead; what nobody else has mapped is forgotten with the mapping, as nobody will ask again
};

// A whole file, mapped shared for reading: what its writer changes is seen. Any thread; a mapping of its own beside the
// owner's, which may move.
class ReadOnlyMapping {
 public:
  // not_found, internal. An empty file has no bytes.
  static Result<std::unique_ptr<ReadOnlyMapping>> open(const std::string& path, Reads reads);
  ~ReadOnlyMapping();
  ReadOnlyMapping(const ReadOnlyMapping&) = delete;
  ReadOnlyMapping& operator=(const ReadOnlyMapping&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  // Whether pages were missing when they were touched (install_bus_guard()): the file was cut off meanwhile.
  bool faulted() const { return guard_.faulted(); }

 private:
  ReadOnlyMapping(int fd, std::span<const std::byte> bytes, Reads reads) : fd_(fd), bytes_(bytes), reads_(reads) {
    if (!bytes.empty()) guard_.set(bytes.data(), bytes.size());
  }
  int fd_;
  std::span<const std::byte> bytes_;
  Reads reads_;
  shardfile::GuardedRange guard_;
};

}  // namespace terrazzo::io
