#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace terrazzo::maintenance {

struct PackedFile {
  std::uint64_t bytes = 0;  // unpacked
  std::string sha256;       // of the unpacked bytes, in hex
};
// Called with the unpacked bytes done so far.
using PackProgress = std::function<void(std::uint64_t bytes)>;

// Compresses a file with zstd into `to`, synced. Folders are made.
Result<PackedFile> pack_file(const std::string& from, const std::string& to, const PackProgress& progress = {});
// The other way; internal: the file is damaged or not what `expected` says, and `to` is gone again.
Status unpack_file(const std::string& from, const std::string& to, const PackedFile& expected,
                   const PackProgress& progress = {});

}  // namespace terrazzo::maintenance
